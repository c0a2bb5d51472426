import { FaasError } from '../core/errors.ts'
import type { FunctionRef } from '../core/function.ts'
import type { InvocationRequest, InvocationSink, Staleness } from '../core/invocation.ts'
import type { InvocationRecord, MessageHead } from '../core/invocation-record.ts'

/** Names the invocation that this one repeats; functions see it. */
const REPLAY_HEADER = 'x-faasdock-replay-of'

/** What a recording asks of who keeps it. */
export interface Keeper {
  /** How many bytes more may be kept now. */
  room(): number
  /** So many more are. */
  kept(bytes: number): void
  ended(recording: Recording): void
  now(): number
}

const NOTHING = new Uint8Array()
/** So many pieces are made one: an event stream writes a few bytes at a time. */
const MOST_PIECES = 64

/** The beginning of a body, as it goes by. Nothing is copied but many small pieces. */
class BodyStart {
  bytes = 0
  kept = 0
  /** It has come to its end. */
  isWhole = false
  readonly #limit: number
  #pieces: Uint8Array[] = []

  constructor(limit: number) {
    this.#limit = limit
  }

  /** How many of its bytes are kept. */
  add(piece: Uint8Array, room: number): number {
    // What is left out is left out from there on.
    const open = this.kept === this.bytes ? Math.min(this.#limit - this.kept, room) : 0
    this.bytes += piece.length
    if (open <= 0) return 0
    const start = piece.length > open ? piece.subarray(0, open) : piece
    this.#pieces.push(start)
    if (this.#pieces.length > MOST_PIECES) this.#pieces = [Buffer.concat(this.#pieces)]
    this.kept += start.length
    return start.length
  }

  get start(): Uint8Array {
    if (this.#pieces.length > 1) this.#pieces = [Buffer.concat(this.#pieces)]
    return this.#pieces[0] ?? NOTHING
  }

  head(headers: readonly string[], trailers: readonly string[]): MessageHead {
    return {
      headers,
      ...(trailers.length > 0 && { trailers }),
      bodyBytes: this.bytes,
      ...((this.kept < this.bytes || !this.isWhole) && { isCut: true }),
    }
  }
}

/** One invocation, noted as it goes by: stands between the invoker and the one who waits for the answer. */
export class Recording implements InvocationSink {
  readonly seq: number
  readonly ref: FunctionRef
  /** `name.namespace` */
  readonly name: string
  /** What is to be sent instead: its body is looked at as it is read. */
  readonly request: InvocationRequest
  readonly #sink: InvocationSink
  readonly #signal: AbortSignal
  readonly #keeper: Keeper
  readonly #startedAt: number
  readonly #requestBody: BodyStart
  readonly #responseBody: BodyStart
  #headers: readonly string[] | undefined
  #trailers: readonly string[] = []
  #requestTrailers: readonly string[] = []
  #status = 0
  #problem: string | undefined
  #stale: Staleness | undefined
  #state: InvocationRecord['state'] = 'running'
  #endedAt = 0

  constructor(
    begun: { seq: number; ref: FunctionRef; name: string; maxBodyBytes: number; keeper: Keeper },
    request: InvocationRequest,
    sink: InvocationSink,
    signal: AbortSignal,
  ) {
    this.seq = begun.seq
    this.ref = begun.ref
    this.name = begun.name
    this.#keeper = begun.keeper
    this.#sink = sink
    this.#signal = signal
    this.#startedAt = begun.keeper.now()
    // What another protocol says is not ours to keep.
    const limit = request.upgrade === undefined ? begun.maxBodyBytes : 0
    this.#requestBody = new BodyStart(limit)
    this.#responseBody = new BodyStart(limit)
    const { body } = request
    if (body instanceof Uint8Array) this.#keep(this.#requestBody, body)
    this.#requestBody.isWhole = body === null || body instanceof Uint8Array
    this.request =
      body === null || body instanceof Uint8Array ? request : { ...request, body: this.#watched(body) }
  }

  get status(): number {
    return this.#sink.status
  }

  /** Bytes of bodies that are held in memory. */
  get held(): number {
    return this.#requestBody.kept + this.#responseBody.kept
  }

  onStale(why: Staleness | undefined): void {
    this.#stale = why
    this.#sink.onStale?.(why)
  }

  onInformation(status: number, statusText: string, headers: readonly string[]): void {
    this.#sink.onInformation?.(status, statusText, headers)
  }

  onHead(status: number, statusText: string, headers: readonly string[], resume: () => void): void {
    this.#status = status
    this.#headers = headers
    this.#sink.onHead(status, statusText, headers, resume)
  }

  onData(chunk: Uint8Array): boolean {
    this.#keep(this.#responseBody, chunk)
    return this.#sink.onData(chunk)
  }

  onEnd(trailers: readonly string[]): void {
    this.#trailers = trailers
    this.#responseBody.isWhole = true
    // Before the caller has it: who asks for the record then finds it.
    this.#end('ended')
    this.#sink.onEnd(trailers)
  }

  onFailure(error: unknown): number {
    const isGone = this.#signal.aborted && !(error instanceof FaasError)
    const hasBegun = this.#headers !== undefined
    const status = this.#sink.onFailure(error)
    if (this.#state !== 'running') return status
    this.#problem = error instanceof Error ? error.message : String(error)
    this.#status = status
    this.#end(isGone || hasBegun ? 'broken' : 'ended')
    return status
  }

  /** It will not end by itself. */
  breakOff(problem: string): void {
    this.#problem = problem
    this.#end('broken')
  }

  /** As it is by now. */
  record(): InvocationRecord {
    const { request } = this
    const replayOf = valueOf(request.headers, REPLAY_HEADER)
    return {
      seq: this.seq,
      callId: valueOf(request.headers, 'x-call-id') ?? '',
      ref: this.ref,
      startedAt: this.#startedAt,
      ...(this.#state !== 'running' && { ms: this.#endedAt - this.#startedAt }),
      state: this.#state,
      method: request.method,
      path: request.path,
      ...(request.isQueued && { isQueued: true }),
      ...(request.upgrade !== undefined && { upgrade: request.upgrade }),
      ...(replayOf !== undefined && { replayOf }),
      ...(this.#stale !== undefined && { stale: this.#stale }),
      ...(this.#problem !== undefined && { problem: this.#problem.split('\n')[0] ?? '' }),
      request: this.#requestBody.head(request.headers, this.#requestTrailers),
      ...(this.#headers && { response: this.#responseBody.head(this.#headers, this.#trailers) }),
      status: this.#status,
      redacted: [],
      requestBody: this.#requestBody.start,
      responseBody: this.#responseBody.start,
    }
  }

  #end(state: 'ended' | 'broken'): void {
    if (this.#state !== 'running') return
    this.#state = state
    this.#endedAt = this.#keeper.now()
    this.#requestTrailers = this.request.trailers?.() ?? []
    this.#keeper.ended(this)
  }

  #keep(body: BodyStart, piece: Uint8Array): void {
    // Of a request that is still sent when its answer is over, nobody takes account any more.
    const kept = body.add(piece, this.#state === 'running' ? this.#keeper.room() : 0)
    if (kept > 0) this.#keeper.kept(kept)
  }

  async *#watched(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of body) {
      this.#keep(this.#requestBody, piece)
      yield piece
    }
    this.#requestBody.isWhole = true
  }
}

/** The last of that name: the gateway's own stands behind what a caller wrote. */
function valueOf(headers: readonly string[], name: string): string | undefined {
  for (let i = headers.length - 2; i >= 0; i -= 2)
    if (headers[i]?.toLowerCase() === name) return headers[i + 1]
  return undefined
}
