import type { Clock } from '../core/clock.ts'
import { FaasError } from '../core/errors.ts'
import type { FunctionRef, Revision } from '../core/function.ts'
import { formatRef } from '../core/function.ts'
import type { ActualFunction, Lease, ProviderEvent } from '../core/provider.ts'
import { CodeLoader, codeDoesNotStart, orAborted } from './code-loader.ts'
import type { CodedRevision } from './code-loader.ts'
import { CodeShelf } from './code-shelf.ts'
import { Replica } from './replica.ts'
import type { ReplicaHost, StartedReplica } from './replica.ts'

export interface ReplicaSetOptions {
  readonly clock: Clock
  readonly onEvent: (event: ProviderEvent) => void
  /** A removal failed. Nobody waits for it: what is left carries our labels, so the next start or `gc` takes it. */
  readonly onLeftover: (replica: string, error: unknown) => void
  /** How long an invocation in flight may hold up the removal of its replica, milliseconds. */
  readonly drainMs: number
}

/** One revision's replicas. */
interface Group {
  readonly revision: string
  readonly replicas: Replica[]
  /** Ends the starts under way with an error; present while there are some. */
  giveUp?: (error: unknown) => void
}

/**
 * The replicas of one function, and the order in which one revision takes over from another:
 * start new → ready → flip → drain → stop old. Knows nothing of Docker.
 */
export class ReplicaSet {
  readonly ref: FunctionRef
  readonly #host: ReplicaHost
  readonly #options: ReplicaSetOptions
  /** The revision that receives invocations. */
  #serving: Group | undefined
  /** A revision on its way: it is in nobody's path yet. */
  #coming: Group | undefined
  /** Replicas that will take the place of others of their revision: they are in nobody's path yet. */
  #relief: Group | undefined
  /** The replica that a debugger was connected to last. */
  #debugged: Replica | undefined
  /** Removals that go on behind the caller's back. */
  readonly #leaving = new Set<Promise<void>>()
  readonly #shelf = new CodeShelf()
  readonly #loader: CodeLoader
  /** The revision whose processes take no code while they run: their replicas get it before they start. */
  #filesOnly: string | undefined
  /** Hash of the code that last answered. */
  #good: string | undefined
  /** What the loads under way are for. */
  #loadedFor: CodedRevision | undefined
  /** Replicas with good code on their way, in place of those that hang. */
  #spares: Promise<void> = Promise.resolve()
  #endSpares = new AbortController()

