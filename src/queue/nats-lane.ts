import { nuid } from '@nats-io/transport-node'
import type { Msg, NatsConnection } from '@nats-io/transport-node'
import type { Delivery, Taken } from '../core/queue.ts'
import { DueTimes } from './due-times.ts'
import { unpack } from './envelope.ts'
import { DUE_HEADER } from './publisher.ts'
import type { Recent } from './recent.ts'

/** What a lane needs of the queue that it is part of. */
export interface LaneSurroundings {
  readonly stream: string
  /** The lane's consumer, made if need be, and the connection that it is used over. QUEUE_UNAVAILABLE. */
  readonly consumer: (
    lane: string,
    again: boolean,
  ) => Promise<{ readonly name: string; readonly connection: NatsConnection }>
  /** Messages that are ours just now, by position. */
  readonly held: Map<number, Held>
  /** Positions of messages that were dealt with, in case JetStream did not hear of it. */
  readonly done: Recent
  /** Tells JetStream what became of a message. Nothing happens while there is no connection. */
  readonly tell: (reply: string, what: string) => void
  /** What stands at or before it in the queue was there before this connection. */
  readonly oldPosition: () => number
}

/** A message that we have taken. */
export interface Held {
  /** Where JetStream hears of it; changes when it delivers it once more. */
  reply: string
  /** When JetStream last heard that it is being worked at. */
  extendedAt: number
}

const ACK = '+ACK'
export const STILL_WORKING = '+WPI'
/** A server that answers a pull at all does it at once. */
const PULL_LIMIT_MS = 2000
/** The server's timer of a message that was put back runs out a little later than ours. */
const LOOK_AGAIN_MS = 20
/** What was due so long ago and was not delivered is left to the server's own timers. */
const FORGET_MS = 60_000
/** How often, and how soon, one looks again when nothing came and something must be there: consumers hear of it late. */
const LOOKS = 40
const LOOK_MS = 2

/** `full`: as many as wanted came. `empty`: there are no more. `gone`: there is no consumer. `lost`: no connection. */
type PullEnd = 'full' | 'empty' | 'gone' | 'lost'

interface Pull {
  readonly wanted: number
  readonly got: Delivery[]
  /** Came, but are not to be handed out. */
  skipped: number
  readonly end: (how: PullEnd) => void
}

/** One lane's consumer. It pulls what was asked for and nothing ahead: what waits, waits in JetStream. */
export class NatsLane {
  readonly #name: string
  readonly #around: LaneSurroundings
  readonly #due = new DueTimes()
  /** Came when nobody waited for it any more. */
  readonly #late: Delivery[] = []
  #connection: NatsConnection | undefined
  #inbox = ''
  #pull: Pull | undefined
  #turn: Promise<unknown> = Promise.resolve()
  /** The last position that was published to the lane, and the last that came out of it. */
  #published = 0
  #delivered = 0

  constructor(name: string, around: LaneSurroundings) {
    this.#name = name
    this.#around = around
  }

