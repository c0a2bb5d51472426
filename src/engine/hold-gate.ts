import type { Clock } from '../core/clock.ts'
import type { FunctionRef } from '../core/function.ts'
import { formatRef } from '../core/function.ts'
import type { Staleness } from '../core/invocation.ts'

/** How a function stands to what was saved of it: `held` calls wait, the others reach code that is older. */
export type Standing = 'held' | Staleness

interface Held {
  standing: Standing
  limit?: Disposable
  readonly waiters: Set<() => void>
}

/**
 * Calls of a function between a save and the moment when it answers: they wait, but no longer than `limitMs` since the
 * first save that is not live yet, and then go to the last good code, marked. Empty wherever nobody edits.
 */
export class HoldGate implements Disposable {
  readonly #clock: Clock
  readonly #limitMs: number
  readonly #functions = new Map<string, Held>()

  /** `limitMs` 0: nobody waits. */
  constructor(clock: Clock, limitMs: number) {
    this.#clock = clock
    this.#limitMs = limitMs
  }

  /** Undefined when what answers is what was saved. Costs nothing while nothing is held. */
  of(ref: FunctionRef): Standing | undefined {
    return this.#functions.size === 0 ? undefined : this.#functions.get(formatRef(ref))?.standing
  }

  /** A save was seen. Further ones do not prolong the wait. */
  hold(ref: FunctionRef): void {
    const key = formatRef(ref)
    const known = this.#functions.get(key)
    if (known && known.standing !== 'failing') return
    if (this.#limitMs <= 0) {
      this.#set(key, 'building')
      return
    }
    const held = this.#set(key, 'held')
    held.limit = this.#clock.after(this.#limitMs, () => this.#set(key, 'building'))
  }

  /** What was saved answers, or it turned out that nothing changed. */
  open(ref: FunctionRef): void {
    const key = formatRef(ref)
    const held = this.#functions.get(key)
    if (!held) return
    this.#functions.delete(key)
    this.#letGo(held)
  }

  /** What was saved is bad: nobody waits for it. */
  fail(ref: FunctionRef): void {
    this.#set(formatRef(ref), 'failing')
  }

  /** Resolves, at once if it can, when calls need not wait (any longer). Rejects with the signal's reason. */
  passed(ref: FunctionRef, signal: AbortSignal): Promise<void> | undefined {
    const held = this.#functions.get(formatRef(ref))
    if (held?.standing !== 'held') return undefined
    return new Promise((resolve, reject) => {
      const pass = (): void => {
        held.waiters.delete(pass)
        signal.removeEventListener('abort', onAbort)
        resolve()
      }
      const onAbort = (): void => {
        held.waiters.delete(pass)
        reject(signal.reason as Error)
      }
      held.waiters.add(pass)
      signal.addEventListener('abort', onAbort, { once: true })
      if (signal.aborted) onAbort()
    })
  }

  /** Nobody waits any more. */
  [Symbol.dispose](): void {
    const all = [...this.#functions.values()]
    this.#functions.clear()
    for (const held of all) this.#letGo(held)
  }

  #set(key: string, standing: Standing): Held {
    const held = this.#functions.get(key) ?? { standing, waiters: new Set() }
    held.standing = standing
    this.#functions.set(key, held)
    if (standing !== 'held') this.#letGo(held)
    return held
  }

  #letGo(held: Held): void {
    held.limit?.[Symbol.dispose]()
    delete held.limit
    for (const pass of [...held.waiters]) pass()
  }
}
