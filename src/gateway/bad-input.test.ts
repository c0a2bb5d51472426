import http from 'node:http'
import { connect } from 'node:net'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { soon } from '../../test/support/platform.ts'
import { until } from '../../test/support/until.ts'
import type { TestApp } from '../../test/support/use-app.ts'
import { useApp } from '../../test/support/use-app.ts'
import type { MemoryImage } from '../provider/memory/memory-provider.ts'

const echo: MemoryImage = { listener: () => (_request, response) => void response.end('echo') }

/** Stands in secrets alone: wherever else it shows up, it leaked. */
const VALUE = 'tr3asure-of-the-test'
const VALUE_BASE64 = Buffer.from(VALUE).toString('base64')

interface Answer {
  readonly status: number
  readonly text: string
}

let platform: TestApp
const crashes: unknown[] = []
const onCrash = (error: unknown): void => void crashes.push(error)

beforeAll(async () => {
  process.on('unhandledRejection', onCrash)
  platform = await useApp({ echo })
})
afterAll(async () => {
  await platform[Symbol.asyncDispose]()
  process.off('unhandledRejection', onCrash)
})
afterEach(() => expect(crashes).toEqual([]))

/** Made-up requests per route. FUZZ_RUNS=20000 for an idle hour. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 2000)
/** A busy machine is no failure. */
const PATIENCE_MS = 30_000 + RUNS * 100

const agent = new http.Agent({ keepAlive: true, maxSockets: 20 })

/** Sends whatever it is, and gives what came back; undefined when HTTP itself has no way to send it. */
function send(
  method: string,
  path: string,
  body?: string | Buffer,
  headers: http.OutgoingHttpHeaders = {},
): Promise<Answer | undefined> {
  return new Promise((resolve, reject) => {
    // Node frames the body of a GET or DELETE only when it is told to.
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
    let request: http.ClientRequest
    try {
      request = http.request(
        platform.url,
        { method, path, headers: { ...length, ...headers }, agent },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
          )
        },
      )
    } catch {
      resolve(undefined)
      return
    }
    request.on('error', reject)
    request.end(body)
  })
}

const ROUTES = [
  ['GET', '/system/functions'],
  ['POST', '/system/functions'],
  ['PUT', '/system/functions'],
  ['DELETE', '/system/functions'],
  ['GET', '/system/function/'],
  ['POST', '/system/scale-function/'],
  ['GET', '/system/info'],
  ['GET', '/system/secrets'],
  ['POST', '/system/secrets'],
  ['PUT', '/system/secrets'],
  ['DELETE', '/system/secrets'],
  ['GET', '/system/namespaces'],
  ['GET', '/system/namespace/'],
  ['POST', '/system/namespace/'],
  ['PUT', '/system/namespace/'],
  ['DELETE', '/system/namespace/'],
  ['GET', '/system/logs'],
  ['POST', '/system/alert'],
  ['POST', '/async-function/'],
  ['DELETE', '/async-function/'],
  ['GET', '/system/calls'],
  ['GET', '/system/calls/'],
  ['DELETE', '/system/calls/'],
  ['GET', '/system/queue'],
  ['GET', '/system/queue/dead'],
  ['GET', '/system/queue/dead/'],
  ['POST', '/system/queue/retry'],
  ['POST', '/system/queue/purge'],
  ['POST', '/system/queue/pause'],
  ['POST', '/system/queue/resume'],
  ['GET', '/system/invocations'],
  ['DELETE', '/system/invocations'],
  ['GET', '/system/invocations/'],
  ['GET', '/system/debug'],
  ['GET', '/healthz'],
  ['GET', '/ui/'],
  ['GET', '/metrics'],
  ['GET', '/'],
] as const

