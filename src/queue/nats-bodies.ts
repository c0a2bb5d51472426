import { createHash } from 'node:crypto'
import type { NatsConnection } from '@nats-io/transport-node'
import type { JetStreamManager, StoredMsg } from '@nats-io/jetstream'
import { Objm } from '@nats-io/obj'
import type { ObjectStore } from '@nats-io/obj'
import type { BodyStore } from '../core/queue.ts'
import { bodyGone } from './memory-queue.ts'
import { ifMissing } from './nats-letters.ts'
import type { NatsLink } from './nats-link.ts'
import { removeSubject } from './nats-removal.ts'
import { asQueueFailure } from './publisher.ts'

export interface NatsBodiesParts {
  readonly link: NatsLink
  /** Of the bucket. */
  readonly name: string
  readonly jsm: (connection: NatsConnection) => Promise<JetStreamManager>
}

const PATIENCE_MS = 5000
const PUT_LIMIT_MS = 10_000
const CHUNK_BYTES = 512 * 1024

/**
 * Bodies in a NATS object store. They are read chunk by chunk, as fast as they are used: the client's own reading takes
 * all of a body into memory when nobody hurries.
 */
export class NatsBodies implements BodyStore {
  readonly #parts: NatsBodiesParts
  readonly #buckets = new WeakMap<NatsConnection, Promise<ObjectStore>>()

  constructor(parts: NatsBodiesParts) {
    this.#parts = parts
  }

  async put(name: string, source: AsyncIterable<Uint8Array>): Promise<number> {
    const bucket = await this.#bucket()
    let broken: { readonly error: unknown } | undefined
    const watched = async function* (): AsyncGenerator<Uint8Array> {
      try {
        yield* source
      } catch (error) {
        broken = { error }
        throw error
      }
    }
    try {
      const { size } = await bucket.put(
        { name, options: { max_chunk_size: CHUNK_BYTES } },
        ReadableStream.from<Uint8Array>(watched()),
        { timeout: PUT_LIMIT_MS },
      )
      return size
    } catch (error) {
      throw broken ? broken.error : asQueueFailure(error)
    }
  }

  async open(name: string): Promise<AsyncIterable<Uint8Array>> {
    const found = await this.#ask((bucket) => bucket.info(name))
    if (!found || found.deleted) throw bodyGone(name)
    const { nuid, digest, size } = found
    return this.#chunks(name, nuid, size, digest)
  }

  async remove(name: string): Promise<void> {
    await this.#ask(async (bucket) => {
      const found = await bucket.info(name)
      if (!found) return
      await this.#withStream(async (manager, stream, connection) => {
        const { streams } = manager
        // The client's own way leaves a mark of each body for ever.
        await removeSubject(manager, connection, stream, this.#pieces(found.nuid))
        await streams.deleteMessage(stream, found.revision, false).catch(ifMissing)
      })
    })
  }

  async tidy(before: number): Promise<void> {
    await this.#ask(() =>
      this.#withStream(async (manager, stream, connection) => {
        const { streams } = manager
        const last = (subject: string): Promise<StoredMsg | null | undefined> =>
          streams.getMessage(stream, { last_by_subj: subject }).catch(ifMissing)
        const { state } = await streams.info(stream, { subjects_filter: `$O.${this.#parts.name}.>` })
        const subjects = Object.keys(state.subjects ?? {})
        const named = new Set<string>()
        for (const subject of subjects.filter((one) => !one.startsWith(this.#pieces('')))) {
          const message = await last(subject)
          const found = message?.json<{ nuid: string; deleted?: boolean }>()
          if (found?.deleted) await removeSubject(manager, connection, stream, subject)
          else if (found) named.add(this.#pieces(found.nuid))
        }
        for (const subject of subjects.filter((one) => one.startsWith(this.#pieces('')) && !named.has(one))) {
          const message = await last(subject)
          if (message && message.time.getTime() < before)
            await removeSubject(manager, connection, stream, subject)
        }
      }),
    )
  }

  async list(): Promise<readonly string[]> {
    const found = await this.#ask((bucket) => bucket.list())
    return found.filter(({ deleted }) => !deleted).map(({ name }) => name)
  }

  async #ask<T>(question: (bucket: ObjectStore) => Promise<T>): Promise<T> {
    const bucket = await this.#bucket()
    return question(bucket).catch((error: unknown) => {
      throw asQueueFailure(error)
    })
  }

  /** The subject of the pieces of one body. */
  #pieces(nuid: string): string {
    return `$O.${this.#parts.name}.C.${nuid}`
  }

  async #withStream<T>(
    work: (manager: JetStreamManager, stream: string, connection: NatsConnection) => Promise<T>,
  ): Promise<T> {
    const { link, jsm, name } = this.#parts
    const connection = await link.connected(PATIENCE_MS)
    return work(await jsm(connection), `OBJ_${name}`, connection)
  }

  async *#chunks(name: string, nuid: string, size: number, digest: string): AsyncGenerator<Uint8Array> {
    const { link, jsm, name: bucket } = this.#parts
    const hash = createHash('sha256')
    let next = 0
    let read = 0
    while (read < size) {
      const { direct } = await jsm(await link.connected(PATIENCE_MS))
      const chunk = await direct
        .getMessage(`OBJ_${bucket}`, { seq: next, next_by_subj: this.#pieces(nuid) })
        .catch((error: unknown) => {
          throw asQueueFailure(error)
        })
      if (!chunk) throw bodyGone(name)
      next = chunk.seq + 1
      read += chunk.data.length
      hash.update(chunk.data)
      yield chunk.data
    }
    const expected = digest.replace(/^SHA-256=/, '').replace(/=+$/, '')
    if (hash.digest('base64url') !== expected) throw bodyGone(name)
  }

  async #bucket(): Promise<ObjectStore> {
    const { link, name } = this.#parts
    const connection = await link.connected(PATIENCE_MS)
    let bucket = this.#buckets.get(connection)
    if (!bucket) {
      bucket = new Objm(connection).create(name, { storage: 'file' })
      this.#buckets.set(connection, bucket)
      bucket.catch(() => this.#buckets.delete(connection))
    }
    return bucket.catch((error: unknown) => {
      throw asQueueFailure(error)
    })
  }
}
