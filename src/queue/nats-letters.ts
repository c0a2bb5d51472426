import { jetstream } from '@nats-io/jetstream'
import type { JetStreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import type { DeadLetter, DeadLetters, NewMessage } from '../core/queue.ts'
import { pack, unpack } from './envelope.ts'
import type { NatsLink } from './nats-link.ts'
import { asQueueFailure, idOf } from './publisher.ts'
import type { Publisher } from './publisher.ts'

export interface NatsLettersParts {
  readonly link: NatsLink
  readonly publisher: Publisher
  readonly stream: string
  /** Subjects of letters begin so. */
  readonly prefix: string
  readonly jsm: (connection: NatsConnection) => Promise<JetStreamManager>
}

const PATIENCE_MS = 5000
const LIST_BATCH = 500
const LIST_LIMIT_MS = 2000

/** Dead letters in a stream of their own, whose limits drop the oldest. */
export class NatsLetters implements DeadLetters {
  readonly #parts: NatsLettersParts

  constructor(parts: NatsLettersParts) {
    this.#parts = parts
  }

  async put({ lane, id, head, body }: NewMessage): Promise<number> {
    const { publisher, prefix } = this.#parts
    const payload = pack(head, body)
    const { position } = await publisher.publish({ subject: `${prefix}.${lane}`, id, payload })
    return position
  }

  async get(position: number): Promise<DeadLetter | undefined> {
    const message = await this.#ask(({ streams }) =>
      streams.getMessage(this.#parts.stream, { seq: position }).catch(ifMissing),
    )
    if (!message) return undefined
    const id = idOf({ headers: message.header })
    const { head, body } = unpack(message.data)
    return { position, lane: this.#lane(message.subject), id, head, body }
  }

  async remove(position: number): Promise<boolean> {
    return this.#ask(
      async ({ streams }) =>
        (await streams.deleteMessage(this.#parts.stream, position, false).catch(ifMissing)) ?? false,
    )
  }

  async list(): Promise<readonly Pick<DeadLetter, 'position' | 'lane' | 'id'>[]> {
    return this.#ask((jsm) => this.#listAll(jsm))
  }

  async #listAll(jsm: JetStreamManager): Promise<readonly Pick<DeadLetter, 'position' | 'lane' | 'id'>[]> {
    const { link, stream } = this.#parts
    let left = (await jsm.streams.info(stream)).state.messages
    if (left === 0) return []
    const { name } = await jsm.consumers.add(stream, {
      ack_policy: 'none',
      deliver_policy: 'all',
      headers_only: true,
      inactive_threshold: 30e9,
    })
    const consumer = await jetstream(await link.connected(PATIENCE_MS)).consumers.get(stream, name)
    const listed: Pick<DeadLetter, 'position' | 'lane' | 'id'>[] = []
    while (left > 0) {
      let came = 0
      const batch = await consumer.fetch({ max_messages: Math.min(left, LIST_BATCH), expires: LIST_LIMIT_MS })
      for await (const message of batch) {
        came++
        const id = idOf({ headers: message.headers })
        listed.push({ position: message.seq, lane: this.#lane(message.subject), id })
      }
      if (came === 0) break
      left -= came
    }
    await jsm.consumers.delete(stream, name).catch(() => undefined)
    return listed
  }

  #lane(subject: string): string {
    return subject.slice(this.#parts.prefix.length + 1)
  }

  async #ask<T>(question: (manager: JetStreamManager) => Promise<T>): Promise<T> {
    const manager = await this.#parts.jsm(await this.#parts.link.connected(PATIENCE_MS))
    return question(manager).catch((error: unknown) => {
      throw asQueueFailure(error)
    })
  }
}

/** What JetStream says of a message that is not there (any more). */
export function ifMissing(error: Error & { code?: number; status?: number }): undefined {
  if (error.code === 10037 || error.code === 10043 || /no message found|not found/i.test(error.message))
    return undefined
  throw error
}
