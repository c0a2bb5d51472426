import type { FunctionRef } from './function.ts'

/**
 * `queued`: nobody has begun it. `waiting`: it failed and is tried again later. `failed`: it ended with an answer that
 * is an error and is not tried again. `dead`: its attempts are used up, or its function is gone; it is kept to be looked at.
 */
export type CallState = 'queued' | 'running' | 'waiting' | 'succeeded' | 'failed' | 'dead' | 'cancelled'

/** What is known of an async call. Times are milliseconds since the epoch. */
export interface CallRecord {
  readonly id: string
  readonly ref: FunctionRef
  readonly queue: string
  /** Path and query as the function sees them. */
  readonly path: string
  readonly state: CallState
  readonly queuedAt: number
  /** Of the first attempt. */
  readonly startedAt?: number
  readonly endedAt?: number
  /** When a waiting call is tried again. */
  readonly dueAt?: number
  /** Attempts that have ended. */
  readonly attempts: number
  /** Of the last answer. */
  readonly status?: number
  /** Why the last attempt came to nothing, where there was no answer. */
  readonly problem?: string
  /** The last attempts, oldest first. */
  readonly history: readonly Attempt[]
  readonly callback?: CallbackRecord
  /** Where its message stands in the queue, or its letter among the dead ones. */
  readonly position?: number
  /** What its body is stored as, of a call that is made anew: it has the name that it got first. */
  readonly stored?: string
}

/** One try at a call. */
export interface Attempt {
  readonly at: number
  readonly seconds: number
  /** As a caller would have seen it; 503 and 504 where the function could not be reached or did not answer in time. */
  readonly status: number
  readonly problem?: string
}

interface CallbackRecord {
  readonly url: string
  readonly state: 'waiting' | 'delivered' | 'failed'
  readonly attempts: number
  readonly status?: number
  readonly problem?: string
}

export interface CallQuery {
  readonly id?: string
  readonly ref?: FunctionRef
  readonly states?: readonly CallState[]
  readonly limit: number
}

/** Call records and switches of queues. A view: what is delivered is the queue's matter alone. */
export interface CallStore {
  /** Creates or replaces, all at once. */
  write(records: readonly CallRecord[]): void
  /** Every call of that id: one for each function that it was sent to. */
  get(id: string): readonly CallRecord[]
  /** Newest first. */
  list(query: CallQuery): readonly CallRecord[]
  /** When the oldest call of a function that has not ended was queued. */
  oldest(ref: FunctionRef): number | undefined
  /**
   * Cancels calls of a function that nobody has begun, up to a position of the queue, at most `limit` of them; gives what
   * they became.
   */
  cancelQueued(ref: FunctionRef, upTo: number, at: number, limit: number): readonly CallRecord[]
  /** How many calls each function has, by `name.namespace`, that have not ended. */
  open(): ReadonlyMap<string, number>
  /** How many dead calls each function has, by `name.namespace`. */
  dead(): ReadonlyMap<string, number>
  /** Forgets ended calls: those before `endedBefore`, and the oldest beyond `keep`. Dead letters stay. At most `limit` at a time. */
  prune(keep: number, endedBefore: number, limit: number): number
  /** Forgets dead calls as the queue forgets their letters: those before `endedBefore`, and the oldest beyond `keep`. */
  pruneDead(keep: number, endedBefore: number): number
  /** `function:NAME.NAMESPACE` and `queue:NAME`. */
  paused(): readonly string[]
  setPaused(scope: string, isPaused: boolean): void
}

/** States that a call does not leave by itself. */
export function hasEnded(state: CallState): boolean {
  return state === 'succeeded' || state === 'failed' || state === 'dead' || state === 'cancelled'
}
