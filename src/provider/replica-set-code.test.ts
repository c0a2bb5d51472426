// How code gets into replicas that are slow, stubborn or lost, without a runtime.
import { expect, test } from 'vitest'
import { makeCode, revisionCode } from '../../test/support/code.ts'
import { FakeClock, settle } from '../../test/support/fake-clock.ts'
import { FaasError } from '../core/errors.ts'
import type { Revision } from '../core/function.ts'
import type { CodeChange, CodeOverlay, LoadOutcome } from './code-change.ts'
import type { LoadWatch, ReplicaHost } from './replica.ts'
import { ReplicaSet } from './replica-set.ts'

const ref = { name: 'hello', namespace: 'openfaas-fn' }
const never = new AbortController().signal

const code = (word: string, way: 'swap' | 'files' = 'swap'): ReturnType<typeof makeCode> =>
  makeCode({ same: 'same', word }, { way, folder: '/code' })
const inImage = code('image')

function revision(wanted = inImage): Revision {
  const spec = { ...ref, image: 'x', labels: {}, annotations: {} }
  return { id: 'r', spec, code: revisionCode(wanted, inImage), createdAt: '' }
}

interface Load {
  readonly replica: string
  readonly change: CodeChange
  readonly watch: LoadWatch
  readonly end: (outcome: LoadOutcome) => void
}

interface Host extends ReplicaHost {
  readonly there: Map<string, CodeOverlay | undefined>
  /** Those that have not been ended, by replica. */
  readonly loads: Map<string, Load>
  /** Ends loads as soon as they begin; without it they wait. */
  answer: ((load: Load) => LoadOutcome) | undefined
  /** What replicas say that they run. */
  readonly says: Map<string, string>
  /** Replicas that are started from now on never get ready. */
  startsFail: boolean
}

const LOADED = (): LoadOutcome => ({ type: 'loaded' })

function makeHost(): Host {
  let count = 0
  const host: Host = {
    there: new Map(),
    loads: new Map(),
    answer: LOADED,
    says: new Map(),
    startsFail: false,
    start: (of, _signal, overlay) => {
      const id = String(++count)
      host.there.set(id, overlay)
      const began = { swaps: of.code?.wanted.way === 'swap', hash: overlay?.hash ?? of.code?.inImage ?? '' }
      return Promise.resolve({ id, origin: `http://${id}`, ref, began })
    },
    ready: ({ id }) => (host.startsFail ? Promise.reject(exit(id)) : Promise.resolve()),
    codeOf: ({ id }) => Promise.resolve(host.says.get(id)),
    load: ({ id }, change, watch) =>
      new Promise((resolve) => {
        const end = (outcome: LoadOutcome): void => {
          host.loads.delete(id)
          resolve(outcome)
        }
        const load = { replica: id, change, watch, end }
        if (host.answer) end(host.answer(load))
        else host.loads.set(id, load)
      }),
    exitError: ({ id }) => Promise.resolve(exit(id)),
    stop: ({ id }) => Promise.resolve(void host.there.delete(id)),
    discard: ({ id }) => Promise.resolve(void host.there.delete(id)),
  }
  return host
}

const exit = (id: string): FaasError =>
  new FaasError('REPLICA_EXITED', { message: `${id} ended`, remedy: '-' })

async function makeSet(replicas: number): Promise<{
  host: Host
  set: ReplicaSet
  clock: FakeClock
  deploy: (word: string, signal?: AbortSignal) => Promise<void>
}> {
  const host = makeHost()
  const clock = new FakeClock()
  const set = new ReplicaSet(ref, host, {
    clock,
    drainMs: 1000,
    onEvent: () => undefined,
    onLeftover: (_replica, error) => {
      throw error
    },
  })
  await set.deploy(revision(), replicas, never)
  const deploy = (word: string, signal = never): Promise<void> =>
    set.deploy(revision(code(word)), replicas, signal)
  return { host, set, clock, deploy }
}

/** Ids of those that get calls. */
function answering(set: ReplicaSet): string[] {
  const leases = Array.from({ length: set.actual().available }, () => set.lease())
  for (const lease of leases) lease?.[Symbol.dispose]()
  return leases.map((lease) => lease?.replica ?? '').sort()
}

const failed = (message: string): LoadOutcome => ({ type: 'failed', failure: { message } })

test('only what changed is sent, from what each replica has; everything, where that is not known', async () => {
  const { host, deploy } = await makeSet(1)
  const changes: CodeChange[] = []
  host.answer = ({ change }) => {
    changes.push(change)
    return { type: 'loaded' }
  }
  await deploy('one')
  await deploy('two')
  expect(changes.map(({ from, files }) => [from, [...files.keys()]])).toEqual([
    [inImage.hash, ['word']],
    [code('one').hash, ['word']],
  ])
  host.answer = ({ change }) => {
    changes.push(change)
    return change.from === null ? { type: 'loaded' } : { type: 'elsewhere', hash: 'other' }
  }
  await deploy('three')
  expect(changes.slice(2).map(({ from, files }) => [from, [...files.keys()]])).toEqual([
    [code('two').hash, ['word']],
    [null, ['same', 'word']],
  ])
})

