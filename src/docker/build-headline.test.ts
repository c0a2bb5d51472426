import { expect, test } from 'vitest'
import { headlineOf } from './build-headline.ts'

test.each([
  [
    'Node',
    [
      'hello/handler.js:4',
      'const x = = 3',
      '          ^',
      "SyntaxError: Unexpected token '='",
      '    at wrapSafe (node:internal/modules/cjs/loader:1713:18)',
    ],
    "hello/handler.js:4 SyntaxError: Unexpected token '='",
  ],
  [
    'Node’s test runner',
    ['TAP version 13', '# hello/handler.js:11', '# oops oops', '# SyntaxError: oops', '# Node.js v20'],
    'hello/handler.js:11 SyntaxError: oops',
  ],
  [
    'a failed assertion',
    [
      'AssertionError [ERR_ASSERTION]: 1 == 2',
      '    at assert (node:assert:1:2)',
      '    at Object.<anonymous> (hello/handler.test.js:5:17)',
    ],
    'hello/handler.test.js:5:17 AssertionError [ERR_ASSERTION]: 1 == 2',
  ],
  [
    'Python',
    [
      '  File "hello/handler.py", line 4',
      '    def broken(:',
      '               ^',
      'SyntaxError: invalid syntax',
    ],
    'hello/handler.py:4 SyntaxError: invalid syntax',
  ],
  [
    'Go',
    ['# handler/function', 'hello/handler.go:18:12: expected )', 'x.go:1:1: y'],
    'hello/handler.go:18:12: expected )',
  ],
  [
    'TypeScript',
    ['> tsc', "src/x.ts(3,4): error TS1005: ';' expected."],
    "src/x.ts(3,4): error TS1005: ';' expected.",
  ],
  ['bash', ['hello/handler.sh: line 7: syntax error'], 'hello/handler.sh: line 7: syntax error'],
  [
    'pip',
    ['Collecting six', 'ERROR: No matching distribution found for six==0'],
    'ERROR: No matching distribution found for six==0',
  ],
  ['a command that only ends', ['building', 'half of it is there'], 'half of it is there'],
])('of what %s prints it is the line that says what is wrong, with its place', (_who, lines, headline) => {
  expect(headlineOf(lines)).toBe(headline)
})

const PRINTS = ['upstream failed: 500', 'TypeError: of a test that passes']

test.each([
  [
    'TAP',
    [
      'TAP version 13',
      ...PRINTS.map((line) => `# ${line}`),
      '# Subtest: logs',
      'ok 1 - logs',
      'not ok 2 - is not done yet # TODO',
      '# Subtest: says hello',
      'not ok 3 - says hello',
      '  ---',
      '  duration_ms: 0.776388',
      "  location: '/home/app/hello/handler.test.js:3:1'",
      "  failureType: 'testCodeFailure'",
      "  error: '1 == 2'",
      "  code: 'ERR_ASSERTION'",
      "  name: 'AssertionError'",
      '  stack: |-',
      '    Object.x (node:assert:1:2)',
      '    TestContext.<anonymous> (hello/handler.test.js:3:35)',
      '  ...',
      '1..3',
      '# fail 1',
    ],
    'hello/handler.test.js:3:35 says hello: AssertionError: 1 == 2',
  ],
  [
    'TAP of tests in tests',
    [
      '    not ok 1 - inner',
      '      ---',
      "      location: 'hello/handler.test.js:4:38'",
      '      error: |-',
      '        Expected values to be loosely deep-equal:',
      '        {',
      '      ...',
      'not ok 3 - group',
      '  ---',
      "  failureType: 'subtestsFailed'",
      "  error: '1 subtest failed'",
      '  ...',
    ],
    'hello/handler.test.js:4:38 inner: Expected values to be loosely deep-equal:',
  ],
  [
    'TAP that says no reason',
    ['# failed to log', 'not ok 1 should be equal', '1..1'],
    'should be equal failed',
  ],
  [
    'TAP of a file that throws',
    [
      '# hello/handler.js:11',
      '# SyntaxError: oops',
      'not ok 1 - hello/handler.test.js',
      '  ---',
      "  failureType: 'testCodeFailure'",
      "  error: 'test failed'",
      '  ...',
    ],
    'hello/handler.js:11 SyntaxError: oops',
  ],
  [
    'the report of node:test',
    [
      ...PRINTS,
      '✔ logs (2.06ms)',
      '▶ group',
      '  ✖ says hello (1.06ms)',
      '    AssertionError [ERR_ASSERTION]: 1 == 2',
      '        at x (node:assert:1:2)',
      '        at TestContext.<anonymous> (hello/handler.test.js:3:35)',
      '✖ group (2.2ms)',
      'ℹ fail 2',
      '✖ failing tests:',
    ],
    'hello/handler.test.js:3:35 says hello: AssertionError [ERR_ASSERTION]: 1 == 2',
  ],
  [
    'the report that has its reasons at the end',
    [
      '✖ says hello (1.06ms)',
      'ℹ fail 1',
      '✖ failing tests:',
      'test at x.js:3:1',
      '✖ says hello (1.06ms)',
      '  Error: oops',
    ],
    'says hello: Error: oops',
  ],
])('of %s it is the first test that failed, whatever tests that passed print', (_who, lines, headline) => {
  expect(headlineOf(lines)).toBe(headline)
})

test('is one line that fits, and none without output', () => {
  expect(headlineOf([`error ${'x'.repeat(1000)}`])).toHaveLength(200)
  expect(headlineOf([])).toBeUndefined()
})
