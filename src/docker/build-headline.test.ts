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

test('is one line that fits, and none without output', () => {
  expect(headlineOf([`error ${'x'.repeat(1000)}`])).toHaveLength(200)
  expect(headlineOf([])).toBeUndefined()
})