  constructor(ref: FunctionRef, host: ReplicaHost, options: ReplicaSetOptions) {
    this.ref = ref
    this.#host = host
    this.#options = options
    this.#loader = new CodeLoader({
      host,
      shelf: this.#shelf,
      onSilent: (replica) => this.#startSpare(replica),
      onHung: (replica) => this.#endHung(replica),
    })
  }

  actual(): ActualFunction {
    const replicas = this.#serving?.replicas ?? []
    return {
      ref: this.ref,
      revision: replicas.length > 0 ? this.#serving?.revision : undefined,
      replicas: replicas.length,
      available: replicas.filter(({ isAvailable }) => isAvailable).length,
    }
  }

  /** Every replica that exists, of any revision, including those that drain. */
  get isEmpty(): boolean {
    return !this.#serving?.replicas.length && !this.#coming && !this.#relief && this.#leaving.size === 0
  }

  /** Takes in a ready replica that an earlier run started. Of several revisions the first one adopted serves. */
  adopt(revision: string, started: StartedReplica): void {
    this.#serving ??= { revision, replicas: [] }
    if (this.#serving.revision !== revision) {
      this.#coming ??= { revision, replicas: [] }
      if (this.#coming.revision !== revision) {
        this.#leave([new Replica(started, revision)])
        return
      }
    }
    const group = this.#serving.revision === revision ? this.#serving : this.#coming
    const replica = new Replica(started, revision)
    replica.isReady = true
    group?.replicas.push(replica)
  }

  lease(): Lease | undefined {
    const replicas = this.#serving?.replicas
    if (replicas === undefined) return undefined
    const debugged = this.#debugged
    if (debugged?.isDebugged === true && debugged.isReady && !debugged.isDead && replicas.includes(debugged))
      return debugged.lease(this.#options.clock.now())
    let best: Replica | undefined
    for (const replica of replicas) {
      if (replica.isAvailable && (best === undefined || replica.inFlight < best.inFlight)) best = replica
    }
    return best?.lease(this.#options.clock.now())
  }

  /** A ready replica for a debugger, which gets all calls until it is disposed: the one that has one already, if any. */
  debug(): (Disposable & { readonly started: StartedReplica }) | undefined {
    const replicas = (this.#serving?.replicas ?? []).filter(({ isReady, isDead }) => isReady && !isDead)
    const replica = replicas.find(({ isDebugged }) => isDebugged) ?? replicas[0]
    if (!replica) return undefined
    this.#debugged = replica
    return Object.assign(replica.debug(), { started: replica.started })
  }

  /** See Provider.deploy. */
  async deploy(revision: Revision, wanted: number, signal: AbortSignal): Promise<void> {
    const coming = this.#takeComing(revision.id)
    const serving = this.#serving
    if (wanted === 0) {
      await this.#dropSpares()
      this.#leave([...(serving?.replicas.splice(0) ?? []), ...(coming?.replicas.splice(0) ?? [])])
      this.#serving = { revision: revision.id, replicas: [] }
      return
    }
    if (serving?.revision === revision.id) {
      try {
        await this.#reach(serving, revision, wanted, signal)
      } finally {
        this.#forgetCodes(revision)
      }
      return
    }
    const group: Group = coming ?? { revision: revision.id, replicas: [] }
    this.#coming = group
    try {
      await this.#reach(group, revision, wanted, signal)
      await this.#dropSpares()
      const dead = group.replicas.find(({ isDead }) => isDead)
      if (dead) throw await this.#host.exitError(dead.started, revision)
    } catch (error) {
      this.#leave(group.replicas.splice(0))
      throw error
    } finally {
      this.#coming = undefined
      this.#forgetCodes(revision)
    }
    this.#serving = group
    if (serving) this.#leave(serving.replicas.splice(0))
  }

  /** Makes a group have `wanted` replicas, which run the revision's code if it has some. */
  async #reach(group: Group, revision: Revision, wanted: number, signal: AbortSignal): Promise<void> {
    if (!hasCode(revision)) {
      this.#trim(group, wanted)
      await this.#grow(group, revision, wanted, signal)
      return
    }
    const { code } = revision
    this.#shelf.know(code.wanted)
    this.#loadedFor = revision
    await orAborted(this.#spares, signal)
    await Promise.all(group.replicas.map((replica) => this.#loader.settle(replica, revision, signal)))
    this.#trim(group, wanted, code.wanted.hash)
    await this.#bring(group, revision, signal)
    await this.#grow(group, revision, wanted, signal)
    // A spare that was started meanwhile.
    this.#trim(group, wanted, code.wanted.hash)
    this.#good = code.wanted.hash
  }

  /** Takes those out of a group that are too many; those that run other code first. */
  #trim(group: Group, wanted: number, hash?: string): void {
    const surplus = group.replicas.length - wanted
    if (surplus > 0) this.#leave(leastWanted(group.replicas, surplus, hash))
  }

  /** Makes the replicas that are there run the revision's code: one first, then the others at once. */
  async #bring(group: Group, revision: CodedRevision, signal: AbortSignal): Promise<void> {
    const { wanted, inImage } = revision.code
    const size = group.replicas.length
    const stale = group.replicas.filter(
      ({ isReady, isDead, code }) => isReady && !isDead && code !== wanted.hash,
    )
    const before = new Map(stale.map((replica) => [replica, replica.code]))
    try {
      for (const some of [stale.slice(0, 1), stale.slice(1)]) {
        const takers = wanted.way === 'swap' && this.#filesOnly !== revision.id ? some : []
        const taken = await Promise.allSettled(
          takers.map((replica) => this.#loader.take(replica, revision, signal)),
        )
        const failed = taken.find((one) => one.status === 'rejected')
        if (failed) throw failed.reason
        const others = some.filter(({ code }) => code !== wanted.hash)
        await this.#relieve(group, revision, others, signal)
      }
    } catch (error) {
      if (!(error instanceof FaasError) || error.code !== 'CODE_NOT_LOADED' || signal.aborted) throw error
      // Somebody removed the function meanwhile.
      if (!this.#groups().includes(group)) throw error
      await this.#goBack(group, revision, before)
      await this.#spares
      const good = [...before.values()].find((hash) => hash !== undefined) ?? this.#good ?? inImage
      await this.#startGood(group, revision, size, good)
      throw error
    }
  }

  /** Puts new replicas with the revision's code in the place of those that could not take it. */
  async #relieve(
    group: Group,
    revision: CodedRevision,
    replicas: readonly Replica[],
    signal: AbortSignal,
  ): Promise<void> {
    if (replicas.length === 0) return
    const relief: Group = { revision: revision.id, replicas: [] }
    this.#relief = relief
    try {
      await this.#grow(relief, revision, replicas.length, signal)
      const dead = relief.replicas.find(({ isDead }) => isDead)
      if (dead) throw await this.#host.exitError(dead.started, revision)
    } catch (error) {
      this.#leave(relief.replicas.splice(0))
      throw codeDoesNotStart(error)
    } finally {
      this.#relief = undefined
    }
    group.replicas.push(...relief.replicas)
    this.#leave(takeOut(group.replicas, replicas))
  }

  /** Gives those that took code which others did not load what they ran before. */
  async #goBack(
    group: Group,
    revision: CodedRevision,
    before: ReadonlyMap<Replica, string | undefined>,
  ): Promise<void> {
    const { wanted, inImage } = revision.code
    const back = [...before].filter(([replica]) => replica.code === wanted.hash)
    await Promise.all(
      back.map(async ([replica, hash]) => {
        const good = this.#shelf.code(hash)
        if (!good) return
        const former = { ...revision, code: { wanted: good, inImage } }
        const taken = await this.#loader.take(replica, former, NEVER).catch(() => undefined)
        if (taken?.type !== 'runs') this.#leave(takeOut(group.replicas, [replica]))
      }),
    )
  }

  /** Starts replicas with the last good code until there are `size`. Never rejects: the next deploy tries as well. */
  async #startGood(group: Group, revision: CodedRevision, size: number, good: string): Promise<void> {
    const { wanted, inImage } = revision.code
    const code = this.#shelf.code(good) ?? { ...wanted, hash: inImage }
    const former = { ...revision, code: { wanted: code, inImage } }
    await this.#grow(group, former, size, this.#endSpares.signal).catch(() => undefined)
  }

  /** A replica loads code, and answers nobody meanwhile: another one answers, with the code before. */
  #startSpare(replica: Replica): void {
    const [group, revision] = [this.#serving, this.#loadedFor]
    if (!group?.replicas.includes(replica) || !revision) return
    const good = replica.code ?? this.#good ?? revision.code.inImage
    const former = this.#spares
    this.#spares = former.then(() => this.#startGood(group, revision, group.replicas.length + 1, good))
  }

  /** A replica will never answer again. */
  #endHung(replica: Replica): void {
    replica.isDead = true
    const group = this.#groups().find(({ replicas }) => replicas.includes(replica))
    if (!group || !replica.isReady) return
    replica.isReady = false
    takeOut(group.replicas, [replica])
    this.#gone(replica, true, 'did not answer any more when it was given new code')
    this.#track(replica, this.#host.discard(replica.started))
  }

  async #dropSpares(): Promise<void> {
    this.#endSpares.abort(new Error('no spare is needed any more'))
    this.#endSpares = new AbortController()
    await this.#spares
  }

  /** What the files of other codes held is needed no more. */
  #forgetCodes({ code }: Revision): void {
    const running = this.#groups().flatMap(({ replicas }) => replicas.map((replica) => replica.code))
    this.#shelf.keepOnly(new Set([...running, this.#good, code?.wanted.hash, code?.inImage]))
  }

  #groups(): Group[] {
    return [this.#serving, this.#coming, this.#relief].filter((group) => group !== undefined)
  }

  /** Drains and removes everything; resolves when nothing is left. */
  async remove(): Promise<void> {
    const groups = this.#groups()
    const all = groups.flatMap(({ replicas }) => replicas.splice(0))
    this.#serving = undefined
    this.#leave(all)
    await this.#dropSpares()
    this.#leave(groups.flatMap(({ replicas }) => replicas.splice(0)))
    await this.settled()
  }

  /** Resolves when all removals under way are done. */
  async settled(): Promise<void> {
    while (this.#leaving.size > 0) await Promise.allSettled([...this.#leaving])
  }

  /** Ids of all replicas that are not on their way out. */
  replicaIds(): readonly string[] {
    return this.#groups().flatMap(({ replicas }) => replicas.map(({ id }) => id))
  }

  /** A replica is known to be dead: it gets no more invocations. False when it is not one of ours. */
  takeOutOfRotation(id: string): boolean {
    const replica = this.#groups()
      .flatMap(({ replicas }) => replicas)
      .find((one) => one.id === id)
    if (replica) replica.isDead = true
    return replica !== undefined
  }

  /** A replica ended or vanished and nobody here asked for it. False when it is not one of ours. */
  died(id: string, reason: string): boolean {
    for (const group of this.#groups()) {
      const index = group.replicas.findIndex((replica) => replica.id === id)
      const replica = group.replicas[index]
      if (replica === undefined) continue
      replica.isDead = true
      // One that never answered is reported, and cleared away, by the deploy that waits for it.
      if (!replica.isReady) return true
      replica.isReady = false
      group.replicas.splice(index, 1)
      // One that was in nobody's path yet is the matter of the deploy that brings it: fewer must not take over.
      if (group !== this.#serving) group.giveUp?.(exited(this.ref, reason))
      else this.#gone(replica, false, reason)
      this.#track(replica, this.#host.discard(replica.started))
      return true
    }
    return false
  }

  /** Starts what is missing, all at once. On failure the ready ones stay; the caller decides about them. */
  async #grow(group: Group, revision: Revision, wanted: number, signal: AbortSignal): Promise<void> {
    const missing = wanted - group.replicas.length
    if (missing <= 0) return
    const first = new AbortController()
    const either = AbortSignal.any([signal, first.signal])
    let failure: unknown
    // The others would fail the same way, only later.
    const giveUp = (error: unknown): void => {
      failure ??= error
      first.abort(error)
    }
    group.giveUp = giveUp
    const starts = Array.from({ length: missing }, () =>
      this.#startOne(group, revision, either).catch(giveUp),
    )
    await Promise.all(starts)
    delete group.giveUp
    if (failure !== undefined) throw failure as Error
    signal.throwIfAborted()
  }

  /** `mustPutIn`: what its image has does not start, so it would never come to the code that it is to run. */
  async #startOne(group: Group, revision: Revision, signal: AbortSignal, mustPutIn = false): Promise<void> {
    const coded = hasCode(revision) && isNewerThanImage(revision) ? revision : undefined
    const isPutIn =
      coded && (mustPutIn || coded.code.wanted.way === 'files' || this.#filesOnly === revision.id)
    const overlay = isPutIn
      ? await this.#shelf.overlay(coded.code.wanted, coded.code.inImage, signal)
      : undefined
    const started = await this.#host.start(revision, signal, overlay)
    const replica = new Replica(started, revision.id)
    group.replicas.push(replica)
    try {
      await this.#host.ready(started, revision, signal)
      if (replica.isDead) throw await this.#host.exitError(started, revision)
      if (coded && !isPutIn && !(await this.#takesCode(replica, coded, signal))) {
        this.#filesOnly = revision.id
        this.#discard(group, replica)
        await this.#startOne(group, revision, signal)
        return
      }
    } catch (error) {
      this.#discard(group, replica)
      if (!coded || isPutIn || !isExit(error) || signal.aborted) throw error
      await this.#startOne(group, revision, signal, true)
      return
    }
    replica.isReady = true
    replica.readyAt = this.#options.clock.now()
    this.#options.onEvent({
      type: 'replica-ready',
      ref: this.ref,
      replica: replica.id,
      revision: revision.id,
    })
  }

  /** Gives its code to a replica that runs what is in its image. False where such a replica can only begin with it. */
  async #takesCode(replica: Replica, revision: CodedRevision, signal: AbortSignal): Promise<boolean> {
    const taken = await this.#loader.take(replica, revision, signal)
    if (taken.type === 'lost') throw codeDoesNotStart(await this.#host.exitError(replica.started, revision))
    return taken.type === 'runs'
  }

  /** Removes a replica that did not get ready, unless somebody has. */
  #discard(group: Group, replica: Replica): void {
    if (takeOut(group.replicas, [replica]).length > 0)
      this.#track(replica, this.#host.discard(replica.started))
  }

  #takeComing(revision: string): Group | undefined {
    const coming = this.#coming
    if (coming === undefined) return undefined
    this.#coming = undefined
    if (coming.revision === revision) return coming
    this.#leave(coming.replicas.splice(0))
    return undefined
  }

  /** Takes replicas out of rotation now, and stops each when its last invocation has ended. */
  #leave(replicas: Replica[]): void {
    for (const replica of replicas) {
      replica.isReady = false
      this.#track(replica, this.#drainAndStop(replica))
    }
  }

  async #drainAndStop(replica: Replica): Promise<void> {
    await replica.drained(this.#options.clock, this.#options.drainMs)
    await this.#host.stop(replica.started)
    this.#gone(replica, true, 'replaced, scaled down or removed')
  }

  #gone(replica: Replica, expected: boolean, reason: string): void {
    const { id, revision } = replica
    this.#options.onEvent({ type: 'replica-gone', ref: this.ref, replica: id, revision, expected, reason })
  }

  #track(replica: Replica, work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#options.onLeftover(replica.id, error))
      .finally(() => this.#leaving.delete(tracked))
    this.#leaving.add(tracked)
  }
}

