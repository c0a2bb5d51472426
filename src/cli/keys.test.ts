import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { KEY_HELP, pickLine, pressKey } from './keys.ts'

const NAMES = ['m-notice', 'm-search', 'pinyin']

test.each([
  ['?', 'help'],
  ['o', 'open'],
  ['d', 'debug'],
  ['e', 'errors'],
  ['c', 'clear'],
  ['q', 'quit'],
  ['\u0003', 'quit'],
])('%j asks for %s', (key, type) => {
  expect(pressKey(key, undefined, NAMES)).toEqual({ picking: undefined, action: { type } })
})

test.each(['r', 'l'] as const)('%s asks which function first', (key) => {
  const type = key === 'r' ? 'rebuild' : 'filter'
  expect(pressKey(key, undefined, NAMES)).toEqual({ picking: type })
  expect(pressKey('2', type, NAMES)).toEqual({ picking: undefined, action: { type, name: 'm-search' } })
  expect(pressKey('a', type, NAMES)).toEqual({ picking: undefined, action: { type } })
})

test('a question ends without consequence on any other key', () => {
  expect(pressKey('\u001b', 'rebuild', NAMES)).toEqual({ picking: undefined })
  expect(pressKey('9', 'rebuild', NAMES)).toEqual({ picking: undefined })
})

test('Ctrl-C ends the program even while a question is open', () => {
  expect(pressKey('\u0003', 'rebuild', NAMES).action).toEqual({ type: 'quit' })
})

test('the question names the key of every function', () => {
  expect(pickLine('rebuild', NAMES)).toContain('1 m-notice  2 m-search  3 pinyin')
})

test('every key of the help is in the manual', async () => {
  const manual = await readFile(new URL('../../docs/cli.md', import.meta.url), 'utf8')
  for (const [key] of KEY_HELP) expect(manual).toContain(`\n| \`${key}\` | `)
})

test('every key of the help does something', () => {
  for (const [key] of KEY_HELP) {
    const { picking, action } = pressKey(key, undefined, NAMES)
    expect(picking ?? action, key).toBeDefined()
  }
})
