import type { Clock } from '../core/clock.ts'
import type { FaasError } from '../core/errors.ts'
import type { FunctionRef, Revision } from '../core/function.ts'
import type { Lease } from '../core/provider.ts'
import type { CodeChange, CodeOverlay, LoadOutcome } from './code-change.ts'

/** A replica as its host knows it. */
export interface StartedReplica {
  readonly id: string
  readonly origin: string
  /** Whose it is. */
  readonly ref: FunctionRef
  /** Absent for one that was started without code of a revision. */
  readonly began?: Beginning
}

/** What is known of a replica's code from its start. */
export interface Beginning {
  /** Whether new code can be given to it while it runs. */
  readonly swaps: boolean
  /** Hash of the code it began with; absent for one that may have been given other code since, by an earlier run. */
  readonly hash?: string
}

/** What a replica set asks of the thing that runs replicas: containers, or servers in this process. */
export interface ReplicaHost {
  /** Resolves once it runs, not when it answers. `overlay` is put in before its process starts. On failure or abort nothing of it stays. */
  start(revision: Revision, signal: AbortSignal, overlay?: CodeOverlay): Promise<StartedReplica>
  /** Resolves once it really answers. Rejects with REPLICA_EXITED or REPLICA_NOT_READY, last log lines in the message. */
  ready(replica: StartedReplica, revision: Revision, signal: AbortSignal): Promise<void>
  /** Hash of the code that a replica runs; empty when it does not know itself, undefined when nobody answers who knows us. */
  codeOf(replica: StartedReplica, revision: Revision): Promise<string | undefined>
  /**
   * Gives new code to a replica that runs. Never rejects, and resolves within a limit that is a little longer than the one
   * of runtimes, as long as nobody holds the replica.
   */
  load(replica: StartedReplica, change: CodeChange, watch: LoadWatch): Promise<LoadOutcome>
  /** Why a replica that ended, ended. */
  exitError(replica: StartedReplica, revision: Revision): Promise<FaasError>
  /** Stops it in good order and removes it. One that is gone is no error. */
  stop(replica: StartedReplica): Promise<void>
  /** Removes it at once, without ceremony. One that is gone is no error. */
  discard(replica: StartedReplica): Promise<void>
}

/** Who looks on while a replica loads code. */
export interface LoadWatch {
  /** The replica says nothing to anybody meanwhile. */
  readonly onSilent: () => void
  /** Whether somebody stands at a breakpoint there: then nothing takes too long. */
  readonly isHeld: () => boolean
}

/** How long a replica counts as new once it is ready, milliseconds. */
const NEW_FOR_MS = 5000

/** One replica in a set: how busy it is, and whether it may be given more. */
export class Replica {
  readonly started: StartedReplica
  readonly revision: string
  isReady = false
  /** When it got ready; one that an earlier run started has been ready for long. */
  readyAt = -Infinity
  /** It ended by itself; whoever waits for it should stop waiting. */
  isDead = false
  /** It is loading code and has no ear for calls. */
  isSilent = false
  /** Hash of the code it runs, see ReplicaHost.codeOf; undefined while nobody knows. */
  code: string | undefined
  /** New code is on its way in, whoever still waits for it. Never rejects. */
  loading: Promise<unknown> | undefined
  #debuggers = 0
  #inFlight = 0
  #onIdle: (() => void) | undefined

  constructor(started: StartedReplica, revision: string) {
    this.started = started
    this.revision = revision
    this.code = started.began?.hash
  }

  get id(): string {
    return this.started.id
  }

  /** It may be given calls. */
  get isAvailable(): boolean {
    return this.isReady && !this.isDead && !this.isSilent
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** Whether a debugger is connected to it. */
  get isDebugged(): boolean {
    return this.#debuggers > 0
  }

  /** Counts a debugger in; disposing what it gives, out again. */
  debug(): Disposable {
    this.#debuggers++
    let isOver = false
    return {
      [Symbol.dispose]: () => {
        if (!isOver) this.#debuggers--
        isOver = true
      },
    }
  }

  lease(now: number): Lease {
    this.#inFlight++
    return new ReplicaLease(this, now - this.readyAt < NEW_FOR_MS, () => {
      this.#inFlight--
      if (this.#inFlight === 0) this.#onIdle?.()
    })
  }

  /** Resolves when nothing is in flight, or after `limitMs` in which nobody debugged it. */
  drained(clock: Clock, limitMs: number): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const over = (): void => {
        if (this.isDebugged) limit = clock.after(limitMs, over)
        else resolve()
      }
      let limit = clock.after(limitMs, over)
      this.#onIdle = () => {
        limit[Symbol.dispose]()
        resolve()
      }
    })
  }
}

class ReplicaLease implements Lease {
  readonly replica: string
  readonly origin: string
  readonly revision: string
  readonly isNew: boolean
  readonly #replica: Replica
  #end: (() => void) | undefined

  constructor(replica: Replica, isNew: boolean, end: () => void) {
    this.isNew = isNew
    this.replica = replica.id
    this.origin = replica.started.origin
    this.revision = replica.revision
    this.#replica = replica
    this.#end = end
  }

  get isDebugged(): boolean {
    return this.#replica.isDebugged
  }

  [Symbol.dispose](): void {
    this.#end?.()
    this.#end = undefined
  }
}
