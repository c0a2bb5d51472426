import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage, RequestListener } from 'node:http'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { cli, startCli, temporaryFolder } from '../../../test/support/cli.ts'
import { startFakeGateway } from '../../../test/support/fake-gateway.ts'
import { until } from '../../../test/support/until.ts'
import { useApp } from '../../../test/support/use-app.ts'
import type { TestApp } from '../../../test/support/use-app.ts'
import type { MemoryImage } from '../../provider/memory/memory-provider.ts'

type Answer = (
  request: IncomingMessage,
  body: Buffer,
) => { status?: number; headers?: Record<string, string | string[]>; body?: string | Buffer }

interface Seen {
  readonly line: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

/** A function whose answer can be changed as if new code had been swapped in. */
class Steered {
  readonly seen: Seen[] = []
  answer: Answer

  constructor(answer: Answer) {
    this.answer = answer
  }

  get image(): MemoryImage {
    const listener: RequestListener = (request, response) => {
      const pieces: Buffer[] = []
      request.on('data', (piece: Buffer) => pieces.push(piece))
      request.on('end', () => {
        const body = Buffer.concat(pieces)
        this.seen.push({
          line: `${request.method ?? ''} ${request.url ?? ''}`,
          headers: request.headers,
          body,
        })
        const { status = 200, headers = {}, body: text = '' } = this.answer(request, body)
        response.writeHead(status, headers).end(text)
      })
    }
    return { listener: () => listener }
  }
}

async function useSteered(answer: Answer): Promise<{ app: TestApp; fn: Steered } & AsyncDisposable> {
  const fn = new Steered(answer)
  const app = await useApp({ image: fn.image }, { record: true })
  await app.deploy('fn', 'image')
  return { app, fn, [Symbol.asyncDispose]: () => app[Symbol.asyncDispose]() }
}

async function call(app: TestApp, path = '', init: RequestInit = {}): Promise<void> {
  await (await fetch(`${app.url}/function/fn${path}`, init)).arrayBuffer()
}

/** `fetch` would put the path in order. */
async function rawCall(
  app: TestApp,
  path: string,
  { method, headers, body }: { method: string; headers: Record<string, string>; body: string },
): Promise<void> {
  const request = httpRequest({ port: app.port, path: `/function/fn${path}`, method, headers })
  request.end(body)
  const [answer] = (await once(request, 'response')) as [IncomingMessage]
  await buffer(answer)
}

const json = (value: unknown): ReturnType<Answer> => ({
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(value),
})

describe('replay', () => {
  test('sends the same again, and ends with 0 when the same is answered', async () => {
    await using steered = await useSteered(() => json({ a: 1, at: 'now' }))
    const { app, fn } = steered
    await rawCall(app, '/x%2Fy/../z?q=%E4%B8%AD&e=', {
      method: 'PATCH',
      headers: { 'Content-Type': 'application/json', 'X-Mine': 'yes', 'X-Call-Id': 'first' },
      body: '{"b":2}',
    })
    const { code, out, err } = await cli(['replay', '-g', app.url])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(
      /^same answer {2}PATCH fn\/x%2Fy\/\.\.\/z\?q=%E4%B8%AD&e= {2}200 in .* \(was .*\) {2}replay of first\n$/,
    )
    const [first, second] = fn.seen
    expect(second?.line).toBe(first?.line)
    expect(second?.body.toString()).toBe('{"b":2}')
    expect(second?.headers['x-mine']).toBe('yes')
    expect(second?.headers['user-agent']).toBe(first?.headers['user-agent'])
    expect(second?.headers['x-forwarded-host']).toBe(first?.headers['x-forwarded-host'])
    expect(second?.headers['x-faasdock-replay-of']).toBe('first')
    expect(second?.headers['x-call-id']).not.toBe('first')
    const listed = await cli(['invocations', '-g', app.url])
    expect(listed.out).toMatch(/^ID .*REPLAY OF\n\S{8} .* first\nfirst +/)
  })

  test('shows what differs in status, headers and JSON, and ends with 1', async () => {
    await using steered = await useSteered(() => ({
      headers: { 'Content-Type': 'application/json', 'X-Cache': 'hit', ETag: '"1"', 'X-Gone': '1' },
      body: JSON.stringify({ results: [{ name: 'a' }, 2], count: 2, 'odd key': null, same: true }),
    }))
    const { app, fn } = steered
    await call(app)
    fn.answer = () => ({
      status: 500,
      headers: { 'Content-Type': 'application/json', 'X-Cache': 'miss', ETag: '"2"', 'X-New': '1' },
      body: JSON.stringify({ same: true, results: [{ name: 'b' }], count: 2, extra: { deep: [1] } }),
    })
    const { code, out } = await cli(['replay', 'last', '-g', app.url])
    expect(code).toBe(1)
    expect(out.split('\n').slice(1)).toEqual([
      '  status  200 → 500',
      '  header  x-cache: hit → miss',
      '  header  x-gone: - 1',
      '  header  x-new: + 1',
      '  body    .results[0].name  "a" → "b"',
      '  body    .results[1]  - 2',
      '  body    .["odd key"]  - null',
      '  body    .extra  + {"deep":[1]}',
      '',
    ])
    const told = await cli([
      'replay',
      '--json',
      '-g',
      app.url,
      '--ignore',
      '.results[*]',
      '--ignore',
      'X-Cache',
    ])
    expect(told.code).toBe(1)
    expect(JSON.parse(told.out)).toMatchObject({
      same: false,
      status: 500,
      difference: {
        status: { before: 200, after: 500 },
        headers: [
          { name: 'x-gone', before: '1' },
          { name: 'x-new', after: '1' },
        ],
        body: {
          kind: 'json',
          changes: [
            { path: '.["odd key"]', before: null },
            { path: '.extra', after: { deep: [1] } },
          ],
        },
      },
    })
  })

  test('compares text by lines, packed JSON as JSON, and what is no text by its hash', async () => {
    await using steered = await useSteered(() => ({ body: 'one\ntwo\nthree\n' }))
    const { app, fn } = steered
    await call(app, '/text')
    fn.answer = () => ({ body: 'one\n2\nthree\nfour\n' })
    const text = await cli(['replay', '-g', app.url])
    expect(text.out.split('\n').slice(1)).toEqual([
      '  body    - two',
      '  body    + 2',
      '  body    + four',
      '',
    ])
    const packed = { 'Content-Encoding': 'gzip', 'Content-Type': 'application/json' }
    fn.answer = () => ({ headers: packed, body: gzipSync('{"a":1}') })
    await call(app, '/packed')
    fn.answer = () => ({ headers: packed, body: gzipSync('{"a":2}') })
    expect((await cli(['replay', '-g', app.url])).out).toContain('\n  body    .a  1 → 2\n')
    fn.answer = () => ({ body: Buffer.from([0, 255]) })
    await call(app, '/bytes')
    fn.answer = () => ({ body: Buffer.from([0, 254, 1]) })
    expect((await cli(['replay', '-g', app.url])).out).toMatch(/2 bytes, sha256 \w{12} → 3 bytes, sha256/)
  })

  test('says what is not kept and leaves it out, unless it is given', async () => {
    await using steered = await useSteered(({ headers, url }) => ({
      status: headers.authorization === 'Bearer good' && url === '/?token=t' ? 200 : 401,
    }))
    const { app, fn } = steered
    await call(app, '/?token=t', { headers: { Authorization: 'Bearer good' } })
    const without = await cli(['replay', '-g', app.url])
    expect(without.code).toBe(1)
    expect(without.err).toBe(
      'sent as REDACTED: the parameter token, which is not kept; give it with --query token=…\n' +
        'left out: Authorization, which is not kept; give it with --header "Authorization: …"\n',
    )
    expect(fn.seen.at(-1)).toMatchObject({ line: 'GET /?token=REDACTED' })
    expect(fn.seen.at(-1)?.headers.authorization).toBeUndefined()
    const given = ['-H', 'Authorization: Bearer good', '--query', 'token=t']
    const withThem = await cli(['replay', '-g', app.url, ...given])
    expect(withThem).toMatchObject({ code: 0, err: '' })
  })

  test('does not send half a body, but takes a file instead', async () => {
    await using steered = await useSteered((_request, body) => ({ body: String(body.length) }))
    const { app } = steered
    const long = 'x'.repeat(300_000)
    await call(app, '', { method: 'POST', body: long })
    const half = await cli(['replay', '-g', app.url])
    expect(half.code).toBe(2)
    expect(half.err).toMatch(
      /^error BAD_USAGE: the body of invocation \S+ is kept only in part\n→ .*--body FILE/,
    )
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'body'), long)
    const whole = await cli(['replay', '-g', app.url, '--body', 'body'], { cwd: folder.path })
    expect(whole.code).toBe(0)
    const piped = await cli(['replay', '-g', app.url, '--body', '-'], { stdin: 'short' })
    expect(piped.out).toContain('300000 → 5')
    const missing = await cli(['replay', '-g', app.url, '--body', 'nothing'], { cwd: folder.path })
    expect(missing).toMatchObject({ code: 2 })
    expect(missing.err).toContain('error FILE_NOT_READABLE: --body nothing cannot be read (ENOENT)')
  })

