import { expect, test } from 'vitest'
import { codeFrame } from './code-frame.ts'

const text = ['one', 'two', '\tthree(', 'four', 'five', 'six'].join('\n')

test('shows two lines before and after the place, and points at the column, past tabs', () => {
  expect(codeFrame(text, { file: 'a.js', line: 3, column: 7 })).toBe(
    ['  1 | one', '  2 | two', '> 3 |   three(', '    |        ^', '  4 | four', '  5 | five'].join('\n'),
  )
})

test('shows what there is at the beginning and at the end, numbers beneath each other', () => {
  expect(codeFrame(text, { file: 'a.js', line: 1 })).toBe('> 1 | one\n  2 | two\n  3 |   three(')
  const long = Array.from({ length: 10 }, (_, i) => `line ${i + 1}`).join('\n')
  expect(codeFrame(long, { file: 'a.js', line: 9 })).toBe(
    '   7 | line 7\n   8 | line 8\n>  9 | line 9\n  10 | line 10',
  )
})

test('a place behind the last line, where a file ends too early, is its last line', () => {
  expect(codeFrame('one\ntwo\n', { file: 'a.js', line: 3, column: 1 })).toBe('  1 | one\n> 2 | two')
})

test.each([
  ['no line', { file: 'a' }],
  ['line 0', { file: 'a', line: 0 }],
  ['a line that is not there', { file: 'a', line: 99 }],
])('there is nothing to show for %s', (_what, place) => {
  expect(codeFrame(text, place)).toBeUndefined()
})

test('there is nothing to show of an empty file', () => {
  expect(codeFrame('', { file: 'a', line: 1 })).toBeUndefined()
})

test('of a line as long as minified code is, what fits on a terminal is shown', () => {
  const frame = codeFrame('x'.repeat(100_000), { file: 'a.js', line: 1, column: 90_000 })
  expect(frame?.split('\n')).toHaveLength(1)
  expect(frame?.length).toBeLessThan(200)
})