function exited(ref: FunctionRef, reason: string): FaasError {
  return new FaasError('REPLICA_EXITED', {
    message: `${formatRef(ref)} answered, then ended before it could take over: ${reason}`,
    remedy: 'See its last lines, and `faasdock logs`; it must keep serving.',
  })
}

function isExit(error: unknown): boolean {
  return error instanceof FaasError && error.code === 'REPLICA_EXITED'
}

const NEVER = new AbortController().signal

function hasCode(revision: Revision): revision is CodedRevision {
  return revision.code !== undefined
}

function isNewerThanImage({ code }: CodedRevision): boolean {
  return code.wanted.hash !== code.inImage
}

/**
 * Takes `count` replicas out of the list: those without an ear or with other code, then those with the fewest in flight; one
 * that somebody debugs is the last.
 */
function leastWanted(replicas: Replica[], count: number, hash?: string): Replica[] {
  const isOld = ({ code }: Replica): number => Number(hash !== undefined && code !== hash)
  const order = replicas.toSorted(
    (a, b) =>
      Number(a.isDebugged) - Number(b.isDebugged) ||
      Number(b.isSilent) - Number(a.isSilent) ||
      isOld(b) - isOld(a) ||
      a.inFlight - b.inFlight,
  )
  return takeOut(replicas, order.slice(0, count))
}

/** Takes replicas out of a list; gives those that were in it. */
function takeOut(replicas: Replica[], some: readonly Replica[]): Replica[] {
  return some.filter((replica) => {
    const index = replicas.indexOf(replica)
    if (index >= 0) replicas.splice(index, 1)
    return index >= 0
  })
}
