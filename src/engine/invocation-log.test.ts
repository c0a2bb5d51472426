import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { until } from '../../test/support/until.ts'
import type { Clock } from '../core/clock.ts'
import type { InvocationSink } from '../core/invocation.ts'
import type { InvocationRecord, InvocationStore } from '../core/invocation-record.ts'
import { InvocationLog } from './invocation-log.ts'
import type { Recording } from './recording.ts'

const ref = { name: 'fn', namespace: 'openfaas-fn' }
const never = new AbortController().signal
const nothing = (): void => undefined
/** What is to be done later, which a test does when it likes. */
function makeClock(): { clock: Clock; later: (() => void)[] } {
  const later: (() => void)[] = []
  const after = (_ms: number, work: () => void): Disposable => {
    later.push(work)
    return { [Symbol.dispose]: nothing }
  }
  return { clock: { now: () => 0, after }, later }
}

class Sink implements InvocationSink {
  status = 0
  readonly said: string[] = []
  onHead(status: number): void {
    this.status = status
  }
  onData(chunk: Uint8Array): boolean {
    this.said.push(Buffer.from(chunk).toString())
    return false
  }
  onEnd(): void {
    this.said.push('end')
  }
  onFailure(): number {
    return 502
  }
}

/** A store that notes what is written, and fails while it is told to. */
function makeStore(): { store: InvocationStore; written: InvocationRecord[][]; fail: { now: boolean } } {
  const written: InvocationRecord[][] = []
  const fail = { now: false }
  const store: InvocationStore = {
    nextSeq: 1,
    write: (records) => {
      if (fail.now) throw new Error('the disk is full')
      written.push([...records])
    },
    list: () => [],
    get: () => undefined,
    beginningWith: () => [],
    last: () => undefined,
    rewrite: () => undefined,
    forget: () => 0,
  }
  return { store, written, fail }
}

function makeLog(
  store: InvocationStore,
  limits: { bodyBytes?: number; heldBytes?: number; headBytes?: number; bytesPerFunction?: number } = {},
): { log: InvocationLog; errors: string[]; learn: (secret: string) => void; later: (() => void)[] } {
  const { clock, later } = makeClock()
  const errors: string[] = []
  let secret = ''
  let tell: (namespace: string, name: string) => void = nothing
  const log = new InvocationLog({
    store,
    secrets: {
      list: () => [],
      read: () => Buffer.from(secret),
      watch: (told) => {
        tell = told
        return { [Symbol.dispose]: nothing }
      },
    },
    namespaces: { list: () => [] },
    alsoSecret: [],
    clock,
    log: { info: nothing, warn: nothing, debug: nothing, error: (message) => void errors.push(message) },
    limits: {
      perFunction: 5,
      bytesPerFunction: 2 ** 20,
      bytes: 2 ** 20,
      bodyBytes: 100,
      heldBytes: 1000,
      headBytes: 2 ** 20,
      ...limits,
    },
  })
  const learn = (value: string): void => {
    secret = value
    tell('openfaas-fn', 'key')
  }
  return { log, errors, learn, later }
}

function call(
  log: InvocationLog,
  body: string,
  name = 'fn.openfaas-fn',
  headers: readonly string[] = [],
): Sink {
  const sink = new Sink()
  const request = { method: 'POST', path: '/', headers, body: Buffer.from(body) }
  const recording = log.begin(ref, name, request, sink, never)
  recording.onHead(200, 'OK', [], nothing)
  recording.onEnd([])
  return sink
}

test('of many calls only the newest of each function are ever written', () => {
  const { store, written } = makeStore()
  using log = makeLog(store).log
  for (let i = 0; i < 1000; i++) call(log, `${i}`)
  call(log, 'other', 'other.openfaas-fn')
  log.flush()
  const bodies = written.flat().map(({ requestBody }) => Buffer.from(requestBody).toString())
  expect(bodies.sort()).toEqual(['995', '996', '997', '998', '999', 'other'])
})

