import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { RawCaller } from '../support/raw-http.ts'
import { lines, rawCaller } from '../support/raw-http.ts'
import { untilPasses } from '../support/until.ts'
import { describeParity } from './support/platforms.ts'

// Section 2 of the contract: what happens to a call on its way to a function and back, byte for byte.

interface Seen {
  readonly method: string
  readonly url: string
  readonly httpVersion: string
  readonly headers: readonly string[]
  readonly trailers: readonly string[]
  readonly body: string
}

const TALKER = join(import.meta.dirname, 'support/talker.cjs')
const base64url = (text: string): string => Buffer.from(text, 'latin1').toString('base64url')

describeParity(
  'a call of a function',
  (platform) => {
    let fn = ''
    let port = 0
    beforeAll(async () => {
      fn = await platform().deploy()
      port = Number(new URL(platform().url).port)
    })

    /** Sends a head and a body as they are, and waits for the end of the connection. */
    const raw = async (head: readonly string[], body = ''): Promise<string> => {
      using caller = rawCaller(port, lines(...head.map((line) => line.replace('FN', fn))) + body)
      return await caller.closed()
    }
    const get = (path: string, ...headers: string[]): Promise<string> =>
      raw([`GET /function/FN${path} HTTP/1.1`, 'Host: me', 'Connection: close', ...headers])
    const seenIn = (text: string): Seen =>
      JSON.parse(Buffer.from(/\{"method[^]*\}/.exec(text)?.[0] ?? '{}', 'latin1').toString()) as Seen
    const valuesOf = (headers: readonly string[], name: string): string[] =>
      headers.filter((_text, i) => i % 2 === 1 && headers[i - 1]?.toLowerCase() === name)
    const headersOf = (text: string): string[] =>
      (text.split('\r\n\r\n')[0] ?? '')
        .split('\r\n')
        .slice(1)
        .flatMap((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)])
    const caller = (text: string): RawCaller => rawCaller(port, text.replace('FN', fn))

    describe('the target (2.1)', () => {
      test.each([
        ['', '/'],
        ['/', '/'],
        ['?', '/?'],
        ['/?', '/?'],
        ['?a=b', '/?a=b'],
        ['/a?', '/a?'],
        ['/a/b/', '/a/b/'],
        ['/a//b', '/a//b'],
        ['//a', '//a'],
        ['/./a/../b', '/./a/../b'],
        ['/..', '/..'],
        ['/a%2Fb%2f', '/a%2Fb%2f'],
        ['/%25', '/%25'],
        ['/%zz%', '/%zz%'],
        ['/a;b=c,d@e:f', '/a;b=c,d@e:f'],
        ['/caf%C3%A9', '/caf%C3%A9'],
        ['/a?x=1&x=2&y=%20+%2B#f', '/a?x=1&x=2&y=%20+%2B#f'],
        ['/a?b=/c?d', '/a?b=/c?d'],
        ['/"<>\\^`{|}', '/"<>\\^`{|}'],
      ])('%j reaches the function as %j', async (rest, url) => {
        expect(seenIn(await get(rest)).url).toBe(url)
      })

      test('names its namespace after the last dot', async () => {
        expect(
          seenIn(await raw([`GET /function/FN.openfaas-fn/x HTTP/1.1`, 'Host: me', 'Connection: close'])).url,
        ).toBe('/x')
        expect(await raw(['GET /function/FN.elsewhere HTTP/1.1', 'Host: me', 'Connection: close'])).toMatch(
          /^HTTP\/1.1 404 /,
        )
      })

      test('in absolute form is taken apart, and its host counts', async () => {
        const text = await raw([
          'GET http://example.com:81/function/FN/a%2F?b HTTP/1.1',
          'Host: other',
          'Connection: close',
        ])
        const seen = seenIn(text)
        expect(seen.url).toBe('/a%2F?b')
        expect(valuesOf(seen.headers, 'x-forwarded-host')).toEqual(['example.com:81'])
      })

      test.each(['/function/', '/function//x', '/function/.openfaas-fn', '/function/FN.', '/function/a%20b'])(
        '%s is nobody: 404',
        async (path) => {
          const text = await raw([
            `GET ${Buffer.from(path).toString('latin1')} HTTP/1.1`,
            'Host: me',
            'Connection: close',
          ])
          expect(text).toMatch(/^HTTP\/1\.1 404 /)
        },
      )
    })

    describe('the headers of the request (2.2)', () => {
      test('are the caller’s as written: order, case, doubles and bytes', async () => {
        const seen = seenIn(
          await get(
            '',
            'x-LOWER: 1',
            'X-Two: a',
            'Accept: */*',
            'X-Two: b',
            'X-Empty:',
            'X-Bytes: caf\xe9 \xff',
            'Cookie: a=1',
            'Cookie: b=2',
          ),
        )
        const own = seen.headers.slice(seen.headers.indexOf('x-LOWER'))
        expect(own.slice(0, 14)).toEqual([
          'x-LOWER',
          '1',
          'X-Two',
          'a',
          'Accept',
          '*/*',
          'X-Two',
          'b',
          'X-Empty',
          '',
          'X-Bytes',
          'caf\xe9 \xff',
          'Cookie',
          'a=1',
        ])
      })

      test('lose those of the connection, and gain those of the gateway', async () => {
        const before = Date.now()
        const { headers } = seenIn(
          await get(
            '',
            'Keep-Alive: 5',
            'Proxy-Connection: x',
            'Proxy-Authenticate: x',
            'Proxy-Authorization: x',
            'TE: trailers',
            'Authorization: Bearer x',
            'X-Callback-Url: http://x',
          ),
        )
        for (const name of [
          'proxy-connection',
          'proxy-authenticate',
          'proxy-authorization',
          'te',
          'upgrade',
          'trailer',
          'transfer-encoding',
          'content-length',
          'accept-encoding',
        ])
          expect([name, valuesOf(headers, name)]).toEqual([name, []])
        expect(valuesOf(headers, 'keep-alive')).not.toContain('5')
        expect(valuesOf(headers, 'authorization')).toEqual(['Bearer x'])
        expect(valuesOf(headers, 'x-callback-url')).toEqual(['http://x'])
        expect(valuesOf(headers, 'x-forwarded-host')).toEqual(['me'])
        expect(valuesOf(headers, 'x-forwarded-for')).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+$/)])
        expect(valuesOf(headers, 'user-agent')).toEqual([expect.stringMatching(/^faasdock\//)])
        expect(valuesOf(headers, 'x-call-id')).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/)])
        expect(valuesOf(headers, 'host')).toEqual([expect.stringMatching(/^[\d.]+:\d+$/)])
        const [time] = valuesOf(headers, 'x-start-time')
        expect(time).toMatch(/^\d{19}$/)
        expect(Number(time) / 1e6).toBeGreaterThan(before - 1000)
      })

      test('keep what the caller set itself; the time is appended', async () => {
        const text = await get(
          '',
          'X-Call-Id: mine',
          'X-Start-Time: 1',
          'X-Start-Time: 2',
          'X-Forwarded-For: 9.9.9.9',
          'X-Forwarded-Host: outside',
          'User-Agent: me/1',
        )
        const { headers } = seenIn(text)
        expect(valuesOf(headers, 'x-call-id')).toEqual(['mine'])
        expect(valuesOf(headers, 'x-start-time')).toEqual(['1', '2', expect.stringMatching(/^\d{19}$/)])
        expect(valuesOf(headers, 'x-forwarded-for')).toEqual(['9.9.9.9'])
        expect(valuesOf(headers, 'x-forwarded-host')).toEqual(['outside'])
        expect(valuesOf(headers, 'user-agent')).toEqual(['me/1'])
        expect(valuesOf(headersOf(text), 'x-call-id')).toEqual([])
      })

      test('count as absent where they are empty and the gateway has a value', async () => {
        const { headers } = seenIn(await get('', 'X-Call-Id:', 'X-Forwarded-For:', 'X-Forwarded-Host:'))
        expect(valuesOf(headers, 'x-call-id')).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/)])
        expect(valuesOf(headers, 'x-forwarded-for')).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+$/)])
        expect(valuesOf(headers, 'x-forwarded-host')).toEqual(['me'])
      })

      test('go through although Connection names them, as in OpenFaaS', async () => {
        const { headers } = seenIn(
          await raw([
            'GET /function/FN HTTP/1.1',
            'Host: me',
            'Connection: close, X-Secret, X-Forwarded-For',
            'X-Secret: s',
            'X-Forwarded-For: 1.2.3.4',
          ]),
        )
        expect(valuesOf(headers, 'x-secret')).toEqual(['s'])
        expect(valuesOf(headers, 'x-forwarded-for')).toEqual(['1.2.3.4'])
      })

      test('may be a thousand, and 900 kB long', async () => {
        const many = Array.from({ length: 1300 }, (_, i) => `X-N${i}: ${i}`)
        expect(valuesOf(seenIn(await get('', ...many)).headers, 'x-n1299')).toEqual(['1299'])
        // The function is a Node server, which takes 16 kB: it refuses what we pass on, and the rest is a reset away.
        const [passed, ours] = await Promise.all(
          [900_000, 1_100_000].map((length) => get('', `X-Long: ${'x'.repeat(length)}`)),
        )
        expect(passed).toMatch(/^HTTP\/1\.1 (431|502) [^]*x-start-time/i)
        expect(ours).toMatch(/^HTTP\/1\.1 431 /)
        expect(ours).toMatch(/x-openfaas-internal/i)
      })

      test('with bytes above ASCII in the target are 400: clients write those as %XX', async () => {
        expect(await get('/caf\xc3\xa9')).toMatch(/^HTTP\/1\.1 400 [^]*x-openfaas-internal/i)
      })
    })

    describe('the answer (2.2)', () => {
      test('is the function’s: status, reason, headers, doubles, case', async () => {
        const own =
          'HTTP/1.1 299 Odd caf\xe9\r\nX-a: 1\r\nX-A: 2\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Type: x/y\r\nContent-Length: 2\r\n\r\nok'
        const text = await get(`/bytes/${base64url(own)}`)
        expect(text).toMatch(/^HTTP\/1\.1 299 /)
        expect(text).toMatch(/\r\n\r\nok$/)
        const headers = headersOf(text)
        expect(headers.slice(0, 10)).toEqual([
          'X-a',
          '1',
          'X-A',
          '2',
          'Set-Cookie',
          'a=1',
          'set-cookie',
          'b=2',
          'Content-Type',
          'x/y',
        ])
        expect(valuesOf(headers, 'x-call-id')).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/)])
        expect(valuesOf(headers, 'x-start-time')).toEqual([expect.stringMatching(/^\d{19}$/)])
        expect(valuesOf(headers, 'x-served-by')).toEqual([expect.stringMatching(/^faasdock\//)])
        expect(valuesOf(headers, 'x-openfaas-internal')).toEqual([])
      })

      test('loses the headers of its connection', async () => {
        const own =
          'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=99\r\nProxy-Authenticate: x\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n'
        const headers = headersOf(await get(`/bytes/${base64url(own)}`))
        expect(valuesOf(headers, 'keep-alive')).not.toContain('timeout=99')
        expect(valuesOf(headers, 'proxy-authenticate')).toEqual([])
        expect(valuesOf(headers, 'connection')).toEqual(['close'])
      })

      test.each([
        ['nothing', 200, [], 'text/plain'],
        ['the request’s', 200, ['Content-Type: a/b'], 'a/b'],
        ['the request’s first', 200, ['Content-Type: a/b', 'Content-Type: c/d'], 'a/b'],
        ['nothing, without a body', 204, [], 'text/plain'],
      ])('without a type gets %s', async (_what, status, sent, type) => {
        const own = `HTTP/1.1 ${status} OK\r\n${status === 204 ? '' : 'Content-Length: 0\r\n'}\r\n`
        expect(valuesOf(headersOf(await get(`/bytes/${base64url(own)}`, ...sent)), 'content-type')).toEqual([
          type,
        ])
      })

      test('304 is left as it is', async () => {
        const own = 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 10\r\n\r\n'
        const text = await get(`/bytes/${base64url(own)}`)
        expect(valuesOf(headersOf(text), 'etag')).toEqual(['"x"'])
        expect(valuesOf(headersOf(text), 'content-type')).toEqual([])
        expect(text).toMatch(/\r\n\r\n$/)
      })

      test.each([301, 302, 303, 307, 308])('%d is not followed', async (status) => {
        const text = await get(`/status/${status}`)
        expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
        expect(valuesOf(headersOf(text), 'location')).toEqual(['/elsewhere?a=b'])
        expect(valuesOf(headersOf(text), 'set-cookie')).toEqual(['a=1', 'b=2'])
      })

      test('that has the gateway’s headers already has them once', async () => {
        const headers = headersOf(await get('/back'))
        expect(valuesOf(headers, 'x-call-id')).toHaveLength(1)
        expect(valuesOf(headers, 'x-start-time')).toHaveLength(1)
      })

      test('to a caller of HTTP/1.0 is not in chunks', async () => {
        const text = await raw(['GET /function/FN/bare HTTP/1.0'])
        expect(text).toMatch(/\r\n\r\nbare$/)
        expect(text).not.toMatch(/transfer-encoding/i)
      })
    })

    describe('methods (2.3)', () => {
      test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])('%s is passed on', async (method) => {
        const head = [`${method} /function/FN/x HTTP/1.1`, 'Host: me', 'Connection: close']
        expect(seenIn(await raw(head))).toMatchObject({ method, url: '/x', body: '' })
        expect(seenIn(await raw([...head, 'Content-Length: 4'], 'body'))).toMatchObject({
          method,
          body: 'body',
        })
      })

      test('HEAD has the length of the body, and no body', async () => {
        const text = await raw(['HEAD /function/FN/length HTTP/1.1', 'Host: me', 'Connection: close'])
        expect(text).toMatch(/\r\nContent-Length: 5\r\n/)
        expect(text).toMatch(/\r\n\r\n$/)
      })

      test.each(['TRACE', 'PROPFIND', 'PURGE', 'LOCK', 'M-SEARCH'])(
        '%s is 405, as from the provider',
        async (method) => {
          const text = await raw([`${method} /function/FN HTTP/1.1`, 'Host: me', 'Connection: close'])
          expect(text).toMatch(/^HTTP\/1\.1 405 [^]*x-openfaas-internal: faasdock-gateway/i)
        },
      )

      test('CONNECT is 405', async () => {
        expect(await raw(['CONNECT me:80 HTTP/1.1', 'Host: me:80'])).toMatch(/^HTTP\/1\.1 405 /)
      })
    })

    describe('bodies and streams (2.4)', () => {
      test('a known length is kept, chunks stay chunks', async () => {
        const head = ['POST /function/FN HTTP/1.1', 'Host: me', 'Connection: close']
        const known = seenIn(await raw([...head, 'Content-Length: 5'], 'hello'))
        expect([known.body, valuesOf(known.headers, 'content-length')]).toEqual(['hello', ['5']])
        using sender = caller(
          lines(...head.map((line) => line.replace('FN', fn)), 'Transfer-Encoding: chunked') + '3\r\nabc\r\n',
        )
        // Long enough that it is on its way without its end.
        await platform().ask('GET', `/function/${fn}`)
        sender.write('2\r\nde\r\n0\r\n\r\n')
        const chunked = seenIn(await sender.closed())
        expect([chunked.body, valuesOf(chunked.headers, 'transfer-encoding')]).toEqual(['abcde', ['chunked']])
      })

      test.each([
        ['plain', ''],
        ['Server-Sent Events', 'text/event-stream'],
        ['ndjson', 'application/x-ndjson'],
      ])('%s arrive piece by piece: each is here before the next is written', async (_what, accept) => {
        const id = `s${Math.random().toString(36).slice(2)}`
        using reader = caller(
          lines(
            `GET /function/FN/steps/${id} HTTP/1.1`,
            'Host: me',
            'Connection: close',
            ...(accept === '' ? [] : [`Accept: ${accept}`]),
          ),
        )
        await reader.sees(/\r\n\r\n1\r\n0\r\n$/)
        for (const piece of ['one', 'two', 'three']) {
          await get(`/step/${id}.${piece}`)
          await reader.sees(new RegExp(`${piece}\\r\\n$`))
        }
        await get(`/step/${id}.end`)
        await reader.sees(/\r\n0\r\n\r\n$/)
      })

      test('a head goes to the function ahead of its body, and the answer comes ahead of it too', async () => {
        using sender = caller(
          lines(
            'POST /function/FN/head-first HTTP/1.1',
            'Host: me',
            'X-Mark: 7',
            'Connection: close',
            'Transfer-Encoding: chunked',
          ),
        )
        await sender.sees(/saw 7;/)
        sender.write('3\r\none\r\n')
        await sender.sees(/one\r\n$/)
        sender.write('3\r\ntwo\r\n0\r\n\r\n')
        expect(await sender.closed()).toMatch(/two\r\n0\r\n\r\n$/)
      })

      test('an answer before the body is read is passed on', async () => {
        using sender = caller(
          lines('POST /function/FN/early HTTP/1.1', 'Host: me', 'Content-Length: 10000000'),
        )
        expect(await sender.sees(/too large/)).toMatch(/^HTTP\/1\.1 413 /)
      })

      test('100 Continue is the function’s to give: the body is not sent before', async () => {
        using sender = caller(
          lines(
            'POST /function/FN HTTP/1.1',
            'Host: me',
            'Expect: 100-continue',
            'Content-Length: 5',
            'Connection: close',
          ),
        )
        expect(await sender.sees(/\r\n\r\n/)).toBe('HTTP/1.1 100 Continue\r\n\r\n')
        sender.write('hello')
        const seen = seenIn(await sender.closed())
        expect(seen.body).toBe('hello')
        expect(valuesOf(seen.headers, 'expect')).toEqual(['100-continue'])
      })

      test('a function that refuses the body has its answer passed on instead', async () => {
        using sender = caller(
          lines('POST /function/FN/refuse HTTP/1.1', 'Host: me', 'Expect: 100-continue', 'Content-Length: 5'),
        )
        const text = await sender.sees(/not that/)
        expect(text).toMatch(/^HTTP\/1\.1 417 /)
      })

      test('a function that says nothing to the question gets the body after a second', async () => {
        using sender = caller(
          lines(
            'POST /function/FN/mute-continue HTTP/1.1',
            'Host: me',
            'Expect: 100-continue',
            'Content-Length: 5',
            'Connection: close',
          ),
        )
        await sender.sees(/^HTTP\/1\.1 100 Continue\r\n\r\n$/)
        sender.write('hello')
        expect(seenIn(await sender.closed()).body).toBe('hello')
      })

      test('nobody is asked for a body that no function is there for', async () => {
        const text = await raw([
          'POST /function/nobody HTTP/1.1',
          'Host: me',
          'Expect: 100-continue',
          'Content-Length: 5',
        ])
        expect(text).toMatch(/^HTTP\/1\.1 404 /)
        expect(text).not.toMatch(/100 Continue/)
      })

      test('103 Early Hints and other informational answers come first', async () => {
        const text = await get('/hints')
        expect(text).toMatch(
          /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a.css>; rel=preload, <\/b.js>; rel=preload\r\nx-hint: 1\r\n\r\nHTTP\/1\.1 200 OK\r\n[^]*hinted/,
        )
        const own =
          'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 150 Odd\r\nX-A: 1\r\nX-A: 2\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
        expect(await get(`/bytes/${base64url(own)}`)).toMatch(
          /^HTTP\/1\.1 102 Processing\r\n\r\nHTTP\/1\.1 150 Odd\r\nX-A: 1\r\nX-A: 2\r\n\r\nHTTP\/1\.1 200 OK\r\n/,
        )
        expect(await raw(['GET /function/FN/hints HTTP/1.0'])).toMatch(/^HTTP\/1\.1 200 /)
      })

      test('trailers of the answer follow its body', async () => {
        const text = await get('/trailers')
        expect(valuesOf(headersOf(text), 'trailer')).toEqual(['X-Sum, X-More'])
        expect(text).toMatch(/\r\n4\r\nbody\r\n0\r\nX-Sum: abc\r\nX-More: d\r\n\r\n$/)
        expect(await raw(['GET /function/FN/trailers HTTP/1.0'])).toMatch(/\r\n\r\nbody$/)
        const announced = 'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n'
        const head = `HEAD /function/FN/bytes/${base64url(announced)} HTTP/1.1`
        expect(await raw([head, 'Host: me', 'Connection: close'])).toMatch(/^HTTP\/1\.1 200 /)
      })

      test('trailers of the request reach the function; the header that names them is dropped', async () => {
        const text = await raw(
          [
            'POST /function/FN HTTP/1.1',
            'Host: me',
            'Connection: close',
            'Transfer-Encoding: chunked',
            'Trailer: X-Sum',
          ],
          '3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-sum: 2\r\nCookie: a=1\r\nHost: evil\r\n\r\n',
        )
        const seen = seenIn(text)
        expect(seen).toMatchObject({ body: 'abc', trailers: ['X-Sum', '1', 'X-sum', '2', 'Cookie', 'a=1'] })
        expect(valuesOf(seen.headers, 'trailer')).toEqual([])
      })

      test('an upgrade is carried, one that is refused is passed on', async () => {
        using tunnel = caller(
          lines('GET /function/FN/up HTTP/1.1', 'Host: me', 'Connection: Upgrade', 'Upgrade: odd/1'),
        )
        await tunnel.sees(/hello $/)
        tunnel.write('there')
        expect(await tunnel.sees(/hello there$/)).toMatch(/^HTTP\/1\.1 101 Go on\r\n/)
        const refused = await raw([
          'GET /function/FN/refuse HTTP/1.1',
          'Host: me',
          'Connection: Upgrade',
          'Upgrade: odd/1',
        ])
        expect(refused).toMatch(/^HTTP\/1\.1 426 No\r\n[^]*no!$/)
      })
    })

    describe('shapes that two servers could read differently are nobody’s call', () => {
      const smuggled = '0\r\n\r\nGET /function/FN/smuggled HTTP/1.1\r\nHost: me\r\n\r\n'
      test.each([
        ['a length and chunks', ['Content-Length: 6', 'Transfer-Encoding: chunked']],
        ['chunks and a length', ['Transfer-Encoding: chunked', 'Content-Length: 6']],
        ['two lengths', ['Content-Length: 6', 'Content-Length: 7']],
        ['a length that is none', ['Content-Length: +6']],
        ['a list of lengths', ['Content-Length: 6, 6']],
        ['chunks not last', ['Transfer-Encoding: chunked, identity']],
        ['a space before the colon', ['Transfer-Encoding : chunked']],
        ['a line that goes on', ['X-A: b', ' c: d', 'Transfer-Encoding: chunked', 'Content-Length: 6']],
        ['a bare line feed in a name', ['X\nA: b']],
        ['no host', []],
      ])('%s', async (what, headers) => {
        const host = what === 'no host' ? [] : ['Host: me']
        const text = await raw(['POST /function/FN HTTP/1.1', ...host, ...headers], smuggled)
        expect(text).toMatch(/^HTTP\/1\.1 400 /)
        expect(text).not.toContain('smuggled')
      })
    })

    describe('failures (2.6) say that the platform answered, and which call it was', () => {
      const CALL_ID = ['X-Call-Id: call-7']
      const failure = async (path: string, status: number, words: RegExp): Promise<void> => {
        const text = await get(path, ...CALL_ID)
        expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
        expect(valuesOf(headersOf(text), 'x-openfaas-internal')).toEqual(['faasdock-gateway'])
        expect(text).toMatch(words)
        expect(text).toMatch(/call id: call-7\r?\n/)
        expect(valuesOf(headersOf(text), 'x-start-time')).toEqual([expect.stringMatching(/^\d{19}$/)])
      }

      test('404: no such function; none of the gateway’s headers', async () => {
        const text = await raw(['GET /function/nobody HTTP/1.1', 'Host: me', 'Connection: close'])
        expect(text).toMatch(
          /^HTTP\/1\.1 404 [^]*error finding function nobody\.openfaas-fn[^]*call id: [0-9a-f-]{36}/,
        )
        expect(valuesOf(headersOf(text), 'x-openfaas-internal')).toEqual(['faasdock-gateway'])
        expect(valuesOf(headersOf(text), 'x-call-id')).toEqual([])
        expect(valuesOf(headersOf(text), 'x-start-time')).toEqual([])
      })

      test('502: the function hung up', () =>
        failure('/hang-up', 502, /other side closed|socket hang up|ECONNRESET/))
      test('502: the function reset the connection', () =>
        failure('/reset', 502, /connection to the function failed/))
      test.each([
        ['bytes', '\0\x01\x02 garbage \xff\r\n\r\n'],
        ['text', 'hello, this is no HTTP\r\n\r\n'],
        ['another version', 'HTTP/9.9 200 OK\r\n\r\n'],
        ['a head that breaks off', 'HTTP/1.1 200 OK\r\nX-A: '],
        ['a status that is none', 'HTTP/1.1 xyz OK\r\n\r\n'],
        [
          'a length and chunks',
          'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        ],
        ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd'],
        ['a header that is none', 'HTTP/1.1 200 OK\r\nno colon here\r\n\r\n'],
        [
          'an upgrade that nobody asked for',
          'HTTP/1.1 101 Go on\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
        ],
        ['nothing but an informational answer', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'],
      ])('502: the function answers with %s', async (what, own) => {
        const text = await get(`/bytes/${base64url(own)}`, ...CALL_ID)
        expect([what, text]).toEqual([
          what,
          expect.stringMatching(/^(HTTP\/1\.1 103 [^]*?\r\n\r\n)?HTTP\/1\.1 502 [^]*call id: call-7/),
        ])
        expect(text).toMatch(/\r\nX-OpenFaaS-Internal: faasdock-gateway\r\n/i)
      })

      test('502: the head of the answer is longer than 1 MB; 900 kB are passed on', async () => {
        const [value] = valuesOf(headersOf(await get('/long-head/900000')), 'x-long')
        expect(value).toHaveLength(900_000)
        await failure('/long-head/1100000', 502, /connection to the function failed/)
      })

      test('503: the function cannot start, with its last words', async () => {
        const name = platform().name()
        await platform().ask('POST', '/system/functions', {
          service: name,
          image: platform().image,
          labels: {},
          annotations: {},
          envVars: { FLAVOR: 'exit:3' },
        })
        const text = await raw([
          `GET /function/${name} HTTP/1.1`,
          'Host: me',
          'Connection: close',
          ...CALL_ID,
        ])
        expect(text).toMatch(
          /^HTTP\/1\.1 503 [^]*exited with code 3[^]*this function ends by itself[^]*call id: call-7/,
        )
        expect(valuesOf(headersOf(text), 'x-openfaas-internal')).toEqual(['faasdock-gateway'])
      })

      test('a function that dies while it answers: the answer is seen to be broken', async () => {
        const text = await get('/die')
        expect(text).toMatch(/half of it/)
        expect(text).not.toMatch(/\r\n0\r\n\r\n$/)
      })

      test('a caller who hangs up: the function hears of it', async () => {
        const counts = async (): Promise<{ open: number; aborted: number }> =>
          JSON.parse((await platform().ask('GET', `/function/${fn}/counts`)).body) as {
            open: number
            aborted: number
          }
        const before = await counts()
        const waiting = caller(lines('GET /function/FN/silent HTTP/1.1', 'Host: me'))
        await untilPasses(async () => expect((await counts()).open).toBe(before.open + 1))
        waiting[Symbol.dispose]()
        await untilPasses(async () => expect((await counts()).aborted).toBe(before.aborted + 1))
      })
    })

    describe('scale from zero (2.7)', () => {
      test('a call wakes the function and gets its answer', async () => {
        const name = await platform().deploy()
        await platform().ask('POST', `/system/scale-function/${name}`, { serviceName: name, replicas: 0 })
        const { status, body } = await platform().ask('POST', `/function/${name}/x`, 'kept')
        expect([status, JSON.parse(body)]).toMatchObject([200, { body: 'kept' }])
      })

      test('a call before the function is there waits for it', async () => {
        const service = platform().name()
        const spec = {
          service,
          image: platform().image,
          labels: {},
          annotations: {},
          envVars: { FLAVOR: 'late:700' },
        }
        await platform().ask('POST', '/system/functions', spec)
        expect((await platform().ask('POST', `/function/${service}`, 'x')).status).toBe(200)
      })
    })
  },
  {},
  TALKER,
)

