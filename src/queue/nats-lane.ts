import { nuid } from '@nats-io/transport-node'
import type { Msg, NatsConnection } from '@nats-io/transport-node'
import type { Delivery, Taken } from '../core/queue.ts'
import { DueTimes } from './due-times.ts'
import { unpack } from './envelope.ts'
import type { Recent } from './recent.ts'

/** What a lane needs of the queue that it is part of. */
export interface LaneSurroundings {
  readonly stream: string
  /** The lane's consumer, made if need be, and the connection that it is used over. QUEUE_UNAVAILABLE. */
  readonly consumer: (
    lane: string,
    again: boolean,
  ) => Promise<{ readonly name: string; readonly connection: NatsConnection }>
  /** What the lane's consumer is called. */
  readonly consumerName: (lane: string) => string
  /** Messages that are ours just now, by position. */
  readonly held: Map<number, Held>
  /** Positions of messages that were dealt with, in case JetStream did not hear of it. */
  readonly done: Recent
  /** Tells JetStream what became of a message. Nothing happens while there is no connection. */
  readonly tell: (reply: string, what: string) => void
  /** What stands at or before it in the queue was there before this connection. */
  readonly oldPosition: () => number
  /** Bytes that all lanes have taken, or are about to take, ahead of whoever asks for them. */
  readonly ahead: { bytes: number }
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
/** Messages that a busy lane has at hand before they are asked for, so that nobody waits for the server. */
const AHEAD = 64
/** What one lane takes ahead at a time, and what all lanes together have ahead. */
const AHEAD_BYTES = 512 * 1024
const ALL_AHEAD_BYTES = 16 * 2 ** 20

/**
 * `full`: as many as wanted came. `empty`: there are no more, or the next is too large to be taken ahead. `gone`: there
 * is no consumer. `lost`: no connection.
 */
type PullEnd = 'full' | 'empty' | 'gone' | 'lost'

interface Ready {
  readonly delivery: Delivery
  readonly mine: Held
  readonly bytes: number
}

interface Pull {
  readonly wanted: number
  came: number
  readonly end: (how: PullEnd) => void
  readonly ended: Promise<PullEnd>
}

/**
 * One lane's consumer. Of a lane that is busy a few messages are taken ahead; they are ours, and their leases are
 * extended, as if somebody worked at them. What else waits, waits in JetStream.
 */
export class NatsLane {
  readonly #name: string
  readonly #around: LaneSurroundings
  readonly #due = new DueTimes()
  /** Ours, and not handed out yet, in their order. */
  #ready: Ready[] = []
  #connection: NatsConnection | undefined
  #inbox = ''
  #pull: Pull | undefined
  #turn: Promise<unknown> | undefined
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

  /** What was stored is gone: positions begin anew. What was taken ahead is all that there is left of it, and is handed out. */
  onEmptied(): void {
    this.#published = 0
    this.#delivered = 0
  }

