import type { Readable } from 'node:stream'
import { Pool } from 'undici'
import type { Dispatcher } from 'undici'
import { FaasError } from '../core/errors.ts'
import type { InvocationRequest, ResponseSink, Transport } from '../core/invocation.ts'
import type { Lease } from '../core/provider.ts'

export interface TransportOptions {
  /** Until the first byte of an answer, milliseconds. A stream that has begun may last as long as it likes. */
  readonly answerTimeoutMs: number
}

/** The name of the setting, for the error that names it. */
const TIMEOUT_SETTING = 'upstream_timeout'

/** One undici pool per replica, streaming both ways. */
export class UndiciTransport implements Transport {
  readonly #options: TransportOptions
  readonly #pools = new Map<string, Pool>()
  /** Failures of requests that were on no connection yet. */
  readonly #neverSent = new WeakSet<object>()

  constructor(options: TransportOptions) {
    this.#options = options
  }

  send(lease: Lease, request: InvocationRequest, sink: ResponseSink, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const exchange = new Exchange(sink, signal, resolve, (error, wasSent) => {
        const failure = this.#explain(error, signal)
        if (!wasSent && failure instanceof FaasError) this.#neverSent.add(failure)
        reject(failure)
      })
      if (signal.aborted) {
        exchange.onError(signal.reason as Error)
        return
      }
      const options: Dispatcher.DispatchOptions = {
        path: request.path,
        method: request.method,
        headers: request.headers as string[],
        body: request.body as Readable | Uint8Array | null,
      }
      try {
        this.#pool(lease).dispatch(options, exchange as unknown as Dispatcher.DispatchHandler)
      } catch (error) {
        exchange.onError(error as Error)
      }
    })
  }

  wasNeverSent(error: unknown): boolean {
    if (!(error instanceof FaasError) || !this.#neverSent.has(error)) return false
    const cause = error.cause as { code?: string } | undefined
    return cause?.code !== undefined && NEVER_SENT.has(cause.code)
  }

  forget(replica: string): void {
    const pool = this.#pools.get(replica)
    this.#pools.delete(replica)
    // Requests in flight were given up by whoever removed the replica; nobody waits for them here.
    pool?.destroy().catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const pools = [...this.#pools.values()]
    this.#pools.clear()
    await Promise.allSettled(pools.map((pool) => pool.destroy()))
  }

  #pool(lease: Lease): Pool {
    let pool = this.#pools.get(lease.replica)
    if (!pool) {
      pool = new Pool(lease.origin, {
        connections: null,
        headersTimeout: this.#options.answerTimeoutMs,
        bodyTimeout: 0,
        connect: { timeout: 5000 },
        // A server that says how long it keeps connections is believed; one that does not is Node's default or longer.
        keepAliveTimeout: 4000,
        allowH2: false,
      })
      this.#pools.set(lease.replica, pool)
    }
    return pool
  }

  #explain(error: Error & { code?: string }, signal: AbortSignal): Error {
    if (signal.aborted) return signal.reason as Error
    if (error instanceof FaasError) return error
    if (error.code === 'UND_ERR_HEADERS_TIMEOUT') {
      const seconds = this.#options.answerTimeoutMs / 1000
      return new FaasError('INVOCATION_TIMEOUT', {
        message: `the function did not begin to answer within ${seconds} s (${TIMEOUT_SETTING})`,
        remedy: `Make it quicker, call it through /async-function/, or raise ${TIMEOUT_SETTING} of the gateway.`,
        cause: error,
      })
    }
    return new FaasError('FUNCTION_UNREACHABLE', {
      message: `the connection to the function failed: ${error.message}`,
      remedy: 'See `faasdock logs`: it may have crashed while it answered.',
      cause: error,
    })
  }
}

/** Errors after which another replica may be tried, if the request was on no connection yet when they came. */
const NEVER_SENT = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_DESTROYED',
])

/** undici's handler for one request, in the form that hands over headers as they came: no parsing, no closures per header. */
class Exchange {
  readonly #sink: ResponseSink
  readonly #signal: AbortSignal
  readonly #resolve: () => void
  readonly #reject: (error: Error, wasSent: boolean) => void
  #abort: ((error: Error) => void) | undefined
  readonly #onAbort = (): void => this.#abort?.(this.#signal.reason as Error)

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
    if (this.#signal.aborted) this.#onAbort()
    else this.#signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  onHeaders(status: number, rawHeaders: Buffer[], resume: () => void, statusText: string): boolean {
    if (status >= 200) this.#sink.onHead(status, statusText, latin1(rawHeaders), resume)
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