describeParity(
  'the limit of a call (2.5)',
  (platform) => {
    const LIMIT = '2 s (upstream_timeout)'
    const spec = (service: string, envVars: Record<string, string>): Record<string, unknown> => ({
      service,
      image: platform().image,
      labels: {},
      annotations: {},
      envVars,
    })

    test('504: a function that does not begin to answer; limit, value and setting are named', async () => {
      const fn = await platform().deploy()
      const headers = { 'X-Call-Id': 'call-7' }
      const answer = await platform().ask('GET', `/function/${fn}/silent`, undefined, headers)
      expect([answer.status, answer.headers['x-openfaas-internal']]).toEqual([504, 'faasdock-gateway'])
      expect(answer.body).toContain(`did not begin to answer within ${LIMIT}`)
      expect(answer.body).toContain('call id: call-7')
    })

    test('504: a function that does not get ready; the wait has the limit by itself', async () => {
      const service = platform().name()
      await platform().ask('POST', '/system/functions', spec(service, { FLAVOR: 'late:50000' }))
      const { status, body } = await platform().ask('GET', `/function/${service}`)
      expect(status).toBe(504)
      expect(body).toContain(`no replica that answers within ${LIMIT}`)
      await platform().ask('DELETE', '/system/functions', { functionName: service })
    })

    test('a stream that has begun is not cut, however long it is silent', async () => {
      const fn = await platform().deploy()
      const port = Number(new URL(platform().url).port)
      using reader = rawCaller(
        port,
        lines(`GET /function/${fn}/steps/s HTTP/1.1`, 'Host: me', 'Connection: close'),
      )
      await reader.sees(/\r\n\r\n1\r\n0\r\n$/)
      // Until after its own limit, as others show that come later.
      for (const _ of [1, 2]) expect((await platform().ask('GET', `/function/${fn}/silent`)).status).toBe(504)
      await platform().ask('GET', `/function/${fn}/step/s.end`)
      expect(await reader.closed()).toMatch(/\r\n0\r\n\r\n$/)
    })
  },
  { upstreamTimeout: '2s' },
  TALKER,
)
