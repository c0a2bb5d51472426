import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import type { InvocationRecord } from '../core/invocation-record.ts'
import { openRegistry } from './sqlite-registry.ts'

const MIGRATIONS = join(import.meta.dirname, 'migrations')
const BOUNDS = { perFunction: 3, bytesPerFunction: 2 ** 20, bytes: 2 ** 20 }
const fn = { name: 'fn', namespace: 'openfaas-fn' }

function recordOf(seq: number, more: Partial<InvocationRecord> = {}): InvocationRecord {
  return {
    seq,
    callId: `call-${seq}`,
    ref: fn,
    startedAt: 1000 + seq,
    ms: 5,
    state: 'ended',
    method: 'GET',
    path: '/',
    status: 200,
    request: { headers: ['A', 'b'], bodyBytes: 0 },
    response: { headers: [], bodyBytes: 2 },
    redacted: [],
    requestBody: Buffer.alloc(0),
    responseBody: Buffer.from('ok'),
    ...more,
  }
}

test('records are there after a restart, whole, and numbers go on', async () => {
  await using folder = await makeFolder()
  {
    using registry = openRegistry(folder.path, MIGRATIONS)
    const store = registry.keepInvocations()
    expect(store.nextSeq).toBe(1)
    store.write([recordOf(1), recordOf(2, { state: 'running' })], BOUNDS)
  }
  using registry = openRegistry(folder.path, MIGRATIONS)
  const store = registry.keepInvocations()
  expect(store.get(1)).toEqual({ ...recordOf(1), id: 'call-1' })
  expect(store.get(2)).toMatchObject({ state: 'broken', problem: 'the gateway ended' })
  expect(store.nextSeq).toBe(3)
  expect(store.get(9)).toBeUndefined()
  expect(statSync(join(folder.path, 'invocations.db')).mode & 0o777).toBe(0o600)
})

test('what is written again takes its own place; a call id that comes again gets a number', async () => {
  await using folder = await makeFolder()
  using registry = openRegistry(folder.path, MIGRATIONS)
  const store = registry.keepInvocations()
  store.write([recordOf(1, { callId: 'c', state: 'running' }), recordOf(2, { callId: 'c' })], BOUNDS)
  store.write([recordOf(1, { callId: 'c', status: 500 })], BOUNDS)
  expect(store.list({ limit: 9 }).map(({ id, status }) => [id, status])).toEqual([
    ['c~2', 200],
    ['c', 500],
  ])
  expect(store.beginningWith('c')).toEqual([
    { seq: 1, id: 'c' },
    { seq: 2, id: 'c~2' },
  ])
  expect(store.beginningWith('%')).toEqual([])
})

test('the newest of each function are kept, by number and by size, and of all by size', async () => {
  await using folder = await makeFolder()
  using registry = openRegistry(folder.path, MIGRATIONS)
  const store = registry.keepInvocations()
  const other = { name: 'other', namespace: 'openfaas-fn' }
  const seqs = (): number[] => store.list({ limit: 99 }).map(({ seq }) => seq)
  store.write([recordOf(1, { ref: other }), ...[2, 3, 4, 5, 6].map((seq) => recordOf(seq))], BOUNDS)
  expect(seqs()).toEqual([6, 5, 4, 1])
  const large = Buffer.alloc(2000)
  store.write([recordOf(7, { responseBody: large })], { ...BOUNDS, bytesPerFunction: 2500 })
  expect(seqs()).toEqual([7, 1])
  store.write([recordOf(8, { responseBody: large })], { ...BOUNDS, bytesPerFunction: 100 })
  expect(seqs()).toEqual([8, 1])
  store.write([recordOf(9, { ref: other })], { ...BOUNDS, bytes: 2600 })
  expect(seqs()).toEqual([9, 8])
})

test('the last of a function is the newest that is no replay', async () => {
  await using folder = await makeFolder()
  using registry = openRegistry(folder.path, MIGRATIONS)
  const store = registry.keepInvocations()
  const other = { name: 'other', namespace: 'openfaas-fn' }
  expect(store.last()).toBeUndefined()
  store.write([recordOf(1), recordOf(2, { ref: other }), recordOf(3, { replayOf: 'call-1' })], BOUNDS)
  expect([store.last(), store.last(fn), store.last(other)]).toEqual([2, 1, 2])
  expect(store.forget(other)).toBe(1)
  expect(store.last()).toBe(1)
  expect(store.forget()).toBe(2)
})

test('a database that cannot be read is made afresh', async () => {
  await using folder = await makeFolder()
  writeFileSync(
    join(folder.path, 'invocations.db'),
    'this is no database, but it is long enough to be taken for one',
  )
  using registry = openRegistry(folder.path, MIGRATIONS)
  const store = registry.keepInvocations()
  store.write([recordOf(1)], BOUNDS)
  expect(store.list({ limit: 1 })).toHaveLength(1)
})
