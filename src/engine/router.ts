import type { FunctionRef } from '../core/function.ts'
import type { Staleness } from '../core/invocation.ts'
import type { Lease, Provider } from '../core/provider.ts'
import type { Registry } from '../core/registry.ts'
import type { Functions } from './functions.ts'
import type { HoldGate } from './hold-gate.ts'
import { notFound, notReady } from './reconciler.ts'
import type { Problems } from './problems.ts'
import type { Reconciler } from './reconciler.ts'
import { minReplicas } from './scale-labels.ts'

export interface RouterParts {
  readonly registry: Registry
  readonly provider: Provider
  readonly reconciler: Reconciler
  readonly functions: Functions
  readonly problems: Problems
  readonly gate: HoldGate
}

/** Function → a lease on one ready replica, waking the function if it sleeps. */
export class Router {
  readonly #parts: RouterParts

  constructor(parts: RouterParts) {
    this.#parts = parts
  }

  /** Whether it is deployed, or would be if it built. */
  knows(ref: FunctionRef): boolean {
    const { registry, problems } = this.#parts
    return registry.functions.get(ref) !== undefined || problems.get(ref) !== undefined
  }

  /** At once when a replica is ready, and its code is not about to be replaced: the whole of the hot path. */
  ready(ref: FunctionRef): Lease | undefined {
    const { provider, gate } = this.#parts
    return gate.of(ref) === 'held' ? undefined : provider.lease(ref)
  }

  /** Whether a lease of this moment is one on older code than what was saved. */
  staleness(ref: FunctionRef): Staleness | undefined {
    const standing = this.#parts.gate.of(ref)
    return standing === 'held' ? undefined : standing
  }

  /** Waits until a replica is ready. FUNCTION_NOT_FOUND, FUNCTION_NOT_READY, or the signal's reason. */
  async route(ref: FunctionRef, signal: AbortSignal): Promise<Lease> {
    const { registry, reconciler, functions, problems, gate } = this.#parts
    for (;;) {
      const passed = gate.passed(ref, signal)
      if (passed) {
        await passed
        continue
      }
      const desired = registry.functions.get(ref)
      if (!desired) {
        // A function of the stack that has not built yet is not unknown.
        const problem = problems.get(ref)
        throw problem ? notReady(ref, problem) : notFound(ref)
      }
      // Only the first of many sees 0: the others find the wish written down, and wait for the same start.
      if (desired.replicas === 0) functions.scale(ref, minReplicas(desired.revision.spec))
      await reconciler.available(ref, signal)
      // It may have been saved meanwhile.
      const lease = this.ready(ref)
      if (lease) return lease
    }
  }
}
