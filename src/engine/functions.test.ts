import { describe, expect, test } from 'vitest'
import { makePlatform, soon, specOf, steeredImage } from '../../test/support/platform.ts'

const images = { image: steeredImage(), other: steeredImage() }

describe('deploy', () => {
  test('writes the wish down before anything runs', async () => {
    const image = steeredImage('wait')
    await using platform = await makePlatform({ image })
    const spec = specOf('hello', 'image', { envVars: { A: 'b' } })
    platform.functions.deploy(spec)
    expect(platform.registry.functions.get(spec)?.revision.spec).toEqual(spec)
    expect(platform.functions.get(spec)).toMatchObject({
      state: 'deploying',
      replicas: 1,
      availableReplicas: 0,
      invocationCount: 0,
      createdAt: '2030-01-01T00:00:00.000Z',
    })
  })

  test('of a function that is there is refused; the one that is there is untouched', async () => {
    await using platform = await makePlatform(images)
    const spec = specOf('hello', 'image')
    await platform.functions.deploy(spec).settled
    expect(() => platform.functions.deploy({ ...spec, image: 'other' })).toThrow(
      expect.objectContaining({ code: 'FUNCTION_EXISTS', message: 'hello.openfaas-fn is already deployed' }),
    )
    expect(platform.functions.get(spec)?.spec.image).toBe('image')
  })

  test.each([
    ['a name with capitals', { name: 'Hello' }, 'BAD_NAME'],
    ['a name with a dot', { name: 'a.b' }, 'BAD_NAME'],
    ['an empty name', { name: '' }, 'BAD_NAME'],
    ['a name of 64 letters', { name: 'a'.repeat(64) }, 'BAD_NAME'],
    ['no image', { image: ' ' }, 'BAD_REQUEST'],
    ['an image with a blank', { image: 'x y' }, 'BAD_REQUEST'],
    ['an image that leads elsewhere in the engine', { image: 'x/../../containers/a' }, 'BAD_REQUEST'],
    ['an image with a query', { image: 'x?all=1' }, 'BAD_REQUEST'],
    ['a command with a NUL', { envProcess: 'node\0x' }, 'BAD_REQUEST'],
    [
      'a health path that is none',
      { annotations: { 'com.openfaas.health.http.path': 'a b' } },
      'BAD_REQUEST',
    ],
    [
      'a ready path of two lines',
      { annotations: { 'com.openfaas.ready.http.path': '/a\nb' } },
      'BAD_REQUEST',
    ],
    ['a namespace that cannot be one', { namespace: '../x' }, 'NAMESPACE_NOT_FOUND'],
    ['memory that cannot be read', { limits: { memory: 'lots' } }, 'BAD_QUANTITY'],
    ['CPU that cannot be read', { requests: { cpu: '1 core' } }, 'BAD_QUANTITY'],
    ['a variable that has no name', { envVars: { '': 'x' } }, 'BAD_REQUEST'],
    ['a variable that Docker would cut in two', { envVars: { 'A=B': 'x' } }, 'BAD_REQUEST'],
    ['a variable with a NUL', { envVars: { A: 'x\0y' } }, 'BAD_REQUEST'],
    ['a secret that does not exist', { secrets: ['key'] }, 'SECRET_NOT_FOUND'],
    ['a secret that is a path', { secrets: ['../../registry.db'] }, 'SECRET_NOT_FOUND'],
  ] as const)(
    'with %s is refused, by new ones and updates alike, and writes nothing',
    async (_what, wrong, code) => {
      await using platform = await makePlatform(images)
      const good = specOf('hello', 'image')
      const bad = { ...good, ...wrong }
      expect(() => platform.functions.deploy(bad)).toThrow(expect.objectContaining({ code }))
      expect(() => platform.functions.apply(bad, { origin: '/stack.yml' })).toThrow(
        expect.objectContaining({ code }),
      )
      expect(platform.functions.list()).toEqual([])
      expect(platform.provider.list()).toEqual([])
      await platform.functions.deploy(good).settled
      if ('name' in wrong || 'namespace' in wrong) return
      expect(() => platform.functions.update(bad)).toThrow(expect.objectContaining({ code }))
      expect(platform.functions.get(good)?.spec).toEqual(good)
    },
  )

  test('into a namespace that nobody created is refused; a dev loop creates the one that its stack names', async () => {
    await using platform = await makePlatform(images)
    const spec = specOf('hello', 'image', { namespace: 'team' })
    expect(() => platform.functions.deploy(spec)).toThrow(
      expect.objectContaining({
        code: 'NAMESPACE_NOT_FOUND',
        message: 'namespace not valid: there is no "team"',
      }),
    )
    await platform.functions.apply(spec, { origin: '/stack.yml' }).settled
    expect(platform.registry.namespaces.get('team')).toEqual({
      name: 'team',
      labels: { openfaas: '1' },
      annotations: {},
    })
  })

  test('with a secret of its own namespace is accepted, with one of another it is not', async () => {
    await using platform = await makePlatform(images)
    platform.registry.namespaces.put({ name: 'dev', labels: {}, annotations: {} })
    platform.registry.secrets.put('dev', 'key', Buffer.from('x'))
    const spec = specOf('hello', 'image', { secrets: ['key'] })
    expect(() => platform.functions.deploy(spec)).toThrow(
      expect.objectContaining({
        message: 'hello.openfaas-fn asks for the secret "key", which does not exist in openfaas-fn',
        remedy: expect.stringContaining('faasdock secret create key') as string,
      }),
    )
    await platform.functions.deploy({ ...spec, namespace: 'dev' }).settled
    expect(platform.functions.list('dev')).toHaveLength(1)
    expect(platform.functions.list('openfaas-fn')).toEqual([])
    expect(platform.functions.list()).toHaveLength(1)
  })

  test('starts as many replicas as the label asks for, and one where it asks for nonsense', async () => {
    await using platform = await makePlatform(images)
    const min = (name: string, value: string): ReturnType<typeof specOf> =>
      specOf(name, 'image', { labels: { 'com.openfaas.scale.min': value } })
    await platform.functions.deploy(min('three', '3')).settled
    await platform.functions.deploy(min('zero', '0')).settled
    await platform.functions.deploy(min('nonsense', 'many')).settled
    expect(platform.functions.list().map(({ spec, replicas }) => [spec.name, replicas])).toEqual([
      ['nonsense', 1],
      ['three', 3],
      ['zero', 1],
    ])
  })
})

