import { FaasError } from '../core/errors.ts'
import type { InvocationRequest, InvocationSink, Staleness } from '../core/invocation.ts'
import type { BodyStart } from './body-start.ts'
import type { InvocationNote } from './invocation-note.ts'

/** What a recording asks of who keeps it. */
export interface Keeper {
  /** How many bytes more may be kept now. */
  room(): number
  /** So many more are. */
  kept(bytes: number): void
  ended(note: InvocationNote): void
  now(): number
}

const NONE: readonly string[] = []

/** One invocation, noted as it goes by: stands between the invoker and the one who waits for the answer. */
export class Recording implements InvocationSink {
  /** What is to be sent instead: its body is looked at as it is read. */
  readonly request: InvocationRequest
  readonly #note: InvocationNote
  readonly #sink: InvocationSink
  readonly #signal: AbortSignal
  readonly #keeper: Keeper

  constructor(
    note: InvocationNote,
    keeper: Keeper,
    request: InvocationRequest,
    sink: InvocationSink,
    signal: AbortSignal,
  ) {
    this.#note = note
    this.#keeper = keeper
    this.#sink = sink
    this.#signal = signal
    const { body } = request
    if (body instanceof Uint8Array) this.#keep(note.requestBody, body)
    this.request =
      body === null || body instanceof Uint8Array ? request : { ...request, body: this.#watched(body) }
  }

  get status(): number {
    return this.#sink.status
  }

  onStale(why: Staleness | undefined): void {
    this.#note.stale = why
    this.#sink.onStale?.(why)
  }

  onInformation(status: number, statusText: string, headers: readonly string[]): void {
    this.#sink.onInformation?.(status, statusText, headers)
  }

  onHead(status: number, statusText: string, headers: readonly string[], resume: () => void): void {
    this.#note.status = status
    this.#note.headers = headers
    this.#sink.onHead(status, statusText, headers, resume)
  }

  onData(chunk: Uint8Array): boolean {
    this.#keep(this.#note.responseBody, chunk)
    return this.#sink.onData(chunk)
  }

  onEnd(trailers: readonly string[]): void {
    this.#note.trailers = trailers
    this.#note.responseBody.isWhole = true
    // Before the caller has it: who asks for the record then finds it.
    this.#end('ended')
    this.#sink.onEnd(trailers)
  }

  onFailure(error: unknown): number {
    const note = this.#note
    const isGone = this.#signal.aborted && !(error instanceof FaasError)
    const hasBegun = note.headers !== undefined
    const status = this.#sink.onFailure(error)
    if (note.state !== 'running') return status
    note.problem = error instanceof Error ? error.message : String(error)
    note.status = status
    this.#end(isGone || hasBegun ? 'broken' : 'ended')
    return status
  }

  #end(state: 'ended' | 'broken'): void {
    if (this.#note.state !== 'running') return
    this.#note.end(state, this.#keeper.now(), this.request.trailers?.() ?? NONE)
    this.#keeper.ended(this.#note)
  }

  #keep(body: BodyStart, piece: Uint8Array): void {
    // Of a request that is still sent when its answer is over, nobody takes account any more.
    const kept = body.add(piece, this.#note.state === 'running' ? this.#keeper.room() : 0)
    if (kept > 0) this.#keeper.kept(kept)
  }

  async *#watched(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of body) {
      this.#keep(this.#note.requestBody, piece)
      yield piece
    }
    this.#note.requestBody.isWhole = true
  }
}
