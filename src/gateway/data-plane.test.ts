import { createHash, randomBytes } from 'node:crypto'
import http from 'node:http'
import type { IncomingMessage } from 'node:http'
import net from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { soon } from '../../test/support/platform.ts'
import { until } from '../../test/support/until.ts'
import type { TestApp } from '../../test/support/use-app.ts'
import { useApp } from '../../test/support/use-app.ts'
import type { MemoryImage } from '../provider/memory/memory-provider.ts'
import { splitFunctionPath } from './function-path.ts'

interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: readonly string[]
}

/** A number that has stopped to change: the same in many looks, one after the other. */
async function atRest(look: () => number): Promise<number> {
  let [last, same] = [look(), 0]
  await soon(() => {
    same = look() === last ? same + 1 : 0
    last = look()
    return same > 100
  }, 'a number that stops to change')
  return last
}

/** What happened to calls at the replica. */
const replica = { aborted: 0, received: 0, waiting: 0, written: 0 }

/** Says what it saw, or behaves as its path says. */
const echo: MemoryImage = {
  listener: () => (request, response) => {
    const url = new URL(request.url ?? '/', 'http://here')
    switch (url.pathname) {
      case '/body':
        request.pipe(response)
        return
      case '/status':
        response.writeHead(Number(url.searchParams.get('code')), {
          Location: '/elsewhere',
          'X-Two': ['a', 'b'],
          'Keep-Alive': 'timeout=99',
        })
        response.end()
        return
      case '/silent':
        replica.waiting++
        response.setHeader('Content-Type', 'text/plain')
        request.on('close', () => replica.aborted++)
        return
      case '/drip':
        replica.waiting++
        response.writeHead(200)
        response.write('one')
        request.on('close', () => replica.aborted++)
        response.on('close', () => replica.aborted++)
        return
      case '/flood': {
        const more = (): void => {
          while (replica.written < 400) {
            replica.written++
            if (!response.write(Buffer.alloc(2 ** 16))) {
              response.once('drain', more)
              return
            }
          }
          response.end()
        }
        more()
        return
      }
      case '/swallow':
        request.on('data', (chunk: Buffer) => {
          replica.received += chunk.length
          request.pause()
          setTimeout(() => request.resume(), 50)
        })
        return
      case '/refuse':
        response.writeHead(413).end('too large')
        return
      case '/break':
        response.writeHead(200, { 'Content-Length': '100' })
        response.write('half', () => response.destroy())
        return
      case '/crash':
        request.socket.destroy()
        return
      case '/bare':
        response.writeHead(200).end('bare')
        return
      case '/length':
        response.writeHead(200, { 'Content-Length': '5', 'Content-Type': 'text/plain' })
        response.end(request.method === 'HEAD' ? undefined : 'hello')
        return
    }
    response.setHeader('Content-Type', 'application/json')
    const seen: Seen = { method: request.method ?? '', url: request.url ?? '', headers: request.rawHeaders }
    response.end(JSON.stringify(seen))
  },
}
const never: MemoryImage = {
  ...echo,
  start: (_revision, signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      if (signal.aborted) reject(signal.reason as Error)
    }),
}
const dead: MemoryImage = { ...echo, start: () => Promise.reject(new Error('it ends at once')) }

describe('the path of a function', () => {
  test.each([
    ['/function/fn', 'fn', '/'],
    ['/function/fn/', 'fn', '/'],
    ['/function/fn?a=b', 'fn', '/?a=b'],
    ['/function/fn/?a=b', 'fn', '/?a=b'],
    ['/function/fn/a/b?c=d&e', 'fn', '/a/b?c=d&e'],
    ['/function/fn/a%2Fb%20c', 'fn', '/a%2Fb%20c'],
    ['/function/fn//a//', 'fn', '//a//'],
    ['/function/fn/../x', 'fn', '/../x'],
    ['/function/fn.ns/a', 'fn.ns', '/a'],
    ['/function/fn?x=/a', 'fn', '/?x=/a'],
    ['/function/', '', '/'],
    ['/function//a', '', '/a'],
  ])('%s leads to %j and %s', (url, name, path) => expect(splitFunctionPath(url)).toEqual({ name, path }))

  test.each(['/', '/function', '/functions/fn', '/system/functions', '/Function/fn', 'function/fn'])(
    '%s is none',
    (url) => expect(splitFunctionPath(url)).toBeUndefined(),
  )
})