  /** A message was published to the lane: it must be found. */
  onPublished(position: number): void {
    if (position > this.#published) this.#published = position
  }

  /** The connection is gone, and with it whatever the server was about to send. */
  detach(): void {
    this.#connection = undefined
    // What waits for its time is delivered, and put back, once more.
    this.#due.clear()
    this.#pull?.end('lost')
  }

  /** One pull at a time: what comes is counted. */
  take(count: number): Promise<Taken> {
    const turn = this.#turn.then(() => this.#take(count))
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  async #take(count: number): Promise<Taken> {
    const { held } = this.#around
    const deliveries = this.#late.splice(0).filter(({ position }) => held.has(position))
    this.#late.push(...deliveries.splice(count))
    let again = false
    for (let looks = 0; deliveries.length < count && looks < LOOKS;) {
      const { name, connection } = await this.#around.consumer(this.#name, again)
      const pull = await this.#pullOnce(name, connection, count - deliveries.length)
      deliveries.push(...pull.got)
      if (pull.how === 'lost') break
      if (pull.how === 'full') continue
      const isMissing = this.#delivered < this.#published && deliveries.length === 0
      if (pull.how === 'empty' && !isMissing) break
      again = pull.how === 'gone'
      looks++
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
    // What does not come after all was removed.
    if (deliveries.length === 0) this.#delivered = Math.max(this.#delivered, this.#published)
    const now = Date.now()
    const soonest = this.#due.soonest(now - FORGET_MS)
    return { deliveries, nextDueAt: soonest && Math.max(soonest, now + LOOK_AGAIN_MS) }
  }

  async #pullOnce(
    consumer: string,
    connection: NatsConnection,
    wanted: number,
  ): Promise<{ got: readonly Delivery[]; how: PullEnd }> {
    this.#attach(connection)
    const got: Delivery[] = []
    const how = await new Promise<PullEnd>((resolve) => {
      const timer = setTimeout(() => resolve('lost'), PULL_LIMIT_MS)
      const end = (end: PullEnd): void => {
        clearTimeout(timer)
        resolve(end)
      }
      this.#pull = { wanted, got, skipped: 0, end }
      try {
        connection.publish(
          `$JS.API.CONSUMER.MSG.NEXT.${this.#around.stream}.${consumer}`,
          `{"batch":${wanted},"no_wait":true}`,
          { reply: this.#inbox },
        )
      } catch {
        end('lost')
      }
    })
    this.#pull = undefined
    return { got, how }
  }

  #attach(connection: NatsConnection): void {
    if (this.#connection === connection) return
    this.#connection = connection
    this.#inbox = `_INBOX.${nuid.next()}`
    connection.subscribe(this.#inbox, {
      callback: (error, message) => {
        if (this.#connection !== connection) return
        if (error) this.#pull?.end('gone')
        else this.#onMessage(message)
      },
    })
  }

  #onMessage(message: Msg): void {
    // Every message of ours has a head; what has no content is the server's word on the pull.
    if (message.data.length === 0) {
      const code = message.headers?.code
      this.#pull?.end(code === 404 || code === 408 ? 'empty' : 'gone')
      return
    }
    const delivery = this.#delivery(message)
    const pull = this.#pull
    if (!pull) {
      if (delivery) this.#late.push(delivery)
      return
    }
    if (delivery) pull.got.push(delivery)
    else pull.skipped++
    if (pull.got.length + pull.skipped >= pull.wanted) pull.end('full')
  }

  /** Undefined for what is not to be handed out: ours already, done already, or not due. */
  #delivery(message: Msg): Delivery | undefined {
    const { held, done, tell, oldPosition } = this.#around
    const reply = message.reply ?? ''
    const { position, times } = parseReply(reply)
    this.#delivered = Math.max(this.#delivered, position)
    const now = Date.now()
    const ours = held.get(position)
    if (ours) {
      ours.reply = reply
      return undefined
    }
    if (done.has(position)) {
      tell(reply, ACK)
      return undefined
    }
    const dueAt = Number(message.headers?.get(DUE_HEADER) || 0)
    if (dueAt > now) {
      this.#putBack(position, reply, dueAt - now)
      return undefined
    }
    this.#due.delete(position)
    held.set(position, { reply, extendedAt: now })
    return {
      position,
      ...unpack(message.data),
      mayHaveRun: times > 1 || position <= oldPosition(),
      ack: () => {
        const mine = held.get(position)
        if (!mine) return
        held.delete(position)
        done.add(position)
        tell(mine.reply, ACK)
      },
      release: (ms) => {
        const mine = held.get(position)
        if (!mine) return
        held.delete(position)
        this.#putBack(position, mine.reply, ms)
      },
    }
  }

  #putBack(position: number, reply: string, ms: number): void {
    this.#due.set(position, Date.now() + ms)
    this.#around.tell(reply, `-NAK {"delay":${Math.max(1, Math.round(ms))}000000}`)
  }
}

/**
 * `$JS.ACK.STREAM.CONSUMER.TIMES.STREAM-SEQUENCE.…`; servers with domains put two words more before the stream, and
 * one behind everything.
 */
function parseReply(reply: string): { position: number; times: number } {
  const words = reply.split('.')
  const at = words.length > 9 ? 6 : 4
  return { times: Number(words[at]), position: Number(words[at + 1]) }
}
