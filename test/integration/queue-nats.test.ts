import { join } from 'node:path'
import { afterAll } from 'vitest'
import { silentLog } from '../../src/core/log.ts'
import { NatsQueue } from '../../src/queue/nats-queue.ts'
import type { NatsSource } from '../../src/queue/nats-source.ts'
import { findNatsServer, NatsServer } from '../../src/queue/nats-server.ts'
import { queueContract } from '../contract/queue.contract.ts'
import { makeFolder } from '../support/folder.ts'

const program = findNatsServer(process.env) ?? ''

let count = 0

/** A server with a folder of its own, and queues on it. */
async function useServer(more: { ackWaitMs?: number } = {}) {
  const folder = await makeFolder()
  const server = new NatsServer({ folder: join(folder.path, 'nats'), program, log: silentLog })
  // Closing a queue closes its source; this one is shared.
  const borrowed: NatsSource = {
    description: 'a server',
    address: (signal) => server.address(signal),
    distrust: (reason) => server.distrust(reason),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  const queues: NatsQueue[] = []
  const open = (instance: string): NatsQueue => {
    const queue = new NatsQueue({ source: borrowed, instance, dedupeMs: 120_000, log: silentLog, ...more })
    queues.push(queue)
    return queue
  }
  return {
    folder: folder.path,
    server,
    open,
    [Symbol.asyncDispose]: async () => {
      for (const queue of queues) await queue[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

const shared = await useServer()
afterAll(() => shared[Symbol.asyncDispose]())

queueContract('a queue in NATS', () => {
  const instance = `contract${++count}`
  const queue = shared.open(instance)
  return Promise.resolve({
    queue,
    // Whoever is killed says nothing; what it has taken stays taken until the next one looks.
    crash: () => Promise.resolve(shared.open(instance)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  })
})
