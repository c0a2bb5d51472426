import { connect } from '@nats-io/transport-node'
import type { NatsConnection } from '@nats-io/transport-node'
import { setTimeout as wait } from 'node:timers/promises'
import { FaasError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { NatsSource } from './nats-source.ts'

export interface NatsLinkOptions {
  readonly source: NatsSource
  readonly name: string
  readonly log: Log
  /** Makes a fresh connection usable; what it throws ends the connection, and it is tried again. */
  readonly prepare: (connection: NatsConnection) => Promise<void>
}

const CONNECT_LIMIT_MS = 3000
const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 1000
/** A server that is started again is back sooner. */
const SAID_AFTER_MS = 3000
/** Of one that was away for longer, nobody waits for the return. */
const HOPELESS_MS = 10_000
/** Of a server that does not answer any more, though its connection stands. */
const PING_EVERY_MS = 15_000

/** One connection to NATS, made again for ever. (The client's own way back knows only the addresses it began with.) */
export class NatsLink implements AsyncDisposable {
  readonly #options: NatsLinkOptions
  readonly #stopping = new AbortController()
  readonly #watchers = new Set<(isUp: boolean) => void>()
  readonly #waiting = new Set<() => void>()
  readonly #work: Promise<void>
  #connection: NatsConnection | undefined
  #problem: FaasError | undefined
  #hasNoServer = false
  /** Since when there is no connection; undefined while one stands. */
  #downSince: number | undefined = Date.now()
  #isSaid = false

  constructor(options: NatsLinkOptions) {
    this.#options = options
    this.#work = this.#keepConnected()
  }

  /** The connection that stands just now. */
  get connection(): NatsConnection | undefined {
    return this.#connection
  }

  /** Why there is none; undefined while there is one, or the first is under way. */
  get problem(): FaasError | undefined {
    return this.#problem
  }

  /** The connection, waited for until `limitMs` have passed. QUEUE_UNAVAILABLE. */
  async connected(limitMs: number): Promise<NatsConnection> {
    const deadline = Date.now() + limitMs
    while (!this.#connection) {
      if (this.#stopping.signal.aborted) throw stopping()
      const left = deadline - Date.now()
      // Where there is no server to be had, or has not been for long, waiting helps nobody.
      const isHopeless = this.#hasNoServer || Date.now() - (this.#downSince ?? Date.now()) > HOPELESS_MS
      if (left <= 0 || (this.#problem && isHopeless))
        throw this.#problem ?? notYet(this.#options.source.description)
      await this.#change(left)
    }
    return this.#connection
  }

  /** Told when a connection stands or falls; at once when one stands. */
  watch(onChange: (isUp: boolean) => void): Disposable {
    this.#watchers.add(onChange)
    if (this.#connection) onChange(true)
    return { [Symbol.dispose]: () => void this.#watchers.delete(onChange) }
  }

  /** Gives the connection up for another one. */
  renew(): void {
    this.#connection?.close().catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    this.#wake()
    // What was written, acknowledgements above all, reaches the server first.
    const connection = this.#connection
    if (connection)
      await Promise.race([connection.flush().catch(() => undefined), wait(1000, undefined, { ref: false })])
    await connection?.close().catch(() => undefined)
    await this.#work
  }

  async #keepConnected(): Promise<void> {
    const { signal } = this.#stopping
    const { log } = this.#options
    let pauseMs = FIRST_PAUSE_MS
    while (!signal.aborted) {
      try {
        const connection = await this.#connect(signal)
        pauseMs = FIRST_PAUSE_MS
        this.#problem = undefined
        this.#downSince = undefined
        if (this.#isSaid) log.info('async calls are taken in again')
        this.#isSaid = false
        this.#connection = connection
        this.#tell(true)
        await connection.closed()
      } catch (error) {
        if (!this.#isStopping) this.#problem = this.#explain(error)
        this.#say()
      }
      this.#down()
      await wait(pauseMs, undefined, { signal, ref: false }).catch(() => undefined)
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
    }
  }

  async #connect(signal: AbortSignal): Promise<NatsConnection> {
    const { source, name, prepare } = this.#options
    this.#hasNoServer = true
    const { tls, servers, ...login } = await source.address(signal)
    this.#hasNoServer = false
    const connection = await connect({
      servers: [...servers],
      ...login,
      ...(tls && { tls: {} }),
      name,
      reconnect: false,
      timeout: CONNECT_LIMIT_MS,
      pingInterval: PING_EVERY_MS,
      noAsyncTraces: true,
    })
    try {
      await prepare(connection)
      if (signal.aborted) throw stopping()
      return connection
    } catch (error) {
      await connection.close().catch(() => undefined)
      throw error
    }
  }

  /** Asked after every wait; the compiler takes what it has seen once for what is. */
  get #isStopping(): boolean {
    return this.#stopping.signal.aborted
  }

  #down(): void {
    if (!this.#connection) return
    this.#connection = undefined
    this.#downSince = Date.now()
    this.#tell(false)
  }

  /** Once, of a server that is there and cannot be used; one that is not says itself why. */
  #say(): void {
    const problem = this.#problem
    if (!problem || this.#isSaid || this.#hasNoServer || this.#isStopping) return
    if (Date.now() - (this.#downSince ?? Date.now()) < SAID_AFTER_MS) return
    this.#isSaid = true
    this.#options.log.error(`async calls are refused: ${problem.message}\n${problem.remedy}`)
  }

  #tell(isUp: boolean): void {
    this.#wake()
    for (const watcher of [...this.#watchers]) watcher(isUp)
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  #change(limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(done, limitMs)
      this.#waiting.add(done)
    })
  }

  #explain(error: unknown): FaasError {
    if (error instanceof FaasError) return error
    return this.#options.source.explain(error)
  }
}

function notYet(what: string): FaasError {
  return new FaasError('QUEUE_UNAVAILABLE', {
    message: `${what} is not up yet`,
    remedy: 'Call again in a moment; synchronous calls work meanwhile.',
  })
}

function stopping(): FaasError {
  return new FaasError('STOPPING', {
    message: 'faasdock is shutting down',
    remedy: 'Call again when it is back.',
  })
}
