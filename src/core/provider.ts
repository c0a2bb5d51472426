import type { DebugConnection, DebugTarget } from './debug.ts'
import type { FunctionRef, Revision } from './function.ts'

/** Runs functions. What each comment promises, test/contract/provider.contract.ts tests. */
export interface Provider extends AsyncDisposable {
  info(): ProviderInfo
  /** An address of this host that functions reach directly; the gateway listens there. Undefined when there is none. */
  readonly hostAddress: string | undefined
  /**
   * Makes the gateway's names lead, inside every function and on port 8080, to where the gateway listens.
   * Called once, before the first deploy.
   */
  routeGateway(gateway: { readonly host: string; readonly port: number }): Promise<void>
  /** What is there, from memory: never waits, never asks the engine. Includes adopted leftovers of an earlier run. */
  list(): readonly ActualFunction[]
  actual(fn: FunctionRef): ActualFunction | undefined
  /** The image's id: the local image when there is one, else pulled. IMAGE_NOT_FOUND, IMAGE_WRONG_PLATFORM. */
  resolveImage(image: string, signal: AbortSignal): Promise<string>
  /**
   * Makes it so: `replicas` replicas of `revision`, and none of any other revision. Resolves once they answer.
   * A new revision starts beside the old one, takes over when all its replicas answer, and the old one is then
   * drained and removed behind the caller's back. Until then, and if it fails, the old revision keeps every
   * invocation and nothing of the new one stays. Idempotent. Calls for one function must not overlap.
   * With `revision.code`, replicas run that code. Those of the same revision that run other code take it in place
   * where its way is `swap`, calls in flight finish on what they began with, and those that cannot take it are
   * replaced, start-first. CODE_NOT_LOADED: the code does not load; what ran before goes on answering.
   */
  deploy(revision: Revision, replicas: number, signal: AbortSignal): Promise<void>
  /** Drains and removes every replica. Unknown functions are no error. */
  remove(fn: FunctionRef): Promise<void>
  /** The right to send one invocation to the replica with the fewest in flight. Never waits. Undefined when none is ready. */
  lease(fn: FunctionRef): Lease | undefined
  /**
   * Lines of all replicas of the function in the order of their times, those of the latest replicas that are gone
   * included, and the platform's own words about it. Ends by itself unless `follow`. However slowly it is read, no line is
   * lost and memory stays bounded.
   */
  logs(query: LogQuery, signal: AbortSignal): AsyncIterable<LogLine>
  /** Writes words of the platform into the function's log, as lines of the instance `faasdock` (pitfall 5). */
  note(fn: FunctionRef, words: string): void
  /** Tells what happens to replicas, whoever caused it. */
  watch(onEvent: (event: ProviderEvent) => void): Disposable
  /** A secret has a new value: resolves once every replica that has the secret has it. */
  secretChanged(namespace: string, name: string): Promise<void>
  /** What of a revision can be debugged; undefined for what has no debugger, and while its image is not there. */
  debugTarget(revision: Revision): Promise<DebugTarget | undefined>
  /**
   * Connects a debugger to a replica that is ready, in the process that runs. Until the connection is disposed, and a moment
   * longer, the function's calls go to that replica, and nothing here ends one because of the time it takes.
   * FUNCTION_NOT_READY, DEBUGGER_UNAVAILABLE.
   */
  debug(revision: Revision): Promise<DebugConnection>
  /** Measured use of all replicas of the function. */
  usage(fn: FunctionRef): Promise<Usage>
  /**
   * Removes everything that this instance made: replicas, network. Used when a run ends for good, or, with `keepsLines`,
   * when the next one will start the functions again and show what they wrote.
   */
  removeAll(options?: { readonly keepsLines: boolean }): Promise<void>
}

export interface ProviderInfo {
  /** `docker`, `memory`: what runs the functions. */
  readonly name: string
  /** Version of the engine. */
  readonly version: string
  /** Architecture that images must have, as Docker writes it: `amd64`, `arm64`. */
  readonly architecture: string
}

export interface ActualFunction {
  readonly ref: FunctionRef
  /** The revision that receives invocations; undefined when none does. */
  readonly revision: string | undefined
  /** Replicas of that revision that exist, ready or not. */
  readonly replicas: number
  /** Replicas that answer. */
  readonly available: number
}

/** Ends with `dispose`, once: the replica is then one invocation less busy. */
export interface Lease extends Disposable {
  /** Unique for the life of the replica, never reused: what connections are pooled by. */
  readonly replica: string
  /** `http://ADDRESS:PORT` */
  readonly origin: string
  readonly revision: string
  /** In the replica's first seconds, when what answers for a function may be up before the function (contract 2.7). */
  readonly isNew?: boolean
  /** Somebody may stand at a breakpoint there: nothing takes too long. May change while the lease lasts. */
  readonly isDebugged?: boolean
}

export type ProviderEvent =
  | {
      readonly type: 'replica-ready'
      readonly ref: FunctionRef
      readonly replica: string
      readonly revision: string
    }
  | {
      readonly type: 'replica-gone'
      readonly ref: FunctionRef
      readonly replica: string
      readonly revision: string
      /** False when nobody asked for it: it crashed, or somebody removed it. */
      readonly expected: boolean
      /** For people: `exited with code 1`, with its last log lines, when not expected. */
      readonly reason: string
    }
  /** The engine went away, or is back and may have changed while nobody looked. */
  | { readonly type: 'engine-lost'; readonly reason: string }
  | { readonly type: 'engine-back' }

export interface LogQuery {
  readonly ref: FunctionRef
  readonly instance?: string
  /** The last lines; absent or ≤ 0 means all. */
  readonly tail?: number
  readonly since?: Date
  readonly follow: boolean
}

export interface LogLine {
  readonly ref: FunctionRef
  readonly instance: string
  /** RFC 3339 with nanoseconds where the engine has them. */
  readonly timestamp: string
  /** Without a trailing newline. */
  readonly text: string
}

export interface Usage {
  /** Thousandths of a core. */
  readonly cpuMillis: number
  readonly memoryBytes: number
}
