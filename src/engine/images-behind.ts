import type { Clock } from '../core/clock.ts'

/** After the last save, milliseconds: while somebody types, a build would only slow down what the next save needs. */
const REST_MS = 1500

type Work = (signal: AbortSignal) => Promise<void>

/**
 * Builds that nobody waits for: the images of code that answers already. One at a time, each a while after its
 * function's last save, and given up for whatever is more urgent.
 */
export class ImagesBehind implements AsyncDisposable {
  readonly #clock: Clock
  readonly #resting = new Map<string, Disposable>()
  /** In the order in which they are built. */
  readonly #due = new Map<string, Work>()
  #running: { readonly key: string; readonly work: Work; readonly abort: AbortController } | undefined
  #done: Promise<void> = Promise.resolve()
  #isStopped = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Does `work` when there is time, instead of what was to be done for `key`. `work` does not reject. */
  want(key: string, work: Work): void {
    this.drop(key)
    if (this.#isStopped) return
    this.#resting.set(
      key,
      this.#clock.after(REST_MS, () => {
        this.#resting.delete(key)
        this.#due.set(key, work)
        this.#next()
      }),
    )
  }

  /** There is newer code: the image of what was there is wanted by nobody. */
  drop(key: string): void {
    this.#resting.get(key)?.[Symbol.dispose]()
    this.#resting.delete(key)
    this.#due.delete(key)
    if (this.#running?.key === key) this.#running.abort.abort(new Error('superseded'))
  }

  /** Somebody waits for a build: the one behind is given up, and begins again later. */
  makeWay(): void {
    const running = this.#running
    if (running && !running.abort.signal.aborted) this.want(running.key, running.work)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    for (const rest of this.#resting.values()) rest[Symbol.dispose]()
    this.#resting.clear()
    this.#due.clear()
    this.#running?.abort.abort(new Error('stopping'))
    await this.#done
  }

  #next(): void {
    const [first] = this.#due
    if (this.#running || first === undefined || this.#isStopped) return
    const [key, work] = first
    this.#due.delete(key)
    const abort = new AbortController()
    this.#running = { key, work, abort }
    this.#done = work(abort.signal).finally(() => {
      this.#running = undefined
      this.#next()
    })
  }
}
