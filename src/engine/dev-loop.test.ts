import { expect, test } from 'vitest'
import { fnOf, FILE, makeProject, SECRETS } from '../../test/support/dev-project.ts'
import type { Project } from '../../test/support/dev-project.ts'
import { settle } from '../../test/support/fake-clock.ts'
import { soon, specOf } from '../../test/support/platform.ts'
import { FaasError } from '../core/errors.ts'

const types = ({ platform }: Project, ...kinds: string[]): string[] =>
  platform.told.filter(({ type }) => kinds.includes(type)).map(({ type }) => type)

test('the start builds and deploys everything, and resolves when all are ready or have failed', async () => {
  const [good, bad] = [fnOf('good'), fnOf('bad')]
  await using project = await makeProject([good, bad])
  project.sources.set('/project/bad', 'broken-1')
  await project.loop.start()
  expect(project.answer(good.spec)).toBe('id:good-1')
  expect(project.platform.functions.get(bad.spec)).toBeUndefined()
  expect(project.platform.functions.undeployed()).toMatchObject([
    { ref: { name: 'bad', namespace: 'openfaas-fn' }, problem: { message: 'broken-1 does not build' } },
  ])
  expect(project.platform.of('build.failed')).toMatchObject([
    { ref: { name: 'bad' }, problem: { code: 'BUILD_FAILED', message: 'broken-1 does not build' } },
  ])
  expect(
    project.platform
      .of('build.output')
      .map(({ line }) => line)
      .sort(),
  ).toEqual(['building broken-1', 'building good-1'])
  expect(project.watched()).toEqual(
    [FILE, '/project/env.yml', SECRETS, '/project/good', '/project/bad', '/project/template/node'].sort(),
  )
})

test('a session begins with its file: what runs is kept, of the rest nothing but what is asked for', async () => {
  const [runs, asked, other] = [fnOf('runs'), fnOf('asked'), fnOf('other')]
  await using project = await makeProject([runs, asked, other])
  const { functions, registry, provider } = project.platform
  await project.loop.start()
  const client = { ...other.spec, name: 'client', image: 'app' }
  await functions.deploy(client).settled
  for (const { spec } of [runs, asked, other]) await functions.scale(spec, 3).settled

  // The next session is one of `asked` only, after one that was killed and of which one function lives.
  await using next = await makeProject([asked], { platform: project.platform })
  await next.loop.open()
  next.loop.beginAnew(new Set(['runs.openfaas-fn']))
  const wanted = registry.functions.list().map(({ ref, replicas }) => [ref.name, replicas])
  expect(wanted.sort()).toEqual([
    ['asked', 1],
    ['client', 1],
    ['runs', 3],
  ])
  expect(provider.actual(runs.spec)?.available).toBe(3)
})

test('a call of a function that has never built is told why, not that there is none', async () => {
  const bad = fnOf('bad')
  await using project = await makeProject([bad])
  project.sources.set('/project/bad', 'broken-1')
  await project.loop.start()
  await expect(project.platform.router.route(bad.spec, new AbortController().signal)).rejects.toMatchObject({
    code: 'FUNCTION_NOT_READY',
    message: expect.stringContaining('broken-1 does not build') as string,
  })
})

test('a save that comes before the watch is there is not lost', async () => {
  let setWatching: () => void = () => undefined
  const watchTakes = new Promise<void>((resolve) => (setWatching = resolve))
  const fn = fnOf('fn')
  await using project = await makeProject([fn], { watchTakes: () => watchTakes })
  const started = project.loop.start()
  await settle()
  project.sources.set('/project/fn', 'fn-2')
  setWatching()
  await started
  expect(project.answer(fn.spec)).toBe('id:fn-2')
})

