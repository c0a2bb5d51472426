import { hasEnded } from '../core/call.ts'
import type { CallRecord, CallStore } from '../core/call.ts'
import type { CallbackSender } from '../core/callback.ts'
import type { Clock } from '../core/clock.ts'
import { asFaasError, FaasError } from '../core/errors.ts'
import type { FunctionRef } from '../core/function.ts'
import { formatRef, parseRef } from '../core/function.ts'
import type { Log } from '../core/log.ts'
import type { Provider } from '../core/provider.ts'
import type { DeadLetter, Published, Queue } from '../core/queue.ts'
import type { Registry } from '../core/registry.ts'
import { CallBook } from './call-book.ts'
import { callbackProblem, CallbackWorker } from './callbacks.ts'
import { CallRules } from './call-rules.ts'
import type { Invoker } from './invoker.ts'
import { Lanes } from './lanes.ts'
import type { LaneRules } from './lanes.ts'
import {
  callKey,
  callKeyAt,
  isCallbackLane,
  laneOf,
  readCall,
  readDeadCall,
  refOfLane,
  writeHead,
} from './queued-call.ts'
import type { DeadCall, QueuedCall } from './queued-call.ts'
import { LOST, QueueWorker } from './queue-worker.ts'
import type { CallObserver } from './queue-worker.ts'
import { notFound } from './reconciler.ts'
import type { Router } from './router.ts'

export interface AsyncCallsParts {
  readonly queue: Queue
  readonly store: CallStore
  readonly invoker: Pick<Invoker, 'invoke'>
  readonly router: Pick<Router, 'knows'>
  readonly registry: Pick<Registry, 'functions'>
  readonly provider: Pick<Provider, 'actual' | 'note'>
  readonly sender: CallbackSender
  readonly observer: CallObserver
  readonly clock: Clock
  readonly log: Log
  readonly random?: () => number
  /** Whether somebody debugs a function: its calls take as long as they take. */
  readonly isDebugged?: (ref: FunctionRef) => boolean
  readonly ownUrl: () => string
  readonly settings: AsyncSettings
}

export interface AsyncSettings {
  /** Of a call; larger ones are refused. */
  readonly maxBodyBytes: number
  /** Of an answer that is called back; what is more is cut off, and marked. */
  readonly maxAnswerBytes: number
  readonly callTimeoutMs: number
  readonly callbackTimeoutMs: number
  /** Calls of one function at once, where it says nothing itself. */
  readonly maxInflight: number
  /** Calls of one queue at once; `queueLimits` says it for some of them. */
  readonly queueLimit: number
  readonly queueLimits: ReadonlyMap<string, number>
  /** How many ended calls are remembered, and how long. */
  readonly keepRecords: number
  readonly keepRecordsMs: number
  /** The same of dead calls: as the queue keeps their letters. */
  readonly keepDead: number
  readonly keepDeadMs: number
}

export const DEFAULT_ASYNC: AsyncSettings = {
  maxBodyBytes: 32 * 2 ** 20,
  maxAnswerBytes: 128 * 2 ** 20,
  callTimeoutMs: 10 * 60_000,
  callbackTimeoutMs: 60_000,
  maxInflight: 64,
  queueLimit: 128,
  queueLimits: new Map(),
  keepRecords: 10_000,
  keepRecordsMs: 7 * 86_400_000,
  keepDead: 100_000,
  keepDeadMs: 30 * 86_400_000,
}

/** A call as it comes in. */
export interface NewCall {
  readonly id: string
  readonly ref: FunctionRef
  readonly invokedAs: string
  readonly path: string
  /** Name, value, name, value …, with the call id. */
  readonly headers: readonly string[]
  readonly callback?: string
  /** A stream for what does not fit into `inlineBytes`. */
  readonly body: Uint8Array | AsyncIterable<Uint8Array>
}

/** What can be paused. */
export type PauseScope = { readonly ref: FunctionRef } | { readonly queue: string }

