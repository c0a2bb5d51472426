import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import type { CallRecord, CallState } from '../core/call.ts'
import { openRegistry } from './sqlite-registry.ts'

const MIGRATIONS = join(import.meta.dirname, 'migrations')

function recordOf(id: string, state: CallState, more: Partial<CallRecord> = {}): CallRecord {
  return {
    id,
    ref: { name: 'fn', namespace: 'openfaas-fn' },
    queue: 'faas-request',
    path: '/',
    state,
    queuedAt: 1000,
    attempts: 0,
    history: [],
    ...more,
  }
}

test('records and what is paused are there after a restart, newest first', async () => {
  await using folder = await makeFolder()
  {
    using registry = openRegistry(folder.path, MIGRATIONS)
    registry.calls.write([recordOf('a', 'queued'), recordOf('b', 'running')])
    registry.calls.write([recordOf('a', 'succeeded', { endedAt: 2000, status: 200 })])
    registry.calls.setPaused('queue:slow', true)
  }
  using registry = openRegistry(folder.path, MIGRATIONS)
  expect(registry.calls.list({ limit: 10 }).map(({ id, state }) => [id, state])).toEqual([
    ['b', 'running'],
    ['a', 'succeeded'],
  ])
  expect(registry.calls.get('a')).toEqual([recordOf('a', 'succeeded', { endedAt: 2000, status: 200 })])
  expect(registry.calls.paused()).toEqual(['queue:slow'])
  expect(registry.calls.oldest({ name: 'fn', namespace: 'openfaas-fn' })).toBe(1000)
})

test('what has ended is forgotten by age and by number; dead letters and open calls stay', async () => {
  await using folder = await makeFolder()
  using registry = openRegistry(folder.path, MIGRATIONS)
  const { calls } = registry
  calls.write([
    recordOf('open', 'waiting'),
    recordOf('dead', 'dead', { endedAt: 1 }),
    ...Array.from({ length: 20 }, (_, i) => recordOf(`done-${i}`, 'succeeded', { endedAt: 100 + i })),
  ])
  expect(calls.prune(100, 105, 1000)).toBe(5)
  expect(calls.prune(10, 0, 1000)).toBe(5)
  expect(calls.prune(0, 0, 3)).toBe(3)
  expect(calls.list({ limit: 100, states: ['succeeded'] })).toHaveLength(7)
  expect(calls.list({ limit: 100, states: ['dead', 'waiting'] }).map(({ id }) => id)).toEqual([
    'dead',
    'open',
  ])
  expect(calls.dead()).toEqual(new Map([['fn.openfaas-fn', 1]]))
  expect(calls.open()).toEqual(new Map([['fn.openfaas-fn', 1]]))
})

test('dead calls are forgotten as their letters are, by age and by number', async () => {
  await using folder = await makeFolder()
  using registry = openRegistry(folder.path, MIGRATIONS)
  const { calls } = registry
  calls.write([
    recordOf('open', 'waiting'),
    recordOf('done', 'succeeded', { endedAt: 1 }),
    ...Array.from({ length: 10 }, (_, i) => recordOf(`dead-${i}`, 'dead', { endedAt: 100 + i })),
  ])
  expect(calls.pruneDead(100, 103)).toBe(3)
  expect(calls.pruneDead(5, 103)).toBe(2)
  expect(calls.list({ limit: 100 }).map(({ id }) => id)).toEqual([
    ...['dead-9', 'dead-8', 'dead-7', 'dead-6', 'dead-5', 'done', 'open'],
  ])
})

test('the same id sent to two functions is two calls', async () => {
  await using folder = await makeFolder()
  using registry = openRegistry(folder.path, MIGRATIONS)
  registry.calls.write([
    recordOf('a', 'queued'),
    recordOf('a', 'dead', { ref: { name: 'next', namespace: 'openfaas-fn' } }),
  ])
  expect(registry.calls.get('a')).toHaveLength(2)
  const ref = { name: 'next', namespace: 'openfaas-fn' }
  expect(registry.calls.list({ ref, limit: 5 })).toMatchObject([{ state: 'dead' }])
})

test('records that cannot be read are made afresh; nothing else is touched', async () => {
  await using folder = await makeFolder()
  {
    using registry = openRegistry(folder.path, MIGRATIONS)
    registry.calls.write([recordOf('a', 'queued')])
    registry.calls.setPaused('queue:slow', true)
  }
  writeFileSync(join(folder.path, 'calls.db'), 'this is no database')
  using registry = openRegistry(folder.path, MIGRATIONS)
  expect(registry.calls.list({ limit: 10 })).toEqual([])
  expect(registry.calls.paused()).toEqual(['queue:slow'])
})

test('what nobody has begun is cancelled up to a position, in pieces, and nothing else is', async () => {
  await using folder = await makeFolder()
  using registry = openRegistry(folder.path, MIGRATIONS)
  const fn = { name: 'fn', namespace: 'openfaas-fn' }
  registry.calls.write([
    recordOf('a', 'queued', { position: 1 }),
    recordOf('b', 'waiting', { position: 2 }),
    recordOf('c', 'queued', { position: 3 }),
    recordOf('runs', 'running', { position: 4 }),
    recordOf('done', 'succeeded', { position: 5, endedAt: 1 }),
    recordOf('later', 'queued', { position: 9 }),
    recordOf('other', 'queued', { position: 6, ref: { name: 'other', namespace: 'openfaas-fn' } }),
  ])
  const cancelled = [
    ...registry.calls.cancelQueued(fn, 8, 7000, 2),
    ...registry.calls.cancelQueued(fn, 8, 7000, 2),
    ...registry.calls.cancelQueued(fn, 8, 7000, 2),
  ]
  expect(cancelled.map(({ id, state, endedAt }) => [id, state, endedAt]).sort()).toEqual(
    ['a', 'b', 'c'].map((id) => [id, 'cancelled', 7000]),
  )
  const states = registry.calls.list({ limit: 10 }).map(({ id, state }) => [id, state])
  expect(Object.fromEntries(states)).toEqual({
    a: 'cancelled',
    b: 'cancelled',
    c: 'cancelled',
    runs: 'running',
    done: 'succeeded',
    later: 'queued',
    other: 'queued',
  })
})
