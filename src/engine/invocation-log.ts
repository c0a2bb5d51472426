import type { Clock } from '../core/clock.ts'
import { asFaasError, FaasError } from '../core/errors.ts'
import type { FunctionRef } from '../core/function.ts'
import type { InvocationRequest, InvocationSink } from '../core/invocation.ts'
import type {
  InvocationBounds,
  InvocationHead,
  InvocationRecord,
  InvocationStore,
  Named,
} from '../core/invocation-record.ts'
import type { Log } from '../core/log.ts'
import type { NamespaceStore, SecretStore } from '../core/registry.ts'
import { Recording } from './recording.ts'
import type { Keeper } from './recording.ts'
import { redact } from './redaction.ts'
import { SecretForms } from './secret-forms.ts'

export interface InvocationLogParts {
  readonly store: InvocationStore
  readonly secrets: Pick<SecretStore, 'list' | 'read' | 'watch'>
  readonly namespaces: Pick<NamespaceStore, 'list'>
  /** Values besides those of secrets that must not be kept. */
  readonly alsoSecret: readonly string[]
  readonly clock: Clock
  readonly log: Log
  readonly limits?: InvocationLimits
}

export interface InvocationLimits extends InvocationBounds {
  /** Of each body. */
  readonly bodyBytes: number
  /** Of bodies that are in memory, because they are under way or not written yet. */
  readonly heldBytes: number
}

const DEFAULT_LIMITS: InvocationLimits = {
  perFunction: 50,
  bytesPerFunction: 8 * 2 ** 20,
  bytes: 64 * 2 ** 20,
  bodyBytes: 256 * 2 ** 10,
  heldBytes: 32 * 2 ** 20,
}

/** Between two writes, milliseconds: what a kill -9 can lose. */
const WRITE_EVERY_MS = 500
/** What is written in one go; more waits, so that calls do not. */
const SLICE_RECORDS = 50
const SLICE_BYTES = 2 ** 20
/** Writing takes at most one part in so many of the time. */
const DUTY = 50

/**
 * Keeps the last invocations of each function, without what is secret. A call costs a few references: what is newest of
 * each function is kept in memory and written together, off the path of calls, and what would be forgotten at once is
 * never written.
 */
export class InvocationLog implements Disposable {
  readonly #parts: InvocationLogParts
  readonly #limits: InvocationLimits
  readonly #secrets = new SecretForms()
  readonly #keeper: Keeper
  readonly #watch: Disposable
  readonly #running = new Set<Recording>()
  /** By function. */
  readonly #unwritten = new Map<string, Ring>()
  #held = 0
  #seq: number
  #timer: Disposable | undefined
  #hasFailed = false

  constructor(parts: InvocationLogParts) {
    this.#parts = parts
    const { store, secrets, namespaces, alsoSecret, clock, limits = DEFAULT_LIMITS } = parts
    this.#limits = limits
    this.#seq = store.nextSeq
    for (const { name } of namespaces.list())
      for (const secret of secrets.list(name))
        this.#secrets.add(secrets.read(name, secret) ?? new Uint8Array())
    for (const value of alsoSecret) this.#secrets.add(Buffer.from(value))
    this.#watch = secrets.watch((namespace, name) => this.#learn(secrets.read(namespace, name)))
    this.#keeper = {
      room: () => limits.heldBytes - this.#held,
      kept: (bytes) => void (this.#held += bytes),
      ended: (recording) => this.#ended(recording),
      now: () => clock.now(),
    }
  }

