import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { soon } from '../../test/support/platform.ts'
import { rawCaller } from '../../test/support/raw-http.ts'
import type { TestApp } from '../../test/support/use-app.ts'
import { useApp } from '../../test/support/use-app.ts'
import type { MemoryImage } from '../provider/memory/memory-provider.ts'

// Anything at all over raw connections. FUZZ_RUNS=5000 for a long look.

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 120)
/** A connection that has been silent for so long has said what it had to say. Milliseconds. */
const QUIET_MS = 25

/** Takes everything, and answers well. */
const echo: MemoryImage = {
  listener: () => (request, response) => {
    // Not to HEAD: its connection is closed after it, and a close with a body unread takes the answer along.
    if (request.url?.includes('early') === true && request.method !== 'HEAD') response.end('early')
    else request.pipe(response)
  },
  prepare: (server) => {
    server.maxHeadersCount = 0
    server.on('upgrade', (_request, socket) => {
      socket.on('error', () => undefined)
      socket.write('HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
      socket.pipe(socket)
    })
  },
}

const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code))
const junk = fc.string({ unit: byte, maxLength: 40 })
const visible = fc.string({
  unit: fc.integer({ min: 33, max: 126 }).map((code) => String.fromCharCode(code)),
  maxLength: 30,
})
const method = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD') },
  fc.constantFrom('CONNECT', 'TRACE', 'PROPFIND', 'get', 'PRI', ''),
  junk,
)
const target = fc.oneof(
  { weight: 6, arbitrary: visible.map((rest) => `/function/fn/${rest}`) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '/function/fn',
      '/function/fn?',
      '/function/fn/early',
      '/function/fn.openfaas-fn/a',
    ),
  },
  visible.map((rest) => `/function/${rest}`),
  visible.map((rest) => `http://${rest}/function/fn/`),
  fc.constantFrom(
    '*',
    '/',
    '//',
    '/function/',
    'http://',
    'fn:80',
    '/function/fn/../../x',
    '/async-functions',
  ),
  junk,
)
const header = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        fc.constantFrom(
          'X-A',
          'x-a',
          'Cookie',
          'X-Call-Id',
          'X-Start-Time',
          'Content-Type',
          'X-Forwarded-For',
          'User-Agent',
        ),
        visible,
      )
      .map((pair) => pair.join(': ')),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      'Expect: 100-continue',
      'Expect: odd',
      'Connection: close',
      'Connection: Upgrade',
      'Connection: keep-alive, X-A',
      'Upgrade: websocket',
      'Upgrade: x',
      'Upgrade: h2c',
      'Upgrade: , ,',
      'TE: trailers',
      'Trailer: X-T',
      'Keep-Alive: 1',
      'Host: other',
      'Sec-WebSocket-Key: x',
    ),
  },
  fc.constantFrom(
    'Content-Length: 3',
    'Content-Length: -1',
    'Content-Length: 99999999999999999999',
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: gzip',
    ' folded',
    ': none',
    'X-Long: '.padEnd(3000, 'x'),
  ),
  fc.tuple(visible, junk).map((pair) => pair.join(':')),
  junk,
)
const body = fc.oneof(
  { weight: 3, arbitrary: fc.constant('') },
  { weight: 3, arbitrary: junk.map((text) => ({ framing: `Content-Length: ${text.length}`, text })) },
  {
    weight: 3,
    arbitrary: fc
      .array(
        junk.filter((text) => text !== ''),
        { maxLength: 4 },
      )
      .map((pieces) => ({
        framing: 'Transfer-Encoding: chunked',
        text: `${pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('')}0\r\n\r\n`,
      })),
  },
  fc.constant({ framing: 'Content-Length: 300000', text: 'y'.repeat(300_000) }),
  fc.constant({
    framing: 'Transfer-Encoding: chunked\r\nTrailer: X-T',
    text: '1\r\na\r\n0\r\nX-T: 1\r\n\r\n',
  }),
  junk.map((text) => ({ framing: 'Transfer-Encoding: chunked', text })),
  junk.map((text) => ({ framing: 'Content-Length: 500', text })),
)
const request = fc
  .tuple(
    method,
    target,
    fc.constantFrom('HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', ''),
    fc.array(header, { maxLength: 4 }),
    body,
  )
  .map(([verb, path, version, headers, content]) => {
    const { framing, text } = content === '' ? { framing: 'X-None: 1', text: '' } : content
    return `${[`${verb} ${path} ${version}`, 'Host: me', ...headers, framing].join('\r\n')}\r\n\r\n${text}`
  })