test('a save builds and deploys what it touched, and nothing else', async () => {
  const [a, b] = [fnOf('fn'), fnOf('fn2')]
  await using project = await makeProject([a, b])
  await project.loop.start()
  await project.save('/project/fn/handler.js', 'fn-2')
  await soon(() => project.answer(a.spec) === 'id:fn-2')
  expect(project.builds).toEqual(['fn-1', 'fn2-1', 'fn-2'])
  await project.save('/project/fn2/handler.js', 'fn2-2')
  await soon(() => project.answer(b.spec) === 'id:fn2-2')
  expect(project.builds.slice(3)).toEqual(['fn2-2'])
  expect(project.platform.of('source.changed').map(({ ref, path }) => [ref.name, path])).toEqual([
    ['fn', '/project/fn/handler.js'],
    ['fn2', '/project/fn2/handler.js'],
  ])
})

test('a change of a template concerns every function of its language', async () => {
  await using project = await makeProject([fnOf('a'), fnOf('b')])
  await project.loop.start()
  for (const name of ['a', 'b']) project.sources.set(`/project/${name}`, `${name}-2`)
  await project.save('/project/template/node/index.js')
  await soon(() => project.builds.length === 4)
})

test('a burst of saves is one turn', async () => {
  const fn = fnOf('fn')
  await using project = await makeProject([fn])
  await project.loop.start()
  const { clock } = project.platform
  project.sources.set('/project/fn', 'fn-2')
  for (let n = 0; n < 20; n++) {
    project.touch(`/project/fn/${n}.js`)
    await clock.advance(7)
  }
  expect(project.builds).toEqual(['fn-1'])
  await clock.advance(1)
  await soon(() => project.answer(fn.spec) === 'id:fn-2')
  expect(project.platform.of('source.changed')).toHaveLength(1)
})

test('saves during a build give it up and are built once, with the last content', async () => {
  const fn = fnOf('fn')
  await using project = await makeProject([fn])
  await project.loop.start()
  await project.save('/project/fn/a.js', 'slow-2')
  await soon(() => project.builds.includes('slow-2'))
  for (const content of ['slow-3', 'fn-4']) await project.save('/project/fn/a.js', content)
  await soon(() => project.answer(fn.spec) === 'id:fn-4')
  expect(project.aborted).toContain('slow-2')
  expect(project.builds.filter((content) => content === 'fn-4')).toHaveLength(1)
  expect(project.platform.of('build.failed')).toEqual([])
})

test('a save that is undone while it is built is told as over, and deploys nothing', async () => {
  const fn = fnOf('fn')
  await using project = await makeProject([fn])
  await project.loop.start()
  const told = project.platform.of('function.ready').length
  await project.save('/project/fn/a.js', 'slow-2')
  await soon(() => project.builds.includes('slow-2'))
  await project.save('/project/fn/a.js', 'fn-1')
  await soon(() => project.platform.of('source.mended').length === 1)
  expect(project.platform.of('function.ready')).toHaveLength(told)
  await project.save('/project/fn/a.js')
  expect(project.platform.of('source.mended')).toHaveLength(1)
})

test('a build for what the file said is told as over when the file says the former again', async () => {
  const fn = fnOf('fn')
  await using project = await makeProject([fn])
  await project.loop.start()
  await project.save('/project/fn/a.js', 'slow-2')
  await soon(() => project.builds.includes('slow-2'))
  project.release()
  await soon(() => project.answer(fn.spec) === 'id:slow-2')
  if (!fn.source) throw new Error('it is built from source')
  project.stack = [{ ...fn, source: { ...fn.source, buildArgs: { A: '1' } } }]
  await project.save(FILE)
  await soon(() => project.builds.length === 3)
  project.stack = [fn]
  await project.save(FILE)
  await soon(() => project.platform.of('source.mended').length === 1)
})

test('a neighbour’s long build delays nobody', async () => {
  const [slow, quick] = [fnOf('slow'), fnOf('quick')]
  await using project = await makeProject([slow, quick])
  project.sources.set('/project/slow', 'slow-1')
  const started = project.loop.start()
  await soon(() => project.answer(quick.spec) === 'id:quick-1')
  await project.save('/project/quick/a.js', 'quick-2')
  await soon(() => project.answer(quick.spec) === 'id:quick-2')
  expect(project.aborted).toEqual([])
  project.release()
  await started
  expect(project.answer(slow.spec)).toBe('id:slow-1')
})