/** A function's calls in the queue. */
export interface FunctionQueue {
  readonly ref: FunctionRef
  readonly queue: string
  /** Not done yet, running ones included. */
  readonly depth: number
  readonly running: number
  readonly maxInflight: number
  readonly oldestQueuedAt?: number
  readonly isPaused: boolean
  readonly dead: number
}

const CALLBACK_POOL = 'callbacks'
/** Posts at once, to one target and altogether. */
const CALLBACKS_PER_TARGET = 16
const CALLBACKS = 64
const MAX_ID_LENGTH = 256
/** Of the message, what the head may take before the body. */
const HEAD_BYTES = 16 * 1024
/** A body whose call is nowhere to be found is left of a crash. */
const SWEEP_AFTER_MS = 5000

/** Async calls: taken in, made, called back, looked at and steered. */
export class AsyncCalls implements AsyncDisposable {
  readonly book: CallBook
  readonly settings: AsyncSettings
  readonly #parts: AsyncCallsParts
  readonly #rules: CallRules
  readonly #worker: QueueWorker
  readonly #callbacks: CallbackWorker
  readonly #lanes: Lanes
  readonly #paused: Set<string>
  readonly #known = new Set<string>()
  readonly #watch: Disposable
  #sweep: Disposable | undefined
  #search: Disposable | undefined
  /** At the start, the place in the queue of the newest call of each function that had not ended, as far as it was written down. */
  readonly #newestWritten: ReadonlyMap<string, number>
  #lastMoment = 0

