import type { Server } from 'node:http'
import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { systemClock } from '../../core/clock.ts'
import type { Clock } from '../../core/clock.ts'
import type { DebugConnection, DebugTarget } from '../../core/debug.ts'
import { FaasError } from '../../core/errors.ts'
import type { FunctionRef, Revision } from '../../core/function.ts'
import { formatRef } from '../../core/function.ts'
import type {
  ActualFunction,
  Lease,
  LogLine,
  LogQuery,
  Provider,
  ProviderEvent,
  ProviderInfo,
  Usage,
} from '../../core/provider.ts'
import type { CodeChange, CodeOverlay, LoadFailure, LoadOutcome } from '../code-change.ts'
import type { ReplicaHost, StartedReplica } from '../replica.ts'
import { noDebugger, notReady } from '../no-debugger.ts'
import { ReplicaSet } from '../replica-set.ts'

/** The text of each file of a function's code, by path. */
export type MemoryFiles = ReadonlyMap<string, string>

/** What a replica of an image does. `log` writes a line to the function's log. */
export interface MemoryImage {
  /** Made once for each code that a replica gets: what it throws is why that code does not load. */
  readonly listener: (revision: Revision, log: (line: string) => void, files: MemoryFiles) => RequestListener
  /** The code in the image. */
  readonly files?: Readonly<Record<string, string>>
  /** Resolves when code that a replica gets while it runs is loaded; rejects with why it does not load. At once by default. */
  readonly load?: (files: MemoryFiles) => Promise<void>
  /** Replicas take no code while they run, whatever a revision says. */
  readonly neverSwaps?: boolean
  /** More than requests: upgrades, expectations, connections as such. */
  readonly prepare?: (server: Server, revision: Revision) => void
  /** Resolves when it answers; rejects when it never will. At once by default. */
  readonly start?: (revision: Revision, signal: AbortSignal) => Promise<void>
  readonly debugger?: DebugTarget & { readonly connect: (replica: string) => Duplex }
}

export interface MemoryProviderOptions {
  /** By image name. An image that is not here cannot be pulled. */
  readonly images: Readonly<Record<string, MemoryImage>>
  readonly clock?: Clock
  readonly drainMs?: number
}

interface MemoryReplica extends StartedReplica {
  readonly server: Server
  readonly sockets: ReadonlySet<Socket>
  readonly revision: Revision
  files: MemoryFiles
  /** Of the code that it runs. */
  hash: string | undefined
  listener: RequestListener | undefined
}

/** Code that does not load, with the place in it: for `MemoryImage.listener` and `load` to throw. */
export class MemoryLoadError extends Error implements LoadFailure {
  readonly file?: string
  readonly line?: number
  readonly column?: number

  constructor({ message, ...place }: LoadFailure) {
    super(message)
    Object.assign(this, place)
  }
}

/** Of each function, so many replicas that are gone keep their lines. */
const KEPT_REPLICAS = 5
/** Of all functions together; the oldest go. */
const KEPT_LINES = 100_000

/** Functions as HTTP servers in this process: what makes everything above the rooms testable in milliseconds. */
export class MemoryProvider implements Provider {
  readonly hostAddress = undefined
  /** Where calls of functions for the gateway's names would go. */
  gateway: { readonly host: string; readonly port: number } | undefined
  readonly #options: MemoryProviderOptions
  readonly #sets = new Map<string, ReplicaSet>()
  readonly #replicas = new Map<string, MemoryReplica>()
  /** In the order of their numbers. */
  #lines: { readonly number: number; readonly line: LogLine }[] = []
  #written = 0
  /** By function, oldest first. */
  readonly #gone = new Map<string, string[]>()
  readonly #watchers = new Set<(event: ProviderEvent) => void>()
  readonly #readers = new Set<() => void>()
  readonly #host: ReplicaHost
  #count = 0

  constructor(options: MemoryProviderOptions) {
    this.#options = options
    this.#host = {
      start: (revision, signal, overlay) => this.#start(revision, signal, overlay),
      codeOf: ({ id, began }, { code }) =>
        Promise.resolve(began ? this.#replicas.get(id)?.hash : code?.inImage),
      load: ({ id }, change) => this.#load(id, change),
      ready: (_replica, revision, signal) =>
        this.#image(revision.spec.image).start?.(revision, signal) ?? Promise.resolve(),
      exitError: (replica) => Promise.resolve(exited(replica.id)),
      stop: (replica) => this.#stop(replica.id),
      discard: (replica) => this.#stop(replica.id),
    }
  }

  info(): ProviderInfo {
    return { name: 'memory', version: process.version, architecture: process.arch }
  }

