import type { DebugBook, DebugConnection, DebugDoors, DebugTarget } from '../core/debug.ts'
import { FaasError } from '../core/errors.ts'
import type { FunctionRef, Revision } from '../core/function.ts'
import { formatRef } from '../core/function.ts'
import type { Log } from '../core/log.ts'
import type { Provider } from '../core/provider.ts'
import type { Registry } from '../core/registry.ts'
import { DebugDoor } from './debug-door.ts'
import type { Events } from './events.ts'
import { notFound } from './reconciler.ts'
import type { Router } from './router.ts'

export interface DebuggingParts {
  readonly registry: Pick<Registry, 'functions'>
  readonly provider: Pick<Provider, 'debugTarget' | 'debug'>
  readonly router: Pick<Router, 'route'>
  readonly doors: DebugDoors
  readonly book: DebugBook
  readonly events: Events
  readonly log: Log
  /** Where the image of a function has its handler, as far as its source tells. */
  readonly handlerFolder?: (ref: FunctionRef) => string | undefined
  /** False where others than this machine's own users reach the gateway: a debugger may do anything. */
  readonly isAllowed: boolean
}

/** A function with a port for debuggers. */
export interface DebugState extends DebugTarget {
  readonly ref: FunctionRef
  /** On 127.0.0.1; the function's own for ever. */
  readonly port: number
  /** Debuggers that are connected. */
  readonly clients: number
}

/** Where Node's inspector is looked for first. */
const FIRST_PORT = 9229
const PORTS_TRIED = 1000

/**
 * Which functions have a port for debuggers. A port costs nothing until somebody connects: only then is the function
 * woken, and the debugger in it opened.
 */
