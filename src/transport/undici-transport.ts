import type { Readable } from 'node:stream'
import { Pool } from 'undici'
import type { Dispatcher } from 'undici'
import { FaasError } from '../core/errors.ts'
import type { InvocationRequest, ResponseSink, Transport } from '../core/invocation.ts'
import type { Lease } from '../core/provider.ts'
import { answerTimeout, mayTryAnother, unreachable } from './failures.ts'
import { CountingClient } from './counting-client.ts'
import { MAX_HEADER_BYTES, NodeExchange } from './node-exchange.ts'

export interface TransportOptions {
  /**
   * From the moment a replica has the whole request until the first byte of its answer, milliseconds. A body may be sent
   * as slowly as its caller likes, and an answer that has begun, a tunnel too, may last as long as both ends are there.
   */
  readonly answerTimeoutMs: number
}

/**
 * Streaming both ways. One undici pool per replica carries what calls usually are; what undici does not do (upgrades,
 * a head ahead of its body, 100 Continue, trailers of a request) goes over a connection of node:http of its own.
 */
export class UndiciTransport implements Transport {
  readonly #options: TransportOptions
  readonly #pools = new Map<string, Pool>()
  readonly #unusual = new Map<NodeExchange, string>()
  /** Failures of requests that were on no connection yet. */
  readonly #neverSent = new WeakSet<object>()

  constructor(options: TransportOptions) {
    this.#options = options
  }

  send(lease: Lease, request: InvocationRequest, sink: ResponseSink, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (error: Error, wasSent: boolean): void => {
        const failure = this.#explain(error, signal)
        if (!wasSent && failure instanceof FaasError) this.#neverSent.add(failure)
        reject(failure)
      }
      if (signal.aborted) fail(signal.reason as Error, false)
      else if (isUnusual(request)) this.#sendUnusual(lease, request, sink, signal, resolve, fail)
      else this.#dispatch(lease, request, sink, signal, resolve, fail)
    })
  }

  wasNeverSent(error: unknown): boolean {
    return error instanceof FaasError && this.#neverSent.has(error) && mayTryAnother(error)
  }

  forget(replica: string): void {
    const pool = this.#pools.get(replica)
    this.#pools.delete(replica)
    // Requests in flight were given up by whoever removed the replica; nobody waits for them here.
    pool?.destroy().catch(() => undefined)
    for (const [exchange, its] of this.#unusual) if (its === replica) exchange.destroy(gone())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const pools = [...this.#pools.values()]
    this.#pools.clear()
    for (const exchange of this.#unusual.keys()) exchange.destroy(gone())
    await Promise.allSettled(pools.map((pool) => pool.destroy()))
  }

  #dispatch(
    lease: Lease,
    request: InvocationRequest,
    sink: ResponseSink,
    signal: AbortSignal,
    resolve: () => void,
    fail: (error: Error, wasSent: boolean) => void,
    tries = 1,
  ): void {
    const exchange = new Exchange(sink, signal, resolve, (error, wasSent) => {
      if (tries < MAX_TRIES && exchange.cameTooLate(error) && isReplayable(request))
        this.#dispatch(lease, request, sink, signal, resolve, fail, tries + 1)
      else fail(error, wasSent)
    })
    const options: Dispatcher.DispatchOptions = {
      path: request.path,
      method: request.method,
      headers: request.headers as string[],
      body: request.body as Readable | Uint8Array | null,
      ...(lease.isDebugged === true && { headersTimeout: 0 }),
    }
    try {
      this.#pool(lease).dispatch(options, exchange as unknown as Dispatcher.DispatchHandler)
    } catch (error) {
      exchange.onError(error as Error)
    }
  }

  #sendUnusual(
    lease: Lease,
    request: InvocationRequest,
    sink: ResponseSink,
    signal: AbortSignal,
    resolve: () => void,
    fail: (error: Error, wasSent: boolean) => void,
  ): void {
    const { answerTimeoutMs } = this.#options
    const exchange = new NodeExchange(lease, request, sink, answerTimeoutMs, (error, wasSent) => {
      this.#unusual.delete(exchange)
      signal.removeEventListener('abort', onAbort)
      if (error) fail(error, wasSent)
      else resolve()
    })
    const onAbort = (): void => exchange.destroy(signal.reason as Error)
    this.#unusual.set(exchange, lease.replica)
    signal.addEventListener('abort', onAbort, { once: true })
    exchange.start()
  }

  #pool(lease: Lease): Pool {
    let pool = this.#pools.get(lease.replica)
    if (!pool) {
      pool = new Pool(lease.origin, {
        connections: null,
        factory: (origin, options) => new CountingClient(origin, options),
        headersTimeout: this.#options.answerTimeoutMs,
        bodyTimeout: 0,
        maxHeaderSize: MAX_HEADER_BYTES,
        connect: { timeout: 5000 },
        // A server that says how long it keeps connections is believed; one that does not is Node's default or longer.
        keepAliveTimeout: 4000,
        // The other version of HTTP is nothing that functions speak, and undici would do its 1xx and upgrades differently.
        allowH2: false,
      })
      this.#pools.set(lease.replica, pool)
    }
    return pool
  }

  #explain(error: Error & { code?: string }, signal: AbortSignal): Error {
    if (signal.aborted) return signal.reason as Error
    if (error instanceof FaasError) return error
    if (error.code === 'UND_ERR_HEADERS_TIMEOUT') return answerTimeout(this.#options.answerTimeoutMs, error)
    return unreachable(error)
  }
}

