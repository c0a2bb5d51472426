import { expect, test } from 'vitest'
import { FakeClock, settle } from '../../test/support/fake-clock.ts'
import { until } from '../../test/support/until.ts'
import { hasEnded } from '../core/call.ts'
import type { CallRecord, CallStore } from '../core/call.ts'
import type { CallbackSender } from '../core/callback.ts'
import { FaasError } from '../core/errors.ts'
import type { FunctionRef } from '../core/function.ts'
import { formatRef } from '../core/function.ts'
import type { InvocationRequest, InvocationSink } from '../core/invocation.ts'
import { silentLog } from '../core/log.ts'
import type { Log } from '../core/log.ts'
import { makeMemoryStore, MemoryQueue } from '../queue/memory-queue.ts'
import type { MemoryStore } from '../queue/memory-queue.ts'
import { AsyncCalls, DEFAULT_ASYNC } from './async-calls.ts'
import type { AsyncSettings } from './async-calls.ts'

interface Outcome {
  readonly status?: number
  readonly headers?: readonly string[]
  readonly error?: unknown
}

interface Made {
  readonly at: number
  readonly ref: FunctionRef
  readonly request: InvocationRequest
}

/** Records in memory. */
function memoryRecords(): CallStore & { readonly records: Map<string, CallRecord> } {
  const records = new Map<string, CallRecord>()
  const paused = new Set<string>()
  const all = (): CallRecord[] => [...records.values()].reverse()
  return {
    records,
    write: (written) => {
      for (const record of written) records.set(`${formatRef(record.ref)}/${record.id}`, record)
    },
    get: (id) => all().filter((record) => record.id === id),
    list: ({ states, limit, ref }) =>
      all()
        .filter(
          (one) => (!states || states.includes(one.state)) && (!ref || formatRef(ref) === formatRef(one.ref)),
        )
        .slice(0, limit),
    cancelQueued: () => [],
    oldest: () => undefined,
    open: () => {
      const counts = new Map<string, number>()
      for (const { ref, state } of all())
        if (!hasEnded(state)) counts.set(formatRef(ref), (counts.get(formatRef(ref)) ?? 0) + 1)
      return counts
    },
    dead: () => new Map(),
    prune: () => 0,
    pruneDead: () => 0,
    paused: () => [...paused],
    setPaused: (scope, isPaused) => {
      if (isPaused) paused.add(scope)
      else paused.delete(scope)
    },
  }
}

/** Async calls over memory, with functions that answer as the test says, on a clock that the test turns. */
function useCalls({
  answer,
  annotations = {},
  envVars = {},
  store = makeMemoryStore(),
  clock = new FakeClock(),
  records = memoryRecords(),
  settings = {},
  isDebugged = () => false,
  post = () => Promise.resolve({ status: 200 }),
  log = silentLog,
}: {
  answer: (made: Made, signal: AbortSignal) => Outcome | Promise<Outcome>
  annotations?: Record<string, string>
  envVars?: Record<string, string>
  store?: MemoryStore
  clock?: FakeClock
  records?: ReturnType<typeof memoryRecords>
  settings?: Partial<AsyncSettings>
  isDebugged?: () => boolean
  post?: CallbackSender['post']
  log?: Log
}) {
  const made: Made[] = []
  const queue = new MemoryQueue(store, clock)
  const spec = { image: 'i', labels: {}, annotations, envVars }
  const calls = new AsyncCalls({
    queue,
    store: records,
    clock,
    log,
    router: { knows: () => true },
    provider: { actual: () => undefined, note: () => undefined },
    registry: {
      functions: { get: (ref: FunctionRef) => ({ ref, revision: { id: 'r', spec: { ...spec, ...ref } } }) },
    } as never,
    invoker: {
      invoke: async (
        ref: FunctionRef,
        request: InvocationRequest,
        sink: InvocationSink,
        signal: AbortSignal,
      ) => {
        const one = { at: clock.now(), ref, request }
        made.push(one)
        const { status = 200, headers = [], error } = await answer(one, signal)
        if (error !== undefined) {
          sink.onFailure(error)
          return
        }
        sink.onHead(status, '', headers, () => undefined)
        sink.onEnd([])
      },
    },
    sender: { post, [Symbol.asyncDispose]: () => Promise.resolve() },
    observer: { submitted: () => undefined, attempted: () => undefined },
    random: () => 0.5,
    isDebugged,
    ownUrl: () => 'http://127.0.0.1:8080',
    settings: { ...DEFAULT_ASYNC, ...settings },
  })
  return {
    calls,
    queue,
    clock,
    made,
    records,
    store,
    post: (id: string, name = 'fn', body: string | Uint8Array = id, callback?: string) =>
      calls.accept({
        id,
        ref: { name, namespace: 'openfaas-fn' },
        invokedAs: name,
        path: '/',
        headers: ['X-Call-Id', id],
        body: Buffer.from(body),
        ...(callback !== undefined && { callback }),
      }),
    state: (id: string) => calls.book.all(id)[0]?.state,
    [Symbol.asyncDispose]: () => calls[Symbol.asyncDispose](),
  }
}

