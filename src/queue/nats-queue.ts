import { jetstreamManager } from '@nats-io/jetstream'
import type { JetStreamManager, StreamConfig } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { asFaasError, FaasError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { BodyStore, DeadLetters, Delivery, NewMessage, Published, Queue, Taken } from '../core/queue.ts'
import { pack, unpack } from './envelope.ts'
import { NatsBodies } from './nats-bodies.ts'
import { NatsLane, STILL_WORKING } from './nats-lane.ts'
import type { Held, LaneSurroundings } from './nats-lane.ts'
import { ifMissing, NatsLetters } from './nats-letters.ts'
import { NatsLink } from './nats-link.ts'
import type { NatsSource } from './nats-source.ts'
import { Publisher } from './publisher.ts'
import { Recent } from './recent.ts'

export interface NatsQueueOptions {
  /** Closed with the queue. */
  readonly source: NatsSource
  /** Tells the streams of this data directory from those of others on the same server. */
  readonly instance: string
  /** How long an id is remembered, milliseconds. */
  readonly dedupeMs: number
  /** How long JetStream waits for a sign of life before it delivers a taken message again. */
  readonly ackWaitMs?: number
  readonly log: Log
}

const ACK_WAIT_MS = 30_000
/** A lane that nobody used for so long loses its consumer, and nothing else. */
const IDLE_MS = 24 * 3_600_000
const PATIENCE_MS = 5000
/** NATS' default, and the least that ours have. */
const SMALLEST_LIMIT = 2 ** 20
const LARGEST_MESSAGE_BYTES = 1.25 * 2 ** 20
/** The id of a message, which its caller may have chosen. */
const HEADER_BYTES = 3 * 1024
/** For what becomes of a message. */
const GROWTH_BYTES = 96 * 1024
/** Dead letters: so many, so old. No bound in bytes: JetStream would set that much aside, and refuse a smaller disk. */
const LETTERS = { max_msgs: 100_000, max_age: 30 * 86_400e9 }
/** How many acknowledged messages are remembered, in case the server forgets. */
const REMEMBERED = 100_000
const DISTRUST_EVERY_MS = 5000
const NANOSECONDS = 1e6
const GATHER_MS = 1

/** The queue in NATS JetStream: one stream, one subject a lane, one pull consumer for each lane that is in use. */
export class NatsQueue implements Queue {
  readonly bodies: BodyStore
  readonly dead: DeadLetters
  readonly #options: NatsQueueOptions
  readonly #stream: string
  readonly #letters: string
  readonly #prefix: string
  readonly #link: NatsLink
  readonly #publisher: Publisher
  readonly #lanes = new Map<string, NatsLane>()
  readonly #consumers = new Map<string, Promise<unknown>>()
  readonly #managers = new WeakMap<NatsConnection, Promise<JetStreamManager>>()
  readonly #held = new Map<number, Held>()
  readonly #around: LaneSurroundings
  readonly #beat: NodeJS.Timeout
  readonly #told: (readonly [string, string])[] = []
  #oldPosition = 0
  /** When the stream was made, as its server tells it, and the highest position that was seen in it. */
  #madeAt: string | undefined
  #highest = 0
  #epoch = 0
  #distrustedAt = 0

  constructor(options: NatsQueueOptions) {
    const { source, instance, log } = options
    this.#options = options
    this.#stream = `FAASDOCK_${instance}`
    this.#letters = `FAASDOCK_${instance}_DEAD`
    this.#prefix = `faasdock.${instance}.queue`
    this.#link = new NatsLink({
      source,
      name: `faasdock ${instance}`,
      log,
      prepare: (connection) => this.#prepare(connection),
    })
    this.#publisher = new Publisher(this.#link, {
      distrust: (reason) => this.#distrust(reason),
      shortage: () => source.shortage(),
    })
    this.#link.watch((isUp) => {
      if (!isUp) this.#detach()
    })
    const jsm = (connection: NatsConnection): Promise<JetStreamManager> => this.#manager(connection)
    this.bodies = new NatsBodies({ link: this.#link, name: `faasdock_${instance}`, jsm })
    this.dead = new NatsLetters({
      link: this.#link,
      publisher: this.#publisher,
      stream: this.#letters,
      prefix: `faasdock.${instance}.dead`,
      jsm,
    })
    this.#around = {
      stream: this.#stream,
      consumer: (lane, again) => this.#consumer(lane, again),
      consumerName,
      held: this.#held,
      done: new Recent(REMEMBERED),
      tell: (reply, what) => this.#tell(reply, what),
      oldPosition: () => this.#oldPosition,
      ahead: { bytes: 0 },
    }
    const beatMs = this.#ackWaitMs / 3
    this.#beat = setInterval(() => this.#extend(beatMs), beatMs / 2).unref()
  }

  get problem(): FaasError | undefined {
    return this.#link.connection ? undefined : this.#link.problem
  }

  get epoch(): number {
    return this.#epoch
  }

  get maxMessageBytes(): number {
    const limit = this.#limit
    const growth = Math.min(GROWTH_BYTES, Math.floor(limit / 4))
    return Math.min(limit - HEADER_BYTES - growth, LARGEST_MESSAGE_BYTES)
  }

  get maxFollowingBytes(): number {
    return this.#limit - HEADER_BYTES
  }

  async publish({ lane, id, head, body, dueAt }: NewMessage): Promise<Published> {
    const payload = pack(head, body, dueAt)
    const published = await this.#publisher.publish({
      subject: `${this.#prefix}.${lane}`,
      id,
      payload,
    })
    if (!published.duplicate || published.mayBeOwn) {
      this.#lane(lane).onPublished(published.position)
      if (published.position > this.#highest) this.#highest = published.position
    }
    return published
  }

  take(lane: string, count: number): Promise<Taken> {
    return this.#lane(lane).take(count)
  }

  async remove(position: number): Promise<boolean> {
    if (this.#held.delete(position)) for (const lane of this.#lanes.values()) lane.dropRemoved()
    return this.#ask(
      async ({ streams }) =>
        (await streams.deleteMessage(this.#stream, position, false).catch(ifMissing)) ?? false,
    )
  }

  async newest(): Promise<number> {
    return this.#ask(async ({ streams }) => (await streams.info(this.#stream)).state.last_seq)
  }

  async purge(lane: string, upTo: number): Promise<number> {
    this.#lanes.get(lane)?.forget(upTo)
    const depths = await this.depths()
    // Servers of 2.9 go on to count what is purged by its subject. What comes meanwhile stands behind `upTo`.
    const isAlone = [...depths.keys()].every((other) => other === lane)
    const filter = `${this.#prefix}.${lane}`
    const { purged } = await this.#ask(({ streams }) =>
      streams.purge(this.#stream, { seq: upTo + 1, ...(!isAlone && { filter }) }),
    )
    this.#lanes.get(lane)?.forget(upTo)
    return purged
  }

  async depths(): Promise<ReadonlyMap<string, number>> {
    const { state } = await this.#ask(({ streams }) =>
      streams.info(this.#stream, { subjects_filter: `${this.#prefix}.>` }),
    )
    const skipped = this.#prefix.length + 1
    return new Map(
      Object.entries(state.subjects ?? {}).map(([subject, count]) => [subject.slice(skipped), count]),
    )
  }

  async *list(lane: string, from = 1): AsyncGenerator<Pick<Delivery, 'position' | 'head'>> {
    for (let seq = from; ;) {
      const next = { seq, next_by_subj: `${this.#prefix}.${lane}` }
      const message = await this.#ask(({ streams }) =>
        streams.getMessage(this.#stream, next).catch(ifMissing),
      )
      if (!message) return
      yield { position: message.seq, head: unpack(message.data).head }
      seq = message.seq + 1
    }
  }

  watch(onChange: (isUp: boolean) => void): Disposable {
    return this.#link.watch(onChange)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#beat)
    this.#flush()
    await this.#link[Symbol.asyncDispose]()
    await this.#options.source[Symbol.asyncDispose]()
  }

  /** Of a message with its headers. */
  get #limit(): number {
    return this.#link.connection?.info?.max_payload ?? SMALLEST_LIMIT
  }

  get #ackWaitMs(): number {
    return this.#options.ackWaitMs ?? ACK_WAIT_MS
  }

  /** QUEUE_UNAVAILABLE, too, for a connection that looks whole when the server is asked, and is gone before it answers. */
  async #ask<T>(question: (manager: JetStreamManager) => Promise<T>): Promise<T> {
    const manager = await this.#manager(await this.#link.connected(PATIENCE_MS))
    try {
      return await question(manager)
    } catch (error) {
      throw new FaasError('QUEUE_UNAVAILABLE', {
        message: `${this.#options.source.description} did not answer: ${asFaasError(error).message}`,
        remedy: 'Ask again in a moment; what is queued is kept.',
        cause: error,
      })
    }
  }

  /** Streams as they should be. What consumers remember is not trusted: everything unacknowledged is delivered afresh. */
  async #prepare(connection: NatsConnection): Promise<void> {
    try {
      const { streams, consumers } = await this.#manager(connection)
      await Promise.all([
        putStream(streams, {
          name: this.#stream,
          subjects: [`${this.#prefix}.>`],
          retention: 'workqueue',
          discard: 'new',
          duplicate_window: this.#options.dedupeMs * NANOSECONDS,
        }),
        putStream(streams, {
          name: this.#letters,
          subjects: [`${this.#prefix.replace(/queue$/, 'dead')}.>`],
          retention: 'limits',
          discard: 'old',
          ...LETTERS,
        }),
      ])
      const names: string[] = []
      for await (const { name } of consumers.list(this.#stream)) names.push(name)
      await Promise.all(names.map((name) => consumers.delete(this.#stream, name)))
      const { created, state } = await streams.info(this.#stream)
      this.#oldPosition = state.last_seq
      this.#recognize(created, state.last_seq)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (/jetstream|no responders|timeout/i.test(reason)) this.#distrust(reason)
      throw error
    }
    this.#consumers.clear()
    this.#publisher.attach(connection)
  }

  /** A server without a volume comes back empty, one whose disk broke with less: what is told by positions is forgotten then. */
  #recognize(madeAt: string, lastPosition: number): void {
    const isSame = madeAt === (this.#madeAt ?? madeAt)
    const isWhole = isSame && lastPosition >= this.#highest
    this.#madeAt = madeAt
    this.#highest = lastPosition
    if (isWhole) return
    this.#epoch++
    this.#around.done.clear()
    for (const position of this.#held.keys())
      if (!isSame || position > lastPosition) this.#held.delete(position)
    for (const lane of this.#lanes.values()) lane.onEmptied()
  }

  #detach(): void {
    this.#publisher.detach()
    for (const lane of this.#lanes.values()) lane.detach()
  }

  #distrust(reason: string): void {
    if (Date.now() - this.#distrustedAt < DISTRUST_EVERY_MS) return
    this.#distrustedAt = Date.now()
    this.#options.source.distrust(reason)
    // The streams may be gone from a server of somebody else: they are looked at whenever a connection is made.
    this.#link.renew()
  }

  #lane(name: string): NatsLane {
    let lane = this.#lanes.get(name)
    if (!lane) this.#lanes.set(name, (lane = new NatsLane(name, this.#around)))
    return lane
  }

  async #consumer(lane: string, again: boolean): Promise<{ name: string; connection: NatsConnection }> {
    const connection = await this.#link.connected(PATIENCE_MS)
    const name = consumerName(lane)
    if (again) this.#consumers.delete(lane)
    let made = this.#consumers.get(lane)
    if (!made) {
      made = this.#manager(connection).then(({ consumers }) =>
        consumers.add(this.#stream, {
          durable_name: name,
          filter_subject: `${this.#prefix}.${lane}`,
          ack_policy: 'explicit',
          ack_wait: this.#ackWaitMs * NANOSECONDS,
          max_ack_pending: -1,
          max_deliver: -1,
          inactive_threshold: IDLE_MS * NANOSECONDS,
        }),
      )
      this.#consumers.set(lane, made)
      made.catch(() => this.#consumers.delete(lane))
    }
    await made
    return { name, connection }
  }

  #manager(connection: NatsConnection): Promise<JetStreamManager> {
    let manager = this.#managers.get(connection)
    if (!manager) {
      manager = jetstreamManager(connection, { checkAPI: false, timeout: PATIENCE_MS })
      this.#managers.set(connection, manager)
    }
    return manager
  }

  /** What is told in one millisecond leaves in one write. */
  #tell(reply: string, what: string): void {
    this.#told.push([reply, what])
    if (this.#told.length === 1) setTimeout(() => this.#flush(), GATHER_MS)
  }

  #flush(): void {
    const told = this.#told.splice(0)
    try {
      for (const [reply, what] of told) this.#link.connection?.publish(reply, what)
    } catch {
      // The connection is going down: what is not heard of now is delivered again, and known to be done.
    }
  }

  /** Says of everything that is being worked at that it is. */
  #extend(everyMs: number): void {
    const now = Date.now()
    for (const held of this.#held.values()) {
      if (now - held.extendedAt < everyMs) continue
      held.extendedAt = now
      this.#tell(held.reply, STILL_WORKING)
    }
  }
}

/** Names of consumers may not have dots, and names of functions no underscores. */
function consumerName(lane: string): string {
  return lane.replaceAll('.', '_')
}

type Streams = JetStreamManager['streams']

async function putStream(streams: Streams, config: Partial<StreamConfig> & { name: string }): Promise<void> {
  const whole = { storage: 'file' as const, allow_direct: false, ...config }
  const found = await streams.info(config.name).catch(ifMissing)
  if (!found) await streams.add(whole)
  else if (
    Object.entries(whole).some(([key, value]) => !isSame(found.config[key as keyof StreamConfig], value))
  )
    await streams.update(config.name, whole)
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b) || (a === undefined && b === false)
}