test('a save that does not build keeps the old version, says so once, and the next good one clears it', async () => {
  const fn = fnOf('fn')
  await using project = await makeProject([fn])
  await project.loop.start()
  await project.save('/project/fn/a.js', 'broken-2')
  await soon(() => project.platform.of('build.failed').length === 1)
  expect(project.answer(fn.spec)).toBe('id:fn-1')
  expect(project.platform.functions.get(fn.spec)).toMatchObject({
    state: 'failing',
    availableReplicas: 1,
    problem: { message: 'broken-2 does not build' },
  })
  await project.platform.clock.advance(120_000)
  expect(project.platform.of('build.failed')).toHaveLength(1)
  await project.save('/project/fn/a.js', 'fn-3')
  await soon(() => project.answer(fn.spec) === 'id:fn-3')
  expect(project.platform.functions.get(fn.spec)).toMatchObject({ state: 'ready' })
})

test('a save that builds but dies is told as a failed deploy, not as a failed build', async () => {
  const fn = fnOf('fn')
  await using project = await makeProject([fn])
  await project.loop.start()
  await project.save('/project/fn/a.js', 'dying-2')
  await soon(() => project.platform.of('function.failed').length === 1)
  await settle()
  expect(project.platform.of('build.failed')).toEqual([])
  expect(project.answer(fn.spec)).toBe('id:fn-1')
})

test('a save while the former one does not get ready replaces it without waiting for its time to run out', async () => {
  const fn = fnOf('fn')
  await using project = await makeProject([fn])
  await project.loop.start()
  await project.save('/project/fn/a.js', 'never-2')
  await soon(() => project.platform.of('function.deploying').length === 2)
  await project.save('/project/fn/a.js', 'fn-3')
  await soon(() => project.answer(fn.spec) === 'id:fn-3', 'the repair')
  expect(project.platform.of('function.failed')).toEqual([])
})

test('the same content, saved again, restarts nothing', async () => {
  const fn = fnOf('fn')
  await using project = await makeProject([fn])
  await project.loop.start()
  const before = project.platform.started.length
  const looks = project.looks.length
  await project.save('/project/fn/a.js')
  await soon(() => project.looks.length > looks)
  await settle()
  expect(project.platform.started).toHaveLength(before)
  expect(project.builds).toEqual(['fn-1'])
  expect(project.platform.of('source.changed')).toEqual([])
})

test('a function that is added to the file is built, one that is taken out is removed, the others stay', async () => {
  const [stays, goes, comes] = [fnOf('stays'), fnOf('goes'), fnOf('comes')]
  await using project = await makeProject([stays, goes])
  await project.loop.start()
  const replica = project.platform.provider.actual(stays.spec)?.revision
  project.stack = [stays, comes]
  project.sources.set('/project/comes', 'comes-1')
  await project.save(FILE)
  await soon(() => project.answer(comes.spec) === 'id:comes-1')
  await soon(() => !project.platform.provider.actual(goes.spec)?.available)
  expect(project.platform.functions.list().map(({ spec }) => spec.name)).toEqual(['comes', 'stays'])
  expect(project.platform.provider.actual(stays.spec)?.revision).toBe(replica)
  expect(project.watched()).toContain('/project/comes')
  expect(project.watched()).not.toContain('/project/goes')
  expect(project.loop.refs.map(({ name }) => name)).toEqual(['stays', 'comes'])
})

test('a function that never built and is taken out of the file is unknown again', async () => {
  const bad = fnOf('bad')
  await using project = await makeProject([bad, fnOf('fn')])
  project.sources.set('/project/bad', 'broken-1')
  await project.loop.start()
  project.stack = [fnOf('fn')]
  await project.save(FILE)
  await soon(() => project.platform.of('stack.read').length === 2)
  await settle()
  await expect(project.platform.router.route(bad.spec, new AbortController().signal)).rejects.toMatchObject({
    code: 'FUNCTION_NOT_FOUND',
  })
  // Whoever shows what is wrong with it is told that it is no more.
  expect(project.platform.of('function.removed')).toMatchObject([{ ref: { name: 'bad' } }])
})