  test('of an answer without end is compared as far as it is known', async () => {
    const image: MemoryImage = {
      listener: () => (_request, response) => {
        response.writeHead(200, { 'Content-Type': 'text/event-stream' })
        response.write('data: 1\n\n')
      },
    }
    await using app = await useApp({ image }, { record: true })
    await app.deploy('fn', 'image')
    const gone = new AbortController()
    const answer = await fetch(`${app.url}/function/fn`, { signal: gone.signal })
    await answer.body?.getReader().read()
    gone.abort()
    await until(async () => (await cli(['invocations', '-g', app.url])).out.includes('broken off'))
    const { code, err } = await cli(['replay', '-g', app.url])
    expect({ code, err }).toEqual({ code: 0, err: '(of the bodies the first 9 bytes were compared)\n' })
  })

  test('of what is not there names what is', async () => {
    await using steered = await useSteered(() => json({}))
    const { app } = steered
    const none = await cli(['replay', '-g', app.url])
    expect(none.code).toBe(1)
    expect(none.err).toMatch(/^error INVOCATION_NOT_FOUND: no invocation is kept yet\n→ /)
    const unknown = await cli(['replay', '--function', 'nf', '-g', app.url])
    expect(unknown.err).toMatch(/: no invocation of nf\.openfaas-fn is kept yet\n→ /)
    await call(app)
    const named = await cli(['replay', 'fn', '-g', app.url])
    expect(named.err).toContain('→ fn is a function: "last --function fn" means its last invocation')
    expect((await cli(['replay', 'last', '--function', 'fn', '-g', app.url])).code).toBe(0)
    await app.ask('DELETE', '/system/functions', { functionName: 'fn' })
    const removed = await cli(['replay', '-g', app.url])
    expect(removed.code).toBe(1)
    expect(removed.err).toMatch(
      /^error FUNCTION_NOT_FOUND: invocation \S+ is one of fn\.openfaas-fn, which is not deployed any more\n→ Nor is any other/,
    )
    await using off = await useApp({})
    expect((await cli(['replay', '-g', off.url])).err).toContain('this gateway keeps no invocations')
    await using foreign = await startFakeGateway()
    expect((await cli(['replay', '-g', foreign.url])).err).toMatch(/^error GATEWAY_REFUSED: /)
  })

