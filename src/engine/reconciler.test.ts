import { expect, test } from 'vitest'
import { settle } from '../../test/support/fake-clock.ts'
import { makePlatform, soon, specOf, steeredImage } from '../../test/support/platform.ts'
import { FaasError } from '../core/errors.ts'
import type { Revision } from '../core/function.ts'
import { MemoryProvider } from '../provider/memory/memory-provider.ts'

const never = new AbortController().signal
const broken = (words = 'it ends at once'): FaasError =>
  new FaasError('REPLICA_EXITED', { message: words, remedy: 'Look at its last lines.' })

test('a function that crashes again and again is replaced at once, then later and later', async () => {
  const image = steeredImage()
  await using platform = await makePlatform({ image })
  const { functions, clock, provider } = platform
  const spec = specOf('hello', 'image')
  await functions.deploy(spec).settled
  const pauses: number[] = []
  for (let n = 0; n < 5; n++) {
    await platform.crash(spec)
    expect(functions.get(spec)).toMatchObject({ availableReplicas: 0, replicas: 1 })
    const [pause = 0] = clock.pending
    pauses.push(pause)
    await clock.advance(pause)
    await soon(() => provider.actual(spec)?.available === 1, 'the replacement')
  }
  expect(pauses).toEqual([0, 500, 1000, 2000, 4000])
  expect(platform.of('replica.died', spec).map(({ reason }) => reason)).toEqual(Array(5).fill('crashed'))
})

test('a crash of one function does not delay another', async () => {
  await using platform = await makePlatform({ image: steeredImage() })
  const [a, b] = [specOf('a', 'image'), specOf('b', 'image')]
  await Promise.all([a, b].map((spec) => platform.functions.deploy(spec).settled))
  await platform.crash(a)
  await platform.clock.advance(0)
  await soon(() => platform.provider.actual(a)?.available === 1)
  await platform.crash(a)
  await platform.crash(b)
  expect(platform.clock.pending.slice(0, 2)).toEqual([0, 500])
})

test('what did not get ready is tried again by itself, and told once', async () => {
  const image = steeredImage(broken())
  await using platform = await makePlatform({ image })
  const { functions, clock, provider } = platform
  const spec = specOf('hello', 'image')
  await expect(functions.deploy(spec).settled).rejects.toMatchObject({ code: 'REPLICA_EXITED' })
  expect(functions.get(spec)).toMatchObject({
    state: 'failing',
    availableReplicas: 0,
    problem: { code: 'REPLICA_EXITED', message: 'it ends at once', remedy: 'Look at its last lines.' },
  })
  await clock.advance(1000)
  await soon(() => image.starts === 2)
  await settle()
  await clock.advance(2000)
  await soon(() => image.starts === 3)
  await settle()
  expect(platform.of('function.failed', spec)).toHaveLength(1)
  expect(platform.of('function.failed-again', spec).map(({ tries }) => tries)).toEqual([2, 3])
  image.be(broken('another reason'))
  await clock.advance(4000)
  await soon(() => platform.of('function.failed', spec).length === 2)
  image.be('ok')
  await clock.advance(8000)
  await soon(() => provider.actual(spec)?.available === 1)
  await soon(() => platform.of('function.ready', spec).length === 1)
  expect(functions.get(spec)?.problem).toBeUndefined()
  expect(functions.get(spec)?.state).toBe('ready')
})

test('what fails with other times and process ids fails as before; a new revision fails anew', async () => {
  const image = steeredImage(broken('09:30:00 pid 1: no database'))
  await using platform = await makePlatform({ image })
  const { functions, clock } = platform
  const spec = specOf('hello', 'image')
  await functions.deploy(spec).settled.catch(() => undefined)
  image.be(broken('09:30:01 pid 17: no database'))
  await clock.advance(1000)
  await soon(() => platform.of('function.failed-again', spec).length === 1)
  expect(platform.of('function.failed', spec)).toHaveLength(1)
  await functions.update(spec).settled.catch(() => undefined)
  expect(platform.of('function.failed', spec)).toHaveLength(2)
})

