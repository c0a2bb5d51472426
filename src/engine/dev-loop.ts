import type { Builder } from '../core/builder.ts'
import type { Clock } from '../core/clock.ts'
import { asFaasError } from '../core/errors.ts'
import type { FunctionRef } from '../core/function.ts'
import { formatRef } from '../core/function.ts'
import type { Log } from '../core/log.ts'
import type { Registry } from '../core/registry.ts'
import type { Stack, StackFunction } from '../core/stack.ts'
import type { FileChange, Watcher } from '../core/watcher.ts'
import type { Events } from './events.ts'
import { FunctionLoop } from './function-loop.ts'
import type { Functions } from './functions.ts'
import type { Problems } from './problems.ts'
import { toProblem } from './reconciler.ts'
import { minReplicas } from './scale-labels.ts'

export interface DevLoopParts {
  readonly builder: Builder
  readonly watcher: Watcher
  readonly functions: Functions
  readonly registry: Registry
  readonly events: Events
  readonly problems: Problems
  readonly clock: Clock
  readonly log: Log
}

export interface DevLoopOptions {
  /** Absolute path of the stack file: what functions that come from here are marked with. */
  readonly file: string
  readonly readStack: () => Promise<Stack>
  /** Named values of the project's `.secrets` folder. */
  readonly readSecrets: (root: string) => Promise<ReadonlyMap<string, Uint8Array>>
  readonly secretsFolder: (root: string) => string
  readonly noCache?: boolean
  readonly watch: boolean
  /** Only some functions of the file were asked for: the others are not "removed from the file". */
  readonly isPartial: boolean
}

/** After the last change of a burst, milliseconds. Content hashes, not this, tell a change from noise. */
const QUIET_MS = 25

interface SourceLoop {
  current: StackFunction
  readonly loop: FunctionLoop
  inputs: readonly string[]
  quiet?: Disposable
  /** What to name as the cause of the next turn. */
  changed?: string
}

/** File saved → built → deployed, per function: neighbours never wait for, or cancel, each other. */
export class DevLoop implements AsyncDisposable {
  readonly #parts: DevLoopParts
  readonly #options: DevLoopOptions
  readonly #sources = new Map<string, SourceLoop>()
  #stack: Stack | undefined
  #watch: AsyncDisposable | undefined
  #watched = ''
  readonly #stackLoop: FunctionLoop
  #quiet: Disposable | undefined

  constructor(parts: DevLoopParts, options: DevLoopOptions) {
    this.#parts = parts
    this.#options = options
    this.#stackLoop = new FunctionLoop(parts.clock, false, () => this.#readAgain())
  }

