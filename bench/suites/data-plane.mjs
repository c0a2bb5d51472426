import { fork } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { result } from '../statistics.mjs'

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), '../data-plane')
const CONNECTIONS = 32

const SHAPES = [
  { name: 'GET', body: '' },
  { name: 'POST of 1 kB', body: 'x'.repeat(1024) },
]

/**
 * Calls through the gateway, and through one that keeps the last invocations, next to calls through a bare proxy
 * (node:http + undici), taking turns in one run: only the ratio means something. Function, proxies and load generator are processes of their own, as in real use. Processor time
 * is the steadiest of the numbers where the machine has other things to do.
 */
export async function run({ quick }) {
  const [rounds, seconds] = quick ? [2, 1] : [5, 1]
  const children = []
  const start = async (file, { argv = [], env = {} } = {}) => {
    const child = fork(join(FOLDER, file), argv.map(String), { env: { ...process.env, ...env } })
    children.push(child)
    return { child, said: await next(child) }
  }
  try {
    const { said: hello } = await start('hello.mjs')
    const gateway = (record) => start('gateway.mjs', { argv: [hello], env: { FAASDOCK_RECORD: record } })
    const ways = {
      bare: { ...(await start('bare-proxy.mjs', { argv: [hello] })), path: '/' },
      gateway: { ...(await gateway('false')), path: '/function/hello' },
      recording: { ...(await gateway('true')), path: '/function/hello' },
    }
    const names = Object.keys(ways)
    const { child: load } = await start('load.mjs')
    const measure = async (way, body, time) => {
      const { child, said: port, path } = ways[way]
      const before = await processorTime(child)
      load.send({ port, path, connections: CONNECTIONS, seconds: time, body })
      const seen = await next(load)
      return { ...seen, processor: ((await processorTime(child)) - before) / seen.calls }
    }
    const results = []
    for (const { name, body } of SHAPES) {
      const seen = Object.fromEntries(names.map((way) => [way, []]))
      for (const way of names) await measure(way, body, 2)
      for (let round = 0; round < rounds; round++)
        for (const way of names) seen[way].push(await measure(way, body, seconds))
      const compare = (way, what, unit, key, better) =>
        result({
          name: `${name}, ${way === 'gateway' ? '' : `${way}, `}${what}`,
          unit,
          samples: seen[way].map((one) => one[key]),
          baseline: { name: 'bare proxy', samples: seen.bare.map((one) => one[key]) },
          better,
        })
      for (const way of ['gateway', 'recording'])
        results.push(
          compare(way, 'calls a second', '/s', 'perSecond', 'higher'),
          compare(way, 'p99', 'ms', 'p99', 'lower'),
          compare(way, 'processor time of a call', 'µs', 'processor', 'lower'),
        )
    }
    return results
  } finally {
    for (const child of children) child.kill()
  }
}

function processorTime(child) {
  child.send('processor time')
  return next(child)
}

async function next(child) {
  const over = new AbortController()
  const [message] = await Promise.race([
    once(child, 'message', over),
    once(child, 'exit', over).then(([code]) => {
      throw new Error(`a part of the benchmark ended with ${code}`)
    }),
  ]).finally(() => over.abort())
  if (message.error !== undefined) throw new Error(message.error)
  return message
}