test('what misses a secret starts as soon as that secret is there, and not for another', async () => {
  const image = steeredImage(new FaasError('SECRET_NOT_FOUND', { message: 'no key', remedy: 'Create it.' }))
  await using platform = await makePlatform({ image })
  const { functions, provider, registry } = platform
  registry.secrets.put('openfaas-fn', 'key', Buffer.from('x'))
  const spec = specOf('hello', 'image', { secrets: ['key'] })
  await expect(functions.deploy(spec).settled).rejects.toMatchObject({ code: 'SECRET_NOT_FOUND' })
  image.be('ok')
  registry.secrets.put('openfaas-fn', 'other', Buffer.from('x'))
  await settle()
  expect(image.starts).toBe(1)
  registry.secrets.put('openfaas-fn', 'key', Buffer.from('y'))
  await soon(() => provider.actual(spec)?.available === 1)
})

test('an update that fails keeps the old revision answering and says which one serves', async () => {
  const [good, bad] = [steeredImage(), steeredImage(broken())]
  await using platform = await makePlatform({ good, bad })
  const { functions, provider } = platform
  const spec = specOf('hello', 'good')
  const { revision } = functions.deploy(spec)
  await soon(() => provider.actual(spec)?.available === 1)
  await expect(functions.update({ ...spec, image: 'bad' }).settled).rejects.toThrow('it ends at once')
  expect(provider.actual(spec)).toMatchObject({ revision, available: 1 })
  expect(functions.get(spec)).toMatchObject({ state: 'failing', availableReplicas: 1 })
  expect(platform.of('function.failed', spec)).toMatchObject([{ serving: revision }])
})

test('after a restart the last good revision answers when the wanted one does not get ready', async () => {
  const [good, bad] = [steeredImage(), steeredImage(broken())]
  await using before = await makePlatform({ good, bad })
  const spec = specOf('hello', 'good')
  const { revision } = before.functions.deploy(spec)
  await soon(() => before.registry.functions.get(spec)?.lastGood !== undefined)
  await before.functions.update({ ...spec, image: 'bad' }).settled.catch(() => undefined)

  await using after = await makePlatform({ good, bad }, { folder: before.folder })
  after.reconciler.start()
  await soon(() => after.of('function.failed', spec).length === 1)
  expect(after.provider.actual(spec)).toMatchObject({ revision, available: 1 })
  expect(after.of('function.failed', spec)).toMatchObject([{ serving: revision }])
  // And it is not restarted by every further try.
  const [serving] = after.started
  await after.clock.advance(1000)
  await soon(() => bad.starts >= 3)
  await settle()
  expect(after.started).toEqual([serving])
  bad.be('ok')
  await after.clock.advance(2000)
  await soon(() => after.functions.get(spec)?.state === 'ready')
})

test('a revision that was only ever scaled to zero is not taken for a good one', async () => {
  const [good, bad] = [steeredImage(), steeredImage(broken())]
  await using platform = await makePlatform({ good, bad })
  const { functions, registry, provider } = platform
  const spec = specOf('hello', 'good')
  const { revision, settled } = functions.deploy(spec)
  await settled
  await functions.scale(spec, 0).settled
  await functions.update({ ...spec, image: 'bad' }).settled
  expect(registry.functions.get(spec)?.lastGood?.id).toBe(revision)
  await expect(functions.scale(spec, 1).settled).rejects.toThrow('it ends at once')
  expect(provider.actual(spec)).toMatchObject({ revision, available: 1 })
})

test('at the start everything wanted is made so, and what is there and not wanted goes', async () => {
  const image = steeredImage()
  await using before = await makePlatform({ image })
  const { provider } = before
  const [wanted, unwanted, held] = [
    specOf('wanted', 'image'),
    specOf('unwanted', 'image'),
    specOf('held', 'image'),
  ]
  for (const spec of [wanted, unwanted, held]) await before.functions.deploy(spec).settled
  before.registry.functions.delete(unwanted)
  before.registry.functions.put({
    ref: held,
    revision: { ...before.registry.functions.get(held)!.revision, id: 'newer' },
    replicas: 1,
    createdAt: '',
  })
  const kept = provider.lease(wanted)
  kept?.[Symbol.dispose]()
  const starts = image.starts

  await using after = await makePlatform({ image }, { folder: before.folder, provider })
  after.reconciler.start(new Set(['held.openfaas-fn']))
  await soon(() => provider.actual(unwanted)?.available !== 1)
  await settle()
  const lease = provider.lease(wanted)
  lease?.[Symbol.dispose]()
  expect(lease?.replica).toBe(kept?.replica)
  expect(image.starts).toBe(starts)
  expect(provider.actual(held)?.revision).not.toBe('newer')
  expect(after.of('function.ready')).toEqual([])
})

