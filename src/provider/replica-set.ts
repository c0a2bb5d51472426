import type { Clock } from '../core/clock.ts'
import { FaasError } from '../core/errors.ts'
import type { FunctionRef, Revision } from '../core/function.ts'
import { formatRef } from '../core/function.ts'
import type { ActualFunction, Lease, ProviderEvent } from '../core/provider.ts'
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
  /** The replica that a debugger was connected to last. */
  #debugged: Replica | undefined
  /** Removals that go on behind the caller's back. */
  readonly #leaving = new Set<Promise<void>>()

  constructor(ref: FunctionRef, host: ReplicaHost, options: ReplicaSetOptions) {
    this.ref = ref
    this.#host = host
    this.#options = options
  }

  actual(): ActualFunction {
    const replicas = this.#serving?.replicas ?? []
    return {
      ref: this.ref,
      revision: replicas.length > 0 ? this.#serving?.revision : undefined,
      replicas: replicas.length,
      available: replicas.filter(({ isReady, isDead }) => isReady && !isDead).length,
    }
  }

  /** Every replica that exists, of any revision, including those that drain. */
  get isEmpty(): boolean {
    return !this.#serving?.replicas.length && !this.#coming && this.#leaving.size === 0
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
      if (replica.isReady && !replica.isDead && (best === undefined || replica.inFlight < best.inFlight))
        best = replica
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
    if (wanted === 0) {
      this.#leave([...(this.#serving?.replicas.splice(0) ?? []), ...(coming?.replicas.splice(0) ?? [])])
      this.#serving = { revision: revision.id, replicas: [] }
      return
    }
    if (this.#serving?.revision === revision.id) {
      const surplus = this.#serving.replicas.length - wanted
      if (surplus > 0) this.#leave(leastBusy(this.#serving.replicas, surplus))
      await this.#grow(this.#serving, revision, wanted, signal)
      return
    }
    const group: Group = coming ?? { revision: revision.id, replicas: [] }
    this.#coming = group
    try {
      const surplus = group.replicas.length - wanted
      if (surplus > 0) this.#leave(leastBusy(group.replicas, surplus))
      await this.#grow(group, revision, wanted, signal)
      const dead = group.replicas.find(({ isDead }) => isDead)
      if (dead) throw await this.#host.exitError(dead.started, revision)
    } catch (error) {
      this.#leave(group.replicas.splice(0))
      throw error
    } finally {
      this.#coming = undefined
    }
    const old = this.#serving
    this.#serving = group
    if (old) this.#leave(old.replicas.splice(0))
  }

  /** Drains and removes everything; resolves when nothing is left. */
  async remove(): Promise<void> {
    const all = [...(this.#serving?.replicas.splice(0) ?? []), ...(this.#coming?.replicas.splice(0) ?? [])]
    this.#serving = undefined
    this.#leave(all)
    await this.settled()
  }

  /** Resolves when all removals under way are done. */
  async settled(): Promise<void> {
    while (this.#leaving.size > 0) await Promise.allSettled([...this.#leaving])
  }

  /** Ids of all replicas that are not on their way out. */
  replicaIds(): readonly string[] {
    return [...(this.#serving?.replicas ?? []), ...(this.#coming?.replicas ?? [])].map(({ id }) => id)
  }

  /** A replica is known to be dead: it gets no more invocations. False when it is not one of ours. */
  takeOutOfRotation(id: string): boolean {
    const replica = [...(this.#serving?.replicas ?? []), ...(this.#coming?.replicas ?? [])].find(
      (one) => one.id === id,
    )
    if (replica) replica.isDead = true
    return replica !== undefined
  }

  /** A replica ended or vanished and nobody here asked for it. False when it is not one of ours. */
  died(id: string, reason: string): boolean {
    for (const group of [this.#serving, this.#coming]) {
      const index = group?.replicas.findIndex((replica) => replica.id === id) ?? -1
      const replica = group?.replicas[index]
      if (group === undefined || replica === undefined) continue
      replica.isDead = true
      // One that never answered is reported, and cleared away, by the deploy that waits for it.
      if (!replica.isReady) return true
      replica.isReady = false
      group.replicas.splice(index, 1)
      // One that was in nobody's path yet is the matter of the deploy that brings it: fewer must not take over.
      if (group === this.#coming) group.giveUp?.(exited(this.ref, reason))
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

  async #startOne(group: Group, revision: Revision, signal: AbortSignal): Promise<void> {
    const started = await this.#host.start(revision, signal)
    const replica = new Replica(started, revision.id)
    group.replicas.push(replica)
    try {
      await this.#host.ready(started, revision, signal)
      if (replica.isDead) throw await this.#host.exitError(started, revision)
    } catch (error) {
      const index = group.replicas.indexOf(replica)
      if (index >= 0) {
        group.replicas.splice(index, 1)
        this.#track(replica, this.#host.discard(started))
      }
      throw error
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

/** Takes the `count` replicas with the fewest invocations in flight out of the list. */
function leastBusy(replicas: Replica[], count: number): Replica[] {
  const chosen = replicas.toSorted((a, b) => a.inFlight - b.inFlight).slice(0, count)
  for (const replica of chosen) replicas.splice(replicas.indexOf(replica), 1)
  return chosen
}
