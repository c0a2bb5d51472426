import { randomBytes } from 'node:crypto'
import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { soon } from '../../test/support/platform.ts'
import { lines, rawCaller } from '../../test/support/raw-http.ts'
import type { TestApp } from '../../test/support/use-app.ts'
import { useApp } from '../../test/support/use-app.ts'
import type { MemoryImage } from '../provider/memory/memory-provider.ts'

/** What the functions see of their connections. */
const seen = { open: 0, heads: [] as string[][], raw: undefined as Socket | undefined }

function plain(request: IncomingMessage, answer: (text: string) => void): void {
  let body = ''
  request.on('data', (chunk: Buffer) => (body += chunk.toString()))
  request.on('end', () => answer(`plain ${request.method ?? ''} ${body} ${request.headers.upgrade ?? '-'}`))
}

/** A WebSocket server that sends back what it gets. */
const echo: MemoryImage = {
  listener: () => (request, response) => plain(request, (text) => response.end(text)),
  prepare: (server: Server) => {
    const sockets = new WebSocketServer({
      server,
      handleProtocols: (offered) => (offered.has('second') ? 'second' : false),
    })
    sockets.on('connection', (socket, request) => {
      seen.open++
      seen.heads.push([request.url ?? '', ...request.rawHeaders])
      socket.on('message', (message, isBinary) => socket.send(message as Buffer, { binary: isBinary }))
      socket.on('close', () => seen.open--)
      if (request.url === '/leave') socket.close(4001, 'enough')
      if (request.url === '/die') socket.terminate()
    })
  },
}

/** Speaks a protocol of bytes, or refuses to. */
const raw: MemoryImage = {
  listener: () => (request, response) => plain(request, (text) => response.end(text)),
  prepare: (server: Server) => {
    server.on('upgrade', (request: IncomingMessage, socket: Socket) => {
      socket.on('error', () => undefined)
      const refusal = /^\/refuse\/(\d+)/.exec(request.url ?? '')
      if (refusal) {
        socket.end(
          `HTTP/1.1 ${refusal[1] ?? ''} No\r\nContent-Type: text/odd\r\nContent-Length: 5\r\n\r\nnever`,
        )
        return
      }
      if (request.url === '/mute') return
      if (request.url === '/hang-up') {
        socket.destroy()
        return
      }
      seen.raw = socket
      seen.open++
      socket.on('close', () => seen.open--)
      socket.write(
        'HTTP/1.1 101 Go on\r\nConnection: Upgrade\r\nUpgrade: bytes/1\r\nX-Of-Function: yes\r\n\r\nhello',
      )
      if (request.url === '/half') {
        let text = ''
        socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
        // Speaks only when the caller has said all.
        socket.on('end', () => socket.end(` you said ${text}`))
      } else if (request.url === '/first') socket.resume().end('bye')
      else if (request.url !== '/still') socket.pipe(socket)
    })
  },
}

