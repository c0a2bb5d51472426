import type { Clock } from '../core/clock.ts'

/** A failed turn is tried again after this, doubling up to the maximum. Milliseconds. */
const RETRY_FIRST_MS = 1000
const RETRY_MAX_MS = 60_000
/** A replica that dies is replaced at once the first time, then after this, doubling up to the maximum. */
const CRASH_FIRST_MS = 500
const CRASH_MAX_MS = 30_000
/** A function that ran this long without a crash starts over with a clean slate. */
const CRASH_FORGET_MS = 60_000

interface Waiter {
  readonly version: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Turns of one function, never two at once. A request during a turn gives that turn up and asks for one more;
 * a failed turn is repeated with back-off, if it is to be repeated at all, until one succeeds or a request comes.
 */
export class FunctionLoop implements AsyncDisposable {
  readonly #clock: Clock
  readonly #retries: boolean
  readonly #turn: (signal: AbortSignal) => Promise<void>
  readonly #waiters: Waiter[] = []
  #wanted = 0
  #done = 0
  #running: Promise<void> | undefined
  #abort = new AbortController()
  #timer: Disposable | undefined
  #failures = 0
  #crashes = 0
  #lastCrash = 0
  #isStopped = false

  /** `retries`: whether a failed turn is repeated by itself. */
  constructor(clock: Clock, retries: boolean, turn: (signal: AbortSignal) => Promise<void>) {
    this.#clock = clock
    this.#retries = retries
    this.#turn = turn
  }

  /** A turn runs, or one is due at once. */
  get isBusy(): boolean {
    return this.#running !== undefined
  }

  /** Asks for a turn that starts from now on; settles with the outcome of the first such turn that was not given up. */
  request(): Promise<void> {
    if (this.#isStopped) return Promise.reject(new Error('stopping'))
    this.#wanted++
    this.#failures = 0
    this.#abort.abort(new Error('superseded'))
    return new Promise((resolve, reject) => {
      this.#waiters.push({ version: this.#wanted, resolve, reject })
      this.#go()
    })
  }

  /** Asks for a turn because a replica died: at once, or later when that happens again and again. */
  requestAfterCrash(): void {
    if (this.#isStopped) return
    const now = this.#clock.now()
    if (now - this.#lastCrash > CRASH_FORGET_MS) this.#crashes = 0
    this.#lastCrash = now
    const delay = this.#crashes === 0 ? 0 : Math.min(CRASH_FIRST_MS * 2 ** (this.#crashes - 1), CRASH_MAX_MS)
    this.#crashes++
    this.#goAfter(delay)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    this.#timer?.[Symbol.dispose]()
    this.#abort.abort(new Error('stopping'))
    await this.#running
    for (const waiter of this.#waiters.splice(0)) waiter.reject(new Error('stopping'))
  }

  #goAfter(delay: number): void {
    this.#timer?.[Symbol.dispose]()
    this.#timer = this.#clock.after(delay, () => {
      this.#wanted++
      this.#go()
    })
  }

  #go(): void {
    if (this.#running || this.#isStopped) return
    this.#timer?.[Symbol.dispose]()
    this.#timer = undefined
    this.#running = this.#run().finally(() => {
      this.#running = undefined
      if (this.#done < this.#wanted) this.#go()
    })
  }

  async #run(): Promise<void> {
    while (this.#done < this.#wanted && !this.#isStopped) {
      const version = this.#wanted
      this.#abort = new AbortController()
      const { signal } = this.#abort
      try {
        await this.#turn(signal)
        this.#failures = 0
        this.#settle(version, (waiter) => waiter.resolve())
      } catch (error) {
        if (signal.aborted) continue
        this.#settle(version, (waiter) => waiter.reject(error))
        if (this.#retries) this.#goAfter(Math.min(RETRY_FIRST_MS * 2 ** this.#failures++, RETRY_MAX_MS))
      }
      this.#done = version
    }
  }

  #settle(version: number, settle: (waiter: Waiter) => void): void {
    const due = this.#waiters.filter((waiter) => waiter.version <= version)
    this.#waiters.splice(
      0,
      this.#waiters.length,
      ...this.#waiters.filter((waiter) => waiter.version > version),
    )
    for (const waiter of due) settle(waiter)
  }
}
