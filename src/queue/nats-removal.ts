import { jetstream } from '@nats-io/jetstream'
import type { JetStreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { ifMissing } from './nats-letters.ts'

const BATCH = 256
const LIST_LIMIT_MS = 2000
const IDLE_NANOSECONDS = 30e9

/**
 * Removes all messages of a subject, one by one. A purge of a subject is quicker, but the servers of 2.9 go on to count
 * what it removed: in time they refuse everything for want of space.
 */
export async function removeSubject(
  manager: JetStreamManager,
  connection: NatsConnection,
  stream: string,
  subject: string,
): Promise<void> {
  const isLost = connection.closed().then(() => {
    throw new Error('the connection was lost')
  })
  // The client's reading of a batch may outlive the connection.
  await Promise.race([removeEach(manager, connection, stream, subject), isLost])
}

async function removeEach(
  { streams, consumers }: JetStreamManager,
  connection: NatsConnection,
  stream: string,
  subject: string,
): Promise<void> {
  const { name, num_pending: count } = await consumers.add(stream, {
    ack_policy: 'none',
    deliver_policy: 'all',
    filter_subject: subject,
    headers_only: true,
    inactive_threshold: IDLE_NANOSECONDS,
  })
  try {
    const consumer = await jetstream(connection).consumers.get(stream, name)
    for (let left = count; left > 0;) {
      const positions: number[] = []
      const batch = await consumer.fetch({ max_messages: Math.min(left, BATCH), expires: LIST_LIMIT_MS })
      for await (const { seq } of batch) positions.push(seq)
      if (positions.length === 0) break
      await Promise.all(positions.map((seq) => streams.deleteMessage(stream, seq, false).catch(ifMissing)))
      left -= positions.length
    }
  } finally {
    await consumers.delete(stream, name).catch(() => undefined)
  }
  // Whatever was not listed in time.
  await streams.purge(stream, { filter: subject })
}