const bodyOf = ({ request }: Made): string => Buffer.from(request.body as Uint8Array).toString()

test('the timetable of a call that never succeeds: ten attempts, doubling from 10 s to 2 min, then it is dead', async () => {
  await using given = useCalls({ answer: () => ({ status: 500 }) })
  const { clock, made } = given
  const began = clock.now()
  await given.post('a')
  await settle()
  await clock.advance(20 * 60_000)
  const seconds = made.map(({ at }) => Math.round((at - began) / 1000))
  expect(seconds).toEqual([0, 10, 30, 70, 150, 270, 390, 510, 630, 750])
  expect(given.state('a')).toBe('dead')
  expect((await given.queue.depths()).size).toBe(0)
})

test('a time limit counts as 504, an unreachable function as 503, and both are tried again', async () => {
  const outcomes: Outcome[] = [
    { error: new FaasError('INVOCATION_TIMEOUT', { message: 'too slow', remedy: 'r' }) },
    { error: new FaasError('FUNCTION_UNREACHABLE', { message: 'gone', remedy: 'r' }) },
    { status: 200 },
  ]
  await using given = useCalls({ answer: () => outcomes.shift() ?? {} })
  await given.post('a')
  await settle()
  await given.clock.advance(60_000)
  expect(given.calls.book.all('a')[0]).toMatchObject({
    state: 'succeeded',
    attempts: 3,
    history: [{ status: 504, problem: 'too slow' }, { status: 503, problem: 'gone' }, { status: 200 }],
  })
})

test.each([
  [400, [], 'failed', 1],
  [404, [], 'failed', 1],
  [501, [], 'failed', 1],
  [302, [], 'succeeded', 1],
  [400, ['X-OpenFaaS-Internal', 'of-watchdog'], 'dead', 10],
  [503, [], 'dead', 10],
] as const)('%i with %j is %s after %i attempts', async (status, headers, state, attempts) => {
  await using given = useCalls({ answer: () => ({ status, headers }) })
  await given.post('a')
  await settle()
  await given.clock.advance(3_600_000)
  expect([given.state('a'), given.made.length]).toEqual([state, attempts])
})

test('Retry-After is waited for', async () => {
  const outcomes: Outcome[] = [{ status: 429, headers: ['Retry-After', '300'] }]
  await using given = useCalls({ answer: () => outcomes.shift() ?? {} })
  await given.post('a')
  await settle()
  await given.clock.advance(299_000)
  expect(given.made).toHaveLength(1)
  await given.clock.advance(2000)
  expect(given.made).toHaveLength(2)
})

test('a function that never answers is given up after the time limit', async () => {
  await using given = useCalls({
    answer: (_made, signal) =>
      new Promise((resolve) => signal.addEventListener('abort', () => resolve({ error: signal.reason }))),
    settings: { callTimeoutMs: 60_000 },
    annotations: { 'com.openfaas.retry.attempts': '1' },
  })
  await given.post('a')
  await settle()
  await given.clock.advance(61_000)
  expect(given.calls.book.all('a')[0]).toMatchObject({ state: 'dead', status: 504 })
})

