import type { Builder, Fingerprint, FunctionSource } from '../core/builder.ts'
import { pause } from '../core/clock.ts'
import type { Clock } from '../core/clock.ts'
import type { Code, RevisionCode } from '../core/code.ts'
import { asFaasError, FaasError } from '../core/errors.ts'
import type { FunctionRef, Problem } from '../core/function.ts'
import { formatRef } from '../core/function.ts'
import type { Provider } from '../core/provider.ts'
import type { Registry } from '../core/registry.ts'
import type { StackFunction } from '../core/stack.ts'
import type { FileChange } from '../core/watcher.ts'
import type { CodeBook } from './code-book.ts'
import type { Events } from './events.ts'
import { FunctionLoop } from './function-loop.ts'
import type { Functions } from './functions.ts'
import { handlerFolder } from './handler-folder.ts'
import type { HoldGate } from './hold-gate.ts'
import type { ImagesBehind } from './images-behind.ts'
import { keepCode } from './kept-code.ts'
import type { Contents } from './kept-code.ts'
import type { Problems } from './problems.ts'
import { toProblem } from './reconciler.ts'
import { isEnough } from './rung.ts'
import type { BuiltImage, Rung } from './rung.ts'
import { sourceProblem } from './source-problem.ts'
import type { ReadSource } from './source-problem.ts'

export interface SourceParts {
  readonly builder: Builder
  readonly functions: Functions
  readonly provider: Pick<Provider, 'actual'>
  readonly registry: Registry
  readonly events: Events
  readonly problems: Problems
  readonly codes: CodeBook
  readonly gate: HoldGate
  readonly clock: Clock
}

export interface SourceOptions {
  /** The stack file that the function is marked with. */
  readonly file: string
  /** Folder that paths are shown relative to. */
  readonly root: () => string
  readonly readSource: ReadSource
  readonly noCache: boolean
  /** Nobody saves what is not watched, so no image is ever behind. */
  readonly watch: boolean
  readonly behind: ImagesBehind
  /** The stack file is about to be read again: what the function should be is not certain. */
  readonly isUncertain: () => boolean
}

/** After the last event of a burst, milliseconds. Content hashes, not this, tell a change from noise. */
const QUIET_MS = 8
/** A file that went away, or is empty all of a sudden, is most likely about to be written. */
const SUSPECT_MS = 50
/** A failure counts when nothing was written for so long: half a file fails, too. */
const FAILURE_QUIET_MS = 120
/** Files that take longer to read are many, or large: nobody should have to guess what it waits for. */
const LONG_LOOK_MS = 3000
/** Files that never stand still while they are built are deployed as they were built. */
const BUILD_TRIES = 3

/** What answers. */
interface Live {
  readonly revision: string
  readonly content: string | undefined
  readonly code: Code | undefined
  /** The function as its stack file had it. */
  readonly wanted: string
}

/** One function of a stack file, from save to answer. Neighbours never wait for it, and it for none. */
export class SourceLoop implements AsyncDisposable {
  /** Files and folders whose change concerns it. */
  inputs: readonly string[] = []
  readonly #parts: SourceParts
  readonly #options: SourceOptions
  readonly #loop: FunctionLoop
  readonly #watch: Disposable
  #fn: StackFunction
  /** Turns that were asked for and have not ended. */
  #pending = 0
  #quiet: Disposable | undefined
  #lastEventAt = -Infinity
  /** Of the saves since the last turn that ended. */
  #saved: { readonly seenAt: number; path: string; isGone: boolean; readonly paths: Set<string> } | undefined
  #isTold = false
  /** A save or a build was told, and nothing yet of what became of it. */
  #isUnderWay = false
  #isLongLookTold = false
  /** That what was given answers was told. */
  #isReadyTold = false
  #isForced = false
  /** Of the turn that waits for what it gave. */
  #giving: AbortSignal | undefined
  #hasFailed = false
  #live: Live | undefined
  /** What was given last and is not live, or not yet. */
  #given: Live | undefined
  #image: BuiltImage | undefined
  #contents: Contents = new Map()
  /** In this session there was a handler of its own. */
  #hadHandler = false

