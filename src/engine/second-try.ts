import type { InvocationRequest, ResponseSink } from '../core/invocation.ts'
import type { Lease } from '../core/provider.ts'

/** What a watchdog's own answer has at most, where its version does not sign it. */
const BARE = new Set(['date', 'content-length', 'x-duration-seconds'])

/**
 * Whether a call may be sent a second time if a watchdog answers it for a child that does not listen yet (contract 2.7):
 * only in a replica's first seconds, and only if nothing of the request is used up by then.
 */
export function mayTryTwice(lease: Lease, { body, upgrade, trailers }: InvocationRequest): boolean {
  return (
    lease.isNew === true &&
    (body === null || body instanceof Uint8Array) &&
    upgrade === undefined &&
    trailers === undefined
  )
}

/** Passes an answer on, unless it is a watchdog's that did not reach its child: that one is kept from the caller. */
export class FirstTry implements ResponseSink {
  readonly #sink: ResponseSink
  #isInVain = false

  constructor(sink: ResponseSink) {
    this.#sink = sink
  }

  /** The function has seen nothing of the call. */
  get isInVain(): boolean {
    return this.#isInVain
  }

  onInformation(status: number, statusText: string, headers: readonly string[]): void {
    this.#sink.onInformation?.(status, statusText, headers)
  }

  onHead(status: number, statusText: string, headers: readonly string[], resume: () => void): void {
    this.#isInVain = status === 500 && isWatchdogs(headers)
    if (!this.#isInVain) this.#sink.onHead(status, statusText, headers, resume)
  }

  onData(chunk: Uint8Array): boolean {
    return this.#isInVain || this.#sink.onData(chunk)
  }

  onEnd(trailers: readonly string[]): void {
    if (!this.#isInVain) this.#sink.onEnd(trailers)
  }
}

/**
 * of-watchdog signs its own answers from 0.11 on. Before, its 500 has the duration and is empty, and has none of the
 * headers that a child's server adds.
 */
function isWatchdogs(headers: readonly string[]): boolean {
  let [hasDuration, isBare, isEmpty] = [false, true, false]
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]?.toLowerCase() ?? ''
    if (name === 'x-openfaas-internal') return headers[i + 1] === 'of-watchdog'
    if (name === 'x-duration-seconds') hasDuration = true
    if (name === 'content-length') isEmpty = headers[i + 1] === '0'
    if (!BARE.has(name)) isBare = false
  }
  return hasDuration && isBare && isEmpty
}