test('a thousand cold calls start one replica, and all get it', async () => {
  const image = steeredImage()
  await using platform = await makePlatform({ image })
  const { functions, router } = platform
  const spec = specOf('hello', 'image')
  await functions.deploy(spec).settled
  await functions.scale(spec, 0).settled
  image.be('wait')
  const before = image.starts
  const calls = Array.from({ length: 1000 }, () => router.route(spec, never))
  await soon(() => image.waiting === 1)
  image.be('ok')
  const leases = await Promise.all(calls)
  expect(new Set(leases.map(({ replica }) => replica)).size).toBe(1)
  expect(image.starts - before).toBe(1)
  expect(functions.get(spec)).toMatchObject({ replicas: 1, availableReplicas: 1 })
  for (const lease of leases) lease[Symbol.dispose]()
})

test('a call wakes as many replicas as the label asks for', async () => {
  await using platform = await makePlatform({ image: steeredImage() })
  const spec = specOf('hello', 'image', { labels: { 'com.openfaas.scale.min': '3' } })
  await platform.functions.deploy(spec).settled
  expect(platform.functions.get(spec)?.availableReplicas).toBe(3)
  await platform.functions.scale(spec, 0).settled
  ;(await platform.router.route(spec, never))[Symbol.dispose]()
  expect(platform.functions.get(spec)?.replicas).toBe(3)
})

test('a call that waits while its function is scaled to zero wakes it again', async () => {
  const image = steeredImage('wait')
  await using platform = await makePlatform({ image })
  const { functions, router } = platform
  const spec = specOf('hello', 'image')
  functions.deploy(spec)
  await soon(() => image.waiting === 1)
  const call = router.route(spec, never)
  await functions.scale(spec, 0).settled
  image.be('ok')
  const lease = await Promise.race([
    call,
    new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 2000)),
  ])
  expect(lease).toBeDefined()
  lease?.[Symbol.dispose]()
})

test('cold calls of a function that does not start get the reason, at once while it backs off', async () => {
  const image = steeredImage('wait')
  await using platform = await makePlatform({ image })
  const { functions, router } = platform
  const spec = specOf('hello', 'image')
  functions.deploy(spec)
  const calls = [1, 2, 3].map(() => router.route(spec, never))
  await soon(() => image.waiting === 1)
  image.be(broken())
  for (const call of calls)
    await expect(call).rejects.toMatchObject({
      code: 'FUNCTION_NOT_READY',
      message: expect.stringContaining('it ends at once') as string,
      remedy: 'Look at its last lines.',
    })
  await settle()
  await expect(router.route(spec, never)).rejects.toMatchObject({ code: 'FUNCTION_NOT_READY' })
  expect(image.starts).toBe(1)
})

test('a cold call whose caller goes away waits no longer; the others do', async () => {
  const image = steeredImage('wait')
  await using platform = await makePlatform({ image })
  const spec = specOf('hello', 'image')
  platform.functions.deploy(spec)
  const gone = new AbortController()
  const [left, stays] = [platform.router.route(spec, gone.signal), platform.router.route(spec, never)]
  gone.abort(new Error('the caller went away'))
  await expect(left).rejects.toThrow('the caller went away')
  await expect(platform.router.route(spec, gone.signal)).rejects.toThrow('the caller went away')
  await soon(() => image.waiting === 1)
  image.be('ok')
  ;(await stays)[Symbol.dispose]()
})

test('a call for a function that is removed while it waits is told that there is none', async () => {
  const image = steeredImage('wait')
  await using platform = await makePlatform({ image })
  const spec = specOf('hello', 'image')
  platform.functions.deploy(spec)
  const call = platform.router.route(spec, never)
  await soon(() => image.waiting === 1)
  await platform.functions.remove(spec).settled
  await expect(call).rejects.toMatchObject({ code: 'FUNCTION_NOT_FOUND' })
  await expect(platform.router.route(spec, never)).rejects.toMatchObject({ code: 'FUNCTION_NOT_FOUND' })
  expect(platform.provider.list()).toEqual([])
})

