import type { Clock } from '../core/clock.ts'
import { asFaasError, FaasError } from '../core/errors.ts'
import type { FunctionRef, Problem, Revision } from '../core/function.ts'
import { formatRef, parseRef } from '../core/function.ts'
import type { Log } from '../core/log.ts'
import type { Provider, ProviderEvent } from '../core/provider.ts'
import type { Registry } from '../core/registry.ts'
import type { CodeBook } from './code-book.ts'
import type { Events } from './events.ts'
import { FunctionLoop } from './function-loop.ts'
import type { Problems } from './problems.ts'
import { isSameFailure } from './same-failure.ts'

export interface ReconcilerParts {
  readonly registry: Registry
  readonly provider: Provider
  readonly events: Events
  readonly problems: Problems
  readonly codes: CodeBook
  readonly clock: Clock
  readonly log: Log
  /** Adds the place in the developer's source that a failure names, where somebody knows the source. */
  readonly explain?: (ref: FunctionRef, problem: Problem) => Promise<Problem>
}

/** Makes the actual state the desired one: at boot, after every wish, and whenever something dies. */
export class Reconciler implements AsyncDisposable {
  readonly #parts: ReconcilerParts
  readonly #loops = new Map<string, FunctionLoop>()
  readonly #waiters = new Map<string, Set<(error?: FaasError) => void>>()
  /** What was told last of functions that are failing. */
  readonly #told = new Map<string, { revision: string; problem: Problem; tries: number }>()
  /** How many replicas of each function got ready. */
  readonly #starts = new Map<string, number>()
  readonly #watch: Disposable
  readonly #secretWatch: Disposable
  #isStopped = false

  constructor(parts: ReconcilerParts) {
    this.#parts = parts
    this.#watch = parts.provider.watch((event) => this.#onProviderEvent(event))
    this.#secretWatch = parts.registry.secrets.watch((namespace, name) => this.#onSecret(namespace, name))
  }

  /**
   * Looks at every function that is wanted or there. Does not wait for any of them: `held` functions are adopted as
   * they are, and not started, because somebody (the dev loop) will say soon what they should be.
   */
  start(held: ReadonlySet<string> = new Set()): void {
    const { registry, provider } = this.#parts
    const wanted = registry.functions.list().map(({ ref }) => ref)
    const there = provider.list().map(({ ref }) => ref)
    for (const ref of new Map([...wanted, ...there].map((ref) => [formatRef(ref), ref])).values())
      if (!held.has(formatRef(ref))) this.converge(ref).catch(() => undefined)
  }

