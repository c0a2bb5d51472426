import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, Server } from 'node:http'
import { connect, createServer as createNetServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { settle } from '../../test/support/fake-clock.ts'
import { soon } from '../../test/support/platform.ts'
import type { InvocationRequest, ResponseSink } from '../core/invocation.ts'
import type { Lease } from '../core/provider.ts'
import { UndiciTransport } from './undici-transport.ts'

const never = new AbortController().signal
let replicas = 0

function leaseOf(port: number): Lease {
  const replica = `replica-${++replicas}`
  return { replica, origin: `http://127.0.0.1:${port}`, revision: 'r', [Symbol.dispose]: () => undefined }
}

async function serve(listener: RequestListener): Promise<{ lease: Lease; server: Server } & AsyncDisposable> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    server,
    lease: leaseOf((server.address() as AddressInfo).port),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A port where nobody listens. */
async function deadPort(): Promise<number> {
  const server = createNetServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

class Answer implements ResponseSink {
  status = 0
  headers: readonly string[] = []
  readonly chunks: Buffer[] = []
  hasEnded = false
  resume: () => void = () => undefined
  isPausing = false
  onHead(status: number, _text: string, headers: readonly string[], resume: () => void): void {
    Object.assign(this, { status, headers, resume })
  }
  onData(chunk: Uint8Array): boolean {
    this.chunks.push(Buffer.from(chunk))
    return !this.isPausing
  }
  onEnd(): void {
    this.hasEnded = true
  }
  get text(): string {
    return Buffer.concat(this.chunks).toString()
  }
}

const request = (more: Partial<InvocationRequest> = {}): InvocationRequest => ({
  method: 'GET',
  path: '/',
  headers: [],
  body: null,
  ...more,
})

test('path, query and headers arrive as they are, several of one name too', async () => {
  let seen: IncomingMessage | undefined
  await using replica = await serve((incoming, response) => {
    seen = incoming
    response.writeHead(201, 'Fine', ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'X-Odd', 'caf\u00e9'])
    response.end('hi')
  })
  await using transport = new UndiciTransport({ answerTimeoutMs: 5000 })
  const answer = new Answer()
  const headers = ['X-A', '1', 'X-A', '2', 'x-b', '']
  await transport.send(replica.lease, request({ path: '/a%2Fb//c?x=%zz&y', headers }), answer, never)
  expect(seen?.url).toBe('/a%2Fb//c?x=%zz&y')
  expect(seen?.rawHeaders).toEqual(expect.arrayContaining(['X-A', '1', 'X-A', '2', 'x-b', '']))
  expect(answer).toMatchObject({ status: 201, text: 'hi', hasEnded: true })
  expect(answer.headers.join()).toContain('Set-Cookie,a=1,Set-Cookie,b=2,X-Odd,caf\u00e9')
})

test('an answer is paused while its reader is busy', async () => {
  let written = 0
  await using replica = await serve((_incoming, response) => {
    const more = (): void => {
      while (written < 200) {
        written++
        if (!response.write(Buffer.alloc(2 ** 16))) {
          response.once('drain', more)
          return
        }
      }
      response.end()
    }
    more()
  })
  await using transport = new UndiciTransport({ answerTimeoutMs: 5000 })
  const answer = new Answer()
  answer.isPausing = true
  const sent = transport.send(replica.lease, request(), answer, never)
  await soon(() => answer.chunks.length > 0)
  // At rest: the same in many looks, one after the other.
  let [stuckAt, same] = [written, 0]
  await soon(() => {
    same = written === stuckAt ? same + 1 : 0
    stuckAt = written
    return same > 50
  })
  expect(stuckAt).toBeLessThan(200)
  expect(answer.chunks.length).toBeLessThan(5)
  answer.isPausing = false
  answer.resume()
  await sent
  expect(Buffer.concat(answer.chunks).length).toBe(200 * 2 ** 16)
})

test('a replica that nobody listens on never saw the request, and the body is still whole for the next one', async () => {
  await using replica = await serve((incoming, response) => incoming.pipe(response))
  await using transport = new UndiciTransport({ answerTimeoutMs: 5000 })
  const body = Readable.from([Buffer.from('a '), Buffer.from('body')])
  const post = request({ method: 'POST', body })
  const error: unknown = await transport
    .send(leaseOf(await deadPort()), post, new Answer(), never)
    .catch((caught: unknown) => caught)
  expect(error).toMatchObject({ code: 'FUNCTION_UNREACHABLE' })
  expect(transport.wasNeverSent(error)).toBe(true)
  const answer = new Answer()
  await transport.send(replica.lease, post, answer, never)
  expect(answer.text).toBe('a body')
})

test('a request that a replica has seen is never taken for unsent, however its connection ends', async () => {
  const ends: [string, (incoming: IncomingMessage, transport: UndiciTransport, lease: Lease) => void][] = [
    ['reset', (incoming) => incoming.socket.resetAndDestroy()],
    ['closed', (incoming) => incoming.socket.end()],
    ['forgotten', (_incoming, transport, lease) => transport.forget(lease.replica)],
    [
      'all closed',
      (_incoming, transport) => {
        transport[Symbol.asyncDispose]().catch(() => undefined)
      },
    ],
  ]
  for (const [how, end] of ends) {
    let seen: IncomingMessage | undefined
    await using replica = await serve((incoming) => (seen = incoming))
    await using transport = new UndiciTransport({ answerTimeoutMs: 5000 })
    const sent = transport
      .send(replica.lease, request({ method: 'POST', body: Buffer.from('pay') }), new Answer(), never)
      .then(
        () => 'answered',
        (caught: unknown) => caught,
      )
    await soon(() => seen !== undefined)
    if (seen) end(seen, transport, replica.lease)
    const error = await sent
    expect([how, (error as { code?: string }).code]).toEqual([how, 'FUNCTION_UNREACHABLE'])
    expect([how, transport.wasNeverSent(error)]).toEqual([how, false])
  }
})

/** Answers the first call of each connection; the next one on it sees the connection end, and is counted. */
async function serveOnce(): Promise<{ lease: Lease; late: () => number } & AsyncDisposable> {
  let late = 0
  const served = new WeakSet<object>()
  const replica = await serve(({ socket }, response) => {
    if (served.has(socket)) {
      late++
      socket.destroy()
      return
    }
    served.add(socket)
    response.end('ok')
  })
  return {
    lease: replica.lease,
    late: () => late,
    [Symbol.asyncDispose]: () => replica[Symbol.asyncDispose](),
  }
}

/** A connection is free for the next call a turn after its answer has ended. */
const freed = settle

test.each(['GET', 'HEAD', 'OPTIONS'])(
  'a %s on a kept connection that its server had closed goes over another one',
  async (method) => {
    await using replica = await serveOnce()
    await using transport = new UndiciTransport({ answerTimeoutMs: 5000 })
    for (let i = 0; i < 4; i++) {
      const answer = new Answer()
      await transport.send(replica.lease, request(), new Answer(), never)
      await freed()
      await transport.send(replica.lease, request({ method }), answer, never)
      expect(answer).toMatchObject({ status: 200, hasEnded: true })
      await freed()
    }
    expect(replica.late()).toBeGreaterThanOrEqual(4)
  },
)

test('what asks for a change is not sent again there, and nothing is on a connection of its own', async () => {
  await using replica = await serveOnce()
  await using transport = new UndiciTransport({ answerTimeoutMs: 5000 })
  const unreachable = { code: 'FUNCTION_UNREACHABLE' }
  for (const more of [{ method: 'POST' }, { method: 'DELETE' }, { body: Buffer.from('x') }]) {
    const before = replica.late()
    await transport.send(replica.lease, request(), new Answer(), never)
    await freed()
    const sent = transport.send(replica.lease, request(more), new Answer(), never)
    await expect(sent).rejects.toMatchObject(unreachable)
    expect(replica.late()).toBe(before + 1)
  }
  let calls = 0
  await using crashing = await serve(({ socket }) => {
    calls++
    socket.destroy()
  })
  await expect(transport.send(crashing.lease, request(), new Answer(), never)).rejects.toMatchObject(
    unreachable,
  )
  expect(calls).toBe(1)
})

/** Listens, and never looks: what comes is taken in by the kernel alone. */
const BLIND = `
  const server = require('net').createServer()
  server.listen(0, '127.0.0.1', () => {
    console.log(server.address().port)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000)
  })
`

test.each([
  ['a GET was never sent: it is sent again, and refused', 'GET', true],
  ['a POST may have been seen', 'POST', false],
])('where a process ends before it has looked at a connection, %s', async (_, method, isUnsent) => {
  const program = spawn(process.execPath, ['-e', BLIND], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [text] = (await once(program.stdout, 'data')) as [Buffer]
  const port = Number(text.toString())
  await using transport = new UndiciTransport({ answerTimeoutMs: 60_000 })
  const sent = transport.send(leaseOf(port), request({ method }), new Answer(), never).then(
    () => 'answered',
    (caught: unknown) => caught,
  )
  // Behind it: when this one is through, that one is, and its request is written.
  const after = connect(port, '127.0.0.1').on('error', () => undefined)
  await once(after, 'connect')
  await settle()
  program.kill('SIGKILL')
  const error = await sent
  expect(error).toMatchObject({ code: 'FUNCTION_UNREACHABLE' })
  expect(transport.wasNeverSent(error)).toBe(isUnsent)
})

test('a replica that does not begin to answer in time is given up; one that streams slowly is not', async () => {
  await using mute = await serve(() => undefined)
  await using slow = await serve((_incoming, response) => {
    response.write('begun ')
    setTimeout(() => response.end('ended'), 900)
  })
  await using transport = new UndiciTransport({ answerTimeoutMs: 300 })
  const error: unknown = await transport
    .send(mute.lease, request(), new Answer(), never)
    .catch((caught: unknown) => caught)
  expect(error).toMatchObject({
    code: 'INVOCATION_TIMEOUT',
    message: expect.stringContaining('0.3 s') as string,
    remedy: expect.stringContaining('upstream_timeout') as string,
  })
  expect(transport.wasNeverSent(error)).toBe(false)
  const answer = new Answer()
  await transport.send(slow.lease, request(), answer, never)
  expect(answer.text).toBe('begun ended')
})

test('an abort ends the call at the replica, and rejects with the reason', async () => {
  let seen: IncomingMessage | undefined
  let isClosed = false
  await using replica = await serve((incoming) => {
    seen = incoming
    incoming.socket.once('close', () => (isClosed = true))
  })
  await using transport = new UndiciTransport({ answerTimeoutMs: 5000 })
  const abort = new AbortController()
  const sent = transport.send(replica.lease, request(), new Answer(), abort.signal)
  await soon(() => seen !== undefined)
  abort.abort(new Error('the caller went away'))
  await expect(sent).rejects.toThrow('the caller went away')
  await soon(() => isClosed)
  await expect(transport.send(replica.lease, request(), new Answer(), abort.signal)).rejects.toThrow(
    'the caller went away',
  )
})

test('an answer that breaks off is a failure, not an end', async () => {
  await using replica = await serve((_incoming, response) => {
    response.writeHead(200, { 'Content-Length': '100' })
    response.write('half', () => response.destroy())
  })
  await using transport = new UndiciTransport({ answerTimeoutMs: 5000 })
  const answer = new Answer()
  await expect(transport.send(replica.lease, request(), answer, never)).rejects.toMatchObject({
    code: 'FUNCTION_UNREACHABLE',
  })
  expect(answer).toMatchObject({ status: 200, hasEnded: false })
})

test('a forgotten replica’s connections are closed', async () => {
  let connections = 0
  await using replica = await serve((_incoming, response) => void response.end())
  replica.server.on('connection', (socket) => {
    connections++
    socket.once('close', () => connections--)
  })
  await using transport = new UndiciTransport({ answerTimeoutMs: 5000 })
  await transport.send(replica.lease, request(), new Answer(), never)
  expect(connections).toBe(1)
  transport.forget(replica.lease.replica)
  transport.forget('nobody')
  await soon(() => connections === 0)
})

/** What undici has no way to do, each in one way. */
const unusual: [string, Partial<InvocationRequest>][] = [
  ['an upgrade', { upgrade: 'x', body: Readable.from([]) }],
  ['a head ahead of its body', { method: 'POST', isBodyLate: true, body: Readable.from(['late']) }],
  [
    'a question',
    {
      method: 'POST',
      expectsContinue: true,
      headers: ['Expect', '100-continue'],
      body: Readable.from(['a']),
    },
  ],
  ['trailers', { method: 'POST', trailers: () => ['X-A', '1'], body: Readable.from(['a']) }],
]

describe.each(unusual)('a call with %s', (_what, more) => {
  test('that nobody listens for was never sent', async () => {
    await using transport = new UndiciTransport({ answerTimeoutMs: 5000 })
    const error: unknown = await transport
      .send(leaseOf(await deadPort()), request(more), new Answer(), never)
      .catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'FUNCTION_UNREACHABLE' })
    expect(transport.wasNeverSent(error)).toBe(true)
  })

  test.each(['reset', 'forgotten', 'all closed', 'aborted', 'silent'])(
    'that a replica has seen ends when it is %s',
    async (how) => {
      let seen: IncomingMessage | undefined
      let isClosed = false
      const onCall = (incoming: IncomingMessage): void => {
        seen = incoming
        incoming.socket.on('error', () => undefined)
        incoming.socket.once('close', () => (isClosed = true))
        // As every server of a protocol does; a server of HTTP leaves it to the listener.
        incoming.socket.on('end', () => incoming.socket.end()).resume()
      }
      await using replica = await serve(onCall)
      replica.server.on('checkContinue', onCall)
      replica.server.on('upgrade', onCall)
      await using transport = new UndiciTransport({ answerTimeoutMs: how === 'silent' ? 200 : 60_000 })
      const abort = new AbortController()
      const body = Readable.from(['a'])
      const sent = transport.send(replica.lease, request({ ...more, body }), new Answer(), abort.signal).then(
        () => 'answered',
        (caught: unknown) => caught,
      )
      await soon(() => seen !== undefined)
      if (how === 'reset') seen?.socket.resetAndDestroy()
      if (how === 'forgotten') transport.forget(replica.lease.replica)
      if (how === 'all closed') transport[Symbol.asyncDispose]().catch(() => undefined)
      if (how === 'aborted') abort.abort(new Error('the caller went away'))
      const error = await sent
      const wanted =
        how === 'aborted' ? undefined : how === 'silent' ? 'INVOCATION_TIMEOUT' : 'FUNCTION_UNREACHABLE'
      expect((error as { code?: string }).code).toBe(wanted)
      if (how === 'aborted') expect(error).toBe(abort.signal.reason)
      expect(transport.wasNeverSent(error)).toBe(false)
      await soon(() => isClosed, 'the end at the replica')
    },
  )
})

