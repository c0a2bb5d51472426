import { expect, test } from 'vitest'
import { readHeaders, readKeyValues } from './key-values.ts'

test('a value may hold the separator, and the last of a key wins', () => {
  expect(readKeyValues(['A=1', 'B=x=y', 'A=2'], '--env')).toEqual({ A: '2', B: 'x=y' })
})

test('a pair without a key is refused with the name of the flag', () => {
  expect(() => readKeyValues(['=x'], '--env')).toThrow(/--env "=x"/)
  expect(() => readKeyValues(['novalue'], '--label')).toThrow(/--label "novalue"/)
})

test('headers are read in both spellings, repeated ones kept', () => {
  expect(readHeaders(['X-A: 1', 'x-a=2', 'Authorization: Basic a=='])).toEqual({
    'x-a': ['1', '2'],
    authorization: ['Basic a=='],
  })
})