  /** Resolves when what is desired now is so; rejects when it cannot be made so. It is then tried again by itself. */
  converge(ref: FunctionRef): Promise<void> {
    if (this.#isStopped) return Promise.reject(stopping())
    return this.#loop(ref).request()
  }

  /**
   * Resolves once the function has a replica that answers. Rejects with FUNCTION_NOT_READY and the reason when it
   * turns out that it gets none, or with the signal's reason.
   */
  available(ref: FunctionRef, signal: AbortSignal): Promise<void> {
    if ((this.#parts.provider.actual(ref)?.available ?? 0) > 0) return Promise.resolve()
    // A source that does not build says nothing about the replica that died a moment ago.
    const known = this.#parts.problems.of(ref, 'deploy')
    if (known && !this.#loop(ref).isBusy) return Promise.reject(notReady(ref, known))
    return new Promise((resolve, reject) => {
      const key = formatRef(ref)
      const waiters = this.#waiters.get(key) ?? new Set()
      this.#waiters.set(key, waiters)
      const done = (error?: FaasError): void => {
        waiters.delete(done)
        signal.removeEventListener('abort', onAbort)
        if (error) reject(error)
        else resolve()
      }
      const onAbort = (): void => {
        waiters.delete(done)
        reject(signal.reason as Error)
      }
      waiters.add(done)
      signal.addEventListener('abort', onAbort, { once: true })
      if (signal.aborted) onAbort()
    })
  }

  /** Gives up what is under way. Replicas stay as they are. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    this.#watch[Symbol.dispose]()
    this.#secretWatch[Symbol.dispose]()
    for (const key of this.#waiters.keys()) this.#tellWaiters(key, stopping())
    await Promise.allSettled([...this.#loops.values()].map((loop) => loop[Symbol.asyncDispose]()))
  }

  #loop(ref: FunctionRef): FunctionLoop {
    const key = formatRef(ref)
    let loop = this.#loops.get(key)
    if (!loop) {
      const { name, namespace } = ref
      loop = new FunctionLoop(this.#parts.clock, true, (signal) => this.#turn({ name, namespace }, signal))
      this.#loops.set(key, loop)
    }
    return loop
  }

  /** One attempt at making one function what it should be. */
  async #turn(ref: FunctionRef, signal: AbortSignal): Promise<void> {
    const { registry, provider, events, problems, codes, clock } = this.#parts
    const key = formatRef(ref)
    const desired = registry.functions.get(ref)
    if (!desired) {
      await provider.remove(ref)
      // It may have been deployed again while the former replicas drained; who waits now waits for the new ones.
      if (registry.functions.get(ref)) return
      problems.clear(ref, 'deploy')
      this.#told.delete(key)
      this.#starts.delete(key)
      this.#tellWaiters(key, notFound(ref))
      return
    }
    const { revision, replicas } = desired
    const before = provider.actual(ref)
    const isNews = before?.revision !== revision.id || before.available !== replicas
    const startedAt = clock.now()
    const starts = this.#starts.get(key)
    try {
      if (isNews && replicas > 0) events.emit({ type: 'function.deploying', ref, revision: revision.id })
      await this.#deployPinned(revision, replicas, signal)
    } catch (error) {
      if (signal.aborted) throw error
      await this.#onFailure(ref, revision, replicas, asFaasError(error), signal)
      throw error
    }
    // None that did not run has proved anything.
    if (replicas > 0) registry.functions.setGood(ref, revision.id)
    problems.clear(ref, 'deploy')
    this.#told.delete(key)
    // Who still waits when it was scaled to zero looks again, and wakes it.
    this.#tellWaiters(key)
    const seconds = (clock.now() - startedAt) / 1000
    const brought = codes.made(ref, revision.id, replicas > 0)
    // What could not take it in place was replaced.
    const by = brought === 'swap' && this.#starts.get(key) !== starts ? 'files' : brought
    if (isNews || by !== undefined)
      events.emit({
        type: 'function.ready',
        ref,
        revision: revision.id,
        replicas,
        seconds,
        ...(by !== undefined && { by }),
      })
  }

  /** Deploys a revision with the image that it was first deployed with, or, if that is gone, what its name means now. */
  async #deployPinned(pinned: Revision, replicas: number, signal: AbortSignal): Promise<void> {
    const { provider, registry, codes } = this.#parts
    const code = codes.get(pinned.spec, pinned.id)
    const revision = code ? { ...pinned, code } : pinned
    if (revision.imageId !== undefined || replicas === 0) {
      try {
        await provider.deploy(revision, replicas, signal)
        return
      } catch (error) {
        if (!(error instanceof FaasError) || error.code !== 'IMAGE_NOT_FOUND') throw error
      }
    }
    const imageId = await provider.resolveImage(revision.spec.image, signal)
    signal.throwIfAborted()
    registry.functions.pinImage(revision.spec, revision.id, imageId)
    // What is in that image is not known: the code is given whole.
    const unknown = code && { code: { wanted: code.wanted, inImage: '' } }
    await provider.deploy({ ...revision, imageId, ...unknown }, replicas, signal)
  }

  async #onFailure(
    ref: FunctionRef,
    revision: Revision,
    replicas: number,
    error: FaasError,
    signal: AbortSignal,
  ): Promise<void> {
    const { provider, registry, events, problems, codes, clock, log, explain } = this.#parts
    const key = formatRef(ref)
    const isReverted = codes.revert(ref, revision.id)
    const before = provider.actual(ref)
    if (isReverted && before?.revision === revision.id && before.available > 0) {
      // The code before it answers, in the same replicas; who saved this one tells.
      this.#tellWaiters(key)
      return
    }
    const plain = toProblem(error, clock)
    const problem = (await explain?.(ref, plain)) ?? plain
    signal.throwIfAborted()
    problems.set(ref, 'deploy', problem)
    const lastGood = registry.functions.get(ref)?.lastGood
    if (!provider.actual(ref)?.available && lastGood && (isReverted || lastGood.id !== revision.id)) {
      try {
        await this.#deployPinned(lastGood, replicas, signal)
      } catch (cause) {
        if (signal.aborted) throw cause
        log.warn(`the last good revision of ${key} does not start either`, {
          error: asFaasError(cause).message,
        })
      }
    }
    const actual = provider.actual(ref)
    const serving = actual?.available ? actual.revision : undefined
    if (serving === undefined) this.#tellWaiters(key, notReady(ref, problem))
    else this.#tellWaiters(key)
    const told = this.#told.get(key)
    // The same failure, tried again, is no news.
    if (told?.revision === revision.id && isSameFailure(told.problem, problem)) {
      told.tries++
      events.emit({ type: 'function.failed-again', ref, revision: revision.id, tries: told.tries })
      return
    }
    this.#told.set(key, { revision: revision.id, problem, tries: 1 })
    events.emit({
      type: 'function.failed',
      ref,
      revision: revision.id,
      ...(serving !== undefined && { serving }),
      problem,
    })
  }

  /** What does not start for want of this secret is not kept waiting until it would be tried again by itself. */
  #onSecret(namespace: string, name: string): void {
    const { registry, problems } = this.#parts
    for (const { ref, revision } of registry.functions.list(namespace)) {
      const isMissed = problems.of(ref, 'deploy')?.code === 'SECRET_NOT_FOUND'
      if (isMissed && revision.spec.secrets?.includes(name) === true)
        this.converge(ref).catch(() => undefined)
    }
  }