test.each([
  ['a call', {}],
  [
    'a call whose head goes ahead',
    { method: 'POST', body: Readable.from([Buffer.from('x')]), isBodyLate: true },
  ],
])('%s of a replica that somebody debugs takes as long as it takes', async (_what, more) => {
  let answer = (): void => undefined
  await using replica = await serve((incoming, response) => {
    incoming.resume()
    answer = () => void response.end('late')
  })
  await using silent = await serve((incoming) => void incoming.resume())
  await using transport = new UndiciTransport({ answerTimeoutMs: 100 })
  const sink = new Answer()
  const lease = { ...replica.lease, isDebugged: true }
  const sent = transport.send(lease, request(more), sink, never)
  sent.catch(() => undefined)
  // Nobody debugs that one: twice, because what measures time does so only now and then.
  for (const _ of [1, 2])
    await expect(transport.send(silent.lease, request(), new Answer(), never)).rejects.toMatchObject({
      code: 'INVOCATION_TIMEOUT',
    })
  answer()
  await sent
  expect(Buffer.concat(sink.chunks).toString()).toBe('late')
})

test('a call over a connection of its own has its limit again when nobody debugs any more', async () => {
  await using replica = await serve((incoming) => void incoming.resume())
  await using transport = new UndiciTransport({ answerTimeoutMs: 50 })
  const lease = { ...replica.lease, isDebugged: true }
  const late = request({ method: 'POST', body: Readable.from([Buffer.from('x')]), isBodyLate: true })
  const sent = transport.send(lease, late, new Answer(), never)
  lease.isDebugged = false
  await expect(sent).rejects.toMatchObject({ code: 'INVOCATION_TIMEOUT' })
})