/** Words that routes know, and words that hurt. */
const word = fc.oneof(
  fc.constantFrom(
    'kept',
    'openfaas-fn',
    'kept.openfaas-fn',
    'key',
    'a',
    '',
    '.',
    '..',
    '../..',
    '/',
    'a/b',
    '%',
    '%00',
  ),
  fc.constantFrom(
    '__proto__',
    'constructor',
    'toString',
    'null',
    'true',
    '-1',
    '1e9',
    'é',
    '中文',
    '\u0000',
    '\ud800',
  ),
  fc.string({ maxLength: 80 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
)
const fieldNames = [
  'service',
  'image',
  'namespace',
  'envProcess',
  'envVars',
  'constraints',
  'secrets',
  'labels',
  'annotations',
  'limits',
  'requests',
  'readOnlyRootFilesystem',
  'functionName',
  'serviceName',
  'replicas',
  'name',
  'value',
  'rawValue',
  'status',
  'alerts',
  '__proto__',
  'constructor',
]
const anything = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  word,
  fc.dictionary(word, word, { maxKeys: 3 }),
  fc.array(word, { maxLength: 3 }),
  fc.constantFrom(
    'echo',
    'kept',
    { openfaas: '1' },
    { memory: '1Gi', cpu: '9e99' },
    ['key'],
    -1,
    0,
    1.5,
    1e300,
    null,
  ),
)
const body = fc.oneof(
  fc
    .dictionary(fc.constantFrom(...fieldNames), anything, { maxKeys: 8 })
    .map((value) => JSON.stringify(value)),
  fc
    .record({ service: word, image: fc.constant('echo') }, { requiredKeys: ['service', 'image'] })
    .chain((known) =>
      fc
        .dictionary(fc.constantFrom(...fieldNames), anything, { maxKeys: 4 })
        .map((more) => ({ ...more, ...known })),
    )
    .map((value) => JSON.stringify(value)),
  fc.jsonValue().map((value) => JSON.stringify(value)),
  fc.string({ maxLength: 200 }),
  fc.constant(undefined),
)
const query = fc.oneof(
  fc.constant(''),
  fc
    .array(
      fc.tuple(
        fc.constantFrom('namespace', 'verbose', 'usage', 'name', 'tail', 'since', 'instance', '__proto__'),
        word,
      ),
      { maxLength: 4 },
    )
    .map((pairs) => `?${pairs.map(([name, value]) => `${name}=${encode(value)}`).join('&')}`),
)

/** Lone surrogates have no encoding: as they come. */
function encode(text: string): string {
  return Buffer.from(text)
    .toString('latin1')
    .replace(/[^\w.~-]/g, (byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

describe('whatever is asked', () => {
  beforeAll(async () => {
    await platform.deploy('kept', 'echo')
    await platform.ask('POST', '/system/secrets', { name: 'treasure', value: VALUE })
  })

  test.each(ROUTES)(
    '%s %s fails only as it should',
    async (method, route) => {
      await fc.assert(
        fc.asyncProperty(word, query, body, async (name, search, content) => {
          const path = route.endsWith('/') && route !== '/' && route !== '/ui/' ? route + encode(name) : route
          const answer = await send(method, path + search, content)
          if (!answer) return
          expect(answer.status, `${method} ${path}${search} ${content ?? ''}: ${answer.text}`).toBeLessThan(
            500,
          )
          expect(answer.text).not.toContain(VALUE)
          expect(answer.text).not.toContain(VALUE_BASE64)
        }),
        { numRuns: RUNS },
      )
    },
    PATIENCE_MS,
  )

  test(
    'even when the path is no path and the method no method',
    async () => {
      const path = fc.oneof(
        fc.constantFrom(
          '//',
          '/./',
          '/../',
          '/%',
          '/%zz',
          '/\\',
          '/system/%2e%2e/x',
          '/system/function/%00',
          '*',
          'x',
        ),
        fc.webPath(),
        fc.string({ maxLength: 60 }).map((text) => `/${text}`),
      )
      const verb = fc.constantFrom('GET', 'POST', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'M-SEARCH')
      await fc.assert(
        fc.asyncProperty(verb, path, async (method, target) => {
          const answer = await send(method, target)
          if (answer) expect(answer.status, `${method} ${target}: ${answer.text}`).toBeLessThan(500)
        }),
        { numRuns: RUNS * 3 },
      )
    },
    PATIENCE_MS,
  )

  test(
    'and headers are what callers make of them',
    async () => {
      const header = fc.string({
        unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)),
      })
      const names = [
        'authorization',
        'origin',
        'host',
        'sec-fetch-site',
        'content-type',
        'content-encoding',
        'accept',
        'x-forwarded-for',
      ]
      await fc.assert(
        fc.asyncProperty(
          fc.dictionary(fc.constantFrom(...names), header, { maxKeys: 4 }),
          async (headers) => {
            const answer = await send('GET', '/system/functions', undefined, headers)
            if (answer) expect(answer.status, JSON.stringify(headers)).toBeLessThan(500)
          },
        ),
        { numRuns: RUNS },
      )
    },
    PATIENCE_MS,
  )

  test('what was there before is there still', async () => {
    // Somebody may have deleted, scaled or changed it by its name; nobody can have broken the platform.
    await platform.ask('DELETE', '/system/functions', { functionName: 'kept' })
    await platform.ask('POST', '/system/functions', { service: 'kept', image: 'echo' })
    expect(await (await platform.ask('GET', '/function/kept')).text()).toBe('echo')
    expect(platform.app.functions.list().every(({ spec }) => /^[a-z0-9-]+$/.test(spec.name))).toBe(true)
  })
})

describe('too much', () => {
  const heap = (): number => process.memoryUsage().rss

  test.each([
    ['that says its length', { 'content-length': 100 * 2 ** 20 }],
    ['that says nothing', { 'transfer-encoding': 'chunked' }],
  ])('a body of 100 MB %s is refused, read and forgotten', async (_what, headers) => {
    const before = heap()
    const chunk = Buffer.alloc(2 ** 20, 'x')
    const answer = await new Promise<Answer>((resolve, reject) => {
      const request = http.request(
        `${platform.url}/system/functions`,
        { method: 'POST', headers },
        (response) => {
          let text = ''
          response.on('data', (part: Buffer) => (text += part.toString()))
          response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
        },
      )
      request.on('error', reject)
      let left = 100
      const more = (): void => {
        while (left-- > 0) if (!request.write(chunk)) return void request.once('drain', more)
        request.end()
      }
      more()
    })
    expect(answer).toEqual({ status: 413, text: expect.stringContaining('larger than') as string })
    expect(heap() - before).toBeLessThan(80 * 2 ** 20)
    expect((await send('GET', '/healthz'))?.status).toBe(200)
  })

  test('headers of just under 1 MB are read, and more are refused', async () => {
    const most = await send('GET', '/system/info', undefined, { 'x-big': 'x'.repeat(1000 * 1024) })
    expect(most?.status).toBe(200)
    const more = await send('GET', '/system/info', undefined, { 'x-big': 'x'.repeat(1100 * 1024) }).catch(
      // The rest of the request may run into the closed connection first.
      () => ({ status: 431 }),
    )
    expect(more?.status).toBe(431)
    expect((await send('GET', '/healthz'))?.status).toBe(200)
  })

  test('JSON that is nested without end is refused', async () => {
    const answer = await send('POST', '/system/functions', '['.repeat(2 ** 20))
    expect(answer?.status).toBe(400)
    const closed = await send(
      'POST',
      '/system/functions',
      `{"service":"x","image":"echo","x":${'['.repeat(5e5)}${']'.repeat(5e5)}}`,
    )
    expect(closed?.status).toBeLessThan(500)
    await platform.ask('DELETE', '/system/functions', { functionName: 'x' })
  })
})

describe('a client that hangs up', () => {
  test.each([
    'POST /system/functions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"service":"half","image":"echo"',
    'POST /system/functions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{"service":"half","image":"echo"',
    'POST /system/secrets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"name":"half","value":"',
    'GET /system/functions HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'GET /system/logs?name=kept&follow=true HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'GET /system/events?since=0 HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'GET /system/fun',
  ])('half-way through %j leaves nothing half-done', async (bytes) => {
    const errors: unknown[] = []
    using _watch = platform.app.events.watch((event) => {
      if (event.type === 'notice' && event.level === 'error') errors.push(event)
    })
    const socket = connect(platform.port, '127.0.0.1')
    await new Promise<void>((resolve) => socket.write(bytes, () => resolve()))
    socket.resetAndDestroy()
    expect((await send('GET', '/healthz'))?.status).toBe(200)
    expect(platform.app.functions.get({ name: 'half', namespace: 'openfaas-fn' })).toBeUndefined()
    expect(await (await platform.ask('GET', '/system/secrets')).text()).not.toContain('half')
    expect(errors).toEqual([])
  })
})

describe('ten clients at once', () => {
  const ten = <T>(work: (n: number) => Promise<T>): Promise<T[]> =>
    Promise.all(Array.from({ length: 10 }, (_, n) => work(n)))
  const statuses = async (work: (n: number) => Promise<Response>): Promise<number[]> =>
    (await ten(work)).map(({ status }) => status).sort()
  const ref = { name: 'raced', namespace: 'openfaas-fn' }
  const spec = (n: number): Record<string, unknown> => ({
    service: 'raced',
    image: 'echo',
    envVars: { N: String(n) },
  })
  const settled = (): Promise<void> =>
    soon(() => platform.app.functions.get(ref)?.state === 'ready', 'it being ready')

  test('one deploys, nine are told that it is there; updates, scalings and removals go one after the other', async () => {
    const ask = platform.ask.bind(platform)
    expect(await statuses((n) => ask('POST', '/system/functions', spec(n)))).toEqual([
      202,
      ...Array<number>(9).fill(409),
    ])
    await settled()
    expect(await statuses((n) => ask('PUT', '/system/functions', spec(n)))).toEqual(
      Array<number>(10).fill(202),
    )
    await settled()
    expect(await (await ask('GET', '/function/raced')).text()).toBe('echo')
    expect(await statuses((n) => ask('POST', '/system/scale-function/raced', { replicas: n + 1 }))).toEqual(
      Array<number>(10).fill(202),
    )
    await settled()
    const { replicas, availableReplicas } = platform.app.functions.get(ref) ?? {}
    expect(availableReplicas).toBe(replicas)
    expect(await statuses(() => ask('DELETE', '/system/functions', { functionName: 'raced' }))).toEqual([
      202,
      ...Array<number>(9).fill(404),
    ])
    await until(() => !platform.provider.actual(ref)?.replicas)
  })

  test('everything at once ends in one state, and calls tell the same', async () => {
    const ask = platform.ask.bind(platform)
    for (let round = 0; round < 5; round++) {
      const answers = await ten(async (n) => {
        const work = [
          () => ask('POST', '/system/functions', spec(n)),
          () => ask('PUT', '/system/functions', spec(n)),
          () => ask('POST', '/system/scale-function/raced', { replicas: 1 + (n % 3) }),
          () => ask('DELETE', '/system/functions', { functionName: 'raced' }),
          () => ask('POST', '/system/secrets', { name: 'raced', value: String(n) }),
        ][n % 5]
        return (await work?.())?.status ?? 0
      })
      expect(answers.every((status) => [202, 404, 409].includes(status))).toBe(true)
    }
    await soon(() => {
      const found = platform.app.functions.get(ref)
      return found ? found.state === 'ready' : !platform.provider.actual(ref)?.replicas
    }, 'peace')
    const called = await ask('GET', '/function/raced')
    expect(called.status).toBe(platform.app.functions.get(ref) ? 200 : 404)
    await called.text()
  })

  test('a namespace goes while functions are deployed into it', async () => {
    const ask = platform.ask.bind(platform)
    await ask('POST', '/system/namespace/', { name: 'racing', labels: { openfaas: '1' } })
    const answers = await statuses((n) =>
      n === 5
        ? ask('DELETE', '/system/namespace/racing')
        : ask('POST', '/system/functions', { service: `f${n}`, image: 'echo', namespace: 'racing' }),
    )
    expect(answers.every((status) => status === 202 || status === 400)).toBe(true)
    expect(platform.app.functions.list('racing')).toEqual([])
    await until(() => platform.provider.list().every((found) => found.ref.namespace !== 'racing'))
  })
})
