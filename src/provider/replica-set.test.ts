import { expect, test } from 'vitest'
import { FakeClock, settle } from '../../test/support/fake-clock.ts'
import { FaasError } from '../core/errors.ts'
import type { Revision } from '../core/function.ts'
import type { Lease, ProviderEvent } from '../core/provider.ts'
import type { ReplicaHost } from './replica.ts'
import { ReplicaSet } from './replica-set.ts'

const ref = { name: 'hello', namespace: 'openfaas-fn' }
const never = new AbortController().signal

function revision(id: string): Revision {
  return { id, spec: { ...ref, image: 'x', labels: {}, annotations: {} }, createdAt: '' }
}

/** A host whose replicas get ready when the test says so. */
function fakeHost(): {
  host: ReplicaHost
  readonly there: Set<string>
  makeReady: (id: string) => void
  fail: (id: string) => void
} {
  const there = new Set<string>()
  const waiting = new Map<string, { resolve: () => void; reject: (error: unknown) => void }>()
  let count = 0
  const exit = (id: string): FaasError =>
    new FaasError('REPLICA_EXITED', { message: `${id} ended`, remedy: '-' })
  const host: ReplicaHost = {
    start: ({ id: of }) => {
      const id = `${of}-${++count}`
      there.add(id)
      return Promise.resolve({ id, origin: `http://${id}`, ref })
    },
    ready: ({ id }, _revision, signal) =>
      new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject })
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      }),
    codeOf: () => Promise.resolve(undefined),
    load: () => Promise.resolve({ type: 'loaded' }),
    exitError: ({ id }) => Promise.resolve(exit(id)),
    stop: ({ id }) => Promise.resolve(void there.delete(id)),
    discard: ({ id }) => Promise.resolve(void there.delete(id)),
  }
  return {
    host,
    there,
    makeReady: (id) => waiting.get(id)?.resolve(),
    fail: (id) => waiting.get(id)?.reject(exit(id)),
  }
}

function makeSet(
  host: ReplicaHost,
  drainMs = 1000,
): { set: ReplicaSet; clock: FakeClock; events: ProviderEvent[] } {
  const clock = new FakeClock()
  const events: ProviderEvent[] = []
  const set = new ReplicaSet(ref, host, {
    clock,
    drainMs,
    onEvent: (event) => events.push(event),
    onLeftover: (_replica, error) => {
      throw error
    },
  })
  return { set, clock, events }
}

test('a new replica that dies while its siblings still start fails the deploy: fewer than wanted never take over', async () => {
  const { host, there, makeReady } = fakeHost()
  const { set } = makeSet(host)
  const first = set.deploy(revision('a'), 1, never)
  await settle()
  makeReady('a-1')
  await first
  const deploy = set.deploy(revision('b'), 2, never)
  await settle()
  makeReady('b-2')
  await settle()
  set.takeOutOfRotation('b-2')
  set.died('b-2', 'crashed')
  makeReady('b-3')
  await expect(deploy).rejects.toMatchObject({ code: 'REPLICA_EXITED' })
  expect(set.actual()).toMatchObject({ revision: 'a', replicas: 1, available: 1 })
  await set.settled()
  expect([...there]).toEqual(['a-1'])
})

test('a replica that dies before it answered fails its deploy once, and is reported by nobody else', async () => {
  const { host, there, fail } = fakeHost()
  const { set, events } = makeSet(host)
  const deploy = set.deploy(revision('a'), 1, never)
  await settle()
  set.takeOutOfRotation('a-1')
  expect(set.died('a-1', 'crashed')).toBe(true)
  fail('a-1')
  await expect(deploy).rejects.toMatchObject({ code: 'REPLICA_EXITED' })
  await set.settled()
  expect([...there]).toEqual([])
  expect(events).toEqual([])
  expect(set.died('a-1', 'again')).toBe(false)
})

test('the first of several replicas that fails ends the waiting for the others', async () => {
  const { host, there, fail } = fakeHost()
  const { set } = makeSet(host)
  const deploy = set.deploy(revision('a'), 3, never)
  await settle()
  fail('a-2')
  await expect(deploy).rejects.toMatchObject({ message: 'a-2 ended' })
  await set.settled()
  expect([...there]).toEqual([])
})

test('an idle replica is stopped at once, a busy one when its call ends, a stuck one at the limit', async () => {
  const { host, there, makeReady } = fakeHost()
  const { set, clock } = makeSet(host, 1000)
  const deploy = set.deploy(revision('a'), 3, never)
  await settle()
  for (const id of ['a-1', 'a-2', 'a-3']) makeReady(id)
  await deploy
  const [busy, stuck] = [set.lease() as Lease, set.lease() as Lease]
  const removed = set.remove()
  await settle()
  expect([...there].sort()).toEqual([busy.replica, stuck.replica].sort())
  busy[Symbol.dispose]()
  await settle()
  expect([...there]).toEqual([stuck.replica])
  await clock.advance(999)
  expect([...there]).toEqual([stuck.replica])
  await clock.advance(1)
  await removed
  expect([...there]).toEqual([])
  expect(clock.pending).toEqual([])
  stuck[Symbol.dispose]()
})

test('of adopted replicas only as many stay as a deploy wants, of whichever revision', async () => {
  const { host, there } = fakeHost()
  const { set } = makeSet(host)
  for (const [of, id] of [
    ['a', 'a-1'],
    ['b', 'b-1'],
    ['b', 'b-2'],
    ['b', 'b-3'],
    ['c', 'c-1'],
  ] as const) {
    there.add(id)
    set.adopt(of, { id, origin: `http://${id}`, ref })
  }
  expect(set.actual()).toMatchObject({ revision: 'a', replicas: 1 })
  await set.deploy(revision('b'), 1, never)
  await set.settled()
  expect(set.actual()).toMatchObject({ revision: 'b', replicas: 1, available: 1 })
  expect([...there]).toHaveLength(1)
})

test('a replica taken out of rotation gets no lease, and is no longer counted as available', async () => {
  const { host, makeReady } = fakeHost()
  const { set } = makeSet(host)
  const deploy = set.deploy(revision('a'), 1, never)
  await settle()
  makeReady('a-1')
  await deploy
  expect(set.takeOutOfRotation('somebody-else')).toBe(false)
  expect(set.takeOutOfRotation('a-1')).toBe(true)
  expect(set.lease()).toBeUndefined()
  expect(set.actual()).toMatchObject({ replicas: 1, available: 0 })
})