describe('a call', () => {
  let platform: TestApp
  beforeAll(async () => {
    platform = await useApp({ echo, never, dead }, { upstreamTimeout: '1s' })
    await platform.deploy('fn', 'echo')
  })
  afterAll(() => platform[Symbol.asyncDispose]())

  const get = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(platform.url + path, { redirect: 'manual', ...init })

  /** A request as it is on the wire, with nothing added by a client. */
  function raw(lines: readonly string[], body = ''): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(platform.port, '127.0.0.1')
      let text = ''
      socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
      socket.once('close', () => resolve(text))
      socket.once('error', reject)
      socket.write(`${[...lines, 'Connection: close', '', ''].join('\r\n')}${body}`)
    })
  }

  const seenIn = (text: string): Seen => JSON.parse(/\{[^]*\}/.exec(text)?.[0] ?? '') as Seen
  const valuesOf = ({ headers }: Seen, name: string): string[] =>
    headers.filter((_value, index) => headers[index - 1]?.toLowerCase() === name && index % 2 === 1)

  test('arrives with method, path and query as they were sent', async () => {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const seen = (await (await get('/function/fn/a%2Fb/c?x=%20&y', { method })).json()) as Seen
      expect(seen).toMatchObject({ method, url: '/a%2Fb/c?x=%20&y' })
    }
    expect(((await (await get('/function/fn.openfaas-fn')).json()) as Seen).url).toBe('/')
  })

  test('gets the gateway’s headers, keeps its own, and loses those of the connection', async () => {
    const seen = seenIn(
      await raw([
        'GET /function/fn HTTP/1.1',
        'Host: my.example:99',
        'Authorization: Bearer x',
        'Cookie: a=b',
        'X-Callback-Url: http://x',
        'X-Many: 1',
        'X-Many: 2',
        'Keep-Alive: timeout=5',
        'Proxy-Authorization: secret',
        'TE: trailers',
      ]),
    )
    expect(valuesOf(seen, 'authorization')).toEqual(['Bearer x'])
    expect(valuesOf(seen, 'cookie')).toEqual(['a=b'])
    expect(valuesOf(seen, 'x-callback-url')).toEqual(['http://x'])
    expect(valuesOf(seen, 'x-many')).toEqual(['1', '2'])
    for (const gone of ['keep-alive', 'proxy-authorization', 'te', 'upgrade', 'accept-encoding'])
      expect([gone, valuesOf(seen, gone)]).toEqual([gone, []])
    expect(valuesOf(seen, 'host')[0]).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(valuesOf(seen, 'x-forwarded-host')).toEqual(['my.example:99'])
    expect(valuesOf(seen, 'x-forwarded-for')[0]).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(valuesOf(seen, 'user-agent')[0]).toMatch(/^faasdock\//)
    expect(valuesOf(seen, 'x-call-id')[0]).toMatch(/^[0-9a-f-]{36}$/)
    expect(Math.abs(Number(valuesOf(seen, 'x-start-time')[0]) / 1e6 - Date.now())).toBeLessThan(60_000)
  })

  test('that has an id, a forwarder or a user agent of its own keeps them', async () => {
    const response = await get('/function/fn', {
      headers: {
        'X-Call-Id': 'mine',
        'X-Forwarded-For': '9.9.9.9',
        'X-Forwarded-Host': 'outside',
        'User-Agent': 'me',
        'X-Start-Time': '7',
      },
    })
    const seen = (await response.json()) as Seen
    expect(valuesOf(seen, 'x-call-id')).toEqual(['mine'])
    expect(valuesOf(seen, 'x-forwarded-for')).toEqual(['9.9.9.9'])
    expect(valuesOf(seen, 'x-forwarded-host')).toEqual(['outside'])
    expect(valuesOf(seen, 'user-agent')).toEqual(['me'])
    expect(valuesOf(seen, 'x-start-time')).toEqual(['7', expect.stringMatching(/^\d{19}$/)])
    expect(response.headers.get('x-call-id')).toBeNull()
  })

  test('is answered with the function’s status and headers, and the gateway’s own', async () => {
    const response = await get('/function/fn/status?code=418')
    expect(response.status).toBe(418)
    expect(response.headers.get('x-two')).toBe('a, b')
    expect(response.headers.get('keep-alive')).not.toBe('timeout=99')
    expect(response.headers.get('x-served-by')).toMatch(/^faasdock\//)
    expect(response.headers.get('x-call-id')).toMatch(/^[0-9a-f-]{36}$/)
    expect(response.headers.get('x-start-time')).toMatch(/^\d{19}$/)
    expect(response.headers.get('x-openfaas-internal')).toBeNull()
  })

  test('without a content type in its answer gets the request’s, else plain text', async () => {
    expect((await get('/function/fn/bare')).headers.get('content-type')).toBe('text/plain')
    const typed = await get('/function/fn/bare', {
      method: 'POST',
      headers: { 'Content-Type': 'a/b' },
      body: 'x',
    })
    expect(typed.headers.get('content-type')).toBe('a/b')
    expect((await get('/function/fn/status?code=204')).headers.get('content-type')).toBe('text/plain')
    expect((await get('/function/fn/status?code=304')).headers.get('content-type')).toBeNull()
  })

  test.each([301, 302, 307, 308])('that is redirected with %d is not followed', async (code) => {
    const response = await get(`/function/fn/status?code=${code}`)
    expect([response.status, response.headers.get('location')]).toEqual([code, '/elsewhere'])
  })

  test('with HEAD has the length of the body, and no body', async () => {
    const response = await get('/function/fn/length', { method: 'HEAD' })
    expect([response.status, response.headers.get('content-length'), await response.text()]).toEqual([
      200,
      '5',
      '',
    ])
  })

  test('of 50 MB goes there and back unchanged', async () => {
    const body = randomBytes(50 * 2 ** 20)
    const response = await get('/function/fn/body', { method: 'POST', body })
    const hash = createHash('sha256')
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) hash.update(chunk)
    expect(hash.digest('hex')).toBe(createHash('sha256').update(body).digest('hex'))
  })

  test('with an empty body, and with one in chunks, arrives as it was sent', async () => {
    const empty = seenIn(await raw(['POST /function/fn HTTP/1.1', 'Host: localhost', 'Content-Length: 0']))
    expect(empty.method).toBe('POST')
    const chunked = await raw(
      ['POST /function/fn/body HTTP/1.1', 'Host: localhost', 'Transfer-Encoding: chunked'],
      '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n',
    )
    expect(chunked).toContain('abcde')
  })

  test('streams: what a function writes is there before it ends, and so is what the caller sends', async () => {
    const request = http.request(`${platform.url}/function/fn/body`, { method: 'POST' })
    const answered = new Promise<IncomingMessage>((resolve) => request.once('response', resolve))
    request.write('first')
    const response = await answered
    let text = ''
    response.on('data', (chunk: Buffer) => (text += chunk.toString()))
    await soon(() => text === 'first', 'the first piece')
    request.write(' second')
    await soon(() => text === 'first second', 'the second piece')
    request.end()
    await new Promise((resolve) => response.once('end', resolve))
  })

  test('waits for a caller that reads slowly: nothing piles up', async () => {
    replica.written = 0
    const response = await new Promise<IncomingMessage>((resolve) =>
      http.get(`${platform.url}/function/fn/flood`, resolve),
    )
    response.pause()
    await soon(() => replica.written > 0)
    expect(await atRest(() => replica.written)).toBeLessThan(400)
    let length = 0
    response.on('data', (chunk: Buffer) => (length += chunk.length))
    response.resume()
    await new Promise((resolve) => response.once('end', resolve))
    expect(length).toBe(400 * 2 ** 16)
  })

  test('waits for a function that reads slowly: nothing piles up', async () => {
    replica.received = 0
    const request = http.request(`${platform.url}/function/fn/swallow`, { method: 'POST' })
    request.on('error', () => undefined)
    let accepted = 0
    const more = (): void => {
      while (accepted < 1600) {
        accepted++
        if (!request.write(Buffer.alloc(2 ** 16))) {
          request.once('drain', more)
          return
        }
      }
    }
    more()
    await soon(() => replica.received > 0)
    // Two connections' buffers in the kernel may hold 20 MB.
    expect(await atRest(() => accepted)).toBeLessThan(1600)
    request.destroy()
  })

  test.each(['silent', 'drip'])('whose caller goes away is cancelled at the replica (%s)', async (how) => {
    const before = { ...replica }
    const request = http.get(`${platform.url}/function/fn/${how}`)
    request.on('error', () => undefined)
    await soon(() => replica.waiting > before.waiting, 'the call at its replica')
    request.destroy()
    await soon(() => replica.aborted > before.aborted, 'the cancellation')
  })

  test('whose body the function does not want is answered all the same', async () => {
    const text = await new Promise<string>((resolve, reject) => {
      const request = http.request(`${platform.url}/function/fn/refuse`, { method: 'POST' }, (response) => {
        let body = String(response.statusCode)
        response.on('data', (chunk: Buffer) => (body += ` ${chunk.toString()}`))
        response.on('end', () => resolve(body))
      })
      request.on('error', reject)
      request.end(Buffer.alloc(5 * 2 ** 20))
    })
    expect(text).toBe('413 too large')
    expect((await get('/function/fn')).status).toBe(200)
  })

  describe('that fails says that the platform answered, and how', () => {
    const expectFailure = async (
      path: string,
      status: number,
      text: RegExp,
      init: RequestInit = {},
    ): Promise<void> => {
      const response = await get(path, init)
      expect([path, response.status]).toEqual([path, status])
      expect(response.headers.get('x-openfaas-internal')).toBe('faasdock-gateway')
      expect(await response.text()).toMatch(text)
    }

    test('404 for a function that is not there', () =>
      expectFailure('/function/nobody', 404, /nobody\.openfaas-fn/))
    test('404 for one in another namespace', () =>
      expectFailure('/function/fn.elsewhere', 404, /fn\.elsewhere/))
    test.each(['/function/', '/function/.openfaas-fn', '/function/fn.', '/function/a%20b', '/function/a%2e'])(
      '404 for the name in %s',
      (path) => expectFailure(path, 404, /404 page not found/),
    )

    test('405 for a method that functions do not have', async () => {
      const text = await raw(['TRACE /function/fn HTTP/1.1', 'Host: localhost'])
      expect(text).toMatch(/^HTTP\/1\.1 405 /)
      expect(text).toMatch(/x-openfaas-internal: faasdock-gateway/i)
    })

    test('502 for a replica that hangs up before it answers', () =>
      expectFailure('/function/fn/crash', 502, /connection to the function failed/, {
        method: 'POST',
        body: 'x',
      }))

    test('the call’s id is in the body, and in the log beside the reason', async () => {
      const notices: unknown[] = []
      using _watch = platform.app.events.watch((event) => {
        if (event.type === 'notice') notices.push(event)
      })
      const response = await get('/function/fn/crash', { headers: { 'X-Call-Id': 'call-9' } })
      expect(await response.text()).toMatch(/\ncall id: call-9\n$/)
      expect(notices).toMatchObject([
        {
          level: 'warn',
          message: expect.stringMatching(/^call of fn\.openfaas-fn failed: the connection/) as string,
          fields: { code: 'FUNCTION_UNREACHABLE', callId: 'call-9' },
        },
      ])
    })

    test('503 for a function that does not start, with the reason', async () => {
      await platform.deploy('dead', 'dead').catch(() => undefined)
      await expectFailure('/function/dead', 503, /it ends at once/)
    })

    test('504 for one that does not begin to answer in time', () =>
      expectFailure('/function/fn/silent', 504, /upstream_timeout/))

    test('a cut connection where the answer had begun: half an answer must not look whole', async () => {
      const response = await get('/function/fn/break')
      expect(response.status).toBe(200)
      await expect(response.text()).rejects.toThrow()
    })
  })

  test('waits for a function that is on its way, and is let go when its caller goes', async () => {
    const { app } = platform
    app.functions.deploy({
      name: 'coming',
      namespace: 'openfaas-fn',
      image: 'never',
      labels: {},
      annotations: {},
    })
    const abort = new AbortController()
    const call = get('/function/coming', { signal: abort.signal })
    const outcome = call.catch((error: unknown) => (error as Error).name)
    await until(
      async () =>
        (await (await get('/metrics')).text()).includes(
          'invocation_started{function_name="coming.openfaas-fn"} 1',
        ),
      { what: () => 'the call that waits' },
    )
    abort.abort()
    expect(await outcome).toBe('AbortError')
    const waiting = get('/function/coming')
    app.functions.update({
      name: 'coming',
      namespace: 'openfaas-fn',
      image: 'echo',
      labels: {},
      annotations: {},
    })
    expect((await waiting).status).toBe(200)
  })
})
