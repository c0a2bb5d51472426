// Bounded load on one Python container: what only shows after many calls and many swaps, and what only bad callers send.
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeDocker, dockerAvailable } from '../support/docker.ts'
import { callAt } from './templates/call.ts'
import { build, removeAll, start, tag } from './templates/images.ts'
import type { Container } from './templates/images.ts'
import { addressOf, residentKib, startSwapping } from './templates/python-container.ts'

const quiet = ['--log-opt', 'max-size=5m', '--log-opt', 'max-file=1']

afterAll(async () => {
  if (dockerAvailable) await removeAll()
})

/** A generation that says its number, and leaves what would add up: memory, a timer, a log handler, an executor. */
const generation = (number: number): Record<string, string> => ({
  'handler.py': `import atexit, logging, threading
from concurrent.futures import ThreadPoolExecutor
from .part import text
weight = bytearray(512 * 1024)
state = [{"i": i, "weight": weight} for i in range(2000)]
pool = ThreadPoolExecutor(1)
pool.submit(len, state)
logging.getLogger("soak").addHandler(logging.StreamHandler())
atexit.register(len, state)
def again():
    timer = threading.Timer(0.5, again)
    timer.daemon = True
    timer.start()
again()
async def slow():
    import asyncio
    await asyncio.sleep(0.001)
    return text
def handle(req):
    from . import part
    assert part.text is text
    return slow() if len(req) % 7 == 6 else text
`,
  'part.py': `text = "generation ${String(number)}"\n`,
})

/** Calls over kept-alive connections. */
function caller(host: string, connections: number): { call(body: string): Promise<string>; close(): void } {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const headers = { 'Content-Type': 'text/plain' }
  return {
    close: () => {
      agent.destroy()
    },
    call: (body) =>
      new Promise((resolve, reject) => {
        const req = request({ host, port: 8080, method: 'POST', headers, agent }, (res) => {
          let text = ''
          res.setEncoding('utf8')
          res.on('data', (chunk: string) => (text += chunk))
          res.on('end', () => {
            resolve(`${String(res.statusCode)} ${text.trim()}`)
          })
        })
        req.on('error', reject)
        req.end(body)
      }),
  }
}

describeDocker('a Python function under load', () => {
  const requests = 100_000
  const swaps = 100

  it(`answers ${String(requests)} requests over ${String(swaps)} swaps: none fails, none is stale, memory is flat`, async () => {
    await build({ template: 'python3', handler: generation(1) }, tag('python-soak'))
    await using container = await startSwapping(tag('python-soak'), { flags: quiet })
    const client = caller(await addressOf(container), 17)
    const bad: string[] = []
    const memory: number[] = []
    let sent = 0
    let acknowledged = 1
    const worker = async (): Promise<void> => {
      while (sent < requests) {
        sent += 1
        const atLeast = acknowledged
        const answer = await client.call('x'.repeat(sent % 7))
        const number = Number(/^200 generation (\d+)$/.exec(answer)?.[1])
        if (!(number >= atLeast)) bad.push(`${answer} after ${String(atLeast)}`)
      }
    }
    const swapper = async (): Promise<void> => {
      for (let number = 2; number <= swaps + 1; number += 1) {
        // Spread over the whole load, and always on top of calls in flight.
        while (sent < ((number - 1) * requests) / (swaps + 1)) await client.call('')
        const answer = await container.put(generation(number))
        if (answer.status !== 200) bad.push(JSON.stringify(answer))
        acknowledged = number
        if (number % 5 === 0) memory.push(await residentKib(container))
      }
    }
    await Promise.all([swapper(), ...Array.from({ length: 16 }, worker)])
    client.close()
    expect(bad.slice(0, 5)).toEqual([])
    expect(await container.state()).toMatchObject({ number: swaps + 1, inflight: {} })
    const third = Math.max(...memory.slice(0, memory.length / 3))
    const last = Math.max(...memory.slice(-memory.length / 3))
    // Each generation holds half a MiB and thousands of objects: one in five that stayed would show.
    expect(last, memory.join(' ')).toBeLessThan(third + 8 * 1024)
    expect(Number(await container.exec('sh', '-c', 'ls /proc/1/task | wc -l'))).toBeLessThan(80)
  }, 240_000)
})