test('a function that somebody debugs has its time limit again when nobody does any more', async () => {
  let isDebugged = true
  await using given = useCalls({
    answer: (_made, signal) =>
      new Promise((resolve) => signal.addEventListener('abort', () => resolve({ error: signal.reason }))),
    settings: { callTimeoutMs: 60_000 },
    annotations: { 'com.openfaas.retry.attempts': '1' },
    isDebugged: () => isDebugged,
  })
  await given.post('a')
  await settle()
  await given.clock.advance(3_600_000)
  expect(given.state('a')).toBe('running')
  isDebugged = false
  await given.clock.advance(61_000)
  expect(given.calls.book.all('a')[0]).toMatchObject({ state: 'dead', status: 504 })
})

test('calls of one function begin in their order where one runs at a time', async () => {
  await using given = useCalls({ answer: () => ({}), envVars: { max_inflight: '1' } })
  for (let i = 0; i < 50; i++) await given.post(String(i))
  await until(() => given.made.length === 50, { everyMs: 1 })
  expect(given.made.map(bodyOf)).toEqual(Array.from({ length: 50 }, (_, i) => String(i)))
})

test('a thousand waiting calls of one function do not hold up one call of another, in one queue', async () => {
  const waiting: (() => void)[] = []
  await using given = useCalls({
    answer: ({ ref }) =>
      ref.name === 'many' ? new Promise((resolve) => waiting.push(() => resolve({}))) : {},
    settings: { queueLimit: 8, maxInflight: 8 },
  })
  for (let i = 0; i < 1000; i++) await given.post(`m${i}`, 'many')
  await until(() => waiting.length === 8, { everyMs: 1 })
  await given.post('one', 'few')
  await settle()
  expect(given.state('one')).toBe('queued')
  // The first slot that becomes free is the neighbour's.
  waiting.shift()?.()
  await until(() => given.state('one') === 'succeeded', { everyMs: 1 })
  expect(given.made[8]?.ref.name).toBe('few')
  while (given.made.length < 1001 || waiting.length > 0) {
    for (const go of waiting.splice(0)) go()
    await settle()
  }
})

test('two busy functions of one queue share it evenly', async () => {
  const running = new Map<string, number>()
  let most = { a: 0, b: 0 }
  await using given = useCalls({
    answer: async ({ ref }) => {
      running.set(ref.name, (running.get(ref.name) ?? 0) + 1)
      most = {
        a: Math.max(most.a, running.get('a') ?? 0),
        b: Math.max(most.b, running.get('b') ?? 0),
      }
      await new Promise((resolve) => setImmediate(resolve))
      running.set(ref.name, (running.get(ref.name) ?? 0) - 1)
      return {}
    },
    settings: { queueLimit: 10 },
  })
  given.calls.pause({ queue: 'faas-request' })
  for (let i = 0; i < 300; i++) for (const name of ['a', 'b']) await given.post(`${name}${i}`, name)
  given.calls.resume({ queue: 'faas-request' })
  await until(() => given.made.length >= 300, { everyMs: 1 })
  const firstHalf = given.made.slice(0, 300).filter(({ ref }) => ref.name === 'a').length
  expect(firstHalf).toBeGreaterThan(100)
  expect(firstHalf).toBeLessThan(200)
  await until(() => given.made.length === 600, { everyMs: 1 })
})

test('an attempt that ended before a crash is not made again, one that had not is', async () => {
  const store = makeMemoryStore()
  const records = memoryRecords()
  let isHeld = true
  {
    const first = useCalls({ answer: () => (isHeld ? new Promise(() => undefined) : {}), store, records })
    await first.post('begun')
    await until(() => first.made.length === 1, { everyMs: 1 })
    isHeld = false
    await first.post('done')
    await until(() => first.state('done') === 'succeeded', { everyMs: 1 })
    first.calls.book.flush()
    // Killed here. Its last acknowledgement was not heard.
    const [kept] = [...store.messages.values()]
    if (kept) {
      const head = kept.head.replaceAll('begun', 'done')
      const record = first.calls.book.all('done')[0]
      store.messages.set(99, {
        ...kept,
        position: 99,
        head: head.replace(/"queuedAt":\d+/, `"queuedAt":${record?.queuedAt ?? 0}`),
      })
    }
  }
  await using second = useCalls({ answer: () => ({}), store, records })
  await until(async () => (await second.queue.depths()).size === 0, { everyMs: 1 })
  expect(second.made.map(({ request }) => request.headers[1])).toEqual(['begun'])
})

