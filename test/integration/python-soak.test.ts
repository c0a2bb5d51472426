// Bounded load on one Python container: what only shows after many calls and many swaps, and what only bad callers send.
import { connect } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeDocker, dockerAvailable } from '../support/docker.ts'
import { callAt } from './templates/call.ts'
import { build, removeAll, start, tag } from './templates/images.ts'
import type { Container } from './templates/images.ts'
import { addressOf, residentKib, startSwapping } from './templates/python-container.ts'
import { brokenHttp, HTTP_OR_NOTHING, keptCalls, sayBytes, soak, thirds } from './templates/soak.ts'

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

describeDocker('a Python function under load', () => {
  const requests = 100_000
  const swaps = 300

  it(`answers ${String(requests)} requests over ${String(swaps)} swaps: none fails, none is stale, memory is flat`, async () => {
    await build({ template: 'python3', handler: generation(1) }, tag('python-soak'))
    await using container = await startSwapping(tag('python-soak'), { flags: quiet })
    using client = keptCalls({ host: await addressOf(container), port: 8080 }, 17)
    const memory: number[] = []
    const headers = { 'Content-Type': 'text/plain' }
    let count = 0
    const bad = await soak({
      requests,
      swaps,
      call: () => client.call({ method: 'POST', headers, body: 'x'.repeat(count++ % 7) }),
      swapTo: async (number) => {
        expect(await container.put(generation(number))).toMatchObject({ status: 200 })
        if (number % 10 === 0) memory.push(await residentKib(container))
      },
    })
    expect(bad.slice(0, 5)).toEqual([])
    expect(await container.state()).toMatchObject({ number: swaps + 1, inflight: {} })
    // It takes up to ninety swaps until the allocator has what it keeps for good: the first third says nothing.
    const { middle, last } = thirds(memory)
    // Each generation holds a MiB, half of it thousands of objects: one in twenty that stayed would show.
    expect(last, memory.join(' ')).toBeLessThan(middle + 4 * 1024)
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
    await fc.assert(
      fc.asyncProperty(brokenHttp(), async (texts) => {
        const answers = await Promise.all(texts.map((text) => sayBytes({ host, port: 8080 }, text)))
        for (const answer of answers) expect(answer).toMatch(HTTP_OR_NOTHING)
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
})
