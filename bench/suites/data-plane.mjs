import { join } from 'node:path'
import { ask, Parts } from '../parts.mjs'
import { result } from '../statistics.mjs'

const CONNECTIONS = 32

const SHAPES = [
  { name: 'GET', body: '' },
  { name: 'POST of 1 kB', body: 'x'.repeat(1024) },
]

/**
 * Calls through the gateway, and through one that keeps the last invocations, next to calls through a bare proxy
 * (node:http + undici), taking turns in one run: only the ratio means something. Function, proxies and load generator are
 * processes of their own, as in real use. Processor time is the steadiest of the numbers where the machine has other things
 * to do.
 */
export async function run({ quick }) {
  const [rounds, seconds] = quick ? [2, 1] : [5, 1]
  const parts = new Parts()
  const start = (file, options) => parts.start(join('data-plane', file), options)
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
      const seen = await ask(load, { port, path, connections: CONNECTIONS, seconds: time, body })
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
    parts.end()
  }
}

function processorTime(child) {
  return ask(child, 'processor time')
}
