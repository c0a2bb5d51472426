import type { Clock } from '../core/clock.ts'
import type { FunctionRef } from '../core/function.ts'
import { formatRef } from '../core/function.ts'
import type { Lease } from '../core/provider.ts'
import type { InvocationObserver, InvocationRequest, InvocationSink, Transport } from '../core/invocation.ts'
import { notFound } from './reconciler.ts'
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
    const { router, observers, clock } = this.#parts
    const name = formatRef(ref)
    const startedAt = clock.now()
    // Callers choose the names: what is no function is answered, and neither counted nor remembered.
    const lease = router.ready(ref)
    if (!lease && !router.knows(ref)) {
      sink.onFailure(notFound(ref))
      return
    }
    for (const observer of observers) observer.started(name)
    let status: number
    try {
      await this.#send(ref, lease, request, sink, signal)
      status = sink.status
    } catch (error) {
      status = sink.onFailure(error)
    }
    const seconds = (clock.now() - startedAt) / 1000
    for (const observer of observers) observer.finished(name, status, seconds)
  }

  async #send(
    ref: FunctionRef,
    ready: Lease | undefined,
    request: InvocationRequest,
    sink: InvocationSink,
    signal: AbortSignal,
  ): Promise<void> {
    const { router, transport } = this.#parts
    for (let tries = 1, next = ready; ; tries++, next = router.ready(ref)) {
      const lease = next ?? (await router.route(ref, signal))
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
