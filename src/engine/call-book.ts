import { hasEnded } from '../core/call.ts'
import type { CallQuery, CallRecord, CallStore } from '../core/call.ts'
import type { Clock } from '../core/clock.ts'
import { asFaasError } from '../core/errors.ts'
import type { FunctionRef } from '../core/function.ts'
import { formatRef } from '../core/function.ts'
import type { Log } from '../core/log.ts'
import { callKey, callKeyAt } from './queued-call.ts'

export interface CallBookParts {
  readonly store: CallStore
  readonly clock: Clock
  readonly log: Log
  /** Ended calls that are remembered, and for how long. */
  readonly keep: number
  readonly keepMs: number
  /** Dead ones, for as long as the queue keeps their letters. */
  readonly keepDead: number
  readonly keepDeadMs: number
}

/** One write for all calls of so many milliseconds: what a kill -9 can lose of the view. */
const WRITE_EVERY_MS = 25
const PRUNE_EVERY_MS = 2000
const PRUNE_AT_MOST = 2000
const PRUNE_DEAD_EVERY_MS = 3_600_000
const MOST_CANCELLED = 100_000
const CANCEL_AT_ONCE = 1000

/** Notes what becomes of calls. Off the hot path: notes are written together, and read as if they were written. */
export class CallBook implements Disposable {
  readonly #parts: CallBookParts
  readonly #unwritten = new Map<string, CallRecord>()
  readonly #watchers = new Set<(record: CallRecord) => void>()
  /** A message that is on its way to us when its call is cancelled must not be begun. */
  readonly #cancelled = new Set<string>()
  readonly #expected = new Set<string>()
  #timer: Disposable | undefined
  #prunedAt = 0
  #prunedDeadAt = 0
  #hasFailed = false

  constructor(parts: CallBookParts) {
    this.#parts = parts
  }

  /** A call is about to be published: somebody may begin it before its publisher hears that it is. */
  expect(call: Pick<CallRecord, 'id' | 'ref' | 'queuedAt'>): void {
    this.#expected.add(callKeyAt(call))
  }

  /** It was not published after all. */
  unexpect(call: Pick<CallRecord, 'id' | 'ref' | 'queuedAt'>): void {
    this.#expected.delete(callKeyAt(call))
  }

  /** What its publisher knows, unless whoever began it has noted more since `expect`. */
  notePublished(record: CallRecord): void {
    if (this.#expected.has(callKeyAt(record))) this.note(record)
  }

  note(record: CallRecord): void {
    if (this.#expected.size > 0) this.#expected.delete(callKeyAt(record))
    this.#unwritten.set(callKey(record), record)
    this.#timer ??= this.#parts.clock.after(WRITE_EVERY_MS, () => {
      this.#timer = undefined
      this.flush()
    })
    for (const watcher of this.#watchers) watcher(record)
  }

  get(call: { readonly id: string; readonly ref: FunctionRef }): CallRecord | undefined {
    const unwritten = this.#unwritten.get(callKey(call))
    if (unwritten) return unwritten
    const name = formatRef(call.ref)
    return this.#parts.store.get(call.id).find(({ ref }) => formatRef(ref) === name)
  }

  /** Remembered apart from the records, which may be read too late for a delivery that is on its way. */
  noteCancelled(record: CallRecord): void {
    if (this.#cancelled.size >= MOST_CANCELLED) this.#cancelled.clear()
    this.#cancelled.add(callKeyAt(record))
    this.note(record)
    this.flush()
  }

  /** Every call of a function that nobody has begun, up to a position of the queue, ends so; in pieces, so that others get their turn. */
  async cancelQueued(ref: FunctionRef, upTo: number): Promise<void> {
    const { store, clock } = this.#parts
    this.flush()
    for (;;) {
      const records = store.cancelQueued(ref, upTo, clock.now(), CANCEL_AT_ONCE)
      for (const watcher of this.#watchers) for (const record of records) watcher(record)
      if (records.length < CANCEL_AT_ONCE) return
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  isCancelled(call: Pick<CallRecord, 'id' | 'ref' | 'queuedAt'>): boolean {
    return this.#cancelled.size > 0 && this.#cancelled.has(callKeyAt(call))
  }

  /** Every call of an id, newest first. */
  all(id: string): readonly CallRecord[] {
    this.flush()
    return [...this.#parts.store.get(id)].sort((a, b) => b.queuedAt - a.queuedAt)
  }

  /** Newest first. */
  list(query: CallQuery): readonly CallRecord[] {
    this.flush()
    return this.#parts.store.list(query)
  }

  /** When the oldest call of a function that has not ended was queued. */
  oldest(ref: FunctionRef): number | undefined {
    this.flush()
    return this.#parts.store.oldest(ref)
  }

  /** How many dead calls each function has, by `name.namespace`. */
  dead(): ReadonlyMap<string, number> {
    this.flush()
    return this.#parts.store.dead()
  }

  /** How many calls each function has, by `name.namespace`, that have not ended. */
  open(): ReadonlyMap<string, number> {
    this.flush()
    return this.#parts.store.open()
  }

  /** Told of every note, as it is made; must be quick. */
  watch(watcher: (record: CallRecord) => void): Disposable {
    this.#watchers.add(watcher)
    return { [Symbol.dispose]: () => void this.#watchers.delete(watcher) }
  }

  /** Writes what is noted. Notes that cannot be written (a full disk) are kept for the next time, and said once. */
  flush(): void {
    const { store, clock, log } = this.#parts
    if (this.#unwritten.size === 0) return
    try {
      store.write([...this.#unwritten.values()])
      this.#unwritten.clear()
      this.#hasFailed = false
      this.#prune(clock.now())
    } catch (error) {
      if (!this.#hasFailed) log.error(`call records could not be written: ${asFaasError(error).message}`)
      this.#hasFailed = true
      this.#forgetSome()
    }
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]()
    this.flush()
  }

  #prune(now: number): void {
    const { store, keep, keepMs, keepDead, keepDeadMs } = this.#parts
    if (now - this.#prunedAt < PRUNE_EVERY_MS) return
    this.#prunedAt = now
    store.prune(keep, now - keepMs, PRUNE_AT_MOST)
    if (now - this.#prunedDeadAt < PRUNE_DEAD_EVERY_MS) return
    this.#prunedDeadAt = now
    store.pruneDead(keepDead, now - keepDeadMs)
  }

  /** Without a disk to write to, memory is bounded still; what is queued is in the queue all the same. */
  #forgetSome(): void {
    for (const [key, { state }] of this.#unwritten) {
      if (this.#unwritten.size <= this.#parts.keep) return
      if (hasEnded(state)) this.#unwritten.delete(key)
    }
  }
}