export class Debugging implements AsyncDisposable {
  readonly #parts: DebuggingParts
  readonly #doors = new Map<string, DebugDoor>()
  readonly #watch: Disposable
  /** One after the other: two functions must not be given one port. */
  #turn: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor(parts: DebuggingParts) {
    this.#parts = parts
    this.#watch = parts.events.watch((event) => {
      if (event.type === 'function.removed') this.#inTurn(() => this.#close(event.ref)).catch(() => undefined)
      if (event.type === 'function.ready') this.#comeBack(event.ref)
    })
  }

  /** Opens again, behind the caller's back, what was open when the platform ran last. */
  resume(): void {
    for (const { ref } of this.#parts.book.all())
      if (this.#parts.registry.functions.get(ref)) this.#comeBack(ref)
  }

  /** Those that are on, by name. What is no Node or Python any more is left out. */
  async list(): Promise<readonly DebugState[]> {
    const doors = [...this.#doors].sort(([a], [b]) => (a < b ? -1 : 1))
    const states = await Promise.all(doors.map(([, door]) => this.#state(door)))
    return states.filter((state) => state !== undefined)
  }

  /**
   * Gives functions ports; without names, every Node and Python function. FUNCTION_NOT_FOUND, or DEBUGGER_UNAVAILABLE for one
   * that is neither, or where others than this machine's users reach the gateway.
   */
  async on(refs?: readonly FunctionRef[]): Promise<readonly DebugState[]> {
    if (!this.#parts.isAllowed) throw notHere()
    const wanted = refs?.map((ref) => this.#deployed(ref)) ?? this.#all()
    const targets = await Promise.all(wanted.map((revision) => this.#parts.provider.debugTarget(revision)))
    const missing = wanted.find((_, index) => targets[index] === undefined)
    if (refs && missing) throw noDebugger(missing.spec)
    for (const [index, { spec }] of wanted.entries())
      if (targets[index]) await this.#inTurn(() => this.#open(refOf(spec), true))
    return this.list()
  }

  /** Closes ports; all of them without names. The functions keep theirs for the next time. */
  async off(refs?: readonly FunctionRef[]): Promise<void> {
    const wanted = refs ?? this.#parts.book.all().map(({ ref }) => ref)
    for (const ref of wanted) {
      const port = this.#portOf(ref)
      if (port !== undefined) this.#parts.book.put({ ref, port, isOn: false })
      await this.#inTurn(() => this.#close(ref))
    }
  }

  /** Whether a debugger is connected: such a function is not idle, and nothing of it takes too long. */
  isAttached(ref: FunctionRef): boolean {
    return (this.#doors.get(formatRef(ref))?.clients ?? 0) > 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    this.#watch[Symbol.dispose]()
    await this.#turn
    await Promise.all([...this.#doors.values()].map((door) => door[Symbol.asyncDispose]()))
    this.#doors.clear()
  }

  #comeBack(ref: FunctionRef): void {
    const known = this.#parts.book.all().find((entry) => formatRef(entry.ref) === formatRef(ref))
    if (known?.isOn !== true || !this.#parts.isAllowed || this.#doors.has(formatRef(ref))) return
    this.#inTurn(() => this.#open(ref, false)).catch((error: unknown) => {
      if (!(error instanceof FaasError)) throw error
      this.#parts.log.warn(`${formatRef(ref)} has no debugger: ${error.message}\n${error.remedy}`)
    })
  }

  /** `mayMove`: somebody asked for it now, and will be told the port. */
  async #open(ref: FunctionRef, mayMove: boolean): Promise<void> {
    const key = formatRef(ref)
    if (this.#doors.has(key) || this.#isClosed) return
    const { doors, log, book } = this.#parts
    const parts = { ref, doors, log, connect: (signal: AbortSignal) => this.#connect(ref, signal) }
    const own = this.#portOf(ref)
    const taken = new Set(book.all().map(({ port }) => port))
    const free = Array.from({ length: PORTS_TRIED }, (_, index) => FIRST_PORT + index).filter(
      (port) => !taken.has(port),
    )
    const tried = own === undefined ? free : mayMove ? [own, ...free] : [own]
    let failure: unknown
    for (const port of tried) {
      try {
        this.#doors.set(key, await DebugDoor.open(port, parts))
        book.put({ ref, port, isOn: true })
        return
      } catch (error) {
        failure = error
      }
    }
    throw failure as Error
  }

  async #close(ref: FunctionRef): Promise<void> {
    const door = this.#doors.get(formatRef(ref))
    this.#doors.delete(formatRef(ref))
    await door?.[Symbol.asyncDispose]()
  }

  async #connect(ref: FunctionRef, signal: AbortSignal): Promise<DebugConnection> {
    const { router, provider } = this.#parts
    // Wakes it, and waits until it answers.
    const lease = await router.route(ref, signal)
    lease[Symbol.dispose]()
    return provider.debug(this.#deployed(ref))
  }

  async #state({ ref, port, clients }: DebugDoor): Promise<DebugState | undefined> {
    const desired = this.#parts.registry.functions.get(ref)
    const target = desired && (await this.#parts.provider.debugTarget(desired.revision))
    const folder = this.#parts.handlerFolder?.(ref)
    return target && { ref, ...target, ...(folder !== undefined && { folder }), port, clients }
  }

  #deployed(ref: FunctionRef): Revision {
    const desired = this.#parts.registry.functions.get(ref)
    if (!desired) throw notFound(ref)
    return desired.revision
  }

  #all(): readonly Revision[] {
    return this.#parts.registry.functions.list().map(({ revision }) => revision)
  }

  #portOf(ref: FunctionRef): number | undefined {
    return this.#parts.book.all().find((entry) => formatRef(entry.ref) === formatRef(ref))?.port
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}

function refOf({ name, namespace }: FunctionRef): FunctionRef {
  return { name, namespace }
}

function noDebugger(ref: FunctionRef): FaasError {
  return new FaasError('DEBUGGER_UNAVAILABLE', {
    message: `${formatRef(ref)} is neither a Node nor a Python function, as far as its image says; or the image is not there yet`,
    remedy: 'See `faasdock describe` for its state, and docs/debug.md for what can be debugged.',
  })
}

function notHere(): FaasError {
  return new FaasError('DEBUGGER_UNAVAILABLE', {
    message:
      'this gateway serves more than its own machine, and whoever debugs a function may do anything in it',
    remedy: 'Run faasdock with --host 127.0.0.1 (the default) to debug.',
  })
}