test('attempts that were used up before a crash stay used up; the one under way does not count', async () => {
  const store = makeMemoryStore()
  const records = memoryRecords()
  const clock = new FakeClock()
  let times = 0
  const first = useCalls({
    answer: () => (++times < 3 ? { status: 500 } : new Promise(() => undefined)),
    store,
    records,
    clock,
    annotations: { 'com.openfaas.retry.attempts': '4' },
  })
  await first.post('a')
  await settle()
  await clock.advance(31_000)
  expect(times).toBe(3)
  await using second = useCalls({
    answer: () => ({ status: 500 }),
    store,
    records,
    clock,
    annotations: { 'com.openfaas.retry.attempts': '4' },
  })
  await settle()
  await clock.advance(600_000)
  expect(second.made).toHaveLength(2)
  expect(second.calls.book.all('a')[0]).toMatchObject({ state: 'dead', attempts: 4 })
})

test('an attempt that was put into the queue before a crash stays there while the one before it is made again', async () => {
  const store = makeMemoryStore()
  const clock = new FakeClock()
  const annotations = { 'com.openfaas.retry.attempts': '3' }
  {
    // On a clock of its own, which stands still from here on.
    const first = useCalls({ answer: () => ({ status: 500 }), store, annotations })
    await first.post('a')
    const [begun] = [...store.messages.entries()]
    await settle()
    expect(first.made).toHaveLength(1)
    expect(store.messages.size).toBe(1)
    // Killed here: the first attempt is in the queue still, beside the second, and nothing was written down.
    if (begun) store.messages.set(begun[0], begun[1])
  }
  // As JetStream has them: the older one first.
  store.messages = new Map([...store.messages].sort(([a], [b]) => a - b))
  const ends: ((outcome: Outcome) => void)[] = []
  await using second = useCalls({
    answer: () => new Promise<Outcome>((resolve) => ends.push(resolve)),
    store,
    clock,
    annotations,
  })
  await settle()
  expect(ends).toHaveLength(1)
  // The first attempt takes longer than the second one waits.
  await clock.advance(15_000)
  expect(ends).toHaveLength(1)
  ends[0]?.({ status: 500 })
  await settle()
  await clock.advance(15_000)
  expect(ends).toHaveLength(2)
  ends[1]?.({ status: 200 })
  await settle()
  expect(second.state('a')).toBe('succeeded')
  expect(store.messages.size).toBe(0)
})

test('a queue that goes away and comes back loses nothing', async () => {
  await using given = useCalls({ answer: () => ({}) })
  const away = new FaasError('QUEUE_UNAVAILABLE', { message: 'away', remedy: 'wait' })
  given.calls.pause({ queue: 'faas-request' })
  await given.post('a')
  given.queue.be(away)
  given.calls.resume({ queue: 'faas-request' })
  await expect(given.post('b')).rejects.toBe(away)
  await settle()
  expect(given.made).toEqual([])
  given.queue.be(undefined)
  await until(() => given.state('a') === 'succeeded', { everyMs: 1 })
})

test('a dead letter whose record was lost is found again', async () => {
  const store = makeMemoryStore()
  const clock = new FakeClock()
  {
    await using first = useCalls({
      answer: () => ({ status: 500 }),
      annotations: { 'com.openfaas.retry.attempts': '1' },
      store,
      clock,
    })
    await first.post('lost')
    await until(() => first.state('lost') === 'dead', { everyMs: 1 })
  }
  await using second = useCalls({ answer: () => ({}), store, clock })
  await settle()
  await clock.advance(10_000)
  const [record] = second.calls.deadRecords()
  expect(record).toMatchObject({ id: 'lost', state: 'dead', status: 500, attempts: 1 })
  if (record) await second.calls.retry(record)
  await until(() => second.state('lost') === 'succeeded', { everyMs: 1 })
})