test('of large calls no more than may be kept of a function waits to be written', () => {
  const { store, written } = makeStore()
  using log = makeLog(store, { bytesPerFunction: 250 }).log
  for (let i = 0; i < 5; i++) call(log, `${i}`.repeat(100))
  log.flush()
  const bodies = written.flat().map(({ requestBody }) => Buffer.from(requestBody).toString())
  expect(bodies).toEqual(['3'.repeat(100), '4'.repeat(100)])
})

test('of many functions with large heads no more waits to be written than fits, and the newest does', () => {
  const { store, written } = makeStore()
  using log = makeLog(store, { headBytes: 50_000 }).log
  for (let i = 0; i < 3000; i++) call(log, `${i}`, `fn-${i % 100}`, ['X-Large', 'x'.repeat(2000)])
  for (let i = 0; i < 10; i++) call(log, `last ${i}`, 'fn-0', ['X-Large', 'x'.repeat(2000)])
  log.flush()
  const kept = written.flat()
  expect(kept.length).toBeGreaterThan(15)
  expect(kept.length).toBeLessThan(25)
  const bodies = kept.map(({ requestBody }) => Buffer.from(requestBody).toString())
  expect(bodies).toContain('last 9')
  expect(bodies).toContain('2999')
})

test('more that waits than is written in one go is written whole, each once', () => {
  const { store, written } = makeStore()
  using log = makeLog(store, { heldBytes: 10_000 }).log
  const names = Array.from({ length: 150 }, (_, i) => `${i}`)
  for (const name of names) call(log, name, `fn-${Number(name) % 60}`)
  log.flush()
  const bodies = written.flat().map(({ requestBody }) => Buffer.from(requestBody).toString())
  expect(bodies.sort()).toEqual(names.sort())
})

test('what waits is written by and by, when nobody asks', () => {
  const { store, written } = makeStore()
  const { log, later } = makeLog(store, { heldBytes: 10_000 })
  for (let i = 0; i < 150; i++) call(log, `${i}`, `fn-${i % 60}`)
  expect(written).toEqual([])
  while (later.length > 0) later.shift()?.()
  expect(written.flat()).toHaveLength(150)
  call(log, 'one more')
  later.shift()?.()
  expect(written.flat()).toHaveLength(151)
  log[Symbol.dispose]()
})

test('who asks finds a call as soon as it was answered, and those that run', () => {
  const { store, written } = makeStore()
  using log = makeLog(store).log
  const begin = (path: string): Recording =>
    log.begin(ref, 'fn', { method: 'GET', path, headers: [], body: null }, new Sink(), never)
  const calls = new Map(['a', 'b', 'c', 'd'].map((path) => [path, begin(path)]))
  const seen = (): string[] => {
    written.length = 0
    log.list({ limit: 10 })
    return written.flat().map(({ path, state }) => `${path} ${state}`)
  }
  expect(seen()).toEqual(['d running', 'c running', 'b running', 'a running'])
  calls.get('b')?.onEnd([])
  expect(seen()).toEqual(['b ended', 'd running', 'c running', 'a running'])
  calls.get('d')?.onFailure(new Error('gone'))
  expect(seen()).toEqual(['d ended', 'c running', 'a running'])
  calls.get('a')?.onEnd([])
  calls.get('c')?.onEnd([])
  expect(seen()).toEqual(['a ended', 'c ended'])
})

test('what is secret never comes to the store, not even what became it while the call waited', () => {
  const { store, written } = makeStore()
  const { log, learn } = makeLog(store)
  call(log, 'so it is late-secret', undefined, ['Authorization', 'Bearer b3arer'])
  learn('late-secret')
  log[Symbol.dispose]()
  expect(written.flat()).toHaveLength(1)
  const said = JSON.stringify(written.flat().map((one) => [one, Buffer.from(one.requestBody).toString()]))
  expect(said).toContain('so it is REDACTED')
  expect(said).not.toMatch(/b3arer|late-secret/)
})