/** Knows of no other protocol. */
const deaf: MemoryImage = { listener: raw.listener }
/** Answers late, and with more than a connection buffers. */
const slow: MemoryImage = {
  listener: () => (_request, response) => {
    setTimeout(() => response.end('a'.repeat(10 * 2 ** 20)), 50)
  },
}
/** Does not get ready. */
const never: MemoryImage = {
  listener: raw.listener,
  start: (_revision, signal) =>
    new Promise((_resolve, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
    ),
}

const upgrade = (path: string, ...more: string[]): string =>
  lines(`GET /function/${path} HTTP/1.1`, 'Host: me', 'Connection: Upgrade', 'Upgrade: bytes/1', ...more)

describe('a tunnel', () => {
  let platform: TestApp
  let port: number
  beforeAll(async () => {
    platform = await useApp(
      { echo, raw, deaf, slow, never },
      { upstreamTimeout: '1s', drainTimeout: '300ms' },
    )
    port = platform.port
    await platform.deploy('ws', 'echo')
    await platform.deploy('raw', 'raw')
    await platform.deploy('deaf', 'deaf')
    await platform.deploy('slow', 'slow')
  })
  afterAll(() => platform[Symbol.asyncDispose]())

  const connect = (path = '', protocols: string[] = []): WebSocket =>
    new WebSocket(`ws://127.0.0.1:${port}/function/ws${path}`, protocols)
  const open = (socket: WebSocket): Promise<void> =>
    new Promise((resolve, reject) => socket.once('open', () => resolve()).once('error', reject))
  const next = (socket: WebSocket): Promise<Buffer> =>
    new Promise((resolve) => socket.once('message', (message) => resolve(message as Buffer)))
  const closed = (socket: WebSocket): Promise<[number, string]> =>
    new Promise((resolve) =>
      socket.once('close', (code, reason) => resolve([code, reason.toString()])).on('error', () => undefined),
    )
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`${platform.url}/metrics`)).text()
    return Number(new RegExp(`^${name.replace(/[{}".]/g, '\\$&')} (.*)$`, 'm').exec(text)?.[1] ?? 0)
  }

  test('carries a WebSocket: subprotocol, text, bytes, path and headers', async () => {
    const socket = connect('/chat?a=%2F', ['first', 'second'])
    await open(socket)
    expect(socket.protocol).toBe('second')
    socket.send('hello')
    expect((await next(socket)).toString()).toBe('hello')
    const bytes = randomBytes(3 * 2 ** 20)
    socket.send(bytes)
    expect((await next(socket)).equals(bytes)).toBe(true)
    const [url, ...headers] = seen.heads.at(-1) ?? []
    expect(url).toBe('/chat?a=%2F')
    const names = headers.filter((_text, i) => i % 2 === 0)
    expect(names).toEqual(
      expect.arrayContaining(['Sec-WebSocket-Key', 'X-Call-Id', 'X-Start-Time', 'X-Forwarded-For']),
    )
    expect(headers[headers.indexOf('X-Forwarded-Host') + 1]).toBe(`127.0.0.1:${port}`)
    socket.close(4000, 'done')
    expect(await closed(socket)).toEqual([4000, 'done'])
    await soon(() => seen.open === 0, 'the function hears of the end')
  })

  test('takes many at once, and counts each as in flight while it lives', async () => {
    const total = 'gateway_function_invocation_total{function_name="ws.openfaas-fn",code="101"}'
    const before = await metric(total)
    const sockets = Array.from({ length: 20 }, () => connect())
    await Promise.all(sockets.map(open))
    expect(await metric(total)).toBe(before)
    for (const [i, socket] of sockets.entries()) socket.send(String(i))
    expect((await Promise.all(sockets.map(next))).map(String)).toEqual(sockets.map((_socket, i) => String(i)))
    for (const socket of sockets) socket.close()
    await Promise.all(sockets.map(closed))
    await soon(() => seen.open === 0)
    await expect.poll(() => metric(total)).toBe(before + 20)
  })

  test('ends for the caller when the function ends it', async () => {
    expect(await closed(connect('/leave'))).toEqual([4001, 'enough'])
    expect((await closed(connect('/die')))[0]).toBe(1006)
  })

  test('ends for the function when the caller is cut off', async () => {
    const socket = connect()
    await open(socket)
    await soon(() => seen.open === 1)
    socket.terminate()
    await soon(() => seen.open === 0, 'the function hears of the end')
  })

  test('carries any protocol, and bytes that come with the heads', async () => {
    using caller = rawCaller(port, `${upgrade('raw')}early`)
    const text = await caller.sees(/helloearly/)
    expect(text).toMatch(/^HTTP\/1\.1 101 Go on\r\n/)
    expect(text).toMatch(/\r\nConnection: Upgrade\r\n/)
    expect(text).toMatch(/\r\nUpgrade: bytes\/1\r\n/)
    expect(text).toMatch(/\r\nX-Of-Function: yes\r\n/)
    expect(text).toMatch(/\r\nX-Call-Id: [0-9a-f-]{36}\r\n/)
    expect(text).not.toMatch(/content-type|content-length|transfer-encoding/i)
    caller.write('\0\r\n\xff')
    await caller.sees(/\0\r\n\xff$/)
  })

  test('lets one side end while the other still speaks', async () => {
    using caller = rawCaller(port, upgrade('raw/half'))
    await caller.sees(/hello$/)
    caller.write('all')
    caller.socket.end(' of it')
    expect(await caller.closed()).toMatch(/hello you said all of it$/)
    using second = rawCaller(port, upgrade('raw/first'))
    expect(await second.closed()).toMatch(/hellobye$/)
    await soon(() => seen.raw?.writableEnded === true)
    second.write('still here')
    second.socket.end()
    await soon(() => seen.open === 0, 'the end of both directions')
  })

  test('that is asked for before an earlier answer is out waits for that', async () => {
    const slow = lines('GET /function/slow HTTP/1.1', 'Host: me')
    using caller = rawCaller(port, slow + slow + upgrade('raw'))
    const text = await caller.sees(/hello$/)
    // Of megabytes of one letter, a regular expression would look at each a hundred times.
    const short = text.replaceAll('a'.repeat(1000), '')
    expect(short.match(/HTTP\/1\.1 \d+|a{100}(?!a)|hello/g)).toEqual([
      'HTTP/1.1 200',
      'a'.repeat(100),
      'HTTP/1.1 200',
      'a'.repeat(100),
      'HTTP/1.1 101',
      'hello',
    ])
    using other = rawCaller(
      port,
      slow + lines('GET /function/raw HTTP/1.1', 'Host: me', 'Connection: Upgrade', 'Upgrade: h2c'),
    )
    expect(await other.sees(/plain GET {2}-/)).toMatch(/HTTP\/1\.1 200[^]*aaa[^]*HTTP\/1\.1 200/)
    using third = rawCaller(port, slow + lines('CONNECT me:80 HTTP/1.1', 'Host: me'))
    expect(await third.closed()).toMatch(/HTTP\/1\.1 200[^]*aaa[^]*HTTP\/1\.1 405/)
  })

  test('waits for a side that reads slowly: nothing piles up', async () => {
    using caller = rawCaller(port, upgrade('raw/still'))
    await caller.sees(/hello$/)
    const block = Buffer.alloc(2 ** 16, 'x')
    // The function does not read: what it is sent stays with the caller, most of it.
    seen.raw?.pause()
    let accepted = 0
    while (accepted < 1000 && caller.socket.write(block)) accepted++
    let [last, same] = [-1, 0]
    await soon(() => {
      if (!caller.socket.writableNeedDrain) caller.socket.write(block, () => accepted++)
      same = accepted === last ? same + 1 : 0
      last = accepted
      return same > 100
    })
    expect(accepted * block.length).toBeLessThan(40 * 2 ** 20)
    // And the other way: the caller does not read.
    caller.socket.pause()
    let written = 0
    const socket = seen.raw as Socket
    const more = (): void => {
      while (written < 2000) {
        written++
        if (!socket.write(block)) {
          socket.once('drain', more)
          return
        }
      }
    }
    more()
    ;[last, same] = [-1, 0]
    await soon(() => {
      same = written === last ? same + 1 : 0
      last = written
      return same > 100
    })
    expect(written).toBeLessThan(2000)
    let received = 0
    caller.socket.removeAllListeners('data').on('data', (chunk: Buffer) => (received += chunk.length))
    caller.socket.resume()
    await soon(() => received === 2000 * block.length, 'everything, once it is read')
  })

  test.each([400, 401, 426, 503])(
    'that a function refuses with %d: its answer is passed on',
    async (status) => {
      using caller = rawCaller(port, upgrade(`raw/refuse/${status}`))
      const text = await caller.closed()
      expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} No\\r\\n`))
      expect(text).toMatch(/\r\nContent-Type: text\/odd\r\n/)
      expect(text).toMatch(/\r\nX-Start-Time: /)
      expect(text).not.toMatch(/x-openfaas-internal/i)
      expect(text).toMatch(/\r\n\r\nnever$/)
    },
  )

  test('that a function does not understand is a call like any other', async () => {
    using caller = rawCaller(port, upgrade('deaf'))
    const text = await caller.closed()
    expect(text).toMatch(/^HTTP\/1\.1 200 /)
    expect(text).toMatch(/plain GET {2}bytes\/1/)
  })

  test.each([
    ['an unknown function', 'nobody', /^HTTP\/1\.1 404 [^]*error finding function/],
    ['a name that is none', 'a%20b', /^HTTP\/1\.1 404 [^]*404 page not found/],
    ['a function that hangs up', 'raw/hang-up', /^HTTP\/1\.1 502 [^]*connection to the function failed/],
    ['a function that does not answer', 'raw/mute', /^HTTP\/1\.1 504 [^]*1 s \(upstream_timeout\)/],
  ])('to %s is refused by us', async (_what, path, answer) => {
    using caller = rawCaller(port, upgrade(path))
    const text = await caller.closed()
    expect(text).toMatch(answer)
    expect(text).toMatch(/\r\nX-OpenFaaS-Internal: faasdock-gateway\r\n/i)
  })

  test('is not cut while it lives, however long it is silent', async () => {
    using caller = rawCaller(port, upgrade('raw'))
    await caller.sees(/hello$/)
    // Others are given up meanwhile, one after the other: so the limit for an answer has passed twice.
    for (let i = 0; i < 2; i++) {
      using given = rawCaller(port, upgrade('raw/mute'))
      expect(await given.closed()).toMatch(/^HTTP\/1\.1 504 /)
    }
    caller.write('there?')
    await caller.sees(/there\?$/)
  })

  test('wakes a function at zero, and is carried when that answers', async () => {
    await platform.ask('POST', '/system/scale-function/ws', { replicas: 0 })
    await soon(() => platform.provider.actual({ name: 'ws', namespace: 'openfaas-fn' })?.available === 0)
    const socket = connect()
    await open(socket)
    socket.send('awake')
    expect((await next(socket)).toString()).toBe('awake')
    socket.close()
    await closed(socket)
  })

  test.each(['end', 'resetAndDestroy'] as const)(
    'whose caller leaves while a replica is waited for is given up (%s)',
    async (leave) => {
      const name = `late-${leave.toLowerCase()}`
      platform.app.functions.deploy({
        name,
        namespace: 'openfaas-fn',
        image: 'never',
        labels: {},
        annotations: {},
      })
      const count = `{function_name="${name}.openfaas-fn"`
      using caller = rawCaller(port, upgrade(name))
      await expect.poll(() => metric(`gateway_function_invocation_started${count}}`)).toBe(1)
      caller.socket[leave]()
      await expect.poll(() => metric(`gateway_function_invocation_total${count},code="499"}`)).toBe(1)
      await platform.ask('DELETE', '/system/functions', { functionName: name })
    },
  )

  test('keeps its replica from being removed under it until the limit', async () => {
    await platform.deploy('kept', 'raw')
    using caller = rawCaller(port, upgrade('kept'))
    await caller.sees(/hello$/)
    await platform.deploy('other', 'raw')
    const updated = platform.ask('PUT', '/system/functions', { service: 'kept', image: 'raw' })
    caller.write('still')
    await caller.sees(/still$/)
    await updated
    // The memory provider's limit is half a second here; then the replica goes, and the tunnel with it.
    await caller.closed()
  })

  describe('is not made of an offer that a server may ignore', () => {
    test.each(['h2c', 'HTTP/2.0', 'h2c, h2'])('%s, with a body', async (protocol) => {
      const head = lines(
        'POST /function/raw HTTP/1.1',
        'Host: me',
        'Connection: Upgrade, HTTP2-Settings',
        `Upgrade: ${protocol}`,
        'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
        'Content-Length: 4',
      )
      using caller = rawCaller(port, `${head}bo`)
      caller.write('dy')
      expect(await caller.sees(/plain POST body -/)).toMatch(/^HTTP\/1\.1 200 /)
      // And the connection goes on in HTTP.
      caller.write(lines('GET /function/raw HTTP/1.1', 'Host: me'))
      await caller.sees(/plain GET {2}-/)
    })

    test('of a WebSocket, with a body', async () => {
      const head = lines(
        'POST /function/raw HTTP/1.1',
        'Host: me',
        'Connection: Upgrade',
        'Upgrade: bytes/1',
        'Content-Length: 4',
      )
      using caller = rawCaller(port, `${head}body`)
      await caller.sees(/plain POST body -/)
    })

    test('to a control route', async () => {
      using caller = rawCaller(
        port,
        lines(
          'GET /system/functions HTTP/1.1',
          `Host: 127.0.0.1:${port}`,
          'Connection: Upgrade',
          'Upgrade: h2c',
        ),
      )
      expect(await caller.sees(/\]/)).toMatch(/^HTTP\/1\.1 200 /)
    })
  })
})

test('a stop waits for tunnels as long as for calls, and then closes them', async () => {
  const platform = await useApp({ raw }, { drainTimeout: '400ms' })
  await platform.deploy('raw', 'raw')
  using caller = rawCaller(platform.port, upgrade('raw'))
  await caller.sees(/hello$/)
  const began = performance.now()
  const stopped = platform.app.stop({ removeFunctions: true })
  caller.write('not yet')
  await caller.sees(/not yet$/)
  await caller.closed()
  expect(performance.now() - began).toBeGreaterThan(300)
  await stopped
  await platform[Symbol.asyncDispose]()
})

test('a stop does not wait for a tunnel that has ended', async () => {
  const platform = await useApp({ raw }, { drainTimeout: '1h' })
  await platform.deploy('raw', 'raw')
  const caller = rawCaller(platform.port, upgrade('raw'))
  await caller.sees(/hello$/)
  const stopped = platform.app.stop({ removeFunctions: true })
  caller[Symbol.dispose]()
  await stopped
  await platform[Symbol.asyncDispose]()
})
