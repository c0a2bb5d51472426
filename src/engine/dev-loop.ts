import { pause } from '../core/clock.ts'
import { asFaasError } from '../core/errors.ts'
import type { FunctionRef, Problem } from '../core/function.ts'
import { formatRef } from '../core/function.ts'
import type { Log } from '../core/log.ts'
import type { Stack, StackFunction } from '../core/stack.ts'
import type { FileChange, Watcher } from '../core/watcher.ts'
import { FunctionLoop } from './function-loop.ts'
import { ImagesBehind } from './images-behind.ts'
import { toProblem } from './reconciler.ts'
import { minReplicas } from './scale-labels.ts'
import { SourceLoop } from './source-loop.ts'
import type { SourceParts } from './source-loop.ts'
import type { ReadSource } from './source-problem.ts'

export interface DevLoopParts extends SourceParts {
  readonly watcher: Watcher
  readonly log: Log
}

export interface DevLoopOptions {
  /** Absolute path of the stack file: what functions that come from here are marked with. */
  readonly file: string
  readonly readStack: () => Promise<Stack>
  /** Named values of the project's `.secrets` folder. */
  readonly readSecrets: (root: string) => Promise<ReadonlyMap<string, Uint8Array>>
  readonly secretsFolder: (root: string) => string
  /** For the lines that are shown around a mistake. */
  readonly readSource: ReadSource
  readonly noCache?: boolean
  readonly watch: boolean
  /** Only some functions of the file were asked for: the others are not "removed from the file". */
  readonly isPartial: boolean
}

/** After the last change of a burst, milliseconds. */
const QUIET_MS = 8
/** A stack file that cannot be read, or has lost functions, is believed when nobody wrote to it for so long. */
const SETTLED_MS = 300

/** Another file is nothing that a dev could be told of now. */
const REMEDY_GONE =
  'Put it back where it was, readable. Until then nothing of it is built or deployed, and what runs keeps running.'

/** Every function of a stack file, kept as it is on disk. */
export class DevLoop implements AsyncDisposable {
  readonly #parts: DevLoopParts
  readonly #options: DevLoopOptions
  readonly #sources = new Map<string, SourceLoop>()
  readonly #behind: ImagesBehind
  #stack: Stack | undefined
  #watch: AsyncDisposable | undefined
  #watched = ''
  readonly #stackLoop: FunctionLoop
  readonly #secretWatch: Disposable
  /** Secrets of the project's folder are being put where functions find them. */
  #isImporting = false
  #quiet: Disposable | undefined
  /** Readings of the stack file that were asked for and have not ended. */
  #pending = 0