test('one replica is first: when its code does not load, no other sees it', async () => {
  const { host, set, deploy } = await makeSet(3)
  const asked: string[] = []
  host.answer = ({ replica }) => {
    asked.push(replica)
    return failed('no')
  }
  await expect(deploy('bad')).rejects.toMatchObject({ code: 'CODE_NOT_LOADED', message: 'no' })
  expect(asked).toEqual(['1'])
  expect(answering(set)).toEqual(['1', '2', '3'])
})

test('code that only some of them load is taken back from those', async () => {
  const { host, set, deploy } = await makeSet(3)
  const back: string[] = []
  host.answer = ({ replica, change }) => {
    if (change.hash === inImage.hash) back.push(replica)
    return replica === '3' && change.hash !== inImage.hash ? failed('no memory') : { type: 'loaded' }
  }
  await expect(deploy('bad')).rejects.toMatchObject({ message: 'no memory' })
  expect(back.sort()).toEqual(['1', '2'])
  expect(answering(set)).toEqual(['1', '2', '3'])
})

test('what cannot take code is replaced, first by one that is given it, then by one that begins with it', async () => {
  const { host, set, deploy } = await makeSet(1)
  host.answer = ({ replica }) =>
    replica === '1' ? { type: 'refused', reason: 'too many modules' } : { type: 'loaded' }
  await deploy('one')
  await settle()
  expect([...host.there]).toEqual([['2', undefined]])
  host.answer = () => ({ type: 'refused', reason: 'nobody may write here' })
  await deploy('two')
  await settle()
  expect(answering(set)).toEqual(['4'])
  expect([...host.there.values()].map((overlay) => overlay?.hash)).toEqual([code('two').hash])
  // Which is remembered: nobody is asked in vain again.
  host.answer = () => {
    throw new Error('asked')
  }
  await deploy('three')
  await settle()
  expect(answering(set)).toEqual(['5'])
})

test('where what the image has does not start, the code is put in before it does; the next is given in place', async () => {
  const { host, set } = await makeSet(0)
  host.ready = ({ id }) => (host.there.get(id) ? Promise.resolve() : Promise.reject(exit(id)))
  await expect(set.deploy(revision(), 1, never)).rejects.toMatchObject({ code: 'REPLICA_EXITED' })
  await set.deploy(revision(code('good')), 1, never)
  await settle()
  expect([...host.there.values()].map((overlay) => overlay?.hash)).toEqual([code('good').hash])
  const [only] = answering(set)
  await set.deploy(revision(code('better')), 1, never)
  expect(answering(set)).toEqual([only])
})

test('code that does not start either is told as what it is, and nothing of it stays', async () => {
  const { host, set } = await makeSet(0)
  host.startsFail = true
  await expect(set.deploy(revision(code('bad')), 1, never)).rejects.toMatchObject({ code: 'REPLICA_EXITED' })
  await settle()
  expect(host.there.size).toBe(0)
})

test('the old one answers until its replacement is there, and goes on if that does not start', async () => {
  const { host, set, deploy } = await makeSet(1)
  host.answer = () => ({ type: 'refused', reason: 'no' })
  host.startsFail = true
  await expect(deploy('one')).rejects.toMatchObject({
    code: 'CODE_NOT_LOADED',
    message: expect.stringContaining('ended') as string,
  })
  await settle()
  expect(answering(set)).toEqual(['1'])
  expect([...host.there.keys()]).toEqual(['1'])
})

test('a broken connection counts for nothing when the replica has the code', async () => {
  const { host, set, deploy } = await makeSet(1)
  host.answer = () => ({ type: 'lost', reason: 'reset' })
  host.says.set('1', code('one').hash)
  await deploy('one')
  expect(answering(set)).toEqual(['1'])
})

test('a replica that died of the code is tried once more, and then the good code is brought back', async () => {
  const { host, set, deploy } = await makeSet(2)
  const asked: string[] = []
  host.answer = ({ replica, change }) => {
    if (change.hash !== code('deadly').hash) return { type: 'loaded' }
    asked.push(replica)
    set.takeOutOfRotation(replica)
    set.died(replica, 'signal 6')
    return { type: 'lost', reason: 'reset' }
  }
  await deploy('good')
  await expect(deploy('deadly')).rejects.toMatchObject({ code: 'CODE_NOT_LOADED' })
  await settle()
  expect(asked).toEqual(['1', '3'])
  expect(set.actual()).toMatchObject({ replicas: 2, available: 2 })
  expect(answering(set)).toEqual(['2', '4'])
})

test('while a replica has no ear for anybody, another one answers with the code before', async () => {
  const { host, set, deploy } = await makeSet(1)
  host.answer = undefined
  const loading = deploy('slow')
  await settle()
  expect(answering(set)).toEqual(['1'])
  host.loads.get('1')?.watch.onSilent()
  await settle()
  expect(answering(set)).toEqual(['2'])
  host.loads.get('1')?.end({ type: 'loaded' })
  await loading
  await settle()
  expect(answering(set)).toEqual(['1'])
  expect([...host.there.keys()]).toEqual(['1'])
})