/** A connection that its server has just let go of may be followed by another such. */
const MAX_TRIES = 3
/** A connection ended in good order: whoever had it may have read the call. */
const ENDED = 'UND_ERR_SOCKET'
/** A connection was reset: whoever had it left the call unread, as the socket of a process that ends does. */
const RESET = new Set(['ECONNRESET', 'EPIPE'])

/** What Go's client, and so OpenFaaS, sends again by itself: nothing of it is used up, and it asks for no change. */
function isReplayable({ method, body }: InvocationRequest): boolean {
  return body === null && (method === 'GET' || method === 'HEAD' || method === 'OPTIONS')
}

/** What undici has no way to do, or only after the body has begun. */
function isUnusual({ upgrade, expectsContinue, trailers, isBodyLate }: InvocationRequest): boolean {
  return upgrade !== undefined || expectsContinue === true || trailers !== undefined || isBodyLate === true
}

function gone(): Error {
  return Object.assign(new Error('the replica is gone'), { code: 'UND_ERR_DESTROYED' })
}

/** undici's handler for one request, in the form that hands over headers as they came: no parsing, no closures per header. */
class Exchange {
  readonly #sink: ResponseSink
  readonly #signal: AbortSignal
  readonly #resolve: () => void
  readonly #reject: (error: Error, wasSent: boolean) => void
  #abort: ((error: Error) => void) | undefined
  readonly #onAbort = (): void => this.#abort?.(this.#signal.reason as Error)
  /** The connection that it goes over; set by that. */
  client: CountingClient | undefined
  #isReused = false
  #hasBegun = false

  constructor(
    sink: ResponseSink,
    signal: AbortSignal,
    resolve: () => void,
    reject: (error: Error, wasSent: boolean) => void,
  ) {
    this.#sink = sink
    this.#signal = signal
    this.#resolve = resolve
    this.#reject = reject
  }

  onConnect(abort: (error: Error) => void): void {
    this.#abort = abort
    this.#isReused = this.client?.take() ?? false
    if (this.#signal.aborted) this.#onAbort()
    else this.#signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  onResponseStarted(): void {
    this.#hasBegun = true
  }

  /**
   * Whether its connection ended without a word, and most likely before anybody read the call. One that had served a call
   * before may be closed by its server whenever that likes (RFC 9112, 9.3.1). A new one is made by the kernel, and reset
   * by it where the process that listened ends before it has looked.
   */
  cameTooLate({ code = '' }: Error & { code?: string }): boolean {
    if (this.#hasBegun || this.#signal.aborted) return false
    return RESET.has(code) || (this.#isReused && code === ENDED)
  }

  onHeaders(status: number, rawHeaders: Buffer[], resume: () => void, statusText: string): boolean {
    const headers = latin1(rawHeaders)
    if (status >= 200) this.#sink.onHead(status, statusText, headers, resume)
    else this.#sink.onInformation?.(status, statusText, headers)
    return true
  }

  onData(chunk: Buffer): boolean {
    return this.#sink.onData(chunk)
  }

  onComplete(rawTrailers: Buffer[] | null): void {
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#sink.onEnd(rawTrailers === null ? [] : latin1(rawTrailers))
    this.#resolve()
  }

  onError(error: Error): void {
    this.#signal.removeEventListener('abort', this.#onAbort)
    // undici connects a request at the moment it writes it.
    this.#reject(error, this.#abort !== undefined)
  }
}

function latin1(raw: Buffer[]): string[] {
  const text = new Array<string>(raw.length)
  for (let i = 0; i < raw.length; i++) text[i] = (raw[i] as Buffer).toString('latin1')
  return text
}
