import type { Clock } from '../core/clock.ts'
import type { FunctionRef } from '../core/function.ts'
import { formatRef } from '../core/function.ts'
import type { InvocationObserver, InvocationRequest, InvocationSink, Transport } from '../core/invocation.ts'
import type { Router } from './router.ts'

export interface InvokerParts {
  readonly router: Router
  readonly transport: Transport
  readonly observers: readonly InvocationObserver[]
  readonly clock: Clock
}

/** How many replicas are tried when one turns out to be gone before it saw the request. */
const MAX_TRIES = 3

/** One invocation, whether it came from HTTP or from the queue. */
export class Invoker {
  readonly #parts: InvokerParts

  constructor(parts: InvokerParts) {
    this.#parts = parts
  }

  /** Resolves when the caller has the whole answer, the function's or the platform's. Never rejects. */
  async invoke(
    ref: FunctionRef,
    request: InvocationRequest,
    sink: InvocationSink,
    signal: AbortSignal,
  ): Promise<void> {
    const { observers, clock } = this.#parts
    const name = formatRef(ref)
    const startedAt = clock.now()
    for (const observer of observers) observer.started(name)
    let status: number
    try {
      await this.#send(ref, request, sink, signal)
      status = sink.status
    } catch (error) {
      status = sink.onFailure(error)
    }
    const seconds = (clock.now() - startedAt) / 1000
    for (const observer of observers) observer.finished(name, status, seconds)
  }

  async #send(
    ref: FunctionRef,
    request: InvocationRequest,
    sink: InvocationSink,
    signal: AbortSignal,
  ): Promise<void> {
    const { router, transport } = this.#parts
    for (let tries = 1; ; tries++) {
      const lease = router.ready(ref) ?? (await router.route(ref, signal))
      try {
        await transport.send(lease, request, sink, signal)
        return
      } catch (error) {
        if (tries >= MAX_TRIES || sink.status !== 0 || !transport.wasNeverSent(error)) throw error
      } finally {
        lease[Symbol.dispose]()
      }
    }
  }
}