test('calls that the queue has lost are said to be, those that it has are made, and what comes back is made', async () => {
  const store = makeMemoryStore()
  const clock = new FakeClock()
  const records = memoryRecords()
  {
    await using first = useCalls({ answer: () => ({}), store, clock, records })
    first.calls.pause({ queue: 'faas-request' })
    for (const id of ['a', 'b', 'c', 'd']) await first.post(id)
  }
  const [a, b] = [...store.messages.values()]
  for (const lost of [a, b]) store.messages.delete(lost?.position ?? 0)
  await clock.advance(1000)
  const said: string[] = []
  await using second = useCalls({
    answer: () => ({}),
    store,
    clock,
    records,
    log: { ...silentLog, error: (words) => void said.push(words) },
  })
  // As many as were lost come anew: they hide nothing.
  for (const id of ['e', 'f']) await second.post(id)
  await settle()
  await clock.advance(10_000)
  expect(said).toEqual([expect.stringMatching(/^2 async calls of fn\.openfaas-fn \(b, a\) ended without/)])
  expect(second.calls.book.all('a')[0]).toMatchObject({
    state: 'failed',
    problem: expect.stringContaining('not in the queue any more') as string,
  })
  expect(['b', 'c', 'd', 'e', 'f'].map((id) => second.state(id))).toEqual([
    ...['failed', 'queued', 'queued', 'queued', 'queued'],
  ])
  if (a) store.messages.set(a.position, { ...a, mayHaveRun: true })
  second.calls.resume({ queue: 'faas-request' })
  await until(() => second.made.length === 5, { everyMs: 1 })
  expect(second.state('a')).toBe('succeeded')
})

test('a call that was not written down before a crash is listed, and can be cancelled', async () => {
  const store = makeMemoryStore()
  const clock = new FakeClock()
  const records = memoryRecords()
  {
    await using first = useCalls({ answer: () => ({}), store, clock, records })
    first.calls.pause({ queue: 'faas-request' })
    for (const id of ['a', 'b', 'c']) await first.post(id)
  }
  // The last ones of what was accepted.
  for (const id of ['b', 'c']) records.records.delete(`fn.openfaas-fn/${id}`)
  await using second = useCalls({ answer: () => ({}), store, clock, records })
  await settle()
  await second.post('d')
  await clock.advance(10_000)
  expect(['a', 'b', 'c', 'd'].map((id) => second.state(id))).toEqual(Array(4).fill('queued'))
  await second.calls.cancel('c')
  second.calls.resume({ queue: 'faas-request' })
  await until(() => second.made.length === 3, { everyMs: 1 })
  expect(store.messages.size).toBe(0)
  expect(second.made.map(({ request }) => request.headers[1])).toEqual(['a', 'b', 'd'])
})

test('calls whose records were lost are listed again, and keep their stored bodies', async () => {
  const store = makeMemoryStore()
  const clock = new FakeClock()
  const records = memoryRecords()
  {
    await using first = useCalls({ answer: () => ({}), store, clock, records })
    first.calls.pause({ queue: 'faas-request' })
    await first.post('small')
    await first.post('large', 'fn', Buffer.alloc(2 * first.queue.maxMessageBytes, 'x'))
    store.bodies.set(`call/fn.openfaas-fn/orphan@${clock.now()}`, [])
  }
  records.records.clear()
  await clock.advance(2 * 3_600_000)
  await using second = useCalls({ answer: () => ({}), store, clock, records })
  await settle()
  await clock.advance(10_000)
  expect(second.calls.book.list({ limit: 9 }).map(({ id, state }) => [id, state])).toEqual([
    ['large', 'queued'],
    ['small', 'queued'],
  ])
  expect([...store.bodies.keys()]).toEqual([expect.stringContaining('large')])
  await second.calls.cancel('small')
  second.calls.resume({ queue: 'faas-request' })
  await until(() => second.state('large') === 'succeeded', { everyMs: 1 })
  expect(second.made).toHaveLength(1)
})