  constructor(fn: StackFunction, parts: SourceParts, options: SourceOptions) {
    this.#fn = fn
    this.#parts = parts
    this.#options = options
    this.#loop = new FunctionLoop(parts.clock, false, (signal) => this.#turn(signal))
    this.#watch = parts.events.watch((event) => {
      if (event.type !== 'function.ready' && event.type !== 'function.failed') return
      if (event.revision !== this.#given?.revision) return
      if (event.type === 'function.ready') this.#onReady(this.#given, event.replicas)
      else this.#onFailed(this.#given, event)
    })
  }

  get ref(): FunctionRef {
    const { name, namespace } = this.#fn.spec
    return { name, namespace }
  }

  get current(): StackFunction {
    return this.#fn
  }

  /** What its stack file says now. */
  become(fn: StackFunction): void {
    this.#fn = fn
  }

  /** A file of its own changed, or may have: from this moment on its calls wait. */
  seen({ path, isGone }: FileChange): void {
    const { clock, gate } = this.#parts
    const now = clock.now()
    gate.hold(this.ref)
    this.#options.behind.drop(this.#key)
    this.#lastEventAt = now
    this.#saved ??= { seenAt: now, path, isGone, paths: new Set() }
    this.#saved.paths.add(path)
    // A save is often a temporary file that is renamed: what is there afterwards is what was saved.
    if (!isGone || this.#saved.isGone) Object.assign(this.#saved, { path, isGone })
    this.#quiet?.[Symbol.dispose]()
    this.#quiet = clock.after(isGone ? SUSPECT_MS : QUIET_MS, () => {
      this.#quiet = undefined
      this.request().catch(() => undefined)
    })
  }

  /** Makes it what is on disk now. Settles with the outcome of the first turn that was not given up for a later one. */
  request(): Promise<void> {
    this.#parts.gate.hold(this.ref)
    this.#pending++
    return this.#loop.request().finally(() => {
      this.#pending--
      this.#settle()
    })
  }

  /** Builds and deploys, also where nothing changed. */
  rebuild(): Promise<void> {
    this.#isForced = true
    return this.request()
  }

  /** Calls wait until it is known what it should be; `settle` lets them go. */
  hold(): void {
    this.#parts.gate.hold(this.ref)
  }

  /** What it should be is known: if nothing is due, calls need not wait. */
  settle(): void {
    this.#settle()
  }

  /** What did not get ready may do so at a later try, and what slept at a call, without anybody's doing. */
  #onReady(given: Live, replicas: number): void {
    // Of the same revision the code before this one may be what came up.
    if (!this.#isWanted(given)) return
    this.#isReadyTold = true
    if (this.#live !== given) {
      this.#live = given
      this.#hasFailed = false
      this.#settle()
    }
    // Whoever waited for it goes on in this moment, before the turn has ended.
    const isNewest = this.#giving?.aborted === false && !this.#quiet && !this.#options.isUncertain()
    if (isNewest) this.#parts.gate.open(this.ref)
    const isAtRest = this.#pending === 0 && !this.#quiet && !this.#hasFailed
    if (isAtRest && replicas > 0 && given.content !== this.#image?.content) this.#imageFollows()
  }

  /** What was taken for its next call, or answered before, does not start: it is as if it had just been saved. */
  #onFailed(
    given: Live,
    { serving, problem }: { readonly serving?: string; readonly problem: Problem },
  ): void {
    // A turn on its way tells by itself.
    if (this.#live !== given || this.#pending > 0) return
    const isWanted = this.#isWanted(given)
    // Some of its replicas do not start: what answers is what is saved.
    if (isWanted && serving === given.revision) return
    this.#live = undefined
    this.#hasFailed = true
    // The code before goes on for good: no later try will tell that anything is wrong.
    if (!isWanted) this.#parts.problems.set(this.ref, 'build', problem)
    this.#settle()
  }

  /** Whether replicas of its revision are to run it, not the code before. */
  #isWanted({ revision, code }: Live): boolean {
    return this.#parts.codes.get(this.ref, revision)?.wanted.hash === code?.hash
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#quiet?.[Symbol.dispose]()
    this.#watch[Symbol.dispose]()
    this.#options.behind.drop(this.#key)
    await this.#loop[Symbol.asyncDispose]()
    this.#parts.gate.open(this.ref)
  }

  get #key(): string {
    return formatRef(this.#fn.spec)
  }

  #settle(): void {
    if (this.#pending > 0 || this.#quiet || this.#options.isUncertain()) return
    const { gate } = this.#parts
    if (this.#hasFailed) gate.fail(this.ref)
    else gate.open(this.ref)
  }

  /** Looks at what is on disk and takes the lowest rung that is enough. */
  async #turn(signal: AbortSignal): Promise<void> {
    const fn = this.#fn
    const before = this.#live
    this.#options.behind.drop(this.#key)
    let looked: Fingerprint | undefined
    const givenBefore = this.#given
    this.#isReadyTold = false
    try {
      looked = fn.source && (await this.#look(fn.source, signal))
      const wanted = JSON.stringify(fn)
      if (!this.#isForced && before && before.content === looked?.content && before.wanted === wanted) {
        this.#given = before
        // What a turn before this one began is undone: nothing else would tell that it is over.
        this.#end(fn, this.#isUnderWay)
        return
      }
      this.#tellSaved()
      if (looked) this.#checkHandler(fn, looked)
      const { fingerprint, ...wish } = await this.#prepare(fn, looked, signal)
      looked = fingerprint
      await this.#give(fn, wish, looked?.content, signal)
      this.#end(fn)
    } catch (error) {
      if (signal.aborted) throw error
      const failure = asFaasError(error)
      const isGiven = this.#given !== givenBefore
      // The same revision goes on with the code before this one.
      if (isGiven && before && this.#given?.revision === before.revision) this.#live = before
      await this.#unlessChanging(fn, looked, signal)
      await this.#fail(failure, looked, isGiven, signal)
      throw failure
    }
  }

  /** A template's sample may be where a function begins, but is nothing that one becomes by a save. */
  #checkHandler({ spec: { name }, source }: StackFunction, { sample }: Fingerprint): void {
    if (sample === undefined) this.#hadHandler = true
    if (sample === undefined || !this.#hadHandler) return
    const folder = source?.handler ?? ''
    throw new FaasError('HANDLER_NOT_FOUND', {
      message: `${name}: ${sample} is gone from ${folder}: the template's sample would answer in its place`,
      remedy: `Put ${sample} back into ${folder}.`,
    })
  }

  async #look(source: FunctionSource, signal: AbortSignal): Promise<Fingerprint> {
    const { builder, clock } = this.#parts
    using _long = clock.after(LONG_LOOK_MS, () => this.#tellLongLook(source))
    const looked = await builder.fingerprint(source, { signal })
    signal.throwIfAborted()
    const before = this.#live?.code ?? this.#image?.code
    const isSuspect =
      before !== undefined &&
      [...(looked.code?.files ?? [])].some(
        ([path, { size }]) => size === 0 && (before.files.get(path)?.size ?? 0) > 0,
      )
    if (!isSuspect) return looked
    await pause(clock, SUSPECT_MS, signal)
    signal.throwIfAborted()
    return await builder.fingerprint(source, { signal })
  }

  #tellLongLook({ name, handler }: FunctionSource): void {
    if (this.#isLongLookTold) return
    this.#isLongLookTold = true
    const path = this.#saved ? ` (${this.#saved.path})` : ''
    const message = `${name}: what was saved${path} is still being read; large files that the function does not need are left out by ${handler}/.dockerignore`
    this.#parts.events.emit({ type: 'notice', level: 'warn', message })
  }

  /** What is to be given to replicas, and the image for it, built if the present one is not enough. */
  async #prepare(
    fn: StackFunction,
    looked: Fingerprint | undefined,
    signal: AbortSignal,
  ): Promise<{ fingerprint: Fingerprint | undefined; imageId?: string; code?: RevisionCode; by?: Rung }> {
    const { source } = fn
    if (!source || !looked) return { fingerprint: looked, by: 'spec' }
    const image = this.#image
    if (this.#isForced || !image || !isEnough(image, looked, JSON.stringify(source)))
      return this.#build(source, looked, signal)
    const { imageId } = image
    const { code } = looked
    if (!code) return { fingerprint: looked, imageId, by: 'spec' }
    const by = code.hash === this.#live?.code?.hash ? 'spec' : code.way
    if (code.hash === image.code?.hash)
      return { fingerprint: looked, imageId, by, code: { wanted: code, inImage: code.hash } }
    const kept = await keepCode(code, this.#contents, signal)
    this.#contents = kept.contents
    const inImage = image.code?.hash ?? ''
    return { fingerprint: looked, imageId, by, code: { wanted: kept.code, inImage, frame: image.frame } }
  }

  async #build(
    source: FunctionSource,
    looked: Fingerprint,
    signal: AbortSignal,
  ): Promise<{ fingerprint: Fingerprint; imageId: string; code?: RevisionCode; by: Rung }> {
    const { builder, events, clock } = this.#parts
    const { ref } = this
    const startedAt = clock.now()
    this.#options.behind.makeWay()
    this.#isUnderWay = true
    events.emit({ type: 'build.started', ref })
    for (let tries = 1; ; tries++) {
      const result = await builder.build(source, {
        signal,
        onOutput: (line) => events.emit({ type: 'build.output', ref, line }),
        ...(this.#options.noCache && { noCache: true }),
      })
      signal.throwIfAborted()
      const { imageId, contentHash, cached } = result
      // A base image that had to be pulled first, or a file that was written meanwhile.
      if (contentHash !== looked.content) looked = await builder.fingerprint(source, { signal })
      const isKnown = contentHash === looked.content
      if (!isKnown && tries < BUILD_TRIES) continue
      const seconds = (clock.now() - startedAt) / 1000
      events.emit({ type: 'build.done', ref, image: result.image, cached, seconds })
      const { frame, code: wanted } = looked
      const code = isKnown && wanted ? { wanted, inImage: result.codeHash ?? wanted.hash } : undefined
      this.#image = {
        imageId,
        content: contentHash,
        frame,
        madeOf: JSON.stringify(source),
        ...(code && { code: code.wanted }),
      }
      this.#isForced = false
      return { fingerprint: { ...looked, content: contentHash }, imageId, by: 'build', ...(code && { code }) }
    }
  }

  async #give(
    fn: StackFunction,
    wish: { readonly imageId?: string; readonly code?: RevisionCode; readonly by?: Rung },
    content: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { functions, problems } = this.#parts
    const accepted = functions.apply(fn.spec, { ...wish, origin: this.#options.file })
    this.#live = undefined
    this.#given = {
      revision: accepted.revision,
      content,
      code: wish.code?.wanted,
      wanted: JSON.stringify(fn),
    }
    problems.clear(this.ref, 'build')
    this.#giving = signal
    try {
      await unlessAborted(accepted.settled, signal)
    } finally {
      this.#giving = undefined
    }
    this.#live = this.#given
  }

  /** What is saved is what answers. */
  #end(fn: StackFunction, isUndone = false): void {
    const { problems, events } = this.#parts
    const { ref } = this
    const isMended = isUndone || this.#hasFailed || problems.of(ref, 'build') !== undefined
    problems.clear(ref, 'build')
    this.#hasFailed = false
    this.#saved = undefined
    this.#isTold = false
    this.#isUnderWay = false
    this.#isLongLookTold = false
    if (isMended && !this.#isReadyTold) events.emit({ type: 'source.mended', ref })
    if (fn.source && this.#live?.content !== this.#image?.content) this.#imageFollows()
    else this.#imageIs(fn)
  }

  /** What answers is in the image already: what was wrong with a later one is no longer. */
  #imageIs({ source }: StackFunction): void {
    const { problems, events } = this.#parts
    const { ref } = this
    const wasWrong = problems.of(ref, 'image') !== undefined
    problems.clear(ref, 'image')
    if (wasWrong && source)
      events.emit({ type: 'image.done', ref, image: source.image, cached: true, seconds: 0 })
  }

  #tellSaved(): void {
    const saved = this.#saved
    if (!saved || this.#isTold) return
    this.#isTold = true
    this.#isUnderWay = true
    this.#parts.events.emit({
      type: 'source.changed',
      ref: this.ref,
      path: saved.path,
      files: saved.paths.size,
      seenAt: new Date(saved.seenAt).toISOString(),
    })
  }

  /** Waits until nobody writes any more; what was written since is looked at again instead of being told as a failure. */
  async #unlessChanging(
    { source }: StackFunction,
    looked: Fingerprint | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (!source) return
    const { builder, clock } = this.#parts
    for (const wait of [0, FAILURE_QUIET_MS - (clock.now() - this.#lastEventAt)]) {
      if (wait > 0) await pause(clock, wait, signal)
      signal.throwIfAborted()
      const now = await builder.fingerprint(source, { signal }).catch(() => undefined)
      signal.throwIfAborted()
      if (now?.content === looked?.content) continue
      // This turn is given up for the one that is asked for here.
      this.request().catch(() => undefined)
      signal.throwIfAborted()
    }
  }

  /** Tells why what was saved does not answer, and sees to it that what was good before does. */
  async #fail(
    failure: FaasError,
    looked: Fingerprint | undefined,
    isGiven: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { functions, provider, registry, events, problems, clock } = this.#parts
    const { ref } = this
    this.#hasFailed = true
    this.#isForced = false
    this.#tellSaved()
    this.#saved = undefined
    this.#isTold = false
    this.#isUnderWay = false
    this.#isLongLookTold = false
    // What was deployed and did not get ready is the reconciler's to tell.
    if (problems.of(ref, 'deploy')?.message === failure.message) return
    // Of an earlier run there may be something that works.
    if (!provider.actual(ref)?.available && registry.functions.get(ref))
      await unlessAborted(functions.resume(ref).settled, signal).catch(() => signal.throwIfAborted())
    const problem = await this.#explain(toProblem(failure, clock), looked?.code, signal)
    signal.throwIfAborted()
    problems.set(ref, 'build', problem)
    const actual = provider.actual(ref)
    const serving = actual?.available ? actual.revision : undefined
    events.emit({
      type: isGiven ? 'code.failed' : 'build.failed',
      ref,
      problem,
      ...(serving !== undefined && { serving }),
    })
  }

  /** Where the image has the handler folder; undefined where that is not known. */
  handlerFolder(): string | undefined {
    const code = this.#given?.code ?? this.#image?.code
    return code && this.#fn.source && handlerFolder(code, this.#fn.source.handler)
  }

  /** A failure of what was given last, with its place in the source. */
  explain(problem: Problem): Promise<Problem> {
    return this.#explain(problem, this.#given?.code ?? this.#image?.code, new AbortController().signal)
  }

  #explain(problem: Problem, code: Code | undefined, signal: AbortSignal): Promise<Problem> {
    const { root, readSource } = this.#options
    return sourceProblem(problem, code, { root: root(), readSource }, signal)
  }

  /** The image of what answers is built when there is time. */
  #imageFollows(): void {
    if (!this.#options.watch) return
    this.#options.behind.want(this.#key, (signal) => this.#buildBehind(signal))
  }

  async #buildBehind(signal: AbortSignal): Promise<void> {
    const { builder, functions, provider, events, problems, clock } = this.#parts
    const { ref } = this
    const live = this.#live
    const { source } = this.#fn
    if (!live || !source || this.#pending > 0 || this.#quiet || this.#hasFailed) return
    const startedAt = clock.now()
    try {
      const before = await builder.fingerprint(source, { signal })
      if (before.content !== live.content) {
        // Nobody told of this change.
        if (!signal.aborted) this.request().catch(() => undefined)
        return
      }
      const result = await builder.build(source, { signal })
      signal.throwIfAborted()
      const built =
        result.contentHash === before.content ? before : await builder.fingerprint(source, { signal })
      signal.throwIfAborted()
      // An image of other code than what answers is not what should start from now on.
      if (built.content !== result.contentHash || built.code?.hash !== live.code?.hash || this.#live !== live)
        return
      const code = built.code && { wanted: built.code, inImage: result.codeHash ?? built.code.hash }
      const actual = provider.actual(ref)
      // Code that has not answered may not load: then the image before must be what starts. It is its own at `#onReady`.
      if (actual?.available && actual.revision === live.revision) {
        if (!functions.imaged(ref, live.revision, result.imageId, code)) return
        this.#live = { ...live, content: built.content, code: built.code }
        this.#given = this.#live
        this.#image = {
          imageId: result.imageId,
          content: built.content,
          frame: built.frame,
          madeOf: JSON.stringify(source),
          ...(built.code && { code: built.code }),
        }
        this.#contents = new Map()
      }
      problems.clear(ref, 'image')
      const seconds = (clock.now() - startedAt) / 1000
      events.emit({ type: 'image.done', ref, image: result.image, cached: result.cached, seconds })
    } catch (error) {
      if (signal.aborted) return
      const told = toProblem(asFaasError(error), clock)
      const problem = await this.#explain(told, live.code, signal)
      problems.set(ref, 'image', problem)
      events.emit({ type: 'image.failed', ref, problem })
    }
  }
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