describe('update', () => {
  test('of a function that is not there is refused', async () => {
    await using platform = await makePlatform(images)
    expect(() => platform.functions.update(specOf('hello', 'image'))).toThrow(
      expect.objectContaining({ code: 'FUNCTION_NOT_FOUND' }),
    )
  })

  test('replaces the whole spec: what is left out is cleared', async () => {
    await using platform = await makePlatform(images)
    const full = specOf('hello', 'image', {
      envVars: { A: 'b' },
      labels: { a: 'b' },
      limits: { memory: '64Mi' },
    })
    await platform.functions.deploy(full).settled
    await platform.functions.update(specOf('hello', 'image')).settled
    expect(platform.functions.get(full)?.spec).toEqual(specOf('hello', 'image'))
  })

  test('of the same spec replaces the replicas all the same', async () => {
    await using platform = await makePlatform(images)
    const spec = specOf('hello', 'image')
    const first = platform.functions.deploy(spec)
    await first.settled
    const second = platform.functions.update(spec)
    await second.settled
    expect(second.revision).not.toBe(first.revision)
    expect(platform.provider.actual(spec)).toMatchObject({ revision: second.revision, replicas: 1 })
    expect(platform.started).toHaveLength(2)
  })

  test('keeps the number of replicas, zero too, but never less than the label asks for', async () => {
    await using platform = await makePlatform(images)
    const spec = specOf('hello', 'image')
    await platform.functions.deploy(spec).settled
    await platform.functions.scale(spec, 4).settled
    await platform.functions.update(spec).settled
    expect(platform.functions.get(spec)).toMatchObject({ replicas: 4, availableReplicas: 4 })
    await platform.functions.scale(spec, 0).settled
    const starts = platform.started.length
    await platform.functions.update(spec).settled
    expect(platform.functions.get(spec)).toMatchObject({ replicas: 0, availableReplicas: 0, state: 'idle' })
    expect(platform.started).toHaveLength(starts)
    await platform.functions.scale(spec, 1).settled
    await platform.functions.update({ ...spec, labels: { 'com.openfaas.scale.min': '2' } }).settled
    expect(platform.functions.get(spec)?.replicas).toBe(2)
  })

  test('keeps the day of birth', async () => {
    await using platform = await makePlatform(images)
    const spec = specOf('hello', 'image')
    await platform.functions.deploy(spec).settled
    await platform.clock.advance(60_000)
    await platform.functions.update(spec).settled
    expect(platform.functions.get(spec)?.createdAt).toBe('2030-01-01T00:00:00.000Z')
  })
})

