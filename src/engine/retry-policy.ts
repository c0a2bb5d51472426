/** When an async call is tried again (contract 3.4). */
export interface RetryPolicy {
  /** Tries altogether, the first one included. */
  readonly attempts: number
  readonly codes: ReadonlySet<number>
  readonly minWaitMs: number
  readonly maxWaitMs: number
  readonly backoff: 'exponential' | 'full' | 'equal'
}

export const DEFAULT_RETRY: RetryPolicy = {
  attempts: 10,
  codes: new Set([408, 429, 500, 502, 503, 504]),
  minWaitMs: 10_000,
  maxWaitMs: 120_000,
  backoff: 'exponential',
}

/** More would be a loop. */
const MOST_ATTEMPTS = 1000
const BACKOFFS = new Set<string>(['exponential', 'full', 'equal'])
const RETRY_AFTER_CODES = new Set([429, 503])

/** The annotations `com.openfaas.retry.*`; a value that cannot be read is as if it were not there (contract 3.4). */
export function readRetryPolicy(annotations: Readonly<Record<string, string>>): RetryPolicy {
  const value = (name: string): string | undefined => annotations[`com.openfaas.retry.${name}`]?.trim()
  const minWaitMs = readDuration(value('min_wait')) ?? DEFAULT_RETRY.minWaitMs
  const maxWaitMs = readDuration(value('max_wait')) ?? Math.max(DEFAULT_RETRY.maxWaitMs, minWaitMs)
  return {
    attempts: readAttempts(value('attempts')) ?? DEFAULT_RETRY.attempts,
    codes: readCodes(value('codes')) ?? DEFAULT_RETRY.codes,
    minWaitMs,
    maxWaitMs: Math.max(maxWaitMs, minWaitMs),
    backoff: readBackoff(value('backoff')) ?? DEFAULT_RETRY.backoff,
  }
}

export interface FailedAttempt {
  /** How many attempts have ended with this one. */
  readonly ended: number
  readonly status: number
  readonly retryAfter: string | undefined
}

/** Milliseconds until the next attempt. `random`: from 0 to 1. */
export function waitBeforeRetry(
  policy: RetryPolicy,
  { ended, status, retryAfter }: FailedAttempt,
  now: number,
  random: () => number,
): number {
  const asked = RETRY_AFTER_CODES.has(status) ? readRetryAfter(retryAfter, now) : undefined
  // The function knows best when it can; but a storm of retries helps nobody, and for ever is too long.
  if (asked !== undefined) return Math.min(Math.max(asked, policy.minWaitMs), LONGEST_ASKED_MS)
  // 2 ** 1000 is a number still; what comes out is bounded in any case.
  const delay = Math.min(policy.minWaitMs * 2 ** (ended - 1), policy.maxWaitMs)
  switch (policy.backoff) {
    case 'exponential':
      return delay
    case 'full':
      return Math.round(random() * delay)
    case 'equal':
      return Math.round(delay / 2 + (random() * delay) / 2)
  }
}

const LONGEST_ASKED_MS = 24 * 3_600_000

/** `Retry-After`: seconds or an HTTP date. */
function readRetryAfter(text: string | undefined, now: number): number | undefined {
  if (text === undefined || text.trim() === '') return undefined
  if (/^\d+$/.test(text.trim())) return Number(text) * 1000
  const date = Date.parse(text)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

function readAttempts(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d+$/.test(text)) return undefined
  const attempts = Number(text)
  // 0 retries are one attempt: what was accepted is tried at least once.
  return attempts <= MOST_ATTEMPTS ? Math.max(1, attempts) : undefined
}

function readCodes(text: string | undefined): ReadonlySet<number> | undefined {
  if (text === undefined) return undefined
  const words = text.split(',').map((word) => word.trim())
  if (!words.every((word) => /^[1-5]\d\d$/.test(word))) return undefined
  return new Set(words.map(Number))
}

function readBackoff(text: string | undefined): RetryPolicy['backoff'] | undefined {
  return text !== undefined && BACKOFFS.has(text) ? (text as RetryPolicy['backoff']) : undefined
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Milliseconds of a Go duration: `1h2m3.5s`, `300ms`. */
function readDuration(text: string | undefined): number | undefined {
  if (text === undefined || !/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)].reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * (UNITS[unit ?? ''] ?? 0),
    0,
  )
}
