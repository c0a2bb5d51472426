import type { Lease } from './provider.ts'

/** One call of a function, as it goes to a replica. */
export interface InvocationRequest {
  readonly method: string
  /** Raw path and query as the function sees them, still encoded: `/a%2Fb?x=1`. */
  readonly path: string
  /** Name, value, name, value … as on the wire, without hop-by-hop headers. */
  readonly headers: readonly string[]
  /** Streams are read once, with back-pressure, and only after a replica was found. */
  readonly body: AsyncIterable<Uint8Array> | Uint8Array | null
  /** Nothing of the body has come yet: the head has to go out ahead of it. */
  readonly isBodyLate?: boolean
  /** The caller sends its body only when told to go on: by an information 100, which somebody has to give. */
  readonly expectsContinue?: boolean
  /** What follows the body, as on the wire; known when the body has been read. */
  readonly trailers?: () => readonly string[]
  /**
   * The protocol that the caller would go on with: `websocket`. If the replica agrees (a head of status 101), `body` and
   * `onData` are that protocol's bytes in both directions, each until its sender has no more.
   */
  readonly upgrade?: string
  /** Made by the queue worker: nobody waits for the answer. */
  readonly isQueued?: boolean
}

/** Receives an answer piece by piece. */
export interface ResponseSink {
  /** An answer before the answer: 100 Continue, 102, 103 Early Hints … A sink that cannot pass them on leaves it out. */
  onInformation?(status: number, statusText: string, headers: readonly string[]): void
  /** Headers as on the wire: name, value, name, value … `resume` undoes a false from `onData`. */
  onHead(status: number, statusText: string, headers: readonly string[], resume: () => void): void
  /** False asks for a pause. */
  onData(chunk: Uint8Array): boolean
  /** Trailers as on the wire. */
  onEnd(trailers: readonly string[]): void
}

/** Carries invocations to replicas. */
export interface Transport extends AsyncDisposable {
  /**
   * Resolves when the answer has ended. Rejects with FUNCTION_UNREACHABLE, INVOCATION_TIMEOUT, or the signal's reason.
   */
  send(lease: Lease, request: InvocationRequest, sink: ResponseSink, signal: AbortSignal): Promise<void>
  /** True when the replica that `error` came from cannot have seen the request: another one may be tried. */
  wasNeverSent(error: unknown): boolean
  /** Closes the connections to a replica that is gone. */
  forget(replica: string): void
}

/** Why an answer is of older code than what was saved: the new one is on its way, or it is bad. */
export type Staleness = 'building' | 'failing'

/** Where an invocation's outcome goes: the function's answer, or the platform's own. */
export interface InvocationSink extends ResponseSink {
  /** Status of the answer so far; 0 before its head. */
  readonly status: number
  /** Told before the head, when the answer will be of older code than what was saved; undefined takes it back. */
  onStale?(why: Staleness | undefined): void
  /** Answers for the platform, as far as it still can, and gives the status that the caller saw. */
  onFailure(error: unknown): number
}

/** Told about every invocation; must be quick. */
export interface InvocationObserver {
  started(functionName: string): void
  finished(functionName: string, status: number, seconds: number): void
}
