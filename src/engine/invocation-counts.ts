import type { Clock } from '../core/clock.ts'
import { asFaasError } from '../core/errors.ts'
import type { FunctionRef } from '../core/function.ts'
import { formatRef, parseRef } from '../core/function.ts'
import type { InvocationObserver } from '../core/invocation.ts'
import type { Log } from '../core/log.ts'
import type { FunctionStore } from '../core/registry.ts'

/** How often counts go to the registry, milliseconds: what a kill -9 can lose. */
const SAVE_EVERY_MS = 5000

/** Counts invocations at once, and writes them down now and then, so that the list needs no metrics (pitfall 8). */
export class InvocationCounts implements InvocationObserver, Disposable {
  readonly #store: FunctionStore
  readonly #clock: Clock
  readonly #log: Log
  readonly #unsaved = new Map<string, number>()
  #timer: Disposable
  #hasFailed = false

  constructor(store: FunctionStore, clock: Clock, log: Log) {
    this.#store = store
    this.#clock = clock
    this.#log = log
    this.#timer = clock.after(SAVE_EVERY_MS, () => this.#tick())
  }

  started(): void {
    // Only the outcome counts.
  }

  finished(functionName: string): void {
    this.#unsaved.set(functionName, (this.#unsaved.get(functionName) ?? 0) + 1)
  }

  /** Invocations that the registry does not know yet. */
  unsaved(ref: FunctionRef): number {
    return this.#unsaved.get(formatRef(ref)) ?? 0
  }

  forget(ref: FunctionRef): void {
    this.#unsaved.delete(formatRef(ref))
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]()
    this.#save()
  }

  #tick(): void {
    this.#save()
    this.#timer = this.#clock.after(SAVE_EVERY_MS, () => this.#tick())
  }

  /** Counts that cannot be written (a full disk) are kept for the next time, and said once. */
  #save(): void {
    if (this.#unsaved.size === 0) return
    try {
      this.#store.addInvocations(
        new Map([...this.#unsaved].map(([name, count]) => [parseRef(name), count] as const)),
      )
      this.#unsaved.clear()
      this.#hasFailed = false
    } catch (error) {
      if (!this.#hasFailed)
        this.#log.error(`invocation counts could not be saved: ${asFaasError(error).message}`)
      this.#hasFailed = true
    }
  }
}