const connection = fc.record({
  bytes: fc.oneof(
    { weight: 9, arbitrary: fc.array(request, { minLength: 1, maxLength: 3 }).map((all) => all.join('')) },
    junk,
  ),
  /** Cut where the caller hangs up; most say all and wait. */
  cut: fc.oneof({ weight: 3, arbitrary: fc.constant(Infinity) }, fc.nat(400)),
  /** In how many pieces it is written. */
  pieces: fc.integer({ min: 1, max: 4 }),
  how: fc.constantFrom('wait', 'end', 'reset', 'destroy'),
})

let platform: TestApp
beforeAll(async () => {
  platform = await useApp({ echo }, { upstreamTimeout: '20s' })
  await platform.deploy('fn', 'echo')
})
afterAll(() => platform[Symbol.asyncDispose]())

async function say({
  bytes,
  cut,
  pieces,
  how,
}: {
  bytes: string
  cut: number
  pieces: number
  how: string
}): Promise<string> {
  using caller = rawCaller(platform.port)
  const all = bytes.slice(0, Math.min(cut, bytes.length))
  const size = Math.ceil(all.length / pieces)
  for (let at = 0; at < all.length; at += size) {
    caller.write(all.slice(at, at + size))
    await new Promise((resolve) => setImmediate(resolve))
  }
  if (how === 'end') caller.socket.end()
  if (how === 'reset') caller.socket.resetAndDestroy()
  if (how === 'destroy') caller.socket.destroy()
  let seen = -1
  while (!caller.hasEnded && caller.text.length !== seen) {
    seen = caller.text.length
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS))
  }
  return caller.text
}

/** Numbers of calls begun and ended, of all functions. */
async function counts(): Promise<{ started: number; ended: number }> {
  const text = await (await fetch(`${platform.url}/metrics`)).text()
  const sum = (name: string): number =>
    [...text.matchAll(new RegExp(`^${name}\\{.*\\} (\\d+)$`, 'gm'))].reduce(
      (total, [, value]) => total + Number(value),
      0,
    )
  return {
    started: sum('gateway_function_invocation_started'),
    ended: sum('gateway_function_invocation_total'),
  }
}

test(
  'whatever comes over a connection: no failure of ours, and no call is left behind',
  { timeout: 15_000 + RUNS * 500 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(connection, { minLength: 10, maxLength: 10 }), async (connections) => {
        const answers = await Promise.all(connections.map(say))
        for (const text of answers) {
          // This function answers everything it is asked: what it cannot be asked is the caller's mistake.
          for (const [answer, head] of text.matchAll(/(HTTP\/1\.1 5\d\d [^]*?\r\n\r\n)[^]{0,300}/g))
            expect(/x-openfaas-internal/i.test(head ?? '') ? answer : '').toBe('')
        }
        expect((await fetch(`${platform.url}/function/fn/early`)).status).toBe(200)
      }),
      { numRuns: RUNS },
    )
    let last = { started: 0, ended: -1 }
    await soon(() => {
      counts().then(
        (now) => (last = now),
        () => undefined,
      )
      return last.started === last.ended
    }, 'the end of every call')
    expect(last.started).toBeGreaterThan(RUNS)
    // A lease that was left would hold this up until the limit of the drain.
    const began = performance.now()
    await platform.ask('DELETE', '/system/functions', { functionName: 'fn' })
    await soon(() => platform.provider.actual({ name: 'fn', namespace: 'openfaas-fn' }) === undefined)
    expect(performance.now() - began).toBeLessThan(400)
  },
)
