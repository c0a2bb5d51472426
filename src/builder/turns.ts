import pLimit from 'p-limit'

type Turns = <T>(work: () => Promise<T>, signal: AbortSignal) => Promise<T>

/**
 * Runs at most `count` works at once. One that is aborted while it waits rejects at once; one that has begun looks at
 * the signal itself, so that it ends only when it has cleaned up.
 */
export function makeTurns(count: number): Turns {
  const limit = pLimit(count)
  return (work, signal) =>
    new Promise((resolve, reject) => {
      const leave = (): void => reject(signal.reason as Error)
      signal.addEventListener('abort', leave, { once: true })
      limit(() => {
        signal.removeEventListener('abort', leave)
        signal.throwIfAborted()
        return work()
      }).then(resolve, reject)
    })
}

interface Flight<T> {
  readonly result: Promise<T>
  /** Of who started it. */
  readonly signal: AbortSignal
}

/** Works under way, by key: who wants the same while it runs waits for it instead of doing it again. */
export class Flights<T> {
  readonly #flying = new Map<string, Flight<T>>()

  /**
   * Does `work`, or waits for the same key's and gives its result. Waiting ends with the waiter's own signal; when the
   * one waited for was aborted by *its* caller, the waiter does the work. Other failures are everybody's.
   */
  async join(key: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (;;) {
      signal.throwIfAborted()
      const flight = this.#flying.get(key)
      if (flight === undefined) return this.#start(key, work, signal)
      try {
        return await untilAborted(flight.result, signal)
      } catch (error) {
        signal.throwIfAborted()
        if (!flight.signal.aborted) throw error
      }
    }
  }

  #start(key: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const result = work().finally(() => this.#flying.delete(key))
    this.#flying.set(key, { result, signal })
    return result
  }
}

/** `work`'s outcome, or the signal's reason as soon as it aborts. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let leave = (): void => undefined
  const aborted = new Promise<never>((_, reject) => {
    leave = () => reject(signal.reason as Error)
    signal.addEventListener('abort', leave, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', leave)
  }
}
