import { expect, test } from 'vitest'
import { systemClock } from '../core/clock.ts'
import type { InvocationSink } from '../core/invocation.ts'
import type { InvocationRecord, InvocationStore } from '../core/invocation-record.ts'
import { InvocationLog } from './invocation-log.ts'

const ref = { name: 'fn', namespace: 'openfaas-fn' }
const never = new AbortController().signal

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
  limits: { bodyBytes?: number; heldBytes?: number; bytesPerFunction?: number } = {},
): { log: InvocationLog; errors: string[] } {
  const errors: string[] = []
  const nothing = (): void => undefined
  const log = new InvocationLog({
    store,
    secrets: { list: () => [], read: () => undefined, watch: () => ({ [Symbol.dispose]: nothing }) },
    namespaces: { list: () => [] },
    alsoSecret: [],
    clock: systemClock,
    log: { info: nothing, warn: nothing, debug: nothing, error: (message) => void errors.push(message) },
    limits: {
      perFunction: 5,
      bytesPerFunction: 2 ** 20,
      bytes: 2 ** 20,
      bodyBytes: 100,
      heldBytes: 1000,
      ...limits,
    },
  })
  return { log, errors }
}

function call(log: InvocationLog, body: string, name = 'fn.openfaas-fn'): Sink {
  const sink = new Sink()
  const request = { method: 'POST', path: '/', headers: [], body: Buffer.from(body) }
  const recording = log.begin(ref, name, request, sink, never)
  recording.onHead(200, 'OK', [], () => undefined)
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

test('the answer goes on as it comes: what the receiver says of pauses is what the sender hears', () => {
  const { store } = makeStore()
  using log = makeLog(store).log
  const sink = new Sink()
  const recording = log.begin(ref, 'fn', { method: 'GET', path: '/', headers: [], body: null }, sink, never)
  recording.onHead(201, 'Created', [], () => undefined)
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
  recording.onHead(200, 'OK', [], () => undefined)
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
  recording.onHead(200, 'OK', [], () => undefined)
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