  /** Goes between the invoker and the caller. `name`: of `ref`, as `name.namespace`. */
  begin(
    ref: FunctionRef,
    name: string,
    request: InvocationRequest,
    sink: InvocationSink,
    signal: AbortSignal,
  ): Recording {
    const begun = { seq: this.#seq++, ref, name, maxBodyBytes: this.#limits.bodyBytes, keeper: this.#keeper }
    const recording = new Recording(begun, request, sink, signal)
    this.#running.add(recording)
    return recording
  }

  /** Newest first, those that run too. */
  list(query: { readonly ref?: FunctionRef; readonly limit: number }): readonly Named<InvocationHead>[] {
    this.flush()
    return this.#parts.store.list(query)
  }

  /**
   * The invocation of an id, of a beginning that no other id has, or, for `last`, the newest that repeats no other, of
   * `ref` if given. INVOCATION_NOT_FOUND.
   */
  get(id: string, ref?: FunctionRef): Named<InvocationRecord> {
    this.flush()
    const { store } = this.#parts
    const seq = id === 'last' ? store.last(ref) : this.#find(id)
    const found = seq === undefined ? undefined : store.get(seq)
    if (!found) throw notKept(id, [])
    return found
  }

  /** How many were forgotten. Those that run are not. */
  forget(ref?: FunctionRef): number {
    this.flush()
    return this.#parts.store.forget(ref)
  }

  /** Writes all that there is. */
  flush(): void {
    while (this.#writeSlice());
    this.#write(this.#newestRunning())
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]()
    for (const recording of [...this.#running]) recording.breakOff('the gateway stopped')
    this.#timer?.[Symbol.dispose]()
    while (this.#writeSlice());
  }

  #find(id: string): number | undefined {
    const [, start = id, ordinal] = /^(.+)~(\d+)$/.exec(id) ?? []
    const all = this.#parts.store.beginningWith(start)
    const exact = all.find((one) => one.id === id)
    if (exact) return exact.seq
    const suffix = ordinal === undefined ? undefined : `~${ordinal}`
    const wanted = suffix === undefined ? all : all.filter((one) => one.id.endsWith(suffix))
    // Of one call id the first: the others are asked for by their numbers.
    const firsts = [...new Map(wanted.toReversed().map((one) => [one.id.replace(/~\d+$/, ''), one])).values()]
    if (firsts.length > 1)
      throw notKept(
        id,
        firsts.map((one) => one.id),
      )
    return firsts[0]?.seq
  }

  #ended(recording: Recording): void {
    this.#running.delete(recording)
    let ring = this.#unwritten.get(recording.name)
    if (!ring) this.#unwritten.set(recording.name, (ring = { recordings: [], held: 0 }))
    ring.recordings.push(recording)
    ring.held += recording.held
    // What would be forgotten as soon as it is written.
    while (
      ring.recordings.length > this.#limits.perFunction ||
      (ring.held > this.#limits.bytesPerFunction && ring.recordings.length > 1)
    )
      this.#held -= takeOldest(ring)?.held ?? 0
    this.#timer ??= this.#parts.clock.after(WRITE_EVERY_MS, () => this.#tick())
  }

  #tick(): void {
    const began = performance.now()
    const more = this.#writeSlice()
    const took = performance.now() - began
    this.#timer = undefined
    if (!more && this.#unwritten.size === 0) return
    this.#timer = this.#parts.clock.after(Math.max(more ? 0 : WRITE_EVERY_MS, took * DUTY), () =>
      this.#tick(),
    )
  }

  /** Writes some of what is not written; true when there is more. */
  #writeSlice(): boolean {
    const slice: Recording[] = []
    let bytes = 0
    for (const [name, ring] of this.#unwritten) {
      while (slice.length < SLICE_RECORDS && bytes < SLICE_BYTES) {
        const recording = takeOldest(ring)
        if (!recording) break
        bytes += recording.held
        slice.push(recording)
      }
      this.#unwritten.delete(name)
      if (ring.recordings.length === 0) continue
      // The others are before it the next time.
      this.#unwritten.set(name, ring)
      break
    }
    this.#held -= bytes
    this.#write(slice)
    return this.#unwritten.size > 0 && slice.length > 0
  }

  /** What cannot be written (a full disk) is lost, and said once. */
  #write(recordings: readonly Recording[]): void {
    if (recordings.length === 0) return
    const { store, log } = this.#parts
    try {
      store.write(
        recordings.map((recording) => redact(recording.record(), this.#secrets)),
        this.#limits,
      )
      this.#hasFailed = false
    } catch (error) {
      if (!this.#hasFailed) log.error(`invocations could not be kept: ${asFaasError(error).message}`)
      this.#hasFailed = true
    }
  }

  /** Of each function no more than are kept. */
  #newestRunning(): Recording[] {
    const counts = new Map<string, number>()
    return [...this.#running].reverse().filter(({ name }) => {
      const count = (counts.get(name) ?? 0) + 1
      counts.set(name, count)
      return count <= this.#limits.perFunction
    })
  }

  /** A value that is secret from now on may have been kept before. */
  #learn(value: Uint8Array | undefined): void {
    if (!value || !this.#secrets.add(value)) return
    try {
      this.#parts.store.rewrite((record) => {
        const safe = redact(record, this.#secrets)
        return isSame(safe, record) ? undefined : safe
      })
    } catch (error) {
      this.#parts.log.error(`kept invocations could not be redacted: ${asFaasError(error).message}`)
    }
  }
}

/** What has ended of one function and is not written, oldest first. */
interface Ring {
  readonly recordings: Recording[]
  /** Bytes of their bodies. */
  held: number
}

function takeOldest(ring: Ring): Recording | undefined {
  const oldest = ring.recordings.shift()
  ring.held -= oldest?.held ?? 0
  return oldest
}

function isSame(a: InvocationRecord, b: InvocationRecord): boolean {
  const { requestBody, responseBody, ...head } = a
  const { requestBody: otherRequest, responseBody: otherResponse, ...otherHead } = b
  return (
    requestBody === otherRequest &&
    responseBody === otherResponse &&
    JSON.stringify(head) === JSON.stringify(otherHead)
  )
}

function notKept(id: string, candidates: readonly string[]): FaasError {
  if (candidates.length > 0) {
    const shown = candidates.slice(-5).join(', ')
    return new FaasError('INVOCATION_NOT_FOUND', {
      message: `${candidates.length} kept invocations begin with ${JSON.stringify(id)}: ${shown}${candidates.length > 5 ? ' …' : ''}`,
      remedy: 'Give more of the id.',
    })
  }
  return new FaasError('INVOCATION_NOT_FOUND', {
    message: id === 'last' ? 'no invocation is kept yet' : `no invocation ${JSON.stringify(id)} is kept`,
    remedy:
      id === 'last'
        ? 'Call the function first; "faasdock invocations" lists what is kept.'
        : 'See `faasdock invocations`; of each function the last 50 are kept.',
  })
}
