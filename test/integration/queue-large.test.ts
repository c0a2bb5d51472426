import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { createApp } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { MemoryProvider } from '../../src/provider/memory/memory-provider.ts'
import type { MemoryImage } from '../../src/provider/memory/memory-provider.ts'
import { makeFolder } from '../support/folder.ts'
import { until } from '../support/until.ts'

// Large answers to async calls, over a real NATS server: they are kept there until they are called back, and nowhere else.

const MB = 1_000_000
const PIECE = Buffer.alloc(64 * 1024, 'abcdefgh')
/** What is longer is cut off for its callback (docs/async.md). */
const LIMIT = 128 * 2 ** 20
const WHOLE = 3
const UNWANTED = 2

function* pieces(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= PIECE.length) yield PIECE.subarray(0, Math.min(left, PIECE.length))
}

function hashOf(bytes: number): string {
  const hash = createHash('sha256')
  for (const piece of pieces(bytes)) hash.update(piece)
  return hash.digest('hex')
}

/** A function whose answer has as many bytes as its path says. */
const large: MemoryImage = {
  listener: () => (request, response) => {
    request.resume()
    const bytes = Number((request.url ?? '').slice(1))
    if (Number.isNaN(bytes)) response.end('ready')
    else Readable.from(pieces(bytes)).pipe(response)
  },
}

interface Received {
  readonly headers: IncomingHttpHeaders
  readonly bytes: number
  readonly hash: string
}

test(
  'answers of 100 MB are called back whole, longer ones are cut off and say so, and memory stays flat',
  { timeout: 300_000 },
  async () => {
    await using folder = await makeFolder()
    const received: Received[] = []
    const collector = createServer((request, response) => {
      const hash = createHash('sha256')
      let bytes = 0
      request.on('data', (piece: Buffer) => {
        bytes += piece.length
        hash.update(piece)
      })
      request.on('end', () => {
        received.push({ headers: request.headers, bytes, hash: hash.digest('hex') })
        response.end()
      })
    })
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve))
    const callback = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`
    const config = readConfig({
      env: { PATH: process.env['PATH'] },
      cwd: folder.path,
      flags: { port: 0, metricsPort: 'off', data: join(folder.path, 'data'), drainTimeout: '500ms' },
    })
    const provider = new MemoryProvider({ images: { large }, drainMs: 500 })
    await using app = await createApp(config, { provider })
    await app.functions.deploy({
      name: 'large',
      namespace: 'openfaas-fn',
      image: 'large',
      labels: {},
      annotations: {},
    }).settled
    const call = async (bytes: number, headers: Record<string, string>): Promise<void> => {
      const answer = await fetch(`${app.url}/async-function/large/${bytes}`, { method: 'POST', headers })
      expect(answer.status).toBe(202)
    }

    const before = process.memoryUsage.rss()
    let most = before
    const watch = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 20)
    for (let i = 0; i < WHOLE; i++) await call(100 * MB, { 'X-Callback-Url': callback })
    await call(LIMIT + 10 * MB, { 'X-Callback-Url': callback })
    // Nobody wants these: they are read, and forgotten.
    for (let i = 0; i < UNWANTED; i++) await call(100 * MB, { 'X-Call-Id': `unwanted-${i}` })
    await until(() => received.length === WHOLE + 1, {
      limitMs: 200_000,
      what: () => `${received.length} of ${WHOLE + 1} callbacks`,
    })
    for (let i = 0; i < UNWANTED; i++)
      await until(
        async () => {
          const record = await fetch(`${app.url}/system/calls/unwanted-${i}`)
          return ((await record.json()) as { state: string }).state === 'succeeded'
        },
        { limitMs: 100_000 },
      )
    clearInterval(watch)

    const whole = received.filter(({ bytes }) => bytes === 100 * MB)
    expect(whole).toHaveLength(WHOLE)
    for (const { hash, headers } of whole) {
      expect(hash).toBe(hashOf(100 * MB))
      expect(headers['x-faasdock-truncated']).toBeUndefined()
      expect(headers['x-function-status']).toBe('200')
    }
    const [cut] = received.filter(({ bytes }) => bytes !== 100 * MB)
    expect(cut).toMatchObject({
      bytes: LIMIT,
      hash: hashOf(LIMIT),
      headers: { 'x-faasdock-truncated': 'true', 'x-function-status': '200' },
    })
    // More than half a gigabyte went through.
    expect(most - before).toBeLessThan(250 * MB)
    // What was called back takes no room any more.
    await until(async () => {
      const state = (await (await fetch(`${app.url}/system/queue`)).json()) as { callbacks: number }
      return state.callbacks === 0
    })
    collector.closeAllConnections()
    await new Promise((resolve) => collector.close(resolve))
  },
)