test('where some functions of the file were asked for, one of them that is taken out is removed, no other', async () => {
  const [stays, goes, other] = [fnOf('stays'), fnOf('goes'), fnOf('other')]
  await using project = await makeProject([stays, goes], { isPartial: true })
  project.platform.functions.apply(other.spec, { origin: FILE })
  await project.loop.start()
  project.stack = [stays]
  await project.save(FILE)
  await soon(() => project.platform.of('function.removed').length === 1)
  expect(project.platform.functions.list().map(({ spec }) => spec.name)).toEqual(['other', 'stays'])
})

test('a function of another origin is left alone', async () => {
  await using project = await makeProject([fnOf('fn')])
  const theirs = specOf('theirs', 'app')
  await project.platform.functions.deploy(theirs).settled
  await project.loop.start()
  await project.save(FILE)
  await settle()
  expect(project.platform.functions.get(theirs)?.state).toBe('ready')
})

test('a change of labels or limits in the file deploys without restarting the neighbours', async () => {
  const [a, b] = [fnOf('a'), fnOf('b')]
  await using project = await makeProject([a, b])
  await project.loop.start()
  const before = project.platform.provider.actual(b.spec)?.revision
  project.stack = [fnOf('a', { labels: { team: 'mobile' } }), b]
  await project.save('/project/env.yml')
  await soon(() => project.platform.functions.get(a.spec)?.spec.labels['team'] === 'mobile')
  await soon(() => project.platform.functions.get(a.spec)?.state === 'ready')
  expect(project.platform.provider.actual(b.spec)?.revision).toBe(before)
})

test('a broken stack file is told, and everything goes on as it was until it is mended', async () => {
  const fn = fnOf('fn')
  await using project = await makeProject([fn])
  await project.loop.start()
  project.stack = new FaasError('BAD_STACK', { message: 'line 3 is no YAML', remedy: 'Mend it.' })
  await project.save(FILE)
  await soon(() => project.platform.of('stack.failed').length === 1)
  expect(project.platform.of('stack.failed')).toMatchObject([{ file: FILE, problem: { code: 'BAD_STACK' } }])
  expect(project.platform.problems.stack).toMatchObject({ file: FILE, problem: { code: 'BAD_STACK' } })
  await project.save('/project/fn/a.js', 'fn-2')
  await soon(() => project.answer(fn.spec) === 'id:fn-2')
  project.stack = [fn]
  await project.save(FILE)
  await soon(() => project.platform.of('stack.read').length === 2)
  expect(types(project, 'stack.read', 'stack.failed')).toEqual(['stack.read', 'stack.failed', 'stack.read'])
  expect(project.platform.problems.stack).toBeUndefined()
})

test('a stack file that is gone is to be put back: another one cannot be named now', async () => {
  await using project = await makeProject([fnOf('fn')])
  await project.loop.start()
  project.stack = new FaasError('FILE_NOT_READABLE', { message: 'it is gone', remedy: 'Name another.' })
  await project.save(FILE)
  await soon(() => project.platform.of('stack.failed').length === 1)
  const [{ problem } = {}] = project.platform.of('stack.failed')
  expect(problem).toMatchObject({
    message: 'it is gone',
    remedy: expect.stringMatching(/^Put it back .* what runs keeps running\.$/) as string,
  })
})

test('a secret that a function misses, once it is put into the folder, lets it start', async () => {
  const fn = fnOf('fn', { secrets: ['key'] })
  await using project = await makeProject([fn])
  await project.loop.start()
  expect(project.platform.of('build.failed')).toMatchObject([{ problem: { code: 'SECRET_NOT_FOUND' } }])
  project.secrets.set('key', Buffer.from('value'))
  await project.save(`${SECRETS}/key`)
  await soon(() => project.answer(fn.spec) === 'id:fn-1', 'the start with the secret')
  expect(Buffer.from(project.platform.registry.secrets.read('openfaas-fn', 'key') ?? '').toString()).toBe(
    'value',
  )
})

