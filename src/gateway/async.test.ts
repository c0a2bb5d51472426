import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import type { MemoryImage } from '../provider/memory/memory-provider.ts'
import { until, untilPasses } from '../../test/support/until.ts'
import { useApp } from '../../test/support/use-app.ts'

interface Seen {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

interface Told {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly body?: string | Buffer
}

/** A function that keeps what it was sent, and answers as the test says. */
function recorder(answer: (seen: Seen, times: number) => Told | Promise<Told> = () => ({})) {
  const seen: Seen[] = []
  const image: MemoryImage = {
    listener: () => (request, response) => {
      const pieces: Buffer[] = []
      request.on('data', (piece: Buffer) => pieces.push(piece))
      request.on('end', () => {
        const one = {
          method: request.method,
          url: request.url,
          headers: request.headers,
          body: Buffer.concat(pieces).toString(),
        }
        seen.push(one)
        Promise.resolve(answer(one, seen.length)).then(
          ({ status = 200, headers = {}, body = 'done' }) => {
            response.writeHead(status, headers).end(body)
          },
          () => response.destroy(),
        )
      })
    },
  }
  return { seen, image }
}

/** A place that is called back. */
async function useCallbacks(answer: (times: number) => number = () => 200) {
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      const { method, url, headers } = request
      seen.push({ method, url, headers, body: Buffer.concat(pieces).toString() })
      response.writeHead(answer(seen.length), { Location: '/elsewhere' }).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    seen,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const RETRY_AT_ONCE = { 'com.openfaas.retry.min_wait': '20ms', 'com.openfaas.retry.max_wait': '20ms' }

describe('taking a call in', () => {
  test('202, an empty body, a call id that was made; the function gets all of it, as a POST', async () => {
    const { seen, image } = recorder()
    await using given = await useApp({ fn: image })
    await given.deploy('fn', 'fn')
    const answer = await fetch(`${given.url}/async-function/fn/a%2Fb?x=1&y`, {
      method: 'POST',
      body: 'hello',
      headers: { 'Content-Type': 'text/x-test', 'X-Mine': 'yes' },
    })
    expect([answer.status, await answer.text()]).toEqual([202, ''])
    const id = answer.headers.get('x-call-id')
    expect(id).toMatch(/^[0-9a-f-]{36}$/)
    expect(answer.headers.get('x-start-time')).toMatch(/^\d{19}$/)
    await until(() => seen.length === 1)
    expect(seen[0]).toMatchObject({
      method: 'POST',
      url: '/a%2Fb?x=1&y',
      body: 'hello',
      headers: {
        ...{ 'content-type': 'text/x-test', 'x-mine': 'yes', 'x-call-id': id, 'content-length': '5' },
        'user-agent': expect.stringMatching(/^faasdock\//) as string,
      },
    })
    const record = await until(async () => {
      const call = (await (await given.ask('GET', `/system/calls/${id ?? ''}`)).json()) as { state: string }
      return call.state === 'succeeded' && call
    })
    expect(record).toMatchObject({
      id,
      name: 'fn',
      namespace: 'openfaas-fn',
      attempts: 1,
      status: 200,
      path: '/a%2Fb?x=1&y',
    })
  })

  test('the same id twice is one call; an id that was sent is not sent back', async () => {
    const { seen, image } = recorder()
    await using given = await useApp({ fn: image })
    await given.deploy('fn', 'fn')
    const post = () =>
      fetch(`${given.url}/async-function/fn`, { method: 'POST', headers: { 'X-Call-Id': 'mine' } })
    const answers = [await post(), await post()]
    expect(answers.map(({ status, headers }) => [status, headers.get('x-call-id')])).toEqual([
      [202, null],
      [202, null],
    ])
    await until(
      async () =>
        ((await (await given.ask('GET', '/system/calls/mine')).json()) as { state: string }).state ===
        'succeeded',
    )
    expect(seen).toHaveLength(1)
  })

  test.each([
    ['POST', '/async-function/nobody', {}, 404],
    ['POST', '/async-function/fn.nowhere', {}, 404],
    ['POST', '/async-function/.openfaas-fn', {}, 404],
    ['POST', '/async-function/', {}, 404],
    ['GET', '/async-function/fn', {}, 405],
    ['OPTIONS', '/async-function/fn', {}, 405],
    ['PUT', '/async-function/fn', {}, 405],
    ['POST', '/async-function/fn', { 'X-Callback-Url': 'not a url' }, 400],
    ['POST', '/async-function/fn', { 'X-Callback-Url': 'ftp://127.0.0.1/x' }, 400],
    ['POST', '/async-function/fn', { 'X-Call-Id': 'x'.repeat(300) }, 400],
    ['DELETE', '/async-function/unknown', {}, 404],
  ])('%s %s %o is answered %i, and queues nothing', async (method, path, headers, status) => {
    const { seen, image } = recorder()
    await using given = await useApp({ fn: image })
    await given.deploy('fn', 'fn')
    const answer = await fetch(given.url + path, { method, headers })
    expect(answer.status).toBe(status)
    if (status !== 405) expect(answer.headers.get('x-openfaas-internal')).not.toBeNull()
    else expect(answer.headers.get('allow')).toBe('POST, DELETE')
    expect(await (await given.ask('GET', '/system/calls')).json()).toEqual([])
    expect(seen).toEqual([])
  })

  test('bodies around the limit of a message go through whole; beyond the limit of the queue, 413 names it', async () => {
    const { seen, image } = recorder()
    await using given = await useApp({ fn: image }, { asyncMaxBody: '3Mi' })
    await given.deploy('fn', 'fn')
    const inline = 2 ** 20 - 16 * 1024
    const sizes = [0, 1, inline - 1, inline, inline + 1, 2 ** 20, 3 * 2 ** 20 - 1, 3 * 2 ** 20]
    for (const size of sizes) {
      const { status } = await fetch(`${given.url}/async-function/fn`, {
        method: 'POST',
        body: Buffer.alloc(size, 'ab'),
      })
      expect([size, status]).toEqual([size, 202])
    }
    const chunked = await fetch(`${given.url}/async-function/fn`, {
      method: 'POST',
      body: ReadableStream.from([Buffer.alloc(2 ** 20, 'c'), Buffer.alloc(2 ** 20, 'd')]),
      duplex: 'half',
    })
    expect(chunked.status).toBe(202)
    await until(() => seen.length === sizes.length + 1)
    expect(seen.map(({ body }) => body.length).sort((a, b) => a - b)).toEqual(
      [...sizes, 2 * 2 ** 20].sort((a, b) => a - b),
    )
    expect(seen.every(({ body, headers }) => headers['content-length'] === String(body.length))).toBe(true)
    for (const body of [
      Buffer.alloc(3 * 2 ** 20 + 1),
      ReadableStream.from([Buffer.alloc(3 * 2 ** 20), Buffer.alloc(9)]),
    ]) {
      const answer = await fetch(`${given.url}/async-function/fn`, {
        method: 'POST',
        body,
        duplex: 'half',
      })
      expect([answer.status, await answer.text()]).toEqual([
        413,
        expect.stringContaining('3145728') as string,
      ])
    }
    expect(seen).toHaveLength(sizes.length + 1)
  })

  test.each([1000, 3_000_000])(
    'a body of %i bytes that is cut off half-way queues nothing',
    async (length) => {
      const { seen, image } = recorder()
      await using given = await useApp({ fn: image })
      await given.deploy('fn', 'fn')
      const socket = connect(given.port, '127.0.0.1')
      // Its end comes behind all that was sent, in that order.
      socket.end(
        `POST /async-function/fn HTTP/1.1\r\nHost: x\r\nX-Call-Id: cut\r\nContent-Length: ${length}\r\n\r\n${'x'.repeat(length / 2)}`,
      )
      await once(socket.resume(), 'close')
      await fetch(`${given.url}/async-function/fn`, { method: 'POST' })
      await until(() => seen.length === 1)
      expect(seen[0]?.body).toBe('')
      expect((await given.ask('GET', '/system/calls/cut')).status).toBe(404)
    },
  )
})

describe('what becomes of a call', () => {
  test('an answer that says try again is tried again, the last answer is called back, and the call is dead', async () => {
    const { seen, image } = recorder(() => ({ status: 500, body: 'sorry', headers: { 'X-Why': 'because' } }))
    await using callbacks = await useCallbacks()
    await using given = await useApp({ fn: image })
    await given.deploy('fn', 'fn', { annotations: { ...RETRY_AT_ONCE, 'com.openfaas.retry.attempts': '3' } })
    await fetch(`${given.url}/async-function/fn/p?q`, {
      method: 'POST',
      body: 'in',
      headers: { 'X-Call-Id': 'c1', 'X-Callback-Url': `${callbacks.url}/back?token=1` },
    })
    await until(() => callbacks.seen.length === 1)
    expect(seen).toHaveLength(3)
    expect(callbacks.seen[0]).toMatchObject({
      method: 'POST',
      url: '/back?token=1',
      body: 'sorry',
      headers: {
        'x-call-id': 'c1',
        'x-function-name': 'fn',
        'x-function-status': '500',
        'x-why': 'because',
        'x-duration-seconds': expect.stringMatching(/^\d+\.\d{6}$/) as string,
        'x-start-time': expect.stringMatching(/^\d{19}$/) as string,
        'x-retry': '2',
        'x-retry-max': '2',
        'content-length': '5',
      },
    })
    const call = await until(async () => {
      const one = (await (await given.ask('GET', '/system/calls/c1')).json()) as {
        state: string
        callback: { state: string }
      }
      return one.state === 'dead' && one.callback.state === 'delivered' && one
    })
    expect(call).toMatchObject({
      attempts: 3,
      status: 500,
      history: [{ status: 500 }, { status: 500 }, { status: 500 }],
    })
    const letter = (await (await given.ask('GET', '/system/queue/dead/c1')).json()) as object
    expect(letter).toMatchObject({
      id: 'c1',
      path: '/p?q',
      body: 'in',
      attempts: 3,
      answer: { status: 500, text: 'sorry' },
    })
  })

  test('what has not begun is cancelled together; what runs goes on, and what comes later is made', async () => {
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (open = resolve))
    const { seen, image } = recorder(({ body }) => (body === 'first' ? gate.then(() => ({})) : {}))
    await using given = await useApp({ fn: image })
    await given.deploy('fn', 'fn', { envVars: { max_inflight: '1' } })
    const call = (id: string): Promise<Response> =>
      fetch(`${given.url}/async-function/fn`, { method: 'POST', body: id, headers: { 'X-Call-Id': id } })
    await call('first')
    await until(() => seen.length === 1)
    for (const id of ['a', 'b', 'c']) await call(id)
    const purge = async (): Promise<unknown> =>
      (await given.ask('POST', '/system/queue/purge', { function: 'fn', queued: true })).json()
    expect(await purge()).toEqual({ cancelled: 3 })
    await call('later')
    open()
    await until(() => seen.length === 2)
    expect(seen.map(({ body }) => body)).toEqual(['first', 'later'])
    const states = async (): Promise<unknown> =>
      Object.fromEntries(
        ((await (await given.ask('GET', '/system/calls')).json()) as { id: string; state: string }[]).map(
          (one) => [one.id, one.state],
        ),
      )
    await untilPasses(async () =>
      expect(await states()).toEqual({
        first: 'succeeded',
        a: 'cancelled',
        b: 'cancelled',
        c: 'cancelled',
        later: 'succeeded',
      }),
    )
    // With nothing under way, the queue is emptied at once.
    await given.ask('POST', '/system/queue/pause', { function: 'fn' })
    for (const id of ['d', 'e']) await call(id)
    expect(await purge()).toEqual({ cancelled: 2 })
    expect(await (await given.ask('GET', '/system/queue')).json()).toMatchObject({ functions: [] })
    await given.ask('POST', '/system/queue/resume', { function: 'fn' })
    await call('last')
    await until(() => seen.length === 3)
    expect(seen.at(-1)?.body).toBe('last')
  })

  test('a dead call is made again when asked for, and forgotten when purged', async () => {
    let status = 500
    const { seen, image } = recorder(() => ({ status }))
    await using given = await useApp({ fn: image })
    await given.deploy('fn', 'fn', { annotations: { 'com.openfaas.retry.attempts': '1' } })
    for (const id of ['a', 'b'])
      await fetch(`${given.url}/async-function/fn`, {
        method: 'POST',
        body: id,
        headers: { 'X-Call-Id': id },
      })
    const states = async () =>
      Object.fromEntries(
        ((await (await given.ask('GET', '/system/calls')).json()) as { id: string; state: string }[]).map(
          (one) => [one.id, one.state],
        ),
      )
    await until(
      async () =>
        JSON.stringify(await states()) === JSON.stringify({ b: 'dead', a: 'dead' }) ||
        ((await states())['a'] === 'dead' && (await states())['b'] === 'dead'),
    )
    status = 200
    expect(await (await given.ask('POST', '/system/queue/retry', { call: 'a' })).json()).toEqual({
      retried: 1,
    })
    await until(async () => (await states())['a'] === 'succeeded')
    expect(seen.map(({ body }) => body).sort()).toEqual(['a', 'a', 'b'])
    expect((await given.ask('POST', '/system/queue/retry', { call: 'a' })).status).toBe(409)
    expect((await given.ask('POST', '/system/queue/retry', { call: 'zzz' })).status).toBe(404)
    expect(await (await given.ask('POST', '/system/queue/purge', { all: true })).json()).toEqual({
      purged: 1,
    })
    expect((await given.ask('GET', '/system/queue/dead/b')).status).toBe(404)
    expect(await (await given.ask('GET', '/system/queue/dead')).json()).toEqual([])
  })

  test('a call of a function that is removed meanwhile becomes a dead letter', async () => {
    const { image } = recorder()
    await using given = await useApp({ fn: image })
    await given.deploy('fn', 'fn')
    await given.ask('POST', '/system/queue/pause', { function: 'fn' })
    await fetch(`${given.url}/async-function/fn`, { method: 'POST', headers: { 'X-Call-Id': 'left' } })
    await given.ask('DELETE', '/system/functions', { functionName: 'fn' })
    await given.ask('POST', '/system/queue/resume', { function: 'fn' })
    await until(
      async () =>
        ((await (await given.ask('GET', '/system/calls/left')).json()) as { state: string }).state === 'dead',
    )
    expect(await (await given.ask('GET', '/system/queue/dead/left')).json()).toMatchObject({
      reason: 'fn.openfaas-fn is not deployed any more',
    })
  })

  test('a paused function takes nothing, keeps what comes, and goes on when resumed', async () => {
    const { seen, image } = recorder()
    await using given = await useApp({ fn: image, other: image })
    await given.deploy('fn', 'fn')
    await given.ask('POST', '/system/queue/pause', { function: 'fn' })
    for (let i = 0; i < 3; i++)
      await fetch(`${given.url}/async-function/fn`, { method: 'POST', body: String(i) })
    expect(await (await given.ask('GET', '/system/queue')).json()).toMatchObject({
      state: 'ready',
      functions: [{ name: 'fn', depth: 3, running: 0, paused: true, queue: 'faas-request' }],
      paused: ['function:fn.openfaas-fn'],
    })
    expect(seen).toEqual([])
    await given.ask('POST', '/system/queue/resume', { function: 'fn' })
    await until(() => seen.length === 3)
  })

  test('a function that sleeps is woken', async () => {
    const { seen, image } = recorder()
    await using given = await useApp({ fn: image })
    await given.deploy('fn', 'fn')
    await given.ask('POST', '/system/scale-function/fn', { serviceName: 'fn', replicas: 0 })
    await until(() => given.provider.actual({ name: 'fn', namespace: 'openfaas-fn' })?.available === 0)
    await fetch(`${given.url}/async-function/fn`, { method: 'POST', body: 'wake up' })
    await until(() => seen.length === 1)
  })

  test('max_inflight holds, and a slow function holds up no other', async () => {
    let running = 0
    let most = 0
    let open = (): void => undefined
    const gate = new Promise<void>((resolve) => (open = resolve))
    const slow: MemoryImage = {
      listener: () => (request, response) => {
        request.resume()
        most = Math.max(most, ++running)
        gate.then(
          () => {
            running--
            response.end()
          },
          () => undefined,
        )
      },
    }
    const { seen, image } = recorder()
    await using given = await useApp({ slow, quick: image })
    await given.deploy('slow', 'slow', { envVars: { max_inflight: '2' } })
    await given.deploy('quick', 'quick')
    for (let i = 0; i < 6; i++) await fetch(`${given.url}/async-function/slow`, { method: 'POST' })
    for (let i = 0; i < 6; i++) await fetch(`${given.url}/async-function/quick`, { method: 'POST' })
    await until(() => seen.length === 6)
    expect([running, most]).toEqual([2, 2])
    open()
    await until(
      async () =>
        ((await (await given.ask('GET', '/system/calls?state=succeeded')).json()) as object[]).length === 12,
    )
    expect(most).toBe(2)
  })

  test('functions of one named queue share its limit', async () => {
    let running = 0
    let most = 0
    const image: MemoryImage = {
      listener: () => (request, response) => {
        request.resume()
        most = Math.max(most, ++running)
        setTimeout(() => {
          running--
          response.end()
        }, 20)
      },
    }
    await using given = await useApp({ image }, { queueLimits: 'slow=3' })
    for (const name of ['a', 'b', 'c'])
      await given.deploy(name, 'image', { annotations: { 'com.openfaas.queue': 'slow' } })
    for (let i = 0; i < 5; i++)
      for (const name of ['a', 'b', 'c'])
        await fetch(`${given.url}/async-function/${name}`, { method: 'POST' })
    await until(
      async () =>
        ((await (await given.ask('GET', '/system/calls?state=succeeded')).json()) as object[]).length === 15,
    )
    expect(most).toBe(3)
  })
})

describe('cancelling', () => {
  test('a queued call, a running one and one that waits are ended; one that has ended says so', async () => {
    let status = 200
    let isHeld = true
    const gone: string[] = []
    const begun: string[] = []
    const image: MemoryImage = {
      listener: () => (request, response) => {
        request.resume()
        begun.push(String(request.headers['x-call-id']))
        response.once('close', () => {
          if (!response.writableFinished) gone.push(String(request.headers['x-call-id']))
        })
        if (!isHeld) response.writeHead(status).end()
      },
    }
    await using given = await useApp({ fn: image })
    await given.deploy('fn', 'fn', { envVars: { max_inflight: '1' } })
    const post = (id: string) =>
      fetch(`${given.url}/async-function/fn`, {
        method: 'POST',
        headers: { 'X-Call-Id': id, ...(id === 'queued' && { 'X-Callback-Url': 'http://127.0.0.1:1/' }) },
      })
    const call = async (id: string) =>
      (await (await given.ask('GET', `/system/calls/${id}`)).json()) as { state: string; callback?: unknown }
    const state = async (id: string) => (await call(id)).state
    const cancel = async (id: string) =>
      (await fetch(`${given.url}/async-function/${id}`, { method: 'DELETE' })).status
    await post('running')
    await until(() => begun.includes('running'))
    await post('queued')
    expect(await cancel('queued')).toBe(202)
    expect(await call('queued')).toMatchObject({
      state: 'cancelled',
      callback: { state: 'failed', problem: 'a cancelled call is not called back' },
    })
    expect(await cancel('running')).toBe(202)
    await until(() => gone.includes('running'))
    await until(async () => (await state('running')) === 'cancelled')
    isHeld = false
    status = 503
    await post('waiting')
    await until(async () => (await state('waiting')) === 'waiting')
    expect(await cancel('waiting')).toBe(202)
    expect(await state('waiting')).toBe('cancelled')
    status = 200
    await post('done')
    await until(async () => (await state('done')) === 'succeeded')
    for (const id of ['queued', 'running', 'waiting', 'done'])
      expect([id, await cancel(id)]).toEqual([id, 409])
    expect(begun).toEqual(['running', 'waiting', 'done'])
    expect(await (await given.ask('GET', '/system/queue')).json()).toMatchObject({ functions: [] })
  })
})

describe('callbacks', () => {
  test('a callback that is refused is tried again, one that redirects is not', async () => {
    const { image } = recorder()
    await using busy = await useCallbacks((times) => (times < 2 ? 503 : 200))
    await using elsewhere = await useCallbacks(() => 302)
    await using given = await useApp({ fn: image })
    await given.deploy('fn', 'fn')
    for (const [id, url] of [
      ['busy', busy.url],
      ['elsewhere', elsewhere.url],
      ['nobody', 'http://127.0.0.1:1/'],
    ] as const)
      await fetch(`${given.url}/async-function/fn`, {
        method: 'POST',
        headers: { 'X-Call-Id': id, 'X-Callback-Url': url },
      })
    const callback = async (id: string) =>
      (
        (await (await given.ask('GET', `/system/calls/${id}`)).json()) as {
          callback: { state: string; attempts: number; problem?: string }
        }
      ).callback
    await until(async () => (await callback('busy')).state === 'delivered')
    expect(busy.seen).toHaveLength(2)
    await until(async () => (await callback('elsewhere')).state === 'failed')
    expect(elsewhere.seen).toHaveLength(1)
    expect((await callback('elsewhere')).problem).toContain('/elsewhere')
    const log = await (await given.ask('GET', '/system/logs?name=fn')).text()
    expect(log).toContain(`callback of call elsewhere to ${elsewhere.url} failed: it redirects`)
    expect(log).toContain(`callback of call busy to ${busy.url} answered 200`)
    await until(async () => (await callback('nobody')).attempts >= 2)
    expect((await callback('nobody')).problem).toContain('ECONNREFUSED')
  })

  test('a callback logs in as its URL says; nobody is shown how, nor what a dead call was sent', async () => {
    const { image } = recorder(() => ({ status: 500 }))
    await using there = await useCallbacks()
    await using given = await useApp({ fn: image })
    await given.deploy('fn', 'fn', { annotations: { 'com.openfaas.retry.attempts': '1' } })
    await fetch(`${given.url}/async-function/fn`, {
      method: 'POST',
      headers: {
        'X-Call-Id': 'secretive',
        'X-Callback-Url': there.url.replace('//', '//me:p%40ss@'),
        Authorization: 'Bearer hush',
      },
    })
    await until(() => there.seen.length === 1)
    expect(there.seen[0]?.headers.authorization).toBe(`Basic ${btoa('me:p@ss')}`)
    const log = await until(async () => {
      const text = await (await given.ask('GET', '/system/logs?name=fn')).text()
      return text.includes('answered 200') && text
    })
    const shown = await Promise.all(
      ['/system/calls', '/system/queue/dead/secretive'].map(async (path) =>
        (await given.ask('GET', path)).text(),
      ),
    )
    expect(shown.join()).toContain(there.url)
    for (const text of [log, ...shown]) expect(text).not.toMatch(/p%40ss|hush/)
  })

  test('functions chain by the name of the gateway, also when every slot is taken', async () => {
    const first = recorder(({ body }) => ({ body: `${body}+1` }))
    const second = recorder(({ body }) => ({ body: `${body}+2` }))
    await using given = await useApp({ first: first.image, second: second.image }, { queueLimits: '*=1' })
    await given.deploy('first', 'first')
    await given.deploy('second', 'second')
    for (let i = 0; i < 20; i++)
      await fetch(`${given.url}/async-function/first`, {
        method: 'POST',
        body: String(i),
        headers: { 'X-Callback-Url': 'http://gateway.openfaas:8080/async-function/second/x?y' },
      })
    await until(() => second.seen.length === 20)
    expect(second.seen.map(({ body }) => body).sort()).toEqual(
      Array.from({ length: 20 }, (_, i) => `${i}+1`).sort(),
    )
    expect(second.seen[0]).toMatchObject({
      url: '/x?y',
      headers: { 'x-function-name': 'first', 'x-function-status': '200' },
    })
    expect(new Set(second.seen.map(({ headers }) => headers['x-call-id'])).size).toBe(20)
  })

  test('an answer of 20 MB is called back whole', async () => {
    const big = Buffer.alloc(20 * 2 ** 20, 'abc')
    const { image } = recorder(() => ({ body: big }))
    await using callbacks = await useCallbacks()
    await using given = await useApp({ fn: image })
    await given.deploy('fn', 'fn')
    await fetch(`${given.url}/async-function/fn`, {
      method: 'POST',
      headers: { 'X-Callback-Url': callbacks.url },
    })
    await until(() => callbacks.seen.length === 1)
    expect(callbacks.seen[0]?.body === big.toString()).toBe(true)
  })
})

test('metrics say what was queued, what became of it, and what waits', async () => {
  const { seen, image } = recorder()
  await using given = await useApp({ fn: image })
  await given.deploy('fn', 'fn')
  await fetch(`${given.url}/async-function/fn`, { method: 'POST' })
  await until(() => seen.length === 1)
  await until(
    async () =>
      ((await (await given.ask('GET', '/system/calls?state=succeeded')).json()) as object[]).length === 1,
  )
  await given.ask('POST', '/system/queue/pause', { queue: 'faas-request' })
  await fetch(`${given.url}/async-function/fn`, { method: 'POST' })
  const text = await (await given.ask('GET', '/metrics')).text()
  for (const line of [
    'queue_worker_messages_submitted_total{queue_name="faas-request"} 2',
    'queue_worker_messages_processed_total{queue_name="faas-request",outcome="succeeded"} 1',
    'queue_worker_pending_messages{queue_name="faas-request"} 1',
    'queue_worker_function_invocation_inflight{function_name="fn.openfaas-fn"} 0',
    'faasdock_queue_depth{function_name="fn.openfaas-fn"} 1',
  ])
    expect(text).toContain(line)
  expect(Number(/faasdock_queue_oldest_seconds\{\S* (\S+)/.exec(text)?.[1])).toBeGreaterThan(0)
})