test('a replica that never answers again is ended, and the code before goes on in another one', async () => {
  const { host, set, deploy } = await makeSet(1)
  host.answer = undefined
  const loading = deploy('endless')
  const failure = expect(loading).rejects.toMatchObject({
    code: 'CODE_NOT_LOADED',
    message: expect.stringContaining('does not finish loading') as string,
  })
  await settle()
  host.loads.get('1')?.watch.onSilent()
  await settle()
  host.loads.get('1')?.end({ type: 'silent', reason: 'it has not answered after 12 s' })
  await failure
  await settle()
  expect([...host.there.keys()]).toEqual(['2'])
  expect(answering(set)).toEqual(['2'])
  expect(set.actual()).toMatchObject({ replicas: 1 })
})

test('the next code need not wait for a replica that hangs', async () => {
  const { host, set, deploy } = await makeSet(1)
  host.answer = undefined
  const abort = new AbortController()
  const loading = deploy('endless', abort.signal).catch(String)
  await settle()
  host.loads.get('1')?.watch.onSilent()
  abort.abort(new Error('saved again'))
  expect(await loading).toBe('Error: saved again')
  const hung = host.loads.get('1')
  host.answer = LOADED
  await deploy('good')
  await settle()
  expect(answering(set)).toEqual(['2'])
  expect([...host.there.keys()]).toEqual(['2'])
  hung?.end({ type: 'silent', reason: 'it has not answered after 12 s' })
  await settle()
  expect(answering(set)).toEqual(['2'])
})

test('a load that nobody waits for any more is waited for by the next deploy', async () => {
  const { host, set, deploy } = await makeSet(1)
  host.answer = undefined
  const abort = new AbortController()
  const loading = deploy('one', abort.signal).catch(String)
  await settle()
  abort.abort(new Error('saved again'))
  await loading
  const next = deploy('two')
  await settle()
  const changes = [host.loads.get('1')?.change]
  host.loads.get('1')?.end({ type: 'loaded' })
  await settle()
  changes.push(host.loads.get('1')?.change)
  host.loads.get('1')?.end({ type: 'loaded' })
  await next
  expect(changes.map((change) => change?.from)).toEqual([inImage.hash, code('one').hash])
  expect(answering(set)).toEqual(['1'])
})

test('a replica that somebody stands in with a debugger may take its time', async () => {
  const { host, set, deploy } = await makeSet(1)
  host.answer = undefined
  const debugged = set.debug()
  const loading = deploy('one')
  await settle()
  const { watch, end } = host.loads.get('1') as Load
  expect(watch.isHeld()).toBe(true)
  debugged?.[Symbol.dispose]()
  expect(watch.isHeld()).toBe(false)
  end({ type: 'loaded' })
  await loading
})

test('removed while a spare is on its way: nothing stays', async () => {
  const { host, set, deploy } = await makeSet(1)
  host.answer = undefined
  const loading = deploy('endless').catch(() => undefined)
  await settle()
  host.loads.get('1')?.watch.onSilent()
  const removed = set.remove()
  host.loads.get('1')?.end({ type: 'silent', reason: '-' })
  await removed
  await loading
  await set.settled()
  expect([...host.there.keys()]).toEqual([])
})

test('of adopted replicas it is asked what they run, and those that have the code go on', async () => {
  const host = makeHost()
  const clock = new FakeClock()
  const options = { clock, drainMs: 1000, onEvent: () => undefined, onLeftover: () => undefined }
  const set = new ReplicaSet(ref, host, options)
  for (const id of ['a', 'b', 'c']) {
    host.there.set(id, undefined)
    set.adopt('r', { id, origin: `http://${id}`, ref, began: { swaps: true } })
  }
  host.says.set('a', code('one').hash).set('b', 'something older').set('c', '')
  const changes: [string, string | null][] = []
  host.answer = ({ replica, change }) => {
    changes.push([replica, change.from])
    return { type: 'loaded' }
  }
  await set.deploy(revision(code('one')), 3, never)
  expect(changes).toEqual([
    ['b', null],
    ['c', null],
  ])
  expect(answering(set)).toEqual(['a', 'b', 'c'])
})

test('an adopted replica that does not know us is given nothing, and replaced', async () => {
  const host = makeHost()
  const options = {
    clock: new FakeClock(),
    drainMs: 1000,
    onEvent: () => undefined,
    onLeftover: () => undefined,
  }
  const set = new ReplicaSet(ref, host, options)
  set.adopt('r', { id: 'a', origin: 'http://a', ref, began: { swaps: true } })
  const asked: string[] = []
  host.answer = ({ replica }) => {
    asked.push(replica)
    return { type: 'loaded' }
  }
  await set.deploy(revision(code('one')), 1, never)
  expect(asked).toEqual(['1'])
  expect(answering(set)).toEqual(['1'])
})
