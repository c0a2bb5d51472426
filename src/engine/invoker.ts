import { pause } from '../core/clock.ts'
import type { Clock } from '../core/clock.ts'
import { FaasError } from '../core/errors.ts'
import type { FunctionRef } from '../core/function.ts'
import { formatRef } from '../core/function.ts'
import type { Lease } from '../core/provider.ts'
import type {
  InvocationObserver,
  InvocationRequest,
  InvocationSink,
  Staleness,
  Transport,
} from '../core/invocation.ts'
import type { InvocationLog } from './invocation-log.ts'
import { notFound } from './reconciler.ts'
import type { Router } from './router.ts'
import { FirstTry, mayTryTwice } from './second-try.ts'

export interface InvokerParts {
  readonly router: Router
  readonly transport: Transport
  readonly observers: readonly InvocationObserver[]
  /** Keeps what was sent and answered; absent: nothing is kept. */
  readonly recorder?: Pick<InvocationLog, 'begin'>
  readonly clock: Clock
  /** How long a call waits for a replica that answers, milliseconds; what it takes then is counted by itself. */
  readonly waitTimeoutMs: number
}

/**
 * A replica that refuses connections has most likely just ended: so long others, or its successor, are waited for. A
 * busy engine takes seconds to tell of an end.
 */
const REFUSED_MS = 10_000
/** Until the same replica is tried again, milliseconds; the engine tells of an end within a moment. */
const REFUSED_PAUSE_MS = 50
/** What a watchdog's child gets to begin to listen, before a call that came too early is sent again. */
const SECOND_TRY_AFTER_MS = 500

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
    const { router, observers, recorder, clock } = this.#parts
    const name = formatRef(ref)
    const startedAt = clock.now()
    // Callers choose the names: what is no function is answered, and neither counted nor remembered.
    const lease = router.ready(ref)
    if (!lease && !router.knows(ref)) {
      sink.onFailure(notFound(ref))
      return
    }
    for (const observer of observers) observer.started(name)
    const recording = recorder?.begin(ref, name, request, sink, signal)
    const receiver = recording ?? sink
    let status: number
    try {
      await this.#send(ref, lease, recording?.request ?? request, receiver, signal)
      status = receiver.status
    } catch (error) {
      status = receiver.onFailure(error)
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
    const { router, transport, clock } = this.#parts
    let mayRepeat = true
    let refusedUntil: number | undefined
    let stale: Staleness | undefined
    for (let next = ready; ; next = router.ready(ref)) {
      const lease = next ?? (await this.#wait(ref, signal))
      const why = router.staleness(ref)
      if (why !== stale) sink.onStale?.((stale = why))
      const first = mayRepeat && mayTryTwice(lease, request) ? new FirstTry(sink) : undefined
      try {
        await transport.send(lease, request, first ?? sink, signal)
        if (first?.isInVain !== true) return
      } catch (error) {
        refusedUntil ??= clock.now() + REFUSED_MS
        if (clock.now() >= refusedUntil || sink.status !== 0 || !transport.wasNeverSent(error)) throw error
      } finally {
        lease[Symbol.dispose]()
      }
      if (first?.isInVain === true) {
        mayRepeat = false
        await pause(clock, SECOND_TRY_AFTER_MS, signal)
      } else await pause(clock, REFUSED_PAUSE_MS, signal)
    }
  }

  /** A replica for a function that has none ready. INVOCATION_TIMEOUT after the limit, and what the router says. */
  async #wait(ref: FunctionRef, signal: AbortSignal): Promise<Lease> {
    const { router, clock, waitTimeoutMs } = this.#parts
    const either = new AbortController()
    const onAbort = (): void => either.abort(signal.reason)
    const limit = clock.after(waitTimeoutMs, () => either.abort(waitTimeout(ref, waitTimeoutMs)))
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    try {
      return await router.route(ref, either.signal)
    } finally {
      limit[Symbol.dispose]()
      signal.removeEventListener('abort', onAbort)
    }
  }
}

function waitTimeout(ref: FunctionRef, limitMs: number): FaasError {
  return new FaasError('INVOCATION_TIMEOUT', {
    message: `${formatRef(ref)} had no replica that answers within ${limitMs / 1000} s (upstream_timeout)`,
    remedy:
      'See `faasdock describe` and `faasdock logs` for what it waits for, or raise upstream_timeout of the gateway.',
  })
}