test('two hundred functions that nobody calls set no timers', async () => {
  await using given = useCalls({ answer: () => ({}) })
  for (let i = 0; i < 200; i++) await given.post('x', `fn-${i}`)
  await until(() => given.made.length === 200, { everyMs: 1 })
  await settle()
  // What is looked at once after a start is looked at once.
  await given.clock.advance(10_000)
  expect(given.clock.pending).toEqual([])
})

test('a stop lets what runs end, and what does not end is made again', async () => {
  const store = makeMemoryStore()
  let release = (): void => undefined
  const first = useCalls({
    answer: ({ request }, signal) =>
      new Promise((resolve) => {
        if (request.headers[1] === 'ends') release = () => resolve({})
        signal.addEventListener('abort', () => resolve({ error: signal.reason }))
      }),
    store,
  })
  await first.post('ends')
  await first.post('stays')
  await until(() => first.made.length === 2, { everyMs: 1 })
  const drained = first.calls.drain(100)
  release()
  await drained
  expect([first.state('ends'), first.state('stays')]).toEqual(['succeeded', 'queued'])
  await using second = useCalls({ answer: () => ({}), store })
  await until(() => second.made.length === 1, { everyMs: 1 })
  expect(second.made[0]?.request.headers[1]).toBe('stays')
})

test('what runs when the queue goes away holds up no stop, and is made again', async () => {
  const store = makeMemoryStore()
  let fail = (): void => undefined
  const first = useCalls({
    answer: () => new Promise((resolve) => (fail = () => resolve({ status: 500 }))),
    store,
  })
  await first.post('a')
  await until(() => first.made.length === 1, { everyMs: 1 })
  first.queue.be(new FaasError('QUEUE_UNAVAILABLE', { message: 'away', remedy: 'wait' }))
  fail()
  await first.calls.drain(50)
  await using second = useCalls({ answer: () => ({}), store })
  await until(() => second.state('a') === 'succeeded', { everyMs: 1 })
})

test('a callback that nobody answers holds up no stop, and is posted by the next start', async () => {
  const store = makeMemoryStore()
  let posts = 0
  const first = useCalls({
    answer: () => ({}),
    store,
    post: (_request, signal) => {
      posts++
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error))
      })
    },
  })
  await first.post('a', 'fn', 'a', 'http://hangs/')
  await until(() => posts === 1, { everyMs: 1 })
  await first.calls.drain(50)
  await using second = useCalls({
    answer: () => ({}),
    store,
    post: () => {
      posts++
      return Promise.resolve({ status: 200 })
    },
  })
  await until(() => posts === 2, { everyMs: 1 })
  await until(async () => (await second.queue.depths()).size === 0, { everyMs: 1 })
})

test('what becomes of a call is kept beside the largest body, as much of it as there is room for', async () => {
  await using given = useCalls({
    answer: () => ({ status: 500, headers: ['X-Long', 'x'.repeat(100_000)] }),
    annotations: { 'com.openfaas.retry.attempts': '2', 'com.openfaas.retry.min_wait': '1s' },
  })
  const body = Buffer.alloc(given.queue.maxMessageBytes - 1024, 'x')
  await given.post('a', 'fn', body)
  await until(() => given.state('a') === 'waiting', { everyMs: 1 })
  await given.clock.advance(1000)
  await until(() => given.state('a') === 'dead', { everyMs: 1 })
  const letter = await given.calls.letter('a')
  expect(letter.call).toMatchObject({ attempts: 2, answer: { status: 500, headers: [] } })
  expect(letter.body.length).toBe(body.length)
})

test('a large body is there for the call that it was sent with, whatever becomes of one with the same id', async () => {
  await using given = useCalls({ answer: () => ({}) })
  const body = Buffer.alloc(2 * given.queue.maxMessageBytes, 'x')
  // In one moment.
  await Promise.all([given.post('twice', 'fn', body), given.post('twice', 'fn', body)])
  await until(() => given.state('twice') === 'succeeded', { everyMs: 1 })
  // The queue has it, and cannot say so any more.
  const publish = given.queue.publish.bind(given.queue)
  given.queue.publish = async (message) => {
    await publish(message)
    throw new FaasError('QUEUE_UNAVAILABLE', { message: 'no answer', remedy: 'wait' })
  }
  given.calls.pause({ queue: 'faas-request' })
  await expect(given.post('again', 'fn', body)).rejects.toThrow('no answer')
  given.queue.publish = publish
  await given.clock.advance(10)
  await given.post('again', 'fn', body)
  given.calls.resume({ queue: 'faas-request' })
  await until(() => given.state('again') === 'succeeded', { everyMs: 1 })
  expect(given.made.map(({ request }) => [request.headers[1], request.headers[3]])).toEqual([
    ['twice', String(body.length)],
    ['again', String(body.length)],
  ])
  expect(await given.queue.bodies.list()).toEqual([])
})