  /** Messages up to a position are gone from the queue: what of them was taken ahead is nobody's any more. */
  forget(upTo: number): void {
    const { held } = this.#around
    for (const { delivery } of this.#ready) if (delivery.position <= upTo) held.delete(delivery.position)
    this.dropRemoved()
    this.#due.clear()
  }

  /** One at a time: what comes is counted. */
  async take(count: number): Promise<Taken> {
    const before = this.#turn
    const turn = before ? before.then(() => this.#take(count)) : this.#take(count)
    const quiet = turn.then(
      () => undefined,
      () => undefined,
    )
    this.#turn = quiet
    try {
      return await turn
    } finally {
      if (this.#turn === quiet) this.#turn = undefined
    }
  }

  async #take(count: number): Promise<Taken> {
    if (this.#ready.length < count) await this.#fill(count)
    const taken = this.#ready.splice(0, count)
    for (const { bytes } of taken) this.#around.ahead.bytes -= bytes
    // What is full has most likely more.
    if (taken.length === count) this.#takeAhead()
    const now = Date.now()
    const soonest = this.#due.size === 0 ? undefined : this.#due.soonest(now - FORGET_MS)
    return {
      deliveries: taken.map(({ delivery }) => delivery),
      nextDueAt: soonest && Math.max(soonest, now + LOOK_AGAIN_MS),
    }
  }

  /** Until `count` messages are at hand, or there are no more. */
  async #fill(count: number): Promise<void> {
    // What is on its way may be enough.
    await this.#pull?.ended
    let again = false
    for (let looks = 0; this.#ready.length < count && looks < LOOKS;) {
      const { name, connection } = await this.#around.consumer(this.#name, again)
      const end = await this.#pullOnce(name, connection, count - this.#ready.length)
      if (end === 'lost') break
      if (end === 'full') continue
      const isMissing = this.#delivered < this.#published && this.#ready.length === 0
      if (end === 'empty' && !isMissing) break
      again = end === 'gone'
      looks++
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
    // What does not come after all was removed.
    if (this.#ready.length === 0) this.#delivered = Math.max(this.#delivered, this.#published)
  }

  /** Asks for more before somebody wants it; nobody waits for the answer. */
  #takeAhead(): void {
    const { ahead, consumerName } = this.#around
    const wanted = AHEAD - this.#ready.length
    if (this.#pull || wanted < AHEAD / 2 || ahead.bytes + AHEAD_BYTES > ALL_AHEAD_BYTES) return
    const connection = this.#connection
    if (!connection) return
    ahead.bytes += AHEAD_BYTES
    this.#pullOnce(consumerName(this.#name), connection, wanted, AHEAD_BYTES)
      .catch(() => undefined)
      .finally(() => (ahead.bytes -= AHEAD_BYTES))
  }

  /** What is not ours any more, because it was removed from the queue, is not handed out. */
  dropRemoved(): void {
    const { held, ahead } = this.#around
    this.#ready = this.#ready.filter(({ delivery, mine, bytes }) => {
      const isOurs = held.get(delivery.position) === mine
      if (!isOurs) ahead.bytes -= bytes
      return isOurs
    })
  }

  #pullOnce(
    consumer: string,
    connection: NatsConnection,
    wanted: number,
    maxBytes?: number,
  ): Promise<PullEnd> {
    this.#attach(connection)
    let end: Pull['end'] = () => undefined
    const ended = new Promise<PullEnd>((resolve) => (end = resolve))
    const timer = setTimeout(() => end('lost'), PULL_LIMIT_MS)
    const pull: Pull = {
      wanted,
      came: 0,
      ended,
      end: (how) => {
        clearTimeout(timer)
        if (this.#pull === pull) this.#pull = undefined
        end(how)
      },
    }
    this.#pull = pull
    try {
      connection.publish(
        `$JS.API.CONSUMER.MSG.NEXT.${this.#around.stream}.${consumer}`,
        JSON.stringify({
          batch: wanted,
          no_wait: true,
          ...(maxBytes !== undefined && { max_bytes: maxBytes }),
        }),
        { reply: this.#inbox },
      )
    } catch {
      pull.end('lost')
    }
    return ended
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
      const isTooLarge = code === 409 && /maxbytes/i.test(message.headers?.description ?? '')
      this.#pull?.end(code === 404 || code === 408 || isTooLarge ? 'empty' : 'gone')
      return
    }
    const ready = this.#open(message)
    if (ready) {
      this.#around.ahead.bytes += ready.bytes
      this.#ready.push(ready)
    }
    const pull = this.#pull
    if (pull && ++pull.came >= pull.wanted) pull.end('full')
  }

  /** Undefined for what is not to be handed out: ours already, done already, or not due. */
  #open(message: Msg): Ready | undefined {
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
    const { head, body, dueAt } = unpack(message.data)
    if (dueAt > now) {
      this.#putBack(position, reply, dueAt - now)
      return undefined
    }
    this.#due.delete(position)
    const mine: Held = { reply, extendedAt: now }
    held.set(position, mine)
    // A store that was emptied gives the position to another message.
    const letGo = (): boolean => held.get(position) === mine && held.delete(position)
    const delivery: Delivery = {
      position,
      head,
      body,
      mayHaveRun: times > 1 || position <= oldPosition(),
      ack: () => {
        if (!letGo()) return
        done.add(position)
        tell(mine.reply, ACK)
      },
      release: (ms) => {
        if (letGo()) this.#putBack(position, mine.reply, ms)
      },
    }
    return { delivery, mine, bytes: message.data.length }
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