  test('last is of a function that is still deployed, whatever was called after it', async () => {
    await using steered = await useSteered(() => json({ a: 1 }))
    const { app, fn } = steered
    await call(app, '/kept')
    expect((await cli(['replay', '-g', app.url])).code).toBe(0)
    await app.deploy('gone', 'image')
    await (await fetch(`${app.url}/function/gone/lost`)).arrayBuffer()
    await app.ask('DELETE', '/system/functions', { functionName: 'gone' })
    const { code, out, err } = await cli(['replay', '-g', app.url])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain('same answer  GET fn/kept')
    expect(fn.seen.map(({ line }) => line)).toEqual(['GET /kept', 'GET /kept', 'GET /lost', 'GET /kept'])
    const named = await cli(['replay', 'last', '--function', 'gone', '-g', app.url])
    expect(named.err).toContain(
      'is one of gone.openfaas-fn, which is not deployed any more\n→ Deploy it again',
    )
  })

  test('--watch sends it again when new code answers, says bad saves, and ends with Ctrl-C', async () => {
    await using steered = await useSteered(() => json({ n: 1 }))
    const { app, fn } = steered
    await call(app)
    const watching = startCli(['replay', '--watch', '-g', app.url])
    await until(() => watching.stdout.text.includes('same answer'))
    fn.answer = () => json({ n: 2 })
    await app.ask('PUT', '/system/functions', { service: 'fn', image: 'image', envVars: { version: '3' } })
    await until(() => watching.stdout.text.includes('  body    .n  1 → 2'))
    await app.ask('PUT', '/system/functions', { service: 'fn', image: 'unknown' })
    await until(() => watching.stderr.text.includes('the save is bad, and the code before it answers: '))
    const before = fn.seen.length
    fn.answer = () => json({ n: 1 })
    await app.ask('PUT', '/system/functions', { service: 'fn', image: 'image', envVars: { version: '4' } })
    await until(() => watching.stdout.text.trimEnd().split('\n').at(-1)?.startsWith('same answer'))
    expect(fn.seen.length).toBe(before + 1)
    watching.interrupt()
    expect(await watching.exit).toBe(130)
  })
})