test('a call for a function that is deployed again while the former one still drains waits for the new one', async () => {
  await using platform = await makePlatform({ image: steeredImage() })
  const { functions, router, provider } = platform
  const spec = specOf('hello', 'image')
  await functions.deploy(spec).settled
  const busy = provider.lease(spec)
  functions.remove(spec)
  await soon(() => provider.actual(spec)?.available === 0)
  const again = functions.deploy(spec)
  const call = router.route(spec, never)
  await settle()
  busy?.[Symbol.dispose]()
  const lease = await call
  expect(lease.revision).toBe(again.revision)
  lease[Symbol.dispose]()
})

test('an update during a slow start gives that start up', async () => {
  const [slow, quick] = [steeredImage('wait'), steeredImage()]
  await using platform = await makePlatform({ slow, quick })
  const { functions, provider } = platform
  const spec = specOf('hello', 'slow')
  const first = functions.deploy(spec)
  await soon(() => slow.waiting === 1)
  const second = functions.update({ ...spec, image: 'quick' })
  await Promise.all([first.settled, second.settled])
  expect(slow.waiting).toBe(0)
  expect(provider.actual(spec)).toMatchObject({ revision: second.revision, available: 1 })
  expect(platform.of('function.failed')).toEqual([])
})

test('an update during the fall back to the last good revision is no failure of that revision', async () => {
  const [good, bad, fixed] = [steeredImage(), steeredImage(), steeredImage()]
  await using platform = await makePlatform({ good, bad, fixed })
  const { functions, provider, clock } = platform
  const spec = specOf('hello', 'good')
  await functions.deploy(spec).settled
  bad.be(broken())
  await functions.update({ ...spec, image: 'bad' }).settled.catch(() => undefined)
  good.be('wait')
  await platform.crash(spec)
  await clock.advance(0)
  await soon(() => good.waiting === 1)
  const call = platform.router.route(spec, never)
  const told = platform.of('function.failed').length
  const { settled, revision } = functions.update({ ...spec, image: 'fixed' })
  await settled
  const lease = await call
  expect(lease.revision).toBe(revision)
  lease[Symbol.dispose]()
  expect(platform.of('function.failed')).toHaveLength(told)
  expect(provider.actual(spec)).toMatchObject({ revision })
})

test('an image that is not on the engine any more is found again by its name, and pinned anew', async () => {
  /** An engine from which images of one id were pruned. */
  class PrunedProvider extends MemoryProvider {
    override deploy(revision: Revision, replicas: number, signal: AbortSignal): Promise<void> {
      if (revision.imageId !== 'pruned') return super.deploy(revision, replicas, signal)
      return Promise.reject(new FaasError('IMAGE_NOT_FOUND', { message: 'it was pruned', remedy: '-' }))
    }
  }
  await using provider = new PrunedProvider({ images: { image: steeredImage() } })
  await using platform = await makePlatform({}, { provider })
  const spec = specOf('hello', 'image')
  await platform.functions.apply(spec, { imageId: 'pruned', origin: '/stack.yml' }).settled
  expect(platform.registry.functions.get(spec)?.revision.imageId).toBe('memory:image')
  expect(provider.actual(spec)?.available).toBe(1)
})

test('an image that nobody has is the problem of its function, and of no other', async () => {
  await using platform = await makePlatform({ image: steeredImage() })
  const [missing, fine] = [specOf('missing', 'nobody-has-this'), specOf('fine', 'image')]
  await expect(platform.functions.deploy(missing).settled).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' })
  await platform.functions.deploy(fine).settled
  expect(platform.functions.get(missing)?.problem?.code).toBe('IMAGE_NOT_FOUND')
  expect(platform.functions.get(fine)?.state).toBe('ready')
})

test('stopping leaves replicas as they are, tells who waits, and takes no more wishes', async () => {
  const image = steeredImage()
  const provider = new MemoryProvider({ images: { image } })
  const platform = await makePlatform({}, { provider })
  const [running, coming] = [specOf('running', 'image'), specOf('coming', 'image')]
  await platform.functions.deploy(running).settled
  image.be('wait')
  platform.functions.deploy(coming)
  const call = platform.router.route(coming, never)
  await soon(() => image.waiting === 1)
  call.catch(() => undefined)
  await platform.reconciler[Symbol.asyncDispose]()
  await expect(call).rejects.toMatchObject({ code: 'STOPPING' })
  await expect(platform.reconciler.converge(running)).rejects.toMatchObject({ code: 'STOPPING' })
  expect(provider.actual(running)?.available).toBe(1)
  expect(image.waiting).toBe(0)
  await platform[Symbol.asyncDispose]()
  await provider[Symbol.asyncDispose]()
})