  constructor(parts: AsyncCallsParts) {
    const { queue, store, clock, log, settings, sender, ownUrl, random = Math.random } = parts
    this.#parts = parts
    this.settings = settings
    this.#paused = new Set(store.paused())
    this.#newestWritten = newestWritten(store)
    this.book = new CallBook({
      store,
      clock,
      log,
      keep: settings.keepRecords,
      keepMs: settings.keepRecordsMs,
      keepDead: settings.keepDead,
      keepDeadMs: settings.keepDeadMs,
    })
    this.#rules = new CallRules({ ...parts, maxInflight: settings.maxInflight })
    const wake = (lane: string): void => this.#lanes.wake(lane)
    const shared = { queue, book: this.book, clock, log, wake }
    this.#callbacks = new CallbackWorker({
      ...shared,
      sender,
      ownUrl,
      timeoutMs: settings.callbackTimeoutMs,
      note: (ref, words) => parts.provider.note(ref, words),
    })
    this.#worker = new QueueWorker({
      ...shared,
      callbacks: this.#callbacks,
      random,
      invoker: parts.invoker,
      rules: this.#rules,
      observer: parts.observer,
      callTimeoutMs: settings.callTimeoutMs,
      isDebugged: (ref) => parts.isDebugged?.(ref) === true,
      maxAnswerBytes: settings.maxAnswerBytes,
    })
    this.#lanes = new Lanes({ queue, clock, log }, this.#laneRules(this.#callbacks))
    this.#watch = queue.watch((isUp) => {
      if (isUp) this.#wakeAll().catch(() => undefined)
    })
  }

  /** Why nothing can be queued just now. */
  get problem(): FaasError | undefined {
    return this.#parts.queue.problem
  }

  /** A body up to so many bytes need not be a stream. */
  get inlineBytes(): number {
    return this.#parts.queue.maxMessageBytes - HEAD_BYTES
  }

  /**
   * Resolves once the call is durable. FUNCTION_NOT_FOUND, BAD_REQUEST for a callback or an id that cannot be,
   * BODY_TOO_LARGE, QUEUE_UNAVAILABLE, DISK_FULL; and what the body's stream throws: then nothing is kept.
   */
  async accept(given: NewCall): Promise<{ readonly isDuplicate: boolean }> {
    const { clock, observer } = this.#parts
    this.check(given)
    const { id, ref, invokedAs, path, headers, callback } = given
    const lane = laneOf(ref)
    const call: QueuedCall = {
      id,
      ref,
      invokedAs,
      path,
      headers,
      queuedAt: this.#isLarge(given.body) ? this.#momentOfItsOwn() : clock.now(),
      attempts: 0,
      history: [],
      ...(callback !== undefined && { callback }),
    }
    this.book.expect(call)
    try {
      const published = await (given.body instanceof Uint8Array
        ? this.#publishWhole(call, given.body)
        : this.#publishStored(call, given.body))
      const { position } = published
      // Whoever sent the first one may not have heard that it is there, and nobody have been told to look.
      if (published.duplicate) this.#lanes.wake(lane)
      if (published.duplicate && !this.#isOwn(call, published)) return { isDuplicate: true }
      const rule = this.#rules.of(ref)
      const record = queuedRecord(call, rule.queue, position)
      // Purged before it was heard that it is there.
      const isPurged = this.#worker.isRefused(lane, position)
      this.book.notePublished(isPurged ? { ...record, state: 'cancelled', endedAt: clock.now() } : record)
      observer.submitted(rule.queue)
      this.#lanes.wake(lane)
      return { isDuplicate: false }
    } finally {
      this.book.unexpect(call)
    }
  }

  /** What can be said of a call before its body is read. */
  check({ ref, id, callback }: Pick<NewCall, 'ref' | 'id' | 'callback'>): void {
    if (!this.#knows(ref)) throw notFound(ref)
    if (id.length > MAX_ID_LENGTH || id === '') {
      throw new FaasError('BAD_REQUEST', {
        message: `X-Call-Id has ${id.length} characters`,
        remedy: `Send 1 to ${MAX_ID_LENGTH}, or leave the header out: an id is made then.`,
      })
    }
    const problem = callback === undefined ? undefined : callbackProblem(callback)
    if (problem === undefined) return
    throw new FaasError('BAD_REQUEST', {
      message: `X-Callback-Url is ${JSON.stringify(callback)}: ${problem}`,
      remedy:
        'Give an absolute URL, such as http://127.0.0.1:3000/done or http://gateway:8080/function/other.',
    })
  }

  /** A function that was removed is not known any more. */
  forget(ref: FunctionRef): void {
    this.#known.delete(formatRef(ref))
  }

  /** Ends every call of that id that has not ended. CALL_NOT_FOUND; CALL_ENDED when there is none to end. */
  async cancel(id: string): Promise<void> {
    const records = this.book.all(id)
    if (records.length === 0) throw noCall(id)
    const open = records.filter(({ state }) => !hasEnded(state))
    const [last] = records
    if (open.length === 0 && last) {
      throw new FaasError('CALL_ENDED', {
        message: `call ${id} has ended already: ${last.state}`,
        remedy:
          last.state === 'dead'
            ? `Purge the dead letter: faasdock queue purge ${id}`
            : 'There is nothing left to cancel.',
      })
    }
    for (const record of open) await this.#cancelOne(record)
  }

  /** Takes no more of a function, or of all functions of a queue; what runs goes on. Kept over restarts. */
  pause(scope: PauseScope): void {
    const name = scopeName(scope)
    this.#parts.store.setPaused(name, true)
    this.#paused.add(name)
  }

  resume(scope: PauseScope): void {
    const name = scopeName(scope)
    this.#parts.store.setPaused(name, false)
    this.#paused.delete(name)
    this.#wakeAll().catch(() => undefined)
  }

  get paused(): readonly string[] {
    return [...this.#paused].sort()
  }

  /** Every function that has calls in the queue, dead letters, or is paused; by name. QUEUE_UNAVAILABLE. */
  async functions(): Promise<readonly FunctionQueue[]> {
    const depths = await this.#parts.queue.depths()
    const isMissing = ([name, count]: readonly [string, number]): boolean =>
      count > (depths.get(laneOf(parseRef(name))) ?? 0)
    if ([...this.book.open()].some(isMissing)) this.#searchLater()
    const dead = this.book.dead()
    const refs = new Map<string, FunctionRef>()
    const see = (ref: FunctionRef): void => void refs.set(formatRef(ref), ref)
    for (const name of dead.keys()) see(parseRef(name))
    for (const lane of depths.keys()) {
      const ref = refOfLane(lane)
      if (ref) see(ref)
    }
    return [...refs]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, ref]) => {
        const { queue, maxInflight } = this.#rules.of(ref)
        const depth = depths.get(laneOf(ref)) ?? 0
        const oldestQueuedAt = depth === 0 ? undefined : this.book.oldest(ref)
        return {
          ref,
          queue,
          depth,
          running: this.#lanes.running(laneOf(ref)),
          maxInflight,
          isPaused: this.#isPaused(laneOf(ref)),
          dead: dead.get(name) ?? 0,
          ...(oldestQueuedAt !== undefined && { oldestQueuedAt }),
        }
      })
  }

  /** Callbacks that are still to be posted. QUEUE_UNAVAILABLE. */
  async callbackDepth(): Promise<number> {
    const depths = await this.#parts.queue.depths()
    return [...depths].reduce((sum, [lane, depth]) => sum + (isCallbackLane(lane) ? depth : 0), 0)
  }

  deadRecords(ref?: FunctionRef): readonly CallRecord[] {
    return this.book.list({ states: ['dead'], limit: MOST_LETTERS, ...(ref && { ref }) })
  }

  /** A dead call with its body and last answer. CALL_NOT_FOUND. */
  async letter(id: string): Promise<{ readonly call: DeadCall; readonly body: Uint8Array }> {
    const [record] = this.book.all(id).filter(({ state }) => state === 'dead')
    const letter = record && (await this.#letterOf(record))
    const call = letter && readDeadCall(letter.head)
    if (!call) throw noLetter(id)
    return { call, body: letter.body }
  }

  /** Queues a dead call again, with all its attempts before it. False when somebody has already. CALL_NOT_FOUND. */
  async retry(record: CallRecord): Promise<boolean> {
    const { queue, clock } = this.#parts
    const letter = await this.#letterOf(record)
    if (!this.#isDeadStill(record)) return false
    const dead = letter && readDeadCall(letter.head)
    if (!dead) {
      // The bound on dead letters took it; the record does not know yet.
      this.book.note({ ...record, state: 'failed' })
      throw noLetter(record.id)
    }
    const { reason: _reason, diedAt, answer: _answer, ...rest } = dead
    const call: QueuedCall = {
      ...rest,
      queuedAt: Math.max(clock.now(), rest.queuedAt + 1),
      attempts: 0,
      history: [],
    }
    const lane = laneOf(call.ref)
    this.book.expect(call)
    try {
      const { position, duplicate, mayBeOwn } = await queue.publish({
        lane,
        // Asked for twice, it is queued once.
        id: `${callKeyAt(dead)}/again@${diedAt}`,
        head: writeHead(call),
        body: letter.body,
      })
      if (duplicate && !mayBeOwn) return false
      this.book.notePublished(queuedRecord(call, this.#rules.of(call.ref).queue, position))
    } finally {
      this.book.unexpect(call)
    }
    this.#lanes.wake(lane)
    await queue.dead.remove(letter.position)
    return true
  }

  /** Forgets a dead call for good. False when somebody has already, or has retried it. */
  async purge(record: CallRecord): Promise<boolean> {
    const { queue } = this.#parts
    const letter = await this.#letterOf(record)
    if (!this.#isDeadStill(record)) return false
    // From here on nobody takes it for dead.
    this.book.note({ ...record, state: 'failed' })
    if (!letter) return true
    try {
      const call = readDeadCall(letter.head)
      if (call?.stored !== undefined) await queue.bodies.remove(call.stored)
      await queue.dead.remove(letter.position)
    } catch (error) {
      this.book.note(record)
      throw error
    }
    return true
  }

  /** Cancels every call of a function that has not begun; gives how many. QUEUE_UNAVAILABLE. */
  async purgeQueued(ref: FunctionRef): Promise<number> {
    const { queue, observer } = this.#parts
    const lane = laneOf(ref)
    const upTo = await queue.newest()
    const { queue: name } = this.#rules.of(ref)
    // From here on none of them begins, whoever has it at hand, and whatever becomes of the rest.
    const isIdle = this.#worker.refuse(lane, upTo)
    const purged = isIdle ? await queue.purge(lane, upTo) : await this.#removeQueued(ref, upTo)
    await this.book.cancelQueued(ref, upTo)
    await this.#removeBodies(ref, upTo)
    for (let i = 0; i < purged; i++) observer.attempted(name, 'cancelled')
    return purged
  }

  /** What runs must stay in the queue until it is done: the others go one by one. */
  async #removeQueued(ref: FunctionRef, upTo: number): Promise<number> {
    const { queue } = this.#parts
    const records = this.book.list({ ref, states: ['queued', 'waiting'], limit: MOST_QUEUED })
    const positions = records.flatMap(({ position }) =>
      position === undefined || position > upTo ? [] : [position],
    )
    let removed = 0
    for (let at = 0; at < positions.length; at += REMOVE_AT_ONCE) {
      const some = positions.slice(at, at + REMOVE_AT_ONCE)
      const results = await Promise.all(some.map((position) => queue.remove(position)))
      removed += results.filter(Boolean).length
    }
    return removed
  }

  /** Of cancelled calls; nobody reads them any more. */
  async #removeBodies(ref: FunctionRef, upTo: number): Promise<void> {
    const { bodies } = this.#parts.queue
    const prefix = `call/${formatRef(ref)}/`
    for (const name of await bodies.list()) {
      const [, id] = /^([^]+)@\d+$/.exec(name.slice(prefix.length)) ?? []
      if (!name.startsWith(prefix) || id === undefined) continue
      const record = this.book.get({ id, ref })
      const isOurs = record?.state === 'cancelled' && (record.position ?? 0) <= upTo
      if (isOurs && storedName(record) === name) await bodies.remove(name)
    }
  }

  /** Stops taking, lets what runs end for up to `limitMs`, then gives it up: it is made again by the next one. */
  async drain(limitMs: number): Promise<void> {
    this.#watch[Symbol.dispose]()
    this.#sweep?.[Symbol.dispose]()
    this.#search?.[Symbol.dispose]()
    const limit = setTimeout(() => {
      this.#worker.stop()
      this.#callbacks.stop()
    }, limitMs)
    try {
      await this.#lanes[Symbol.asyncDispose]()
    } finally {
      clearTimeout(limit)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0)
    this.book[Symbol.dispose]()
  }

  /** Asking the registry costs more than the rest of a call; what is removed is told to `forget`. */
  #knows(ref: FunctionRef): boolean {
    const key = formatRef(ref)
    if (this.#known.has(key)) return true
    if (!this.#parts.router.knows(ref)) return false
    if (this.#parts.registry.functions.get(ref)) this.#known.add(key)
    return true
  }

  #isLarge(body: NewCall['body']): boolean {
    return !(body instanceof Uint8Array) || body.length > this.inlineBytes
  }

  /** A stored body bears the moment in its name: two calls of one id at once would have the same one. */
  #momentOfItsOwn(): number {
    this.#lastMoment = Math.max(this.#parts.clock.now(), this.#lastMoment + 1)
    return this.#lastMoment
  }

  /** Of a call whose message was sent more than once: that what is in the queue is not an earlier call of the same id. */
  #isOwn(call: QueuedCall, { position, mayBeOwn }: Published): boolean {
    if (!mayBeOwn) return false
    const known = this.book.get(call)
    if (!known || known.queuedAt === call.queuedAt) return true
    return known.state !== 'dead' && known.position !== undefined && known.position < position
  }

  async #publishWhole(call: QueuedCall, body: Uint8Array): Promise<Published> {
    const head = writeHead(call)
    if (Buffer.byteLength(head) + body.length > this.#parts.queue.maxMessageBytes) {
      if (body.length === 0) throw headTooLarge()
      return this.#publishStored(call, once(body))
    }
    return this.#parts.queue.publish({ lane: laneOf(call.ref), id: callKey(call), head, body })
  }

  async #publishStored(call: QueuedCall, body: AsyncIterable<Uint8Array>): Promise<Published> {
    const { queue } = this.#parts
    const stored = storedName(call)
    const storedBytes = await queue.bodies.put(stored, body)
    try {
      const head = writeHead({ ...call, stored, storedBytes })
      if (Buffer.byteLength(head) > queue.maxMessageBytes) throw headTooLarge()
      const published = await queue.publish({
        lane: laneOf(call.ref),
        id: callKey(call),
        head,
        body: new Uint8Array(0),
      })
      // What may be its own duplicate refers to it.
      if (published.duplicate && !published.mayBeOwn) await queue.bodies.remove(stored)
      return published
    } catch (error) {
      // The queue may have it all the same, and gives it to whoever sends the call again; else the body is swept away.
      if (asFaasError(error).code !== 'QUEUE_UNAVAILABLE')
        await queue.bodies.remove(stored).catch(() => undefined)
      throw error
    }
  }

  async #cancelOne(record: CallRecord): Promise<void> {
    const { queue, observer, clock } = this.#parts
    // A running call writes down itself what has become of it.
    if (this.#worker.cancel(record)) return
    this.book.noteCancelled({ ...record, state: 'cancelled', endedAt: clock.now() })
    if (record.position !== undefined) await queue.remove(record.position).catch(() => undefined)
    await queue.bodies.remove(storedName(record)).catch(() => undefined)
    observer.attempted(record.queue, 'cancelled')
  }

  /** Letters of a server that lost its store stand where others stood. */
  async #letterOf(record: CallRecord): Promise<DeadLetter | undefined> {
    const { position } = record
    const letter = position === undefined ? undefined : await this.#parts.queue.dead.get(position)
    return letter?.id.startsWith(`${callKey(record)}@`) ? letter : undefined
  }

  /** Somebody may have retried or purged it since its record was read. */
  #isDeadStill(record: CallRecord): boolean {
    const now = this.book.get(record)
    return now?.state === 'dead' && now.queuedAt === record.queuedAt
  }

  #laneRules(callbacks: CallbackWorker): LaneRules {
    const { settings } = this
    const ruleOf = (lane: string): ReturnType<CallRules['of']> => this.#rules.ofLane(lane)
    return {
      limit: (lane) => (isCallbackLane(lane) ? CALLBACKS_PER_TARGET : ruleOf(lane).maxInflight),
      pool: (lane) => (isCallbackLane(lane) ? CALLBACK_POOL : `queue:${ruleOf(lane).queue}`),
      poolLimit: (pool) =>
        pool === CALLBACK_POOL ? CALLBACKS : (settings.queueLimits.get(pool.slice(6)) ?? settings.queueLimit),
      isPaused: (lane) => this.#isPaused(lane),
      run: (lane, delivery) =>
        isCallbackLane(lane) ? callbacks.run(lane, delivery) : this.#worker.run(delivery),
    }
  }

  #isPaused(lane: string): boolean {
    if (this.#paused.size === 0) return false
    const ref = refOfLane(lane)
    if (!ref) return false
    return (
      this.#paused.has(scopeName({ ref })) ||
      this.#paused.has(scopeName({ queue: this.#rules.of(ref).queue }))
    )
  }

  async #wakeAll(): Promise<void> {
    const { queue, clock, log } = this.#parts
    const lanes = [...(await queue.depths()).keys()]
    for (const lane of lanes) this.#lanes.wake(lane)
    this.#searchLater()
    this.#sweep ??= clock.after(SWEEP_AFTER_MS, () => {
      this.#tidy(lanes).catch((error: unknown) =>
        log.debug(`stored bodies could not be looked at: ${asFaasError(error).message}`),
      )
    })
  }

  /** Looked at when the queue is up (again), and whenever somebody asks what it holds. */
  #searchLater(): void {
    const { clock, log } = this.#parts
    this.#search ??= clock.after(SWEEP_AFTER_MS, () => {
      this.#closeLost()
        .catch((error: unknown) =>
          log.debug(`calls that are not in the queue could not be looked for: ${asFaasError(error).message}`),
        )
        .finally(() => (this.#search = undefined))
    })
  }

  /**
   * Functions of which records tell of more calls than the queue holds: it has lost some, or we were killed before we
   * wrote it down. A message is there before its record, and longer than it; what moves meanwhile is in one look only.
   */
  async #losers(): Promise<readonly FunctionRef[]> {
    const before = this.book.open()
    if (before.size === 0) return []
    const depths = await this.#parts.queue.depths()
    const after = this.book.open()
    return [...before].flatMap(([name, count]) => {
      const ref = parseRef(name)
      return Math.min(count, after.get(name) ?? 0) > (depths.get(laneOf(ref)) ?? 0) ? [ref] : []
    })
  }

  /** Ends records of calls that are nowhere in the queue, and says so: nobody makes them any more. */
  async #closeLost(): Promise<void> {
    const { queue, clock, log } = this.#parts
    for (const ref of await this.#losers()) {
      const suspects = new Map<string, CallRecord>()
      for (const record of this.book.list({ ref, states: OPEN, limit: MOST_QUEUED }))
        suspects.set(callKeyAt(record), record)
      for await (const { head } of queue.list(laneOf(ref))) {
        const call = readCall(head)
        if (call) suspects.delete(callKeyAt(call))
      }
      // Whatever moved meanwhile is there.
      const lost = [...suspects.values()].filter((record) => {
        const { queuedAt, state, attempts } = this.book.get(record) ?? record
        const isSame = queuedAt === record.queuedAt && state === record.state && attempts === record.attempts
        return isSame && !this.#worker.isRunning(record)
      })
      if (lost.length === 0) continue
      for (const record of lost)
        this.book.note({ ...record, state: 'failed', problem: LOST, endedAt: clock.now() })
      const ids = lost.slice(0, 3).map(({ id }) => id)
      log.error(
        `${lost.length} async ${lost.length === 1 ? 'call' : 'calls'} of ${formatRef(ref)} (${ids.join(', ')}${lost.length > ids.length ? ', …' : ''}) ended without an outcome: ${LOST}. \`faasdock calls --state failed\` lists them; call again what matters.`,
      )
    }
  }

  async #tidy(lanes: readonly string[]): Promise<void> {
    await this.#findLetters()
    for (const lane of lanes) await this.#findQueued(lane)
    await this.#sweepBodies()
  }

  /** Writes down calls that the queue has and nobody has written down. */
  async #findQueued(lane: string): Promise<void> {
    const ref = refOfLane(lane)
    if (!ref) return
    const { queue } = this.#rules.of(ref)
    // Records are written in the order of their messages: a kill costs the last ones, a broken file all.
    const from = this.#newestWritten.get(formatRef(ref))
    for await (const { position, head } of this.#parts.queue.list(lane, from)) {
      const call = readCall(head)
      if (!call || this.book.get(call)?.queuedAt === call.queuedAt) continue
      const { attempts, history } = call
      const state = attempts === 0 ? 'queued' : 'waiting'
      this.book.note({ ...queuedRecord(call, queue, position), attempts, history, state })
    }
  }

  /** Records are a view that may get lost; letters are not. */
  async #findLetters(): Promise<void> {
    const { dead } = this.#parts.queue
    for (const { position, id: key } of await dead.list()) {
      const [, name = '', id = ''] = /^([^/]+)\/(.+)@\d+$/.exec(key) ?? []
      if (id === '' || this.book.get({ id, ref: parseRef(name) })) continue
      const call = readDeadCall((await dead.get(position))?.head ?? '')
      if (!call) continue
      const { ref, path, queuedAt, attempts, history, diedAt, answer } = call
      const { queue } = this.#rules.of(ref)
      const status = answer?.status ?? history.at(-1)?.status
      this.book.note({
        ...{ id, ref, queue, path, state: 'dead', queuedAt, endedAt: diedAt, attempts, history, position },
        ...(status !== undefined && { status }),
      })
    }
  }

  /** Removes stored bodies that no call refers to: of calls that were killed between storing and publishing. */
  async #sweepBodies(): Promise<void> {
    const { queue } = this.#parts
    await queue.bodies.tidy(this.#parts.clock.now() - SWEEP_YOUNG_MS)
    const orphans = new Set<string>()
    for (const name of await queue.bodies.list()) {
      const [, id, queuedAt] = /^(?:call|answer)\/[^/]+\/(.+)@(\d+)$/.exec(name) ?? []
      if (id === undefined) continue
      const isOpen = this.book
        .all(id)
        .some(
          (record) =>
            !hasEnded(record.state) || record.state === 'dead' || record.callback?.state === 'waiting',
        )
      const isYoung = Number(queuedAt) > this.#parts.clock.now() - SWEEP_YOUNG_MS
      if (!isOpen && !isYoung) orphans.add(name)
    }
    if (orphans.size === 0) return
    // Records may be lost: the queue has the last word.
    for (const lane of (await queue.depths()).keys())
      for await (const { head } of queue.list(lane)) orphans.delete(readCall(head)?.stored ?? '')
    for (const name of orphans) await queue.bodies.remove(name)
  }
}