describe('invocations', () => {
  test('lists, shows, and forgets', async () => {
    await using steered = await useSteered(() => ({
      headers: {},
      body: 'line\n\u0007bell',
    }))
    const { app } = steered
    const empty = await cli(['invocations', '-g', app.url])
    expect(empty).toEqual({ code: 0, out: '', err: 'no invocations are kept yet\n' })
    await call(app, '/path', { method: 'POST', headers: { 'X-Call-Id': 'one' }, body: 'sent' })
    const { out } = await cli(['invocations', 'fn', '-g', app.url])
    expect(out).toMatch(/^ID +WHEN .*\none +\S+Z +fn +POST +\/path +200 +\d+ ms +10\n$/)
    const shown = await cli(['invocations', 'show', 'one', '-g', app.url])
    expect(shown.out).toMatch(/^Invocation: one\nFunction: {3}fn\.openfaas-fn\n/)
    expect(shown.out).toContain('\nPOST /path\n')
    expect(shown.out).toContain('\n\nsent\n\nHTTP 200\n')
    expect(shown.out).toContain('\n\nline\n␇bell\n')
    expect(shown.out).not.toContain('\u001b')
    const listed = await cli(['invocations', '--json', '-g', app.url])
    expect(JSON.parse(listed.out)).toMatchObject([{ id: 'one', status: 200, requestBytes: 4 }])
    const one = await cli(['invocations', 'show', 'last', '--json', '-g', app.url])
    expect(JSON.parse(one.out)).toMatchObject({ id: 'one', request: { text: 'sent' } })
    const forgotten = await cli(['invocations', 'fn', '--forget', '-g', app.url])
    expect(forgotten.out).toBe('1 invocation is forgotten\n')
    expect((await cli(['invocations', 'show', 'one', '-g', app.url])).code).toBe(1)
  })

  test('of a name that is no function says what was meant, and a list that is cut says so', async () => {
    await using steered = await useSteered(() => ({}))
    const { app } = steered
    const at = (...argv: string[]) => cli(['invocations', ...argv, '-g', app.url])
    await call(app, '', { headers: { 'X-Call-Id': 'first-of-all' } })
    expect((await at('first')).err).toContain('→ Did you mean: faasdock invocations show first')
    expect((await at('fnn')).err).toMatch(
      /^error FUNCTION_NOT_FOUND: no function "fnn" at \S+\n→ Did you mean fn\?\n/,
    )
    expect((await at('show')).err).toContain('→ Say which invocation')
    expect(await at('unheard-of')).toMatchObject({ code: 1, out: '' })
    await app.deploy('other', 'image')
    expect(await at('other')).toEqual({ code: 0, out: '', err: 'no invocations of other are kept yet\n' })
    for (let i = 1; i < 20; i++) await call(app)
    expect((await at()).err).toBe('')
    await call(app)
    expect(await at()).toMatchObject({ err: '(the last 20; more with --limit)\n' })
    expect((await at('--limit', '20')).err).toBe('')
  })

  test('--as curl is a line for a shell that sends the same', async () => {
    await using steered = await useSteered((_request, body) => ({ body }))
    const { app, fn } = steered
    const bodies = [
      'it\'s "quoted" $HOME `x` \\ @file\nsecond line',
      '@not-a-file',
      Buffer.from([0, 1, 255, 10]),
    ]
    for (const body of bodies) {
      await call(app, "/a'b;c?x=[1]&y=$HOME", {
        method: 'PUT',
        headers: { 'X-Quote': "it's", 'Content-Type': 'text/plain' },
        body,
      })
      const { out, err } = await cli(['invocations', 'show', 'last', '--as', 'curl', '-g', app.url])
      expect(err).toBe('')
      await promisify(execFile)('/bin/sh', ['-c', out])
      const [before, after] = fn.seen.slice(-2)
      expect(after?.line).toBe(before?.line)
      expect(after?.body).toEqual(before?.body)
      for (const name of ['x-quote', 'content-type', 'user-agent', 'x-forwarded-host'])
        expect(after?.headers[name]).toBe(before?.headers[name])
    }
    await call(app, '', { method: 'POST' })
    const { out } = await cli(['invocations', 'show', 'last', '--as', 'curl', '-g', app.url])
    expect(out).toMatch(/^curl -X POST http:\S+\/function\/fn\.openfaas-fn\/ -H/)
  })

  test('--as curl says beside the line what is not in it', async () => {
    await using steered = await useSteered(() => ({}))
    const { app } = steered
    await call(app, '', { headers: { Cookie: 'a=b', 'X-Call-Id': 'c1' } })
    const { out, err } = await cli(['invocations', '--as', 'curl', '-g', app.url])
    expect(err).toBe('left out of c1: header Cookie\n')
    expect(out).not.toContain('ookie')
  })
})
