import { expect, test } from 'vitest'
import { isSameFailure, lineGist } from './same-failure.ts'

const failure = (message: string, code = 'REPLICA_EXITED') => ({ code, message, remedy: '', at: '' })

test('a failure is the same whatever the time, the process and the order of its lines', () => {
  const first = failure('a ended:\n  2026/01/31 09:30:00 Forking\n  pid 17\n  Error at 0xc000f0')
  expect(
    isSameFailure(first, failure('a ended:\n  pid 4\n  2026/01/31 09:31:07 Forking\n  Error at 0xd1')),
  ).toBe(true)
  expect(isSameFailure(first, failure('a ended:\n  2026/01/31 09:31:07 Forking\n  pid 4\n  TypeError'))).toBe(
    false,
  )
  expect(isSameFailure(first, { ...first, code: 'REPLICA_NOT_READY' })).toBe(false)
})

test('words stay, also those that have only letters of hexadecimal numbers', () => {
  expect(lineGist('  facade defaced 12abcdef 7')).toBe('facade defaced # #')
})