  /** The functions of the stack file, as last read. */
  get refs(): readonly FunctionRef[] {
    return (this.#stack?.functions ?? []).map(refOf)
  }

  /** Reads the stack file for the first time. Its mistakes are thrown here, and only here. */
  async open(): Promise<Stack> {
    this.#stack = await this.#options.readStack()
    return this.#stack
  }

  /**
   * A session begins with its stack file: of what an earlier one deployed and nothing runs of any more, functions that
   * are not asked for now are forgotten, and the others begin with as many replicas as any deploy. What still runs
   * (`running`, by `formatRef`: the earlier session was killed) stays as it is, to be adopted. Call it before anything
   * is made so.
   */
  beginAnew(running: ReadonlySet<string>): void {
    const { functions } = this.#parts.registry
    const wanted = new Map((this.#stack?.functions ?? []).map(({ spec }) => [formatRef(spec), spec]))
    for (const { ref, origin } of functions.list()) {
      const key = formatRef(ref)
      if (origin !== this.#options.file || running.has(key)) continue
      const spec = wanted.get(key)
      if (spec) functions.setReplicas(ref, minReplicas(spec))
      else functions.delete(ref)
    }
  }

  /** Builds and deploys everything in the file, and watches. Resolves when each function is ready or has failed. */
  async start(): Promise<void> {
    const stack = this.#stack ?? (await this.open())
    const due = await this.#apply(stack)
    // First look, then build: a save in between would be in nobody's build.
    if (this.#options.watch) await this.#watchInputs()
    await Promise.allSettled(due.map((loop) => loop.request()))
  }

  /** Builds and deploys again; one function or all. Resolves like `start`. */
  async rebuild(ref?: FunctionRef): Promise<void> {
    const chosen = [...this.#sources.values()].filter(
      ({ current }) => !ref || formatRef(ref) === formatRef(refOf(current)),
    )
    await Promise.allSettled(chosen.map(({ loop }) => loop.request()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The reader of the file first: it makes loops and watches.
    await this.#stackLoop[Symbol.asyncDispose]()
    await Promise.allSettled([...this.#sources.values()].map(({ loop }) => loop[Symbol.asyncDispose]()))
    await this.#watch?.[Symbol.asyncDispose]()
    this.#quiet?.[Symbol.dispose]()
    for (const { quiet } of this.#sources.values()) quiet?.[Symbol.dispose]()
  }

  /** Makes the loops those of `stack`; gives those of which a turn is due because of it. */
  async #apply(stack: Stack): Promise<readonly FunctionLoop[]> {
    const { events, functions, problems, registry } = this.#parts
    this.#stack = stack
    await this.#importSecrets(stack)
    events.emit({ type: 'stack.read', file: stack.file, functions: stack.functions.length })
    const due: FunctionLoop[] = []
    const wanted = new Set<string>()
    for (const fn of stack.functions) {
      const key = formatRef(fn.spec)
      wanted.add(key)
      const known = this.#sources.get(key)
      if (known) {
        const isSame = JSON.stringify(known.current) === JSON.stringify(fn)
        known.current = fn
        known.inputs = await this.#inputsOf(fn)
        // What it failed for may be put right in another file: a secret, say.
        if (!isSame || problems.of(fn.spec, 'build')) due.push(known.loop)
      } else {
        const loop = new FunctionLoop(this.#parts.clock, false, (signal) => this.#turn(key, signal))
        this.#sources.set(key, { current: fn, loop, inputs: await this.#inputsOf(fn) })
        due.push(loop)
      }
    }
    for (const [key, source] of this.#sources) {
      if (wanted.has(key)) continue
      this.#sources.delete(key)
      await source.loop[Symbol.asyncDispose]()
      problems.clear(refOf(source.current), 'build')
    }
    if (!this.#options.isPartial)
      for (const { ref, origin } of registry.functions.list())
        if (origin === this.#options.file && !wanted.has(formatRef(ref))) functions.remove(ref)
    return due
  }

  /** One function: build, then deploy what came out. */
  async #turn(key: string, signal: AbortSignal): Promise<void> {
    const source = this.#sources.get(key)
    if (!source) return
    const { builder, functions, events, problems, clock } = this.#parts
    const { current } = source
    const ref = refOf(current)
    let imageId: string | undefined
    try {
      if (current.source) {
        const startedAt = clock.now()
        events.emit({ type: 'build.started', ref })
        const result = await builder.build(current.source, {
          signal,
          onOutput: (line) => events.emit({ type: 'build.output', ref, line }),
          ...(this.#options.noCache !== undefined && { noCache: this.#options.noCache }),
        })
        signal.throwIfAborted()
        imageId = result.imageId
        const seconds = (clock.now() - startedAt) / 1000
        events.emit({ type: 'build.done', ref, image: result.image, cached: result.cached, seconds })
      }
      const accepted = functions.apply(current.spec, imageId, this.#options.file)
      problems.clear(ref, 'build')
      await unlessAborted(accepted.settled, signal)
    } catch (error) {
      if (signal.aborted) throw error
      const failure = asFaasError(error)
      // What was deployed and did not get ready is the reconciler's to tell.
      if (problems.of(ref, 'deploy')?.message === failure.message) throw error
      const problem = toProblem(failure, clock)
      problems.set(ref, 'build', problem)
      events.emit({ type: 'build.failed', ref, problem })
      throw error
    }
  }

  async #inputsOf(fn: StackFunction): Promise<readonly string[]> {
    if (!fn.source) return []
    const { handler } = fn.source
    // Why it cannot be looked at is the build's to tell.
    return this.#parts.builder.inputs(fn.source).catch(() => [handler])
  }

  async #importSecrets(stack: Stack): Promise<void> {
    const { registry, log } = this.#parts
    const values = await this.#options.readSecrets(stack.root)
    for (const namespace of new Set(stack.functions.map(({ spec }) => spec.namespace)))
      for (const [name, value] of values) {
        const known = registry.secrets.read(namespace, name)
        if (known && sameBytes(known, value)) continue
        try {
          registry.secrets.put(namespace, name, value)
        } catch (error) {
          // A file that is no secret must not keep the functions from starting.
          log.warn(`${this.#options.secretsFolder(stack.root)}: ${asFaasError(error).message}`)
        }
      }
  }

  async #watchInputs(): Promise<void> {
    const stack = this.#stack
    if (!stack) return
    const paths = new Set([
      ...stack.inputs,
      this.#options.secretsFolder(stack.root),
      ...[...this.#sources.values()].flatMap(({ inputs }) => inputs),
    ])
    const list = [...paths].sort()
    if (list.join('\n') === this.#watched) return
    this.#watched = list.join('\n')
    // The new watch sees before the old one closes its eyes.
    const old = this.#watch
    this.#watch = await this.#parts.watcher.watch(list, (change) => this.#onChange(change))
    await old?.[Symbol.asyncDispose]()
  }

  #onChange(change: FileChange): void {
    const { path } = change
    const { clock, events } = this.#parts
    const stack = this.#stack
    if (!stack) return
    if (stack.inputs.includes(path) || isWithin(path, this.#options.secretsFolder(stack.root))) {
      this.#quiet?.[Symbol.dispose]()
      this.#quiet = clock.after(QUIET_MS, () => {
        this.#stackLoop.request().catch(() => undefined)
      })
    }
    for (const source of this.#sources.values()) {
      if (!source.inputs.some((input) => isWithin(path, input))) continue
      // A save is often a temporary file that is renamed: what is there afterwards is what was saved.
      if (!change.isGone || source.changed === undefined) source.changed = path
      source.quiet?.[Symbol.dispose]()
      source.quiet = clock.after(QUIET_MS, () => {
        events.emit({ type: 'source.changed', ref: refOf(source.current), path: source.changed ?? path })
        delete source.changed
        delete source.quiet
        source.loop.request().catch(() => undefined)
      })
    }
  }

  /** The stack file, an environment file or a secret changed. What was read before stays when it cannot be read. */
  async #readAgain(): Promise<void> {
    const { events, clock } = this.#parts
    try {
      const stack = await this.#options.readStack()
      const due = await this.#apply(stack)
      await this.#watchInputs()
      for (const loop of due) unattended(loop.request())
    } catch (error) {
      const problem = toProblem(asFaasError(error), clock)
      events.emit({ type: 'stack.failed', file: this.#options.file, problem })
    }
  }
}

/** A turn that nobody waits for: failures are told by events. */
function unattended(turn: Promise<void>): void {
  turn.catch(() => undefined)
}

/** Waits for a deploy, but no longer than it is wanted: the next save gives it up, however long it would still take. */
function unlessAborted(settled: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    settled.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

function refOf({ spec }: StackFunction): FunctionRef {
  return { name: spec.name, namespace: spec.namespace }
}

/** By path segments: `/a/fn2/x` is not within `/a/fn`. Both separators, because paths come from the machine. */
function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`) || path.startsWith(`${folder}\\`)
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index])
}