describeDocker('a Python function and bad callers', () => {
  /** A handler that looks at everything it is given. */
  const handler = {
    'handler.py': `def handle(event, context):
    size = len(repr((event.body, dict(event.headers), event.query.to_dict(flat=False), event.path, event.method)))
    return {"body": {"size": size}, "headers": {"X-Size": str(size)}}
`,
  }
  let container: Container
  let host: string
  beforeAll(async () => {
    await build({ template: 'python3', handler }, tag('python-fuzz'), { CONTRACT: 'http' })
    container = await start(tag('python-fuzz'), { env: { read_timeout: '1s' }, flags: quiet })
    host = await addressOf(container)
  })
  afterAll(() => container[Symbol.asyncDispose]())

  const marks = (...parts: string[]): fc.Arbitrary<string> =>
    fc.array(fc.constantFrom(...parts), { maxLength: 40 }).map((chosen) => chosen.join(''))
  const letters = (most: number, maxLength: number): fc.Arbitrary<string> =>
    fc.string({
      unit: fc.integer({ min: 32, max: most }).map((code) => String.fromCharCode(code === 127 ? 32 : code)),
      maxLength,
    })

  it('answers whatever method, path, header and body with HTTP, and lives', async () => {
    const path = fc.oneof(
      fc.webPath(),
      marks('/', '?', '&', '=', '[', ']', '%', '%41', '%ff', '%00', 'a', '..', '//', '#', ':', ';').map(
        (text) => `/${text}`,
      ),
    )
    const names = fc.string({
      unit: fc.constantFrom(...Array.from('abcdefghij-_XYZ019')),
      minLength: 1,
      maxLength: 20,
    })
    const headers = fc.dictionary(names, letters(255, 60), { maxKeys: 8 })
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
      fc.json().map((text) => Buffer.from(text)),
      marks('a', '=', '&', '%', '+', '%zz', '--x\r\n', '\0').map((text) => Buffer.from(text)),
    )
    const type = fc.oneof(
      fc.constantFrom(
        'application/json',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'text/x; charset=utf-16',
      ),
      letters(126, 40),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'PROPFIND'),
        path,
        headers,
        type,
        body,
        async (method, target, more, contentType, content) => {
          const all = { ...more, 'Content-Type': contentType.trim() }
          const { status } = await callAt(host, 8080, { method, path: target, headers: all, body: content })
          expect(status).toBeGreaterThanOrEqual(200)
          expect(status).toBeLessThan(500)
        },
      ),
      { numRuns: 2000, interruptAfterTimeLimit: 45_000 },
    )
    expect((await container.call()).status).toBe(200)
  })

  it('answers what is no HTTP with HTTP or an end, and lives', async () => {
    const piece = fc.constantFrom(
      'GET / HTTP/1.1\r\n',
      'POST /a?b=c HTTP/1.1\r\n',
      'GET http://x/y HTTP/1.1\r\n',
      'OPTIONS * HTTP/1.1\r\n',
      'GET /_/generation HTTP/1.1\r\nX-Faasdock-Token: \u00ff\r\n',
      'GET / HTTP/9.9\r\n',
      'Host: x\r\n',
      'Content-Length: 3\r\n',
      'Content-Length: -1\r\n',
      'Content-Length: 99999999999\r\n',
      'Transfer-Encoding: chunked\r\n',
      'Transfer-Encoding: gzip\r\n',
      'Connection: close\r\n',
      'Connection: upgrade\r\nUpgrade: websocket\r\n',
      'Expect: 100-continue\r\n',
      'X: \u0000\r\n',
      ': x\r\n',
      'no colon\r\n',
      '\r\n',
      '\n',
      '3\r\nabc\r\n',
      '0\r\n\r\n',
      'zz\r\n',
      'X-Timeout: -1s\r\n',
      'X-Timeout: 9999999h\r\n',
      'X-Timeout: 0s\r\n',
      `X-Long: ${'y'.repeat(20_000)}\r\n`,
    )
    const noise = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array).toString('latin1'))
    const script = fc.array(fc.oneof({ weight: 6, arbitrary: piece }, { weight: 1, arbitrary: noise }), {
      maxLength: 14,
    })
    await fc.assert(
      fc.asyncProperty(fc.array(script, { minLength: 8, maxLength: 8 }), async (scripts) => {
        // Several at a time, because most only end with read_timeout or with our own end of the connection.
        const answers = await Promise.all(scripts.map((parts) => say(parts.join(''))))
        for (const answer of answers)
          expect(answer).toMatch(/^(HTTP\/1\.[01] [1-5]\d\d [^\r\n]*\r\n[\s\S]*)?$/)
      }),
      { numRuns: 100, interruptAfterTimeLimit: 45_000 },
    )
    expect((await container.call()).status).toBe(200)
  })

  it('lives through callers that go away', async () => {
    const cut = Array.from({ length: 300 }, async (_, i) => {
      const socket = connect(8080, host)
      socket.on('error', () => undefined)
      await new Promise((connected) => socket.once('connect', connected))
      socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde'.slice(0, (i * 7) % 58))
      socket.resetAndDestroy()
    })
    await Promise.all(cut)
    expect((await container.call()).status).toBe(200)
    expect(await container.logs()).not.toMatch(/Traceback/)
  })

  /** What comes back for these bytes until either end closes. */
  function say(text: string): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect(8080, host)
      let answer = ''
      socket.setEncoding('latin1')
      socket.setTimeout(150, () => socket.destroy())
      socket.on('data', (chunk: string) => (answer += chunk))
      socket.on('error', () => undefined)
      socket.on('close', () => {
        resolve(answer)
      })
      socket.write(text, 'latin1')
    })
  }
})