  #onProviderEvent(event: ProviderEvent): void {
    const { events } = this.#parts
    switch (event.type) {
      case 'replica-ready': {
        const key = formatRef(event.ref)
        this.#starts.set(key, (this.#starts.get(key) ?? 0) + 1)
        return
      }
      case 'replica-gone': {
        if (event.expected || this.#isStopped) return
        const { ref, replica, reason } = event
        events.emit({ type: 'replica.died', ref, replica, reason })
        this.#loop(ref).requestAfterCrash()
        return
      }
      case 'engine-lost':
        events.emit({ type: 'engine.lost', reason: event.reason })
        return
      case 'engine-back':
        events.emit({ type: 'engine.back' })
        for (const { ref } of this.#parts.registry.functions.list()) this.converge(ref).catch(() => undefined)
        return
    }
  }

  #tellWaiters(key: string, error?: FaasError): void {
    for (const waiter of [...(this.#waiters.get(key) ?? [])]) waiter(error)
    this.#waiters.delete(key)
    const { name, namespace } = parseRef(key)
    if (error?.code === 'FUNCTION_NOT_FOUND' && !this.#parts.registry.functions.get({ name, namespace }))
      this.#loops.delete(key)
  }
}

/** A failure as it is kept and shown. */
export function toProblem(error: FaasError, clock: Clock): Problem {
  const { code, message, remedy, place } = error
  return { code, message, remedy, ...(place && { place }), at: new Date(clock.now()).toISOString() }
}

/** The answer for a function that exists and cannot run. */
export function notReady(ref: FunctionRef, problem: Problem): FaasError {
  return new FaasError('FUNCTION_NOT_READY', {
    message: `${formatRef(ref)} has no replica that answers: ${problem.message}`,
    remedy: problem.remedy,
  })
}

/** The answer for a function that nobody deployed. */
export function notFound(ref: FunctionRef): FaasError {
  return new FaasError('FUNCTION_NOT_FOUND', {
    message: `error finding function ${formatRef(ref)}: it is not deployed`,
    remedy: 'See `faasdock list` for what is, and deploy it with `faasdock up`.',
  })
}

function stopping(): FaasError {
  return new FaasError('STOPPING', {
    message: 'faasdock is shutting down',
    remedy: 'Call again when it is back.',
  })
}