test('what has ended is no longer connected to who was answered', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  using log = makeLog(makeStore().store).log
  const answered = Array.from({ length: 5 }, (_, i) => new WeakRef(call(log, `${i}`)))
  await until(() => {
    collect()
    return answered.every((sink) => sink.deref() === undefined)
  })
})

test('the answer goes on as it comes: what the receiver says of pauses is what the sender hears', () => {
  const { store } = makeStore()
  using log = makeLog(store).log
  const sink = new Sink()
  const recording = log.begin(ref, 'fn', { method: 'GET', path: '/', headers: [], body: null }, sink, never)
  recording.onHead(201, 'Created', [], nothing)
  expect([recording.status, recording.onData(Buffer.from('a'))]).toEqual([201, false])
  recording.onEnd([])
  expect(sink.said).toEqual(['a', 'end'])
})

test('bodies beyond what may be held in memory are cut, and room comes back when they are written', () => {
  const { store, written } = makeStore()
  using log = makeLog(store, { heldBytes: 150 }).log
  call(log, 'a'.repeat(120))
  call(log, 'b'.repeat(90))
  log.flush()
  call(log, 'c'.repeat(90))
  log.flush()
  const kept = written.flat().map(({ request, requestBody }) => [requestBody.length, request.isCut === true])
  expect(kept).toEqual([
    [100, true],
    [50, true],
    [90, false],
  ])
})

test('what is sent after the answer takes no room for good', async () => {
  const { store, written } = makeStore()
  using log = makeLog(store, { heldBytes: 50 }).log
  const body = (async function* () {
    for (let i = 0; i < 10; i++) yield await Promise.resolve(Buffer.from('0123456789'))
  })()
  const recording = log.begin(ref, 'fn', { method: 'POST', path: '/', headers: [], body }, new Sink(), never)
  recording.onHead(200, 'OK', [], nothing)
  recording.onEnd([])
  log.flush()
  for await (const _piece of recording.request.body as AsyncIterable<Uint8Array>);
  call(log, 'c'.repeat(50))
  log.flush()
  expect(written.flat().map(({ requestBody }) => requestBody.length)).toEqual([0, 50])
})

test('a body of very many small pieces is kept like one of few', () => {
  const { store, written } = makeStore()
  using log = makeLog(store).log
  const sink = new Sink()
  const recording = log.begin(ref, 'fn', { method: 'GET', path: '/', headers: [], body: null }, sink, never)
  recording.onHead(200, 'OK', [], nothing)
  for (let i = 0; i < 5000; i++) recording.onData(Buffer.from(String(i % 10)))
  recording.onEnd([])
  log.flush()
  const [record] = written.flat()
  expect(Buffer.from(record?.responseBody ?? []).toString()).toBe('0123456789'.repeat(10))
  expect(record?.response).toMatchObject({ bodyBytes: 5000, isCut: true })
})

test('a disk that takes nothing is said once, and calls go on', () => {
  const { store, written, fail } = makeStore()
  const { log, errors } = makeLog(store)
  fail.now = true
  for (let i = 0; i < 3; i++) {
    expect(call(log, 'x').said).toEqual(['end'])
    log.flush()
  }
  expect(errors).toEqual(['invocations could not be kept: the disk is full'])
  fail.now = false
  call(log, 'y')
  log[Symbol.dispose]()
  expect(written.flat().map(({ requestBody }) => Buffer.from(requestBody).toString())).toEqual(['y'])
})

test('calls under way when the gateway stops are kept as broken off', () => {
  const { store, written } = makeStore()
  const { log } = makeLog(store)
  log.begin(ref, 'fn', { method: 'GET', path: '/', headers: [], body: null }, new Sink(), never)
  log[Symbol.dispose]()
  expect(written.flat()).toMatchObject([{ state: 'broken', problem: 'the gateway stopped', status: 0 }])
})
