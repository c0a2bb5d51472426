import { setTimeout as wait } from 'node:timers/promises'
import { FaasError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { NatsAddress, NatsSource } from './nats-source.ts'

/** One way to run a NATS server that nobody else looks after. */
export interface NatsHost {
  /** For people: `/usr/sbin/nats-server of this faasdock`. */
  readonly description: string
  /** Runs one, and says where it answers when it does. Resolves with how it ended; rejects when it does not come up. */
  run(onUp: (address: NatsAddress) => void, signal: AbortSignal): Promise<string>
  /** Ends the one that runs: asks it to, and waits up to `limitMs` before it is made to. */
  end(limitMs: number): Promise<void>
  /** What `run` rejected with, in words that say what to do. */
  explain(error: unknown): FaasError
  /** The same of one that came up, and does not do what it is asked to. */
  explainUse(error: unknown): FaasError
  /** DISK_FULL when there is no room to write to any more, as far as can be seen from here. */
  shortage(): FaasError | undefined
  /** Nothing of it runs any more: clears away what it left. */
  [Symbol.asyncDispose](): Promise<void>
}

/** A server that is told to end gets so long. */
const STOP_LIMIT_MS = 5000
const DISTRUST_LIMIT_MS = 2000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 10_000
/** A server that ran so long before it died is started again at once. */
const GOOD_RUN_MS = 10_000

/** A server of our own, started again whenever it ends, and ended with us. */
export class SupervisedNats implements NatsSource {
  readonly #host: NatsHost
  readonly #log: Log
  readonly #stopping = new AbortController()
  readonly #supervision: Promise<void>
  /** Where it answers, why it does not, or, while it starts, neither. */
  #state: NatsAddress | FaasError | undefined
  readonly #waiting = new Set<() => void>()

  constructor(host: NatsHost, log: Log) {
    this.#host = host
    this.#log = log
    this.#supervision = this.#supervise()
  }

  get description(): string {
    return this.#host.description
  }

  async address(signal: AbortSignal): Promise<NatsAddress> {
    while (this.#state === undefined) {
      signal.throwIfAborted()
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.#waiting.delete(done)
          signal.removeEventListener('abort', done)
          resolve()
        }
        this.#waiting.add(done)
        signal.addEventListener('abort', done, { once: true })
      })
    }
    if (this.#state instanceof FaasError) throw this.#state
    return this.#state
  }

  explain(error: unknown): FaasError {
    return this.#host.explainUse(error)
  }

  distrust(reason: string): void {
    if (this.#isStopping) return
    this.#log.warn(`the NATS server is started afresh: ${reason}`)
    this.#host.end(DISTRUST_LIMIT_MS).catch(() => undefined)
  }

  shortage(): FaasError | undefined {
    return this.#host.shortage()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.#host.end(STOP_LIMIT_MS).catch(() => undefined)
    await this.#supervision
    await this.#host[Symbol.asyncDispose]()
  }

  async #supervise(): Promise<void> {
    const { signal } = this.#stopping
    for (let pauseMs = FIRST_PAUSE_MS; !signal.aborted; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      const began = Date.now()
      try {
        const how = await this.#host.run((address) => this.#be(address), signal)
        if (this.#isStopping) return
        if (Date.now() - began > GOOD_RUN_MS) pauseMs = FIRST_PAUSE_MS
        this.#be(undefined)
        this.#log.warn(`the NATS server of async calls ended (${how}) and is started again`)
      } catch (error) {
        if (this.#isStopping) return
        const failure = this.#host.explain(error)
        // The same failure, tried again, is no news.
        const known = this.#state instanceof FaasError
        this.#be(failure)
        if (!known) this.#log.error(failure.message)
      }
      await wait(pauseMs, undefined, { signal, ref: false }).catch(() => undefined)
    }
  }

  /** Asked after every wait; the compiler takes what it has seen once for what is. */
  get #isStopping(): boolean {
    return this.#stopping.signal.aborted
  }

  #be(state: NatsAddress | FaasError | undefined): void {
    this.#state = state
    if (state === undefined) return
    for (const wake of [...this.#waiting]) wake()
  }
}