  routeGateway(gateway: { readonly host: string; readonly port: number }): Promise<void> {
    this.gateway = gateway
    return Promise.resolve()
  }

  list(): readonly ActualFunction[] {
    return [...this.#sets.values()].filter((set) => !set.isEmpty).map((set) => set.actual())
  }

  actual(fn: FunctionRef): ActualFunction | undefined {
    return this.#sets.get(formatRef(fn))?.actual()
  }

  resolveImage(image: string): Promise<string> {
    return Promise.resolve().then(() => {
      this.#image(image)
      return `memory:${image}`
    })
  }

  async deploy(revision: Revision, replicas: number, signal: AbortSignal): Promise<void> {
    await this.#set(revision.spec).deploy(revision, replicas, signal)
  }

  async remove(fn: FunctionRef): Promise<void> {
    await this.#sets.get(formatRef(fn))?.remove()
    this.#sets.delete(formatRef(fn))
  }

  lease(fn: FunctionRef): Lease | undefined {
    return this.#sets.get(formatRef(fn))?.lease()
  }

  async *logs(query: LogQuery, signal: AbortSignal): AsyncGenerator<LogLine> {
    const key = formatRef(query.ref)
    const wanted = (line: LogLine): boolean =>
      formatRef(line.ref) === key &&
      (query.instance === undefined || line.instance.startsWith(query.instance)) &&
      (query.since === undefined || line.timestamp >= query.since.toISOString())
    // Remembered before the reader has its say: more lines may come while it looks at these.
    let seen = this.#written
    const past = this.#lines.flatMap(({ line }) => (wanted(line) ? [line] : []))
    yield* query.tail !== undefined && query.tail > 0 ? past.slice(-query.tail) : past
    while (query.follow && !signal.aborted) {
      if (this.#written === seen) await this.#moreLines(signal)
      const fresh = this.#lines.filter(({ number }) => number > seen)
      seen = this.#written
      for (const { line } of fresh) if (wanted(line)) yield line
    }
  }

  note({ name, namespace }: FunctionRef, words: string): void {
    const lines = words.split('\n').filter((line) => line.trim() !== '')
    for (const text of lines) this.#write({ name, namespace }, 'faasdock', text)
  }

  /** Functions in this process have no files of their own. */
  secretChanged(): Promise<void> {
    return Promise.resolve()
  }

  #write(ref: FunctionRef, instance: string, text: string): void {
    const line = { ref, instance, timestamp: new Date().toISOString(), text }
    this.#lines.push({ number: ++this.#written, line })
    if (this.#lines.length > 2 * KEPT_LINES) this.#lines = this.#lines.slice(-KEPT_LINES)
    for (const wake of this.#readers) wake()
  }

  #forgetOldest(key: string): void {
    const gone = this.#gone.get(key) ?? []
    const forgotten = new Set(gone.splice(0, Math.max(0, gone.length - KEPT_REPLICAS)))
    if (forgotten.size > 0) this.#lines = this.#lines.filter(({ line }) => !forgotten.has(line.instance))
  }

  usage(): Promise<Usage> {
    return Promise.resolve({ cpuMillis: 0, memoryBytes: 0 })
  }

  debugTarget({ spec }: Revision): Promise<DebugTarget | undefined> {
    const found = this.#options.images[spec.image]?.debugger
    if (!found) return Promise.resolve(undefined)
    const { language, folder, lacks } = found
    return Promise.resolve({ language, folder, ...(lacks !== undefined && { lacks }) })
  }

  debug({ spec }: Revision): Promise<DebugConnection> {
    return Promise.resolve().then(() => {
      const found = this.#options.images[spec.image]?.debugger
      if (!found) throw noDebugger(spec)
      const held = this.#sets.get(formatRef(spec))?.debug()
      if (!held) throw notReady(spec)
      const stream = found.connect(held.started.id)
      const leave = (): void => {
        stream.destroy()
        held[Symbol.dispose]()
      }
      return { stream, [Symbol.dispose]: leave }
    })
  }

  watch(onEvent: (event: ProviderEvent) => void): Disposable {
    this.#watchers.add(onEvent)
    return { [Symbol.dispose]: () => void this.#watchers.delete(onEvent) }
  }

  async removeAll(): Promise<void> {
    await Promise.all([...this.#sets.values()].map((set) => set.remove()))
    this.#sets.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.removeAll()
  }

  /** Ends a replica as a crash would: for tests of what happens then. */
  async crash(replica: string): Promise<void> {
    await this.#stop(replica)
    for (const set of this.#sets.values()) set.died(replica, 'crashed')
  }

  #image(name: string): MemoryImage {
    const image = this.#options.images[name]
    if (image) return image
    throw new FaasError('IMAGE_NOT_FOUND', {
      message: `there is no image ${name} in memory`,
      remedy: `Use one of: ${Object.keys(this.#options.images).join(', ')}.`,
    })
  }

  async #start(revision: Revision, signal: AbortSignal, overlay?: CodeOverlay): Promise<MemoryReplica> {
    signal.throwIfAborted()
    const id = `memory-${++this.#count}`
    const { name, namespace } = revision.spec
    const ref = { name, namespace }
    const image = this.#image(revision.spec.image)
    const server = createServer((request, response) => replica.listener?.(request, response))
    const sockets = new Set<Socket>()
    server.on('connection', (socket) => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
    })
    image.prepare?.(server, revision)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const { code } = revision
    const hash = overlay?.hash ?? code?.inImage
    const replica: MemoryReplica = {
      id,
      origin: `http://127.0.0.1:${port}`,
      server,
      sockets,
      ref,
      revision,
      files: new Map([...Object.entries(image.files ?? {}), ...(overlay ? texts(overlay) : [])]),
      hash,
      listener: undefined,
      ...(code && { began: { swaps: code.wanted.way === 'swap', ...(hash !== undefined && { hash }) } }),
    }
    this.#replicas.set(id, replica)
    try {
      replica.listener = this.#listener(replica, replica.files)
    } catch (error) {
      await this.#stop(id)
      throw exited(`${id}: ${asFailure(error).message}`)
    }
    return replica
  }

  #listener({ id, ref, revision }: MemoryReplica, files: MemoryFiles): RequestListener {
    const log = (text: string): void => this.#write(ref, id, text)
    return this.#image(revision.spec.image).listener(revision, log, files)
  }

  /** As a runtime answers PUT /_/generation (docs/runtime.md). */
  async #load(id: string, change: CodeChange): Promise<LoadOutcome> {
    const replica = this.#replicas.get(id)
    if (!replica) return { type: 'lost', reason: 'it is gone' }
    const image = this.#image(replica.revision.spec.image)
    if (image.neverSwaps === true) return { type: 'refused', reason: 'it takes no code while it runs' }
    if (change.from !== null && change.from !== replica.hash)
      return { type: 'elsewhere', hash: replica.hash ?? '' }
    const kept = [...(change.from === null ? [] : replica.files)]
    const files = new Map([...kept, ...texts(change)].filter(([path]) => !change.deleted.includes(path)))
    try {
      await image.load?.(files)
      replica.listener = this.#listener(replica, files)
    } catch (error) {
      if (!this.#replicas.has(id)) return { type: 'lost', reason: 'it ended' }
      return { type: 'failed', failure: asFailure(error) }
    }
    if (!this.#replicas.has(id)) return { type: 'lost', reason: 'it ended' }
    replica.files = files
    replica.hash = change.hash
    return { type: 'loaded' }
  }

  async #stop(id: string): Promise<void> {
    const replica = this.#replicas.get(id)
    if (!replica) return
    this.#replicas.delete(id)
    const closed = new Promise((resolve) => replica.server.close(resolve))
    // Connections that have left HTTP are unknown to the server.
    for (const socket of replica.sockets) socket.destroy()
    await closed
    const key = formatRef(replica.ref)
    this.#gone.set(key, [...(this.#gone.get(key) ?? []), id])
    this.#forgetOldest(key)
  }

  #set(ref: FunctionRef): ReplicaSet {
    const key = formatRef(ref)
    let set = this.#sets.get(key)
    if (!set) {
      set = new ReplicaSet({ name: ref.name, namespace: ref.namespace }, this.#host, {
        clock: this.#options.clock ?? systemClock,
        drainMs: this.#options.drainMs ?? 10_000,
        onEvent: (event) => this.#emit(event),
        onLeftover: (_replica, error) => this.#emit({ type: 'engine-lost', reason: String(error) }),
      })
      this.#sets.set(key, set)
    }
    return set
  }

  #emit(event: ProviderEvent): void {
    for (const watcher of [...this.#watchers]) watcher(event)
  }

  #moreLines(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#readers.delete(done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#readers.add(done)
      signal.addEventListener('abort', done, { once: true })
      if (signal.aborted) done()
    })
  }
}

function texts({ files }: Pick<CodeChange, 'files'>): [string, string][] {
  return [...files].map(([path, { content }]) => [path, Buffer.from(content).toString('utf8')])
}

function asFailure(error: unknown): LoadFailure {
  if (error instanceof MemoryLoadError) return error
  return { message: error instanceof Error ? error.message : String(error) }
}

function exited(id: string): FaasError {
  return new FaasError('REPLICA_EXITED', { message: `${id} ended`, remedy: 'Deploy it again.' })
}
