import type { Clock } from '../core/clock.ts'
import { asFaasError, FaasError } from '../core/errors.ts'
import { formatRef } from '../core/function.ts'
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
import { InvocationNote } from './invocation-note.ts'
import { Recording } from './recording.ts'
import type { Keeper } from './recording.ts'
import { redact } from './redaction.ts'
import { Ring } from './ring.ts'
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
  /** Of heads that are not written yet, about. */
  readonly headBytes: number
}

const DEFAULT_LIMITS: InvocationLimits = {
  perFunction: 50,
  bytesPerFunction: 8 * 2 ** 20,
  bytes: 64 * 2 ** 20,
  bodyBytes: 256 * 2 ** 10,
  heldBytes: 32 * 2 ** 20,
  headBytes: 16 * 2 ** 20,
}

/** Between two writes, milliseconds: what a kill -9 can lose, unless more is called than the writes have time for. */
const WRITE_EVERY_MS = 500
/** What is written in one go; more waits, so that calls do not. */
const SLICE = { records: 50, bytes: 2 ** 20 }
/** When somebody waits for all of it: of many small writes, most of the time goes to looking what is to be forgotten. */
const LARGE_SLICE = { records: 2000, bytes: 8 * 2 ** 20 }
/** Writing takes at most one part in so many of the time. */
const DUTY = 50

/**
 * Keeps the last invocations of each function, without what is secret. A call costs a note of a few references: the newest
 * of each function wait in memory and are redacted and written together, off the path of calls; what would be forgotten
 * at once never is. Whoever asks has everything written first, and so finds a call as soon as it was answered.
 */