test('a secret that a function misses, once it is made at the gateway, lets it start', async () => {
  const [fn, other] = [fnOf('fn', { secrets: ['key'] }), fnOf('other', { secrets: ['key', 'more'] })]
  await using project = await makeProject([fn, other])
  await project.loop.start()
  expect(project.platform.of('build.failed')).toHaveLength(2)
  project.platform.registry.secrets.put('elsewhere', 'key', Buffer.from('value'))
  await settle()
  expect(project.platform.of('build.failed')).toHaveLength(2)
  project.platform.registry.secrets.put('openfaas-fn', 'key', Buffer.from('value'))
  await soon(() => project.answer(fn.spec) === 'id:fn-1', 'the start with the secret')
  // The other one has a turn, too, and is told to miss the next secret.
  await soon(() => project.platform.problems.of(other.spec, 'build')?.message.includes('"more"') === true)
})

test('a changed secret is written where running functions read it, and restarts nothing', async () => {
  const fn = fnOf('fn', { secrets: ['key'] })
  await using project = await makeProject([fn])
  project.secrets.set('key', Buffer.from('one'))
  await project.loop.start()
  const before = project.platform.started.length
  project.secrets.set('key', Buffer.from('two'))
  await project.save(`${SECRETS}/key`)
  const value = (): string =>
    Buffer.from(project.platform.registry.secrets.read('openfaas-fn', 'key') ?? '').toString()
  await soon(() => value() === 'two')
  expect(project.platform.started).toHaveLength(before)
})

test('a file in the secrets folder whose name can be no secret’s stops nobody', async () => {
  const fn = fnOf('fn', { secrets: ['key'] })
  await using project = await makeProject([fn])
  project.secrets.set('API_KEY', Buffer.from('x'))
  project.secrets.set('key', Buffer.from('x'))
  await project.loop.start()
  expect(project.answer(fn.spec)).toBe('id:fn-1')
})

test('a function whose files cannot be looked at does not stop its neighbours', async () => {
  const [fn, odd] = [fnOf('fn'), fnOf('unreadable')]
  await using project = await makeProject([odd, fn])
  await project.loop.start()
  expect(project.answer(fn.spec)).toBe('id:fn-1')
})

test('a rebuild builds one function, or all', async () => {
  const [a, b] = [fnOf('a'), fnOf('b')]
  await using project = await makeProject([a, b])
  await project.loop.start()
  await project.loop.rebuild(a.spec)
  expect(project.builds.slice(2)).toEqual(['a-1'])
  await project.loop.rebuild()
  expect(project.builds.slice(3).sort()).toEqual(['a-1', 'b-1'])
})

test('stopping in the middle of a build gives it up, and nothing is built afterwards', async () => {
  const fn = fnOf('fn')
  const project = await makeProject([fn])
  await project.loop.start()
  await project.save('/project/fn/a.js', 'slow-2')
  await soon(() => project.builds.includes('slow-2'))
  await project[Symbol.asyncDispose]()
  expect(project.aborted).toEqual(['slow-2'])
  await project.loop.rebuild()
  expect(project.builds.filter((content) => content === 'slow-2')).toHaveLength(1)
})

test('stopping while the file is being read again leaves no watch open', async () => {
  let setWatching: () => void = () => undefined
  const second = new Promise<void>((resolve) => (setWatching = resolve))
  let watches = 0
  const fn = fnOf('fn')
  const project = await makeProject([fn], {
    watchTakes: () => (watches++ === 0 ? Promise.resolve() : second),
  })
  await project.loop.start()
  project.stack = [fn, fnOf('another')]
  await project.save(FILE)
  await soon(() => watches === 2)
  const stopped = project[Symbol.asyncDispose]()
  await settle()
  setWatching()
  await stopped
})
