import { readdirSync, readFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import type { RequestListener } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import { until } from '../../test/support/until.ts'
import { useApp } from '../../test/support/use-app.ts'
import type { TestApp } from '../../test/support/use-app.ts'
import type { MemoryImage } from '../provider/memory/memory-provider.ts'

interface Kept {
  readonly id: string
  readonly callId: string
  readonly name: string
  readonly state: string
  readonly method: string
  readonly path: string
  readonly status?: number
  readonly problem?: string
  readonly replayOf?: string
  readonly queued?: boolean
  readonly upgrade?: string
  readonly requestBytes: number
  readonly responseBytes: number
  readonly redacted: readonly { message: string; part: string; name?: string }[]
  readonly request: Message
  readonly response?: Message
}

interface Message {
  readonly headers: [string, string][]
  readonly trailers?: [string, string][]
  readonly bodyBytes: number
  readonly truncated?: boolean
  readonly text?: string
  readonly base64?: string
}

function imageOf(listener: RequestListener): MemoryImage {
  return { listener: () => listener }
}

const echo = imageOf((request, response) => {
  const pieces: Buffer[] = []
  request.on('data', (piece: Buffer) => pieces.push(piece))
  request.on('end', () => {
    response.writeHead(200, { 'Content-Type': request.headers['content-type'] ?? 'text/plain' })
    response.end(Buffer.concat(pieces))
  })
})

const recording = { record: true }

async function list(app: TestApp, query = ''): Promise<Kept[]> {
  const answer = await app.ask('GET', `/system/invocations${query}`)
  return ((await answer.json()) as { invocations: Kept[] }).invocations
}

async function show(app: TestApp, id: string): Promise<Kept> {
  const answer = await app.ask('GET', `/system/invocations/${id}`)
  expect(answer.status).toBe(200)
  return (await answer.json()) as Kept
}

/** The newest of a function, once it has ended. */
function ended(app: TestApp, name = 'fn'): Promise<Kept> {
  return until(async () => {
    const [newest] = await list(app, `?function=${name}`)
    return newest && newest.state !== 'running' && show(app, newest.id)
  })
}

function filesOf(app: TestApp): Buffer {
  const { dataDir } = app.app
  const names = readdirSync(dataDir).filter((name) => name.startsWith('invocations.db'))
  expect(names).not.toEqual([])
  return Buffer.concat(names.map((name) => readFileSync(join(dataDir, name))))
}

describe('what is kept of a call', () => {
  test('is what was sent and what was answered, as they were', async () => {
    await using app = await useApp({ echo }, recording)
    await app.deploy('fn', 'echo')
    const answer = await fetch(`${app.url}/function/fn/a%2Fb?x=1`, {
      method: 'PUT',
      headers: { 'Content-Type': 'application/json', 'X-Call-Id': 'abc', 'X-Mine': 'é' },
      body: '{"a":1}',
    })
    expect(await answer.text()).toBe('{"a":1}')
    const kept = await show(app, 'abc')
    expect(kept).toMatchObject({
      id: 'abc',
      name: 'fn',
      namespace: 'openfaas-fn',
      state: 'ended',
      method: 'PUT',
      path: '/a%2Fb?x=1',
      status: 200,
      requestBytes: 7,
      responseBytes: 7,
      redacted: [],
      request: { bodyBytes: 7, text: '{"a":1}' },
      response: { bodyBytes: 7, text: '{"a":1}' },
    })
    expect(kept.request.headers).toContainEqual(['X-Mine', 'é'])
    expect(kept.response?.headers).toContainEqual(['Content-Type', 'application/json'])
    expect(kept.request.truncated ?? kept.response?.truncated).toBeUndefined()
  })

  test('is kept where it is asked for, and by whoever develops a stack; else not at all', async () => {
    await using app = await useApp({ echo })
    await app.deploy('fn', 'echo')
    await (await fetch(`${app.url}/function/fn`)).text()
    const listed = await app.ask('GET', '/system/invocations')
    expect(await listed.json()).toEqual({ recording: false, invocations: [] })
    const asked = await app.ask('GET', '/system/invocations/last')
    expect(asked.status).toBe(404)
    expect(await asked.text()).toMatch(/keeps no invocations\n.*--record/)
    expect(readdirSync(app.app.dataDir).filter((name) => name.startsWith('invocations'))).toEqual([])
  })

  test('is bytes where it is no text, and the beginning where it is long', async () => {
    await using app = await useApp({ echo }, recording)
    await app.deploy('fn', 'echo')
    const bytes = Buffer.from([0xff, 0, 1, 0x80])
    await (await fetch(`${app.url}/function/fn`, { method: 'POST', body: bytes })).arrayBuffer()
    expect((await ended(app)).response).toMatchObject({ base64: bytes.toString('base64') })
    const long = 'x'.repeat(1_000_000)
    expect(await (await fetch(`${app.url}/function/fn`, { method: 'POST', body: long })).text()).toBe(long)
    const kept = await ended(app)
    for (const message of [kept.request, kept.response]) {
      expect(message).toMatchObject({ bodyBytes: 1_000_000, truncated: true })
      expect(message?.text).toBe('x'.repeat(256 * 1024))
    }
  })

  test('of an answer without end is what came so far, and that it was broken off when its reader left', async () => {
    const image = imageOf((_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' })
      response.write('data: 1\n\n')
    })
    await using app = await useApp({ image }, recording)
    await app.deploy('fn', 'image')
    const gone = new AbortController()
    const answer = await fetch(`${app.url}/function/fn`, { signal: gone.signal })
    const reader = answer.body?.getReader()
    await reader?.read()
    const [running] = await list(app)
    expect(running).toMatchObject({ state: 'running', status: 200, responseBytes: 9 })
    gone.abort()
    expect(await ended(app)).toMatchObject({
      state: 'broken',
      problem: 'the caller went away',
      response: { text: 'data: 1\n\n', truncated: true },
    })
    expect(await list(app)).toHaveLength(1)
  })

  test('of an answer that breaks off is the beginning, and of no answer what the platform said', async () => {
    const image = imageOf((request, response) => {
      if (request.url === '/half') response.write('half', () => response.destroy())
      else request.socket.destroy()
    })
    await using app = await useApp({ image }, recording)
    await app.deploy('fn', 'image')
    await fetch(`${app.url}/function/fn/half`)
      .then((answer) => answer.text())
      .catch(() => undefined)
    expect(await ended(app)).toMatchObject({ state: 'broken', status: 200, response: { text: 'half' } })
    const answer = await fetch(`${app.url}/function/fn/none`, { method: 'POST', body: 'x' })
    expect(answer.status).toBe(502)
    const kept = await ended(app)
    expect(kept).toMatchObject({ state: 'ended', status: 502, path: '/none' })
    expect(kept.response).toBeUndefined()
    expect(kept.problem).not.toBeUndefined()
  })

  test('of another protocol is only the head', async () => {
    const image: MemoryImage = {
      listener: () => (_request, response) => response.end(),
      prepare: (server) =>
        server.on('upgrade', (_request, socket) => {
          socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n')
          socket.on('data', (piece: Buffer) => socket.end(piece))
        }),
    }
    await using app = await useApp({ image }, recording)
    await app.deploy('fn', 'image')
    const socket = connect(app.port, '127.0.0.1')
    socket.write('GET /function/fn HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n')
    let seen = ''
    socket.on('data', (piece: Buffer) => {
      if (seen === '') socket.write('whispered')
      seen += piece.toString()
    })
    await until(() => seen.endsWith('whispered'))
    socket.destroy()
    const kept = await ended(app)
    expect(kept).toMatchObject({ status: 101, upgrade: 'chat', request: { text: '' } })
    expect(kept.response?.text).toBe('')
    expect(filesOf(app).includes('whispered')).toBe(false)
  })

  test('has trailers, and no body where there is none', async () => {
    const image = imageOf((request, response) => {
      if (request.method === 'HEAD') {
        response.end()
        return
      }
      response.writeHead(200, { Trailer: 'X-Sum' })
      response.write('a')
      response.addTrailers({ 'X-Sum': '7' })
      response.end()
    })
    await using app = await useApp({ image }, recording)
    await app.deploy('fn', 'image')
    await (await fetch(`${app.url}/function/fn`)).text()
    expect((await ended(app)).response).toMatchObject({ text: 'a', trailers: [['X-Sum', '7']] })
    await fetch(`${app.url}/function/fn`, { method: 'HEAD' })
    expect(await ended(app)).toMatchObject({ method: 'HEAD', status: 200, responseBytes: 0 })
  })

  test('of a caller who stops in the middle of sending is that it broke off', async () => {
    await using app = await useApp({ echo }, recording)
    await app.deploy('fn', 'echo')
    const call = httpRequest(`${app.url}/function/fn`, {
      method: 'POST',
      headers: { 'Content-Length': 1000 },
    })
    call.on('error', () => undefined)
    call.write('beginning')
    await until(async () => (await list(app))[0]?.requestBytes === 9)
    call.destroy()
    expect(await ended(app)).toMatchObject({
      state: 'broken',
      request: { text: 'beginning', truncated: true },
    })
  })

  test('of a queued call is its request to the function', async () => {
    await using app = await useApp({ echo }, recording)
    await app.deploy('fn', 'echo')
    await fetch(`${app.url}/async-function/fn/later?x=1`, { method: 'POST', body: 'job' })
    expect(await ended(app)).toMatchObject({
      queued: true,
      method: 'POST',
      path: '/later?x=1',
      request: { text: 'job' },
    })
  })
})

describe('how an invocation is called', () => {
  test('by its call id, by the beginning of it, by "last"; a second one of that call id by its number', async () => {
    await using app = await useApp({ echo }, recording)
    await app.deploy('fn', 'echo')
    await app.deploy('other', 'echo')
    const call = async (name: string, headers: Record<string, string>): Promise<void> => {
      await (await fetch(`${app.url}/function/${name}`, { headers })).text()
    }
    await call('fn', { 'X-Call-Id': 'aa-1' })
    await call('fn', { 'X-Call-Id': 'aa-2' })
    await call('other', { 'X-Call-Id': 'aa-1' })
    await call('other', { 'X-Call-Id': 'bb', 'X-Faasdock-Replay-Of': 'aa-1' })
    expect((await list(app)).map(({ id }) => id)).toEqual(['bb', 'aa-1~2', 'aa-2', 'aa-1'])
    expect(await show(app, 'bb')).toMatchObject({ replayOf: 'aa-1' })
    expect(await show(app, 'b')).toMatchObject({ id: 'bb' })
    expect(await show(app, 'aa-1')).toMatchObject({ id: 'aa-1', name: 'fn' })
    expect(await show(app, 'aa-1~2')).toMatchObject({ name: 'other' })
    expect(await show(app, 'last')).toMatchObject({ id: 'aa-1~2' })
    expect(await show(app, 'last?function=fn')).toMatchObject({ id: 'aa-2' })
    const vague = await app.ask('GET', '/system/invocations/aa')
    expect(vague.status).toBe(404)
    expect(await vague.text()).toContain('2 kept invocations begin with "aa": aa-1, aa-2')
    const unknown = await app.ask('GET', '/system/invocations/zz')
    expect([unknown.status, unknown.headers.get('x-faasdock-code')]).toEqual([404, 'INVOCATION_NOT_FOUND'])
    expect((await app.ask('GET', '/system/invocations?limit=none')).status).toBe(400)
  })

  test('no more when it is to be forgotten', async () => {
    await using app = await useApp({ echo }, recording)
    await app.deploy('fn', 'echo')
    await app.deploy('other', 'echo')
    for (const name of ['fn', 'other'])
      await (await fetch(`${app.url}/function/${name}`, { method: 'POST', body: `said to ${name}` })).text()
    expect(await (await app.ask('DELETE', '/system/invocations?function=fn')).json()).toEqual({
      forgotten: 1,
    })
    expect((await list(app)).map(({ name }) => name)).toEqual(['other'])
    expect(filesOf(app).includes('said to fn')).toBe(false)
    expect(filesOf(app).includes('said to other')).toBe(true)
  })
})

describe('bounds', () => {
  test('the last 50 of each function are kept, and calls of one do not push out those of another', async () => {
    await using app = await useApp({ echo }, recording)
    await app.deploy('fn', 'echo')
    await app.deploy('rare', 'echo')
    await (await fetch(`${app.url}/function/rare`)).text()
    for (let i = 0; i < 130; i++) await (await fetch(`${app.url}/function/fn?n=${i}`)).text()
    const kept = await list(app, '?limit=1000')
    expect(kept.filter(({ name }) => name === 'rare')).toHaveLength(1)
    const paths = kept.filter(({ name }) => name === 'fn').map(({ path }) => path)
    expect(paths).toEqual(Array.from({ length: 50 }, (_, i) => `/?n=${129 - i}`))
  })
})

describe('what is secret', () => {
  const secret = 's3cr3t-välue/+"x'
  const wire = Buffer.from(secret)

  test('is in no file, wherever it stands, and it is said where it stood', async () => {
    const image = imageOf((_request, response) => {
      response.writeHead(200, {
        'Set-Cookie': `a=${encodeURIComponent(secret)}`,
        'X-Echo': wire.toString('latin1'),
      })
      response.end(JSON.stringify({ token: secret }))
    })
    await using app = await useApp({ image }, recording)
    await app.ask('POST', '/system/secrets', { name: 'key', value: secret })
    await app.deploy('fn', 'image')
    await (
      await fetch(
        `${app.url}/function/fn/${encodeURIComponent(secret)}?a=${encodeURIComponent(secret)}&token=t0ps&b=1`,
        {
          method: 'POST',
          headers: {
            Authorization: 'Bearer b3arer',
            Cookie: 'session=c00kie',
            'X-Hub-Signature-256': 'sha256=s1gned',
            'X-Api-Key': 'k3yk3y',
            'X-Plain': `see ${wire.toString('latin1')}`,
            Referer: 'http://u:p4ss@x/?access_token=r3ferer&ok=1',
            'Content-Type': 'application/json',
          },
          body: JSON.stringify({
            a: [secret],
            password: 'hunter22',
            b: Buffer.from(secret).toString('base64'),
          }),
        },
      )
    ).text()
    const kept = await ended(app)
    expect(kept.path).toBe('/REDACTED?a=REDACTED&token=REDACTED&b=1')
    expect(kept.request.text).toBe('{"a":["REDACTED"],"password":"REDACTED","b":"REDACTED"}')
    expect(kept.response?.text).toBe('{"token":"REDACTED"}')
    const headers = new Map(kept.request.headers.map(([name, value]) => [name.toLowerCase(), value]))
    expect(headers.get('authorization')).toBe('REDACTED')
    expect(headers.get('x-plain')).toBe('see REDACTED')
    expect(headers.get('referer')).toBe('http://REDACTED@x/?access_token=REDACTED&ok=1')
    expect(kept.redacted).toContainEqual({ message: 'request', part: 'query', name: 'token' })
    expect(kept.redacted).toContainEqual({ message: 'request', part: 'header', name: 'Authorization' })
    expect(kept.redacted).toContainEqual({ message: 'response', part: 'body' })
    const disk = filesOf(app)
    const words = [secret, 'b3arer', 'c00kie', 's1gned', 'k3yk3y', 'r3ferer', 'p4ss', 't0ps', 'hunter22']
    for (const word of [...words, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
      expect(disk.includes(word), word).toBe(false)
  })

  test('is taken out of what was kept before it was known to be secret', async () => {
    await using app = await useApp({ echo }, recording)
    await app.deploy('fn', 'echo')
    await (
      await fetch(`${app.url}/function/fn`, { method: 'POST', body: 'it is late-secret, you see' })
    ).text()
    expect(await ended(app)).toMatchObject({ request: { text: 'it is late-secret, you see' } })
    expect(filesOf(app).includes('late-secret')).toBe(true)
    await app.ask('POST', '/system/secrets', { name: 'late', value: 'late-secret\n' })
    expect(await ended(app)).toMatchObject({ request: { text: 'it is REDACTED, you see' } })
    expect(filesOf(app).includes('late-secret')).toBe(false)
  })

  test('is not in a packed body, nor at the end of what is cut off', async () => {
    await using app = await useApp({ echo }, recording)
    await app.ask('POST', '/system/secrets', { name: 'key', value: 'ABCDEFGHIJKLMNOP' })
    await app.deploy('fn', 'echo')
    const packed = gzipSync('so ABCDEFGHIJKLMNOP it is')
    await (
      await fetch(`${app.url}/function/fn`, {
        method: 'POST',
        headers: { 'Content-Encoding': 'gzip' },
        body: packed,
      })
    ).arrayBuffer()
    expect(await ended(app)).toMatchObject({ request: { text: '', bodyBytes: packed.length } })
    const start = 'x'.repeat(256 * 1024 - 8)
    await (
      await fetch(`${app.url}/function/fn`, { method: 'POST', body: `${start}ABCDEFGHIJKLMNOP and more` })
    ).text()
    expect((await ended(app)).request.text).toBe(start)
    expect(filesOf(app).includes('ABCDEFG')).toBe(false)
  })
})

test('invocations are there after a restart, and gone after one that keeps none', async () => {
  await using folder = await makeFolder()
  const data = join(folder.path, 'data')
  {
    await using app = await useApp({ echo }, { record: true, data })
    await app.deploy('fn', 'echo')
    await (await fetch(`${app.url}/function/fn`, { headers: { 'X-Call-Id': 'before' } })).text()
  }
  {
    await using app = await useApp({ echo }, { record: true, data })
    expect(await show(app, 'before')).toMatchObject({ state: 'ended', status: 200 })
  }
  {
    await using _app = await useApp({ echo }, { record: false, data })
    expect(readdirSync(data).filter((name) => name.startsWith('invocations'))).toEqual([])
  }
})