test('a call whose message had to be sent twice is known, and has its body', async () => {
  await using given = useCalls({ answer: () => ({}) })
  const body = Buffer.alloc(2 * given.queue.maxMessageBytes, 'x')
  given.calls.pause({ queue: 'faas-request' })
  const publish = given.queue.publish.bind(given.queue)
  // The answer to the first one was not heard.
  given.queue.publish = async (message) => {
    const { position } = await publish(message)
    return { position, duplicate: true, mayBeOwn: true }
  }
  expect(await given.post('once', 'fn', body)).toEqual({ isDuplicate: false })
  expect(given.state('once')).toBe('queued')
  // A call of that id is there.
  given.queue.publish = async (message) => ({ ...(await publish(message)), position: 1, mayBeOwn: true })
  await given.clock.advance(10)
  expect(await given.post('once', 'fn', body)).toEqual({ isDuplicate: true })
  given.calls.resume({ queue: 'faas-request' })
  await until(() => given.state('once') === 'succeeded', { everyMs: 1 })
  expect(given.made.map(({ request }) => request.headers[3])).toEqual([String(body.length)])
})

test('of a dead call that is made anew nothing is left when it is cancelled, and it is made anew once', async () => {
  let status = 500
  await using given = useCalls({
    answer: () => ({ status }),
    annotations: { 'com.openfaas.retry.attempts': '1' },
  })
  const body = Buffer.alloc(2 * given.queue.maxMessageBytes, 'x')
  const deadAgain = async (id: string): Promise<CallRecord> => {
    await given.post(id, 'fn', body)
    await until(() => given.state(id) === 'dead', { everyMs: 1 })
    const record = given.calls.book.all(id)[0]
    if (!record) throw new Error('it is not known')
    return record
  }
  const first = await deadAgain('cancelled')
  given.calls.pause({ queue: 'faas-request' })
  expect(await given.calls.retry(first)).toBe(true)
  await given.calls.cancel('cancelled')
  expect(await given.queue.bodies.list()).toEqual([])

  given.calls.resume({ queue: 'faas-request' })
  const second = await deadAgain('once')
  status = 200
  // Two people at once, and a third who has looked before them.
  const retried = await Promise.all([given.calls.retry(second), given.calls.retry(second)])
  expect(retried.sort()).toEqual([false, true])
  await until(() => given.state('once') === 'succeeded', { everyMs: 1 })
  expect(await given.calls.retry(second)).toBe(false)
  expect(await given.calls.purge(second)).toBe(false)
  expect(given.state('once')).toBe('succeeded')
  expect(given.made).toHaveLength(3)
  expect(await given.queue.bodies.list()).toEqual([])
})

test('the letter of another call is taken for nobody', async () => {
  const store = makeMemoryStore()
  await using given = useCalls({
    answer: () => ({ status: 500 }),
    annotations: { 'com.openfaas.retry.attempts': '1' },
    store,
  })
  for (const id of ['a', 'b']) await given.post(id)
  await until(() => given.calls.deadRecords().length === 2, { everyMs: 1 })
  // A store that was emptied has begun anew.
  const [a, b] = [...store.letters.values()]
  if (!a || !b) throw new Error('there are no letters')
  store.letters.delete(b.position)
  store.letters.set(a.position, { ...b, position: a.position })
  await expect(given.calls.letter('a')).rejects.toThrow('no dead letter')
  const record = given.calls.deadRecords().find(({ id }) => id === 'a')
  if (record) expect(await given.calls.purge(record)).toBe(true)
  expect(store.letters.size).toBe(1)
})
