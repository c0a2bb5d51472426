import { headers, nuid } from '@nats-io/transport-node'
import type { Msg, MsgHdrs, NatsConnection } from '@nats-io/transport-node'
import { FaasError } from '../core/errors.ts'
import type { Published } from '../core/queue.ts'
import type { NatsLink } from './nats-link.ts'
import type { NatsSource } from './nats-source.ts'

/** A message for one subject of a stream. */
export interface Outgoing {
  readonly subject: string
  /** The same id twice within the stream's window is one message. */
  readonly id: string
  readonly payload: Uint8Array
}

const ID_HEADER = 'Nats-Msg-Id'
/** A server may be started again meanwhile; the id keeps what is sent twice from being kept twice. */
const PATIENCE_MS = 10_000
const ACK_LIMIT_MS = 5000
const LOOK_MS = 1000
/** JetStream's codes for "there is no room": resources, storage, bytes of a stream, account. */
const FULL = new Set([10002, 10023, 10028, 10047, 10077])

interface Waiting {
  readonly resolve: (published: Published) => void
  readonly reject: (error: Error) => void
  readonly since: number
}

/** The connection went away, or the server was not there to answer: it may be sent again. */
class Unanswered extends Error {}

/**
 * Publishes to JetStream and waits for its word. All answers come over one subscription: the client's own way, a request
 * with a timer each, costs five times as much (bench/suites/async.mjs).
 */
export class Publisher {
  readonly #link: NatsLink
  readonly #source: Pick<NatsSource, 'distrust' | 'shortage'>
  readonly #waiting = new Map<string, Waiting>()
  readonly #outbox: {
    readonly connection: NatsConnection
    readonly subject: string
    readonly payload: Uint8Array
    readonly options: { readonly reply: string; readonly headers: MsgHdrs }
  }[] = []
  #inbox = ''
  #next = 0
  #timer: NodeJS.Timeout | undefined

  /** `source` is told when its server does not do what it is there for. */
  constructor(link: NatsLink, source: Pick<NatsSource, 'distrust' | 'shortage'>) {
    this.#link = link
    this.#source = source
  }

  /** Listens for answers on a connection that has just been made. */
  attach(connection: NatsConnection): void {
    const inbox = `_INBOX.${nuid.next()}`
    this.#inbox = inbox
    connection.subscribe(`${inbox}.*`, {
      callback: (error, message) => {
        const key = message.subject
        const waiting = this.#waiting.get(key)
        if (!waiting) return
        this.#waiting.delete(key)
        settle(waiting, error, message)
      },
    })
  }

  /** Everybody who waits for an answer of a connection that is gone tries again. */
  detach(): void {
    const lost = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { reject } of lost) reject(new Unanswered('the connection to NATS was lost'))
  }

  /** Resolves once JetStream has it. QUEUE_UNAVAILABLE, DISK_FULL. */
  async publish(outgoing: Outgoing): Promise<Published> {
    const shortage = this.#source.shortage()
    if (shortage) throw shortage
    const deadline = Date.now() + PATIENCE_MS
    for (let isSentAgain = false; ; isSentAgain = true) {
      const connection = this.#link.connection ?? (await this.#link.connected(deadline - Date.now()))
      try {
        const published = await this.#send(connection, outgoing)
        return isSentAgain && published.duplicate ? { ...published, mayBeOwn: true } : published
      } catch (error) {
        if (!(error instanceof Unanswered)) throw error
        if (Date.now() > deadline) throw unavailable(error)
        if (error.cause === 'useless') this.#source.distrust(error.message)
        // A closed connection is seen a moment later than what failed on it.
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
  }

  #send(connection: NatsConnection, { subject, id, payload }: Outgoing): Promise<Published> {
    return new Promise((resolve, reject) => {
      const reply = `${this.#inbox}.${(this.#next++).toString(36)}`
      this.#waiting.set(reply, { resolve, reject, since: Date.now() })
      const head = headers()
      head.set(ID_HEADER, encodeURIComponent(id))
      this.#outbox.push({ connection, subject, payload, options: { reply, headers: head } })
      if (this.#outbox.length === 1) setImmediate(() => this.#flush())
      this.#timer ??= setInterval(() => this.#giveUp(), LOOK_MS).unref()
    })
  }

  /** What came in one turn of the event loop leaves in one write: a call is a fraction of what a write costs. */
  #flush(): void {
    for (const { connection, subject, payload, options } of this.#outbox.splice(0)) {
      try {
        connection.publish(subject, payload, options)
      } catch (error) {
        const waiting = this.#waiting.get(options.reply)
        this.#waiting.delete(options.reply)
        waiting?.reject(new Unanswered(error instanceof Error ? error.message : String(error)))
      }
    }
  }

  #giveUp(): void {
    const oldest = Date.now() - ACK_LIMIT_MS
    for (const [key, { since, reject }] of this.#waiting) {
      if (since > oldest) break
      this.#waiting.delete(key)
      reject(new Unanswered(`NATS did not answer within ${ACK_LIMIT_MS / 1000} s`, { cause: 'useless' }))
    }
    if (this.#waiting.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** The id of a message, as it was published. */
export function idOf(message: { readonly headers?: Msg['headers'] }): string {
  return decodeURIComponent(message.headers?.get(ID_HEADER) ?? '')
}

interface PubAck {
  readonly seq?: number
  readonly duplicate?: boolean
  readonly error?: { readonly err_code?: number; readonly description?: string }
}

function settle({ resolve, reject }: Waiting, error: Error | null, message: Msg): void {
  if (error) {
    reject(new Unanswered(error.message))
    return
  }
  if (message.data.length === 0) {
    // Nobody listens on the subject: JetStream is off, or the stream is gone.
    reject(new Unanswered('NATS has no stream for it: JetStream may be switched off', { cause: 'useless' }))
    return
  }
  const ack = JSON.parse(Buffer.from(message.data).toString('utf8')) as PubAck
  if (ack.error || ack.seq === undefined) reject(refusal(ack.error ?? {}))
  else resolve({ position: ack.seq, duplicate: ack.duplicate === true })
}

function refusal({ err_code: code, description = 'no reason given' }: NonNullable<PubAck['error']>): Error {
  if (code !== undefined && FULL.has(code)) return diskFull(description)
  // JetStream is being switched off, or has just been.
  if (code === 10039 || code === 10076 || code === 10008)
    return new Unanswered(`JetStream: ${description}`, { cause: 'useless' })
  return new FaasError('QUEUE_UNAVAILABLE', {
    message: `NATS refused the message: ${description}`,
    remedy: 'See the log of the NATS server.',
  })
}

/** What it means that JetStream was asked for something and did not do it: DISK_FULL, or QUEUE_UNAVAILABLE. */
export function asQueueFailure(error: unknown): FaasError {
  if (error instanceof FaasError) return error
  const { message, code } = error as Error & { readonly code?: number }
  return code !== undefined && FULL.has(code) ? diskFull(message) : unavailable(error as Error)
}

function diskFull(description: string): FaasError {
  return new FaasError('DISK_FULL', {
    message: `the queue has no space left: ${description}`,
    remedy:
      'Free some space where the data directory is, let queued calls be worked off, or purge some (faasdock queue purge).',
  })
}

function unavailable(cause: Error): FaasError {
  return new FaasError('QUEUE_UNAVAILABLE', {
    message: `nothing can be queued: ${cause.message}`,
    remedy: 'Call again in a moment; synchronous calls work meanwhile. `faasdock doctor` looks at the queue.',
    cause,
  })
}
