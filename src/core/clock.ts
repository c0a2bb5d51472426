/** Time, as everything above the rooms sees it, so that tests (and `dev`) can turn it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Runs `work` once, `ms` milliseconds from now; disposing cancels. Never keeps the program alive. */
  after(ms: number, work: () => void): Disposable
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, work) {
    const timer = setTimeout(work, ms)
    timer.unref()
    return { [Symbol.dispose]: () => clearTimeout(timer) }
  },
}

/** Resolves after `ms`, or at once when `signal` aborts: the caller looks at the signal. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve()
      return
    }
    const timer = clock.after(ms, done)
    function done(): void {
      timer[Symbol.dispose]()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    signal?.addEventListener('abort', done, { once: true })
  })
}
