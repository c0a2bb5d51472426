import { expect, test } from 'vitest'
import { fit, padEnd, textWidth } from './text-width.ts'

test.each([
  ['plain', 5],
  ['\u001b[31mred\u001b[39m', 3],
  ['中文', 4],
  ['é', 1],
  ['🚀', 2],
])('%j takes %d columns', (text, width) => expect(textWidth(text)).toBe(width))

test('padding counts columns, not characters', () => {
  expect(padEnd('中', 4)).toBe('中  ')
  expect(padEnd('\u001b[31mred\u001b[39m', 4)).toBe('\u001b[31mred\u001b[39m ')
})

test('what is too wide is cut at the last column and closes its colour', () => {
  expect(fit('abcdef', 4)).toBe('abc…')
  expect(fit('中文中文', 4)).toBe('中…')
  expect(fit('\u001b[31mabcdef\u001b[39m', 4)).toBe('\u001b[31mabc…\u001b[0m')
})

test('what fits is left alone, and line breaks become spaces', () => {
  expect(fit('abc', 3)).toBe('abc')
  expect(fit('a\nb\tc', 9)).toBe('a b c')
})