describe('apply', () => {
  test('of what is there already does nothing, whatever the order of its keys', async () => {
    await using platform = await makePlatform(images)
    const spec = specOf('hello', 'image', { envVars: { A: '1', B: '2' }, labels: { x: 'y', z: '' } })
    const first = platform.functions.apply(spec, { imageId: 'id:1', origin: '/stack.yml' })
    await first.settled
    const same = specOf('hello', 'image', { labels: { z: '', x: 'y' }, envVars: { B: '2', A: '1' } })
    const again = platform.functions.apply(same, { imageId: 'id:1', origin: '/stack.yml' })
    await again.settled
    expect(again.revision).toBe(first.revision)
    expect(platform.started).toHaveLength(1)
    expect(platform.of('function.ready')).toHaveLength(1)
  })

  test('of another image, or another spec, replaces', async () => {
    await using platform = await makePlatform(images)
    const spec = specOf('hello', 'image')
    await platform.functions.apply(spec, { imageId: 'id:1', origin: '/stack.yml' }).settled
    await platform.functions.apply(spec, { imageId: 'id:2', origin: '/stack.yml' }).settled
    expect(platform.started).toHaveLength(2)
    await platform.functions.apply({ ...spec, labels: { a: 'b' } }, { imageId: 'id:2', origin: '/stack.yml' })
      .settled
    expect(platform.started).toHaveLength(3)
  })

  test('takes over a function that a client deployed, and marks where it comes from', async () => {
    await using platform = await makePlatform(images)
    const spec = specOf('hello', 'image')
    await platform.functions.deploy(spec).settled
    expect(platform.registry.functions.get(spec)?.origin).toBeUndefined()
    await platform.functions.apply(spec, { origin: '/stack.yml' }).settled
    expect(platform.registry.functions.get(spec)?.origin).toBe('/stack.yml')
    expect(platform.started).toHaveLength(1)
    // A client that updates it makes it its own.
    await platform.functions.update(spec).settled
    expect(platform.registry.functions.get(spec)?.origin).toBeUndefined()
  })
})

describe('scale', () => {
  test.each([-1, 1.5, NaN, Infinity])('to %d is refused', async (replicas) => {
    await using platform = await makePlatform(images)
    const spec = specOf('hello', 'image')
    await platform.functions.deploy(spec).settled
    expect(() => platform.functions.scale(spec, replicas)).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST' }),
    )
    expect(platform.functions.get(spec)?.replicas).toBe(1)
  })

  test('of a function that is not there is refused', async () => {
    await using platform = await makePlatform(images)
    expect(() => platform.functions.scale(specOf('hello', 'image'), 1)).toThrow(
      expect.objectContaining({ code: 'FUNCTION_NOT_FOUND' }),
    )
  })

  test('is not bound by the labels, and is durable at once', async () => {
    await using platform = await makePlatform(images)
    const labels = { 'com.openfaas.scale.min': '2', 'com.openfaas.scale.max': '3' }
    const spec = specOf('hello', 'image', { labels })
    await platform.functions.deploy(spec).settled
    for (const replicas of [5, 1, 0, 2]) {
      const { settled } = platform.functions.scale(spec, replicas)
      expect(platform.registry.functions.get(spec)?.replicas).toBe(replicas)
      await settled
      expect(platform.functions.get(spec)?.availableReplicas).toBe(replicas)
    }
  })
})

