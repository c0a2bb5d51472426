import type { FunctionRef } from '../core/function.ts'
import type { Lease, Provider } from '../core/provider.ts'
import type { Registry } from '../core/registry.ts'
import type { Functions } from './functions.ts'
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

  /** At once when a replica is ready: the whole of the hot path. */
  ready(ref: FunctionRef): Lease | undefined {
    return this.#parts.provider.lease(ref)
  }

  /** Waits until a replica is ready. FUNCTION_NOT_FOUND, FUNCTION_NOT_READY, or the signal's reason. */
  async route(ref: FunctionRef, signal: AbortSignal): Promise<Lease> {
    const { registry, provider, reconciler, functions, problems } = this.#parts
    for (;;) {
      const desired = registry.functions.get(ref)
      if (!desired) {
        // A function of the stack that has not built yet is not unknown.
        const problem = problems.get(ref)
        throw problem ? notReady(ref, problem) : notFound(ref)
      }
      // Only the first of many sees 0: the others find the wish written down, and wait for the same start.
      if (desired.replicas === 0) functions.scale(ref, minReplicas(desired.revision.spec))
      await reconciler.available(ref, signal)
      const lease = provider.lease(ref)
      if (lease) return lease
    }
  }
}
