import { expect } from 'vitest'
import type { Answer } from './call.ts'
import type { Expected } from './node-contract.ts'

/** Compares what was answered with a row of a contract table; a header that must be absent is written 'undefined'. */
export function expectAnswer(answer: Answer, expected: Expected): void {
  expect(answer.status, answer.body).toBe(expected.status ?? 200)
  if (expected.type !== undefined) expect(answer.headers['content-type']).toBe(expected.type ?? undefined)
  if (typeof expected.body === 'string') expect(answer.body).toBe(expected.body)
  else if (expected.body) expect(answer.body).toMatch(expected.body)
  for (const [name, value] of Object.entries(expected.headers ?? {})) {
    expect(String(answer.headers[name]), name).toBe(value)
  }
}