export class InvocationLog implements Disposable {
  readonly #parts: InvocationLogParts
  readonly #limits: InvocationLimits
  readonly #secrets = new SecretForms()
  readonly #keeper: Keeper
  readonly #watch: Disposable
  /**
   * Not a Set: one that is filled and emptied all the time is made anew all the time, each points to the next, and as soon
   * as one of them has grown old, none of what was ever in them is freed as a young object.
   */
  readonly #running: InvocationNote[] = []
  /** By function. */
  readonly #unwritten = new Map<string, Unwritten>()
  /** Bytes of bodies, and of the heads of what has ended. */
  #held = 0
  #heads = 0
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
      ended: (note) => this.#ended(note),
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
    const { bodyBytes } = this.#limits
    const note = new InvocationNote(this.#seq++, ref, name, request, bodyBytes, this.#parts.clock.now())
    note.place = this.#running.push(note) - 1
    return new Recording(note, this.#keeper, request, sink, signal)
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
    if (!found) throw notKept(id, [], ref)
    return found
  }

  /** How many were forgotten. Those that run are not. */
  forget(ref?: FunctionRef): number {
    this.flush()
    return this.#parts.store.forget(ref)
  }

  /** Writes all that there is. */
  flush(): void {
    while (this.#writeSlice(LARGE_SLICE));
    this.#write(this.#newestRunning())
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]()
    for (const note of this.#running.toSorted((a, b) => a.seq - b.seq)) {
      note.problem = 'the gateway stopped'
      note.end('broken', this.#keeper.now(), [])
      this.#ended(note)
    }
    this.#timer?.[Symbol.dispose]()
    while (this.#writeSlice(LARGE_SLICE));
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

  #ended(note: InvocationNote): void {
    this.#leave(note)
    let its = this.#unwritten.get(note.name)
    if (!its) {
      its = { notes: new Ring(this.#limits.perFunction), held: 0 }
      this.#unwritten.set(note.name, its)
    }
    // What would be forgotten as soon as it is written.
    if (its.notes.isFull) this.#take(its)
    its.notes.push(note)
    its.held += note.held
    this.#heads += note.weight
    while (its.held > this.#limits.bytesPerFunction && its.notes.length > 1) this.#take(its)
    while (this.#heads > this.#limits.headBytes && this.#dropOne(its));
    this.#timer ??= this.#parts.clock.after(WRITE_EVERY_MS, () => this.#tick())
  }

  /** It runs no more. */
  #leave({ place }: InvocationNote): void {
    const last = this.#running.pop()
    if (!last || last.place === place) return
    last.place = place
    this.#running[place] = last
  }

  /** The oldest of a function that waits. */
  #take(its: Unwritten): InvocationNote | undefined {
    const oldest = its.notes.takeOldest()
    if (!oldest) return undefined
    its.held -= oldest.held
    this.#held -= oldest.held
    this.#heads -= oldest.weight
    return oldest
  }

  /** One that waits is lost: of this function or, where it has only the newest, of the one whose turn is next. */
  #dropOne(its: Unwritten): boolean {
    if (its.notes.length > 1) return this.#take(its) !== undefined
    for (const [name, other] of this.#unwritten) {
      if (other === its) continue
      const wasThere = this.#take(other) !== undefined
      if (other.notes.length === 0) this.#unwritten.delete(name)
      if (wasThere) return true
    }
    return false
  }

  #tick(): void {
    const began = performance.now()
    const more = this.#writeSlice(SLICE)
    const took = performance.now() - began
    this.#timer = undefined
    if (!more && this.#unwritten.size === 0) return
    this.#timer = this.#parts.clock.after(Math.max(more ? 0 : WRITE_EVERY_MS, took * DUTY), () =>
      this.#tick(),
    )
  }

  /** Writes some of what is not written; true when there is more. */
  #writeSlice(most: typeof SLICE): boolean {
    const slice: InvocationNote[] = []
    let bytes = 0
    const isFull = (): boolean => slice.length >= most.records || bytes >= most.bytes
    for (const [name, its] of this.#unwritten) {
      if (isFull()) break
      while (!isFull()) {
        const note = this.#take(its)
        if (!note) break
        bytes += note.held + note.weight
        slice.push(note)
      }
      this.#unwritten.delete(name)
      // The others are before it the next time.
      if (its.notes.length > 0) this.#unwritten.set(name, its)
    }
    this.#write(slice)
    return this.#unwritten.size > 0 && slice.length > 0
  }

  /** What cannot be written (a full disk) is lost, and said once. */
  #write(notes: readonly InvocationNote[]): void {
    if (notes.length === 0) return
    const { store, log } = this.#parts
    try {
      store.write(
        notes.map((note) => redact(note.record(), this.#secrets)),
        this.#limits,
      )
      this.#hasFailed = false
    } catch (error) {
      if (!this.#hasFailed) log.error(`invocations could not be kept: ${asFaasError(error).message}`)
      this.#hasFailed = true
    }
  }

  /** Of each function no more than are kept. */
  #newestRunning(): InvocationNote[] {
    const counts = new Map<string, number>()
    const newestFirst = this.#running.toSorted((a, b) => b.seq - a.seq)
    return newestFirst.filter(({ name }) => {
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

/** What has ended of one function and is not written. */
interface Unwritten {
  readonly notes: Ring<InvocationNote>
  /** Bytes of their bodies. */
  held: number
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

function notKept(id: string, candidates: readonly string[], ref?: FunctionRef): FaasError {
  if (candidates.length > 0) {
    const shown = candidates.slice(-5).join(', ')
    return new FaasError('INVOCATION_NOT_FOUND', {
      message: `${candidates.length} kept invocations begin with ${JSON.stringify(id)}: ${shown}${candidates.length > 5 ? ' …' : ''}`,
      remedy: 'Give more of the id.',
    })
  }
  return new FaasError('INVOCATION_NOT_FOUND', {
    message:
      id === 'last'
        ? `no invocation ${ref === undefined ? '' : `of ${formatRef(ref)} `}is kept yet`
        : `no invocation ${JSON.stringify(id)} is kept`,
    remedy:
      id === 'last'
        ? 'Call the function first; "faasdock invocations" lists what is kept.'
        : 'See `faasdock invocations`; of each function the last 50 are kept.',
  })
}