describe('remove', () => {
  test('forgets the function, its counts and its problem; a new one of that name starts afresh', async () => {
    const image = steeredImage()
    await using platform = await makePlatform({ image })
    const spec = specOf('hello', 'image')
    await platform.functions.deploy(spec).settled
    platform.counts.finished('hello.openfaas-fn')
    image.be(new Error('broken'))
    await platform.functions.update(spec).settled.catch(() => undefined)
    expect(platform.functions.get(spec)).toMatchObject({ state: 'failing', invocationCount: 1 })
    await platform.functions.remove(spec).settled
    expect(platform.functions.get(spec)).toBeUndefined()
    expect(platform.provider.actual(spec)?.available ?? 0).toBe(0)
    expect(platform.of('function.removed')).toHaveLength(1)
    expect(() => platform.functions.remove(spec)).toThrow(
      expect.objectContaining({ code: 'FUNCTION_NOT_FOUND' }),
    )
    image.be('ok')
    await platform.functions.deploy(spec).settled
    expect(platform.functions.get(spec)).toMatchObject({ state: 'ready', invocationCount: 0 })
    expect(platform.functions.get(spec)?.problem).toBeUndefined()
  })
})

describe('the counter of invocations', () => {
  test('is right at once, and is written down now and then and at the end', async () => {
    await using platform = await makePlatform(images)
    const { functions, registry, counts, countsClock } = platform
    const spec = specOf('hello', 'image')
    await functions.deploy(spec).settled
    for (let n = 0; n < 7; n++) counts.finished('hello.openfaas-fn')
    expect(functions.get(spec)?.invocationCount).toBe(7)
    expect(registry.functions.get(spec)?.invocationCount).toBe(0)
    await countsClock.advance(5000)
    expect(registry.functions.get(spec)?.invocationCount).toBe(7)
    counts.finished('hello.openfaas-fn')
    expect(functions.list()[0]?.invocationCount).toBe(8)
    await countsClock.advance(5000)
    counts.finished('hello.openfaas-fn')
    counts.finished('nobody.openfaas-fn')
    counts[Symbol.dispose]()
    expect(registry.functions.get(spec)?.invocationCount).toBe(9)
    expect(countsClock.pending).toEqual([])
  })
})

describe('events', () => {
  test('tell of a deploy from the wish to the answer, in order, with their time and a number', async () => {
    const image = steeredImage('wait')
    await using platform = await makePlatform({ image })
    const spec = specOf('hello', 'image')
    const { settled, revision } = platform.functions.deploy(spec)
    await soon(() => image.waiting === 1)
    await platform.clock.advance(1500)
    image.be('ok')
    await settled
    expect(platform.told).toMatchObject([
      { type: 'function.deploying', revision, seq: 1, at: '2030-01-01T00:00:00.000Z' },
      { type: 'function.ready', revision, replicas: 1, seconds: 1.5, seq: 2, at: '2030-01-01T00:00:01.500Z' },
    ])
  })

  test('can be had from the past, at most a thousand of them', async () => {
    await using platform = await makePlatform(images)
    const { events } = platform
    for (let n = 1; n <= 1200; n++) events.emit({ type: 'notice', level: 'info', message: String(n) })
    const seen: number[] = []
    const watch = events.watch(({ seq }) => seen.push(seq), 0)
    expect([seen.length, seen[0], seen.at(-1)]).toEqual([1000, 201, 1200])
    events.emit({ type: 'engine.back' })
    expect(seen.at(-1)).toBe(1201)
    watch[Symbol.dispose]()
    events.emit({ type: 'engine.back' })
    expect(seen.at(-1)).toBe(1201)
    const since: number[] = []
    using _since = events.watch(({ seq }) => since.push(seq), 1200)
    expect(since).toEqual([1201, 1202])
  })

  test('reach every watcher although one of them throws', async () => {
    await using platform = await makePlatform(images)
    const { events } = platform
    const seen: string[] = []
    using _bad = events.watch(() => {
      throw new Error('mine')
    })
    using _good = events.watch(({ type }) => seen.push(type))
    expect(() => events.emit({ type: 'engine.back' })).toThrow('a watcher of engine.back failed')
    expect(seen).toEqual(['engine.back'])
  })
})
