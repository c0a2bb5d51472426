import { expect, test } from 'vitest'
import { tableLines } from './table.ts'

test('columns are as wide as their widest cell, colours and wide letters included', () => {
  const lines = tableLines(
    ['NAME', 'STATE'],
    [
      ['拼音拼音', '\u001b[32mready\u001b[39m'],
      ['x', 'idle'],
    ],
  )
  expect(lines).toEqual(['NAME      STATE', '拼音拼音  \u001b[32mready\u001b[39m', 'x         idle'])
})

test('no line ends in spaces', () => {
  expect(tableLines(['A', 'B'], [['long', '']])).toEqual(['A     B', 'long'])
})
