import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { ask, Parts } from '../parts.mjs'
import { result } from '../statistics.mjs'

const CONNECTIONS = 32
const BODY = 'x'.repeat(1024)

/** Async calls next to raw JetStream from Node (accepting), and next to synchronous calls (draining), in one run. */
export async function run({ quick }) {
  const [rounds, seconds, backlog] = quick ? [2, 1, 10_000] : [5, 2, 100_000]
  const folder = mkdtempSync(join(tmpdir(), 'faasdock-bench-async-'))
  const parts = new Parts()
  try {
    const { child: fn, said: hello } = await parts.start('data-plane/hello.mjs')
    const { child: load } = await parts.start('data-plane/load.mjs')
    const data = join(folder, 'data')
    const serve = () => parts.start('async/gateway.mjs', { argv: [hello, data, CONNECTIONS] })
    let gateway = await serve()
    const api = async (method, path, body) =>
      (
        await fetch(`http://127.0.0.1:${gateway.said.port}${path}`, { method, body: JSON.stringify(body) })
      ).text()
    const measure = (path, status, time) => {
      const { port } = gateway.said
      return ask(load, { port, path, connections: CONNECTIONS, seconds: time, body: BODY, status })
    }
    const depth = async () => JSON.parse(await api('GET', '/system/queue')).functions[0]?.depth ?? 0
    const pause = () => api('POST', '/system/queue/pause', { function: 'hello' })
    // The function says how far it is: a gateway that is asked all the time drains more slowly, and one that is asked now
    // and then has been done for a while. What is timed is the making of the calls, as it is where callers wait for them.
    const drain = async () => {
      const waiting = await depth()
      const before = await ask(fn, 'calls')
      const began = performance.now()
      await api('POST', '/system/queue/resume', { function: 'hello' })
      while ((await ask(fn, 'calls')) - before < waiting) await wait(10)
      const took = performance.now() - began
      while ((await depth()) > 0) await wait(10)
      const made = (await ask(fn, 'calls')) - before
      if (made !== waiting) throw new Error(`${waiting} queued calls were made ${made} times`)
      return waiting / (took / 1000)
    }
    const raw = await rawServer(folder)
    parts.add(raw)
    const seen = { accept: [], p50: [], rawPublish: [], rawConsume: [], drain: [], sync: [] }
    await measure('/function/hello', 200, 2)
    for (let round = -1; round < rounds; round++) {
      const one = {}
      ;[one.rawPublish, one.rawConsume] = await rawRates(raw.url, quick ? 4000 : 15_000)
      await pause()
      const { perSecond, p50 } = await measure('/async-function/hello', 202, seconds)
      one.accept = perSecond
      one.p50 = p50
      one.drain = await drain()
      one.sync = (await measure('/function/hello', 200, seconds)).perSecond
      // The first round warms up.
      if (round >= 0) for (const [key, value] of Object.entries(one)) seen[key].push(value)
    }
    await pause()
    const memory = { before: await ask(gateway.child, 'memory') }
    while ((await depth()) < backlog) await measure('/async-function/hello', 202, 2)
    memory.after = await ask(gateway.child, 'memory')
    gateway.child.kill('SIGKILL')
    await wait(500)
    gateway = await serve()
    const waiting = await depth()
    const rate = await drain()
    memory.drained = await ask(gateway.child, 'memory')
    return [
      result({
        name: 'accepting 1 KiB over HTTP',
        unit: '/s',
        samples: seen.accept,
        better: 'higher',
        baseline: { name: 'raw publish', samples: seen.rawPublish },
      }),
      result({ name: `accepting, median at ${CONNECTIONS} connections`, unit: 'ms', samples: seen.p50 }),
      result({
        name: 'draining',
        unit: '/s',
        samples: seen.drain,
        better: 'higher',
        baseline: { name: 'synchronous calls', samples: seen.sync },
      }),
      result({ name: 'raw consume, for comparison', unit: '/s', samples: seen.rawConsume }),
      result({
        name: `start with ${waiting} queued after a kill -9`,
        unit: 'ms',
        samples: [gateway.said.startMs],
      }),
      result({ name: '… until the queue answers', unit: 'ms', samples: [gateway.said.readyMs] }),
      result({ name: '… draining them', unit: '/s', samples: [rate] }),
      result({ name: 'memory before', unit: 'MB', samples: [memory.before] }),
      result({ name: `memory with ${waiting} queued`, unit: 'MB', samples: [memory.after] }),
      result({ name: 'memory when drained, after a restart', unit: 'MB', samples: [memory.drained] }),
    ]
  } finally {
    parts.end()
    await wait(500)
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A server like ours, with nothing in front of it. */
async function rawServer(folder) {
  const ports = join(folder, 'raw')
  const config = join(folder, 'raw.conf')
  writeFileSync(
    config,
    JSON.stringify({ host: '127.0.0.1', port: -1, ports_file_dir: folder, jetstream: { store_dir: ports } }),
  )
  const child = spawn('nats-server', ['-c', config], { stdio: 'ignore' })
  for (;;) {
    try {
      child.url = JSON.parse(readFileSync(join(folder, `nats-server_${child.pid}.ports`), 'utf8')).nats[0]
      return child
    } catch {
      await wait(20)
    }
  }
}

/** As a program would that uses the client directly: as many publishes at once as there are connections above. */
async function rawRates(url, count) {
  const connection = await connect({ servers: url })
  const manager = await jetstreamManager(connection)
  await manager.streams.add({ name: 'RAW', subjects: ['raw'], retention: 'workqueue' })
  const client = jetstream(connection)
  const payload = Buffer.from(BODY)
  let next = 0
  let began = performance.now()
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (next < count) await client.publish('raw', payload, { msgID: String(next++) })
    }),
  )
  const published = count / ((performance.now() - began) / 1000)
  await manager.consumers.add('RAW', { durable_name: 'raw', ack_policy: 'explicit' })
  const messages = await (await client.consumers.get('RAW', 'raw')).consume({ max_messages: 500 })
  began = performance.now()
  let left = count
  for await (const message of messages) {
    message.ack()
    if (--left === 0) break
  }
  const consumed = count / ((performance.now() - began) / 1000)
  await manager.streams.delete('RAW')
  await connection.close()
  return [published, consumed]
}