  constructor(parts: DevLoopParts, options: DevLoopOptions) {
    this.#parts = parts
    this.#options = options
    this.#behind = new ImagesBehind(parts.clock)
    this.#stackLoop = new FunctionLoop(parts.clock, false, (signal) => this.#readAgain(signal))
    this.#secretWatch = parts.registry.secrets.watch((namespace, name) => this.#onSecret(namespace, name))
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
   * (`running`, by `formatRef`: the earlier session was killed) stays as it is, to be adopted; its calls wait until it is
   * known whether it is what is on disk. Call it before anything is made so.
   */
  beginAnew(running: ReadonlySet<string>): void {
    const { registry, gate } = this.#parts
    const { functions } = registry
    const wanted = new Map((this.#stack?.functions ?? []).map(({ spec }) => [formatRef(spec), spec]))
    for (const { ref, origin } of functions.list()) {
      const key = formatRef(ref)
      const spec = wanted.get(key)
      if (spec && running.has(key)) gate.hold(ref)
      if (origin !== this.#options.file || running.has(key)) continue
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
    await Promise.allSettled(due.map((source) => source.request()))
  }

  /** Builds and deploys again; one function or all. Resolves like `start`. */
  async rebuild(ref?: FunctionRef): Promise<void> {
    const chosen = [...this.#sources.values()].filter((one) => !ref || formatRef(ref) === formatRef(one.ref))
    await Promise.allSettled(chosen.map((source) => source.rebuild()))
  }

  /** A failure of a function, with its place in the source where it names one. */
  async explain(ref: FunctionRef, problem: Problem): Promise<Problem> {
    return (await this.#sources.get(formatRef(ref))?.explain(problem)) ?? problem
  }

  /** Where the image of a function has its handler folder; undefined where that is not known. */
  handlerFolder(ref: FunctionRef): string | undefined {
    return this.#sources.get(formatRef(ref))?.handlerFolder()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#secretWatch[Symbol.dispose]()
    // The reader of the file first: it makes loops and watches.
    await this.#stackLoop[Symbol.asyncDispose]()
    this.#quiet?.[Symbol.dispose]()
    await Promise.allSettled([
      this.#behind[Symbol.asyncDispose](),
      ...[...this.#sources.values()].map((source) => source[Symbol.asyncDispose]()),
    ])
    await this.#watch?.[Symbol.asyncDispose]()
  }

  /** Makes the loops those of `stack`; gives those of which a turn is due because of it. */
  async #apply(stack: Stack): Promise<readonly SourceLoop[]> {
    const { events, functions, problems, registry } = this.#parts
    this.#stack = stack
    problems.stack = undefined
    await this.#importSecrets(stack)
    events.emit({ type: 'stack.read', file: stack.file, functions: stack.functions.length })
    const due: SourceLoop[] = []
    const wanted = new Set(stack.functions.map(({ spec }) => formatRef(spec)))
    for (const fn of stack.functions) {
      const key = formatRef(fn.spec)
      const known = this.#sources.get(key)
      const source = known ?? new SourceLoop(fn, this.#parts, this.#sourceOptions())
      const isSame = known !== undefined && JSON.stringify(known.current) === JSON.stringify(fn)
      source.become(fn)
      this.#sources.set(key, source)
      // What it failed for may be put right in another file: a secret, say.
      if (!isSame || problems.of(fn.spec, 'build')) due.push(source)
    }
    await Promise.all(
      stack.functions.map(async (fn) => {
        const source = this.#sources.get(formatRef(fn.spec))
        if (source) source.inputs = await this.#inputsOf(fn)
      }),
    )
    for (const [key, source] of this.#sources) {
      if (wanted.has(key)) continue
      this.#sources.delete(key)
      await source[Symbol.asyncDispose]()
      problems.forget(source.ref)
      this.#remove(source.ref)
    }
    if (!this.#options.isPartial)
      for (const { ref, origin } of registry.functions.list())
        if (origin === this.#options.file && !wanted.has(formatRef(ref))) functions.remove(ref)
    return due
  }

  /** It is in the file no longer. */
  #remove(ref: FunctionRef): void {
    const { events, functions, registry } = this.#parts
    const desired = registry.functions.get(ref)
    if (desired?.origin === this.#options.file) functions.remove(ref)
    // One that never got so far: whoever watches knows its build.
    else if (!desired) events.emit({ type: 'function.removed', ref })
  }

  #sourceOptions(): ConstructorParameters<typeof SourceLoop>[2] {
    const { file, readSource, noCache, watch } = this.#options
    return {
      file,
      readSource,
      noCache: noCache === true,
      watch,
      behind: this.#behind,
      root: () => this.#stack?.root ?? '',
      isUncertain: () => this.#pending > 0 || this.#quiet !== undefined,
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
    using _importing = this.#importing()
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

  #importing(): Disposable {
    this.#isImporting = true
    return { [Symbol.dispose]: () => (this.#isImporting = false) }
  }

  /** Somebody made a secret: what could not be deployed for want of it has a turn now. Those of the folder come with one. */
  #onSecret(namespace: string, name: string): void {
    if (this.#isImporting) return
    for (const source of this.#sources.values()) {
      const { spec } = source.current
      const isMissed = this.#parts.problems.of(spec, 'build')?.code === 'SECRET_NOT_FOUND'
      if (isMissed && spec.namespace === namespace && spec.secrets?.includes(name) === true)
        source.request().catch(() => undefined)
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
    const handlers = stack.functions.flatMap(({ source }) => source?.handler ?? [])
    if (list.join('\n') === this.#watched) return
    this.#watched = list.join('\n')
    // The new watch sees before the old one closes its eyes.
    const old = this.#watch
    this.#watch = await this.#parts.watcher.watch(list, (change) => this.#onChange(change), { handlers })
    await old?.[Symbol.asyncDispose]()
  }

  #onChange(change: FileChange): void {
    const { path } = change
    const { clock } = this.#parts
    const stack = this.#stack
    if (!stack) return
    const isSecret = isWithin(path, this.#options.secretsFolder(stack.root))
    if (isSecret || stack.inputs.includes(path)) {
      // Whom it concerns is known when it has been read. A secret is no code: functions read it themselves.
      if (!isSecret) for (const source of this.#sources.values()) source.hold()
      this.#quiet?.[Symbol.dispose]()
      this.#quiet = clock.after(QUIET_MS, () => {
        this.#quiet = undefined
        this.#pending++
        const ended = (): void => {
          this.#pending--
          for (const source of this.#sources.values()) source.settle()
        }
        this.#stackLoop.request().then(ended, ended)
      })
    }
    for (const source of this.#sources.values())
      if (source.inputs.some((input) => isWithin(path, input))) source.seen(change)
  }

  /**
   * The stack file, an environment file or a secret changed. What was read before stays when it cannot be read. While it is
   * written it may be empty, or end too early: neither its mistakes nor the functions that are gone from it are believed
   * before it stands still.
   */
  async #readAgain(signal: AbortSignal): Promise<void> {
    const { events, clock, problems } = this.#parts
    const { file } = this.#options
    const before = this.#stack
    try {
      let stack = await this.#options.readStack().catch(() => undefined)
      const names = new Set(stack?.functions.map(({ spec }) => formatRef(spec)))
      if (!stack || before?.functions.some(({ spec }) => !names.has(formatRef(spec)))) {
        await pause(clock, SETTLED_MS, signal)
        signal.throwIfAborted()
        stack = await this.#options.readStack()
      }
      signal.throwIfAborted()
      const due = await this.#apply(stack)
      await this.#watchInputs()
      for (const source of due) source.request().catch(() => undefined)
    } catch (error) {
      if (signal.aborted) throw error
      const told = toProblem(asFaasError(error), clock)
      const problem = told.code === 'FILE_NOT_READABLE' ? { ...told, remedy: REMEDY_GONE } : told
      problems.stack = { file, problem }
      events.emit({ type: 'stack.failed', file, problem })
    }
  }
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
