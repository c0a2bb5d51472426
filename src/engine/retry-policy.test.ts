import { expect, test } from 'vitest'
import { DEFAULT_RETRY, readRetryPolicy, waitBeforeRetry } from './retry-policy.ts'

const annotated = (values: Record<string, string>) =>
  readRetryPolicy(
    Object.fromEntries(Object.entries(values).map(([key, value]) => [`com.openfaas.retry.${key}`, value])),
  )

test('without annotations: ten attempts, the documented codes, from 10 s doubling to 2 min', () => {
  expect(annotated({})).toEqual(DEFAULT_RETRY)
  const waits = Array.from({ length: 9 }, (_, i) =>
    waitBeforeRetry(DEFAULT_RETRY, { ended: i + 1, status: 500, retryAfter: undefined }, 0, Math.random),
  )
  expect(waits).toEqual([10, 20, 40, 80, 120, 120, 120, 120, 120].map((seconds) => seconds * 1000))
})

test('annotations are read as Go durations, comma lists and numbers', () => {
  expect(
    annotated({ attempts: '3', codes: '418, 500', min_wait: '1m30s', max_wait: '1h', backoff: 'full' }),
  ).toEqual({
    attempts: 3,
    codes: new Set([418, 500]),
    minWaitMs: 90_000,
    maxWaitMs: 3_600_000,
    backoff: 'full',
  })
})

test.each([
  ['attempts', 'many'],
  ['attempts', '-1'],
  ['attempts', '1e9'],
  ['codes', '500;502'],
  ['codes', ''],
  ['codes', '99999'],
  ['min_wait', '10'],
  ['min_wait', 'soon'],
  ['max_wait', '-1s'],
  ['backoff', 'linear'],
])('%s: %j cannot be read and counts as not given', (name, value) => {
  expect(annotated({ [name]: value })).toEqual(DEFAULT_RETRY)
})

test('0 attempts are one, and a maximum below the minimum is the minimum', () => {
  expect(annotated({ attempts: '0' }).attempts).toBe(1)
  expect(annotated({ min_wait: '5m', max_wait: '1s' })).toMatchObject({
    minWaitMs: 300_000,
    maxWaitMs: 300_000,
  })
  expect(annotated({ min_wait: '5m' })).toMatchObject({ maxWaitMs: 300_000 })
})

test.each([
  ['full', 0, 0],
  ['full', 0.5, 10_000],
  ['full', 1, 20_000],
  ['equal', 0, 10_000],
  ['equal', 0.5, 15_000],
  ['equal', 1, 20_000],
] as const)('%s jitter at %d of the second wait is %i ms', (backoff, random, wait) => {
  const policy = { ...DEFAULT_RETRY, backoff }
  expect(waitBeforeRetry(policy, { ended: 2, status: 502, retryAfter: undefined }, 0, () => random)).toBe(
    wait,
  )
})

test.each([
  [429, '60', 60_000],
  [503, '60', 60_000],
  // Not below the minimum.
  [429, '1', 10_000],
  [429, 'Thu, 01 Jan 1970 00:01:00 GMT', 60_000],
  [429, 'Wed, 31 Dec 1969 23:00:00 GMT', 10_000],
  // Only these two codes; what cannot be read is not there.
  [500, '60', 10_000],
  [429, 'whenever', 10_000],
  [429, '', 10_000],
  [503, '999999999', 86_400_000],
] as const)('Retry-After with %i: %j waits %i ms', (status, retryAfter, wait) => {
  expect(waitBeforeRetry(DEFAULT_RETRY, { ended: 1, status, retryAfter }, 0, () => 0.5)).toBe(wait)
})