function newestWritten(store: CallStore): ReadonlyMap<string, number> {
  const names = [...store.open().keys()]
  return new Map(
    names.map((name) => {
      const [newest] = store.list({ ref: parseRef(name), states: OPEN, limit: 1 })
      return [name, newest?.position ?? 1]
    }),
  )
}

const MOST_LETTERS = DEFAULT_ASYNC.keepDead
const MOST_QUEUED = 1_000_000
const OPEN = ['queued', 'running', 'waiting'] as const
const REMOVE_AT_ONCE = 512
/** A body may be on its way into the queue, or its record not written yet. */
const SWEEP_YOUNG_MS = 3_600_000

function queuedRecord(call: QueuedCall, queue: string, position: number): CallRecord {
  const { id, ref, path, queuedAt, callback, stored } = call
  return {
    id,
    ref,
    queue,
    path,
    state: 'queued',
    queuedAt,
    attempts: 0,
    history: [],
    position,
    ...(stored !== undefined && { stored }),
    ...(callback !== undefined && { callback: { url: callback, state: 'waiting', attempts: 0 } }),
  }
}

function storedName(call: Pick<CallRecord, 'id' | 'ref' | 'queuedAt' | 'stored'>): string {
  return call.stored ?? `call/${callKeyAt(call)}`
}

function scopeName(scope: PauseScope): string {
  return 'ref' in scope ? `function:${formatRef(scope.ref)}` : `queue:${scope.queue}`
}

async function* once(body: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(body)
}

function noCall(id: string): FaasError {
  return new FaasError('CALL_NOT_FOUND', {
    message: `no call ${JSON.stringify(id)} is known`,
    remedy: 'See `faasdock calls`; calls that have ended are forgotten after a while.',
  })
}

function noLetter(id: string): FaasError {
  return new FaasError('CALL_NOT_FOUND', {
    message: `there is no dead letter of call ${JSON.stringify(id)}`,
    remedy: 'See `faasdock queue list --dead`.',
  })
}

function headTooLarge(): FaasError {
  return new FaasError('BODY_TOO_LARGE', {
    message: 'the headers and the path of the call do not fit into a message of the queue',
    remedy: 'Send less in headers, and more in the body.',
  })
}
