import type { Clock } from '../../src/core/clock.ts'

interface Timer {
  readonly at: number
  readonly work: () => void
}

/** A clock that stands still until a test turns it. */
export class FakeClock implements Clock {
  #now: number
  readonly #timers = new Set<Timer>()

  constructor(start = Date.parse('2030-01-01T00:00:00.000Z')) {
    this.#now = start
  }

  now(): number {
    return this.#now
  }

  after(ms: number, work: () => void): Disposable {
    const timer = { at: this.#now + ms, work }
    this.#timers.add(timer)
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) }
  }

  /** Milliseconds until each timer that is set, soonest first. */
  get pending(): readonly number[] {
    return [...this.#timers].map(({ at }) => at - this.#now).sort((a, b) => a - b)
  }

  /** Turns time on; timers fire in their order, each at its own moment, also those that are set meanwhile. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (!next) break
      this.#timers.delete(next)
      this.#now = next.at
      next.work()
      await settle()
    }
    this.#now = end
    await settle()
  }
}

/** Lets everything that is ready to happen in this process happen: promises, and a few rounds of the event loop. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 20; round++) await new Promise((resolve) => setImmediate(resolve))
}
