// Bounded load on one running runtime: what only shows after many calls and many swaps, and what only bad callers send.
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { callAt } from './templates/call.ts'
import { startRuntime, swapEnv, swapping } from './templates/node-process.ts'
import { brokenHttp, HTTP_OR_NOTHING, keptCalls, soak, thirds } from './templates/soak.ts'

/** A generation that says its number, with some weight, a timer, a listener and a helper module that each would leak. */
const generation = (number: number): Record<string, string> => ({
  'handler.js': `
    const part = require('./part')
    const weight = Buffer.alloc(512 * 1024, ${String(number % 256)})
    const state = Array.from({ length: 2000 }, (_, i) => ({ i, weight }))
    setInterval(() => state.length, 1000)
    process.on('SIGTERM', () => state.length)
    module.exports = async (event, context) => {
      if (event.path === '/memory') { global.gc(); return JSON.stringify(process.memoryUsage()) }
      if (state.length % 7 === 0) await new Promise((go) => setTimeout(go, 1))
      return part
    }`,
  'part.js': `module.exports = 'generation ${String(number)}'`,
})

describe('soak', () => {
  const requests = 100_000
  const swaps = 100

  it(`answers ${String(requests)} requests over ${String(swaps)} swaps: none fails, none is stale, memory is flat`, async () => {
    await using runtime = await startRuntime(generation(1), {
      ...swapEnv,
      NODE_OPTIONS: '--expose-gc',
      ...quiet,
    })
    const { put, state } = swapping(runtime.call)
    using client = keptCalls({ host: '127.0.0.1', port: runtime.port }, 17)
    const heap: number[] = []
    const bad = await soak({
      requests,
      swaps,
      call: () => client.call(),
      swapTo: async (number) => {
        expect(await put(generation(number))).toMatchObject({ status: 200 })
        const { body } = await client.call({ path: '/memory' })
        const usage = JSON.parse(body) as { heapUsed: number; arrayBuffers?: number }
        heap.push(usage.heapUsed + (usage.arrayBuffers ?? 0))
      },
    })
    expect(bad.slice(0, 5)).toEqual([])
    expect(await state()).toMatchObject({ number: swaps + 1, inflight: {} })
    const { first, last } = thirds(heap)
    // Each generation holds half a MiB and thousands of objects: one in ten that stayed would show.
    expect(last, heap.join(' ')).toBeLessThan(first + 4 * 1024 * 1024)
  })
})

const quiet = { metrics_port: '0' }

describe('fuzz', () => {
  /** A handler that looks at everything it is given. */
  const handler = {
    'handler.js': `module.exports = async (event, context) => {
      const size = JSON.stringify([event.body, event.headers, event.query, event.path, event.method]).length
      return context.status(200).headers({ 'x-size': String(size) }).succeed({ size })
    }`,
  }

  it('answers whatever body, header and query with HTTP, and lives', async () => {
    await using runtime = await startRuntime(handler, { ...quiet, read_timeout: '2s' })
    const type = fc.oneof(
      fc.constantFrom(
        'application/json',
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data',
        'a/b; charset=',
        'text/x; charset=utf-16',
        'application/json; charset="x',
        '',
      ),
      fc.string({
        unit: fc.integer({ min: 32, max: 126 }).map((code) => String.fromCharCode(code)),
        maxLength: 40,
      }),
    )
    const headers = fc.dictionary(
      fc
        .string({ unit: fc.constantFrom(...Array.from('abcdefghij-_XYZ019')), minLength: 1, maxLength: 20 })
        .filter((name) => !/^(connection|upgrade|expect)$/i.test(name)),
      fc.string({
        unit: fc.integer({ min: 32, max: 255 }).map((code) => String.fromCharCode(code === 127 ? 32 : code)),
        maxLength: 60,
      }),
      { maxKeys: 8 },
    )
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
      fc.json().map((text) => Buffer.from(text)),
      fc
        .array(
          fc.constantFrom(
            'a',
            'b',
            '[',
            ']',
            '=',
            '&',
            '%',
            '+',
            '__proto__',
            'constructor',
            '0',
            '999999999',
            '%zz',
          ),
          { maxLength: 60 },
        )
        .map((parts) => Buffer.from(parts.join(''))),
    )
    const encoding = fc.option(fc.constantFrom('gzip', 'deflate', 'br', 'identity', 'x'), {
      nil: undefined,
      freq: 6,
    })
    const path = fc.oneof(
      fc.webPath(),
      fc
        .array(fc.constantFrom('/', '?', '&', '=', '[', ']', '%', '%41', 'a', '..', '//', '#', ':'), {
          maxLength: 40,
        })
        .map((parts) => `/${parts.join('')}`),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'PROPFIND'),
        path,
        headers,
        type,
        encoding,
        bytes,
        async (method, target, more, contentType, contentEncoding, body) => {
          const answer = await callAt('127.0.0.1', runtime.port, {
            method,
            path: target,
            headers: {
              ...more,
              'Content-Type': contentType.trim(),
              ...(contentEncoding !== undefined && { 'Content-Encoding': contentEncoding }),
            },
            body,
          })
          expect(answer.status).toBeGreaterThanOrEqual(200)
          expect(answer.status).toBeLessThan(600)
          expect([500, 502, 503, 504]).not.toContain(answer.status)
        },
      ),
      { numRuns: 3000, interruptAfterTimeLimit: 60_000 },
    )
    expect(runtime.child.exitCode).toBeNull()
    expect((await runtime.call()).status).toBe(200)
  })

  it('answers what is no HTTP with HTTP or an end, and lives', async () => {
    await using runtime = await startRuntime(handler, { ...quiet, read_timeout: '300ms' })
    await fc.assert(
      fc.asyncProperty(brokenHttp(), async (texts) => {
        const answers = await Promise.all(texts.map((text) => sayRaw(runtime.port, text)))
        for (const answer of answers) expect(answer).toMatch(HTTP_OR_NOTHING)
      }),
      { numRuns: 250, interruptAfterTimeLimit: 60_000 },
    )
    expect(runtime.child.exitCode).toBeNull()
    expect((await runtime.call()).status).toBe(200)
  })

  it('lives through connections that are cut off', async () => {
    await using runtime = await startRuntime(handler, quiet)
    const body = randomBytes(64 * 1024)
    await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const socket = connect(runtime.port, '127.0.0.1')
        socket.on('error', () => undefined)
        socket.write(
          `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: ${String(body.length)}\r\n\r\n`,
        )
        socket.write(body.subarray(0, i * 300))
        await new Promise((resolve) => socket.once('connect', resolve))
        socket.destroy()
      }),
    )
    expect((await runtime.call()).status).toBe(200)
    expect(runtime.child.exitCode).toBeNull()
  })
})

/** Writes these bytes, says that there are no more, and resolves with what came back until the end. */
function sayRaw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    let answer = ''
    const tooLong = setTimeout(() => {
      reject(new Error(`no end after 10 s: ${JSON.stringify(text)}`))
      socket.destroy()
    }, 10_000)
    socket.on('data', (chunk) => (answer += chunk.toString('latin1')))
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(tooLong)
      resolve(answer)
    })
    socket.on('end', () => socket.end())
    socket.end(Buffer.from(text, 'latin1'))
  })
}
