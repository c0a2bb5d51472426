import { setImmediate as turn } from 'node:timers/promises'
import type { NatsConnection } from '@nats-io/transport-node'
import { expect, test } from 'vitest'
import type { NatsLink } from './nats-link.ts'
import { Publisher } from './publisher.ts'

/** A publisher on a connection whose server answers as the test says. */
function usePublisher(answer: (times: number) => object | undefined) {
  let listener: ((error: Error | null, message: { subject: string; data: Uint8Array }) => void) | undefined
  let times = 0
  const connection = {
    subscribe: (_subject: string, { callback }: { callback: typeof listener }) => (listener = callback),
    publish: (_subject: string, _payload: Uint8Array, { reply }: { reply: string }) => {
      const said = answer(++times)
      if (said) listener?.(null, { subject: reply, data: Buffer.from(JSON.stringify(said)) })
    },
  } as unknown as NatsConnection
  const link = { connection, connected: () => Promise.resolve(connection) } as unknown as NatsLink
  const publisher = new Publisher(link, { distrust: () => undefined, shortage: () => undefined })
  publisher.attach(connection)
  return publisher
}

const message = { subject: 'queue.call', id: 'one', payload: new Uint8Array(1) }

test('a duplicate of what was sent by nobody else since is said to be perhaps its own', async () => {
  const publisher = usePublisher((times) => (times === 1 ? undefined : { seq: 7, duplicate: true }))
  const published = publisher.publish(message)
  await turn()
  await turn()
  publisher.detach()
  expect(await published).toEqual({ position: 7, duplicate: true, mayBeOwn: true })
})

test('a duplicate of what was sent once is somebody else', async () => {
  const publisher = usePublisher(() => ({ seq: 7, duplicate: true }))
  expect(await publisher.publish(message)).toEqual({ position: 7, duplicate: true })
})
