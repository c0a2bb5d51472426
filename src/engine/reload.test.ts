import { expect, test } from 'vitest'
import { fnOf, FILE, makeProject } from '../../test/support/dev-project.ts'
import type { Project } from '../../test/support/dev-project.ts'
import { settle } from '../../test/support/fake-clock.ts'
import { soon } from '../../test/support/platform.ts'
import { FaasError } from '../core/errors.ts'
import type { StackFunction } from '../core/stack.ts'

const HANDLER = '/project/fn/handler.js'
const fn = fnOf('fn')

/** A started project of one function, whose code replicas can take. */
async function startProject(
  content = 'f1/a=1',
  given: Parameters<typeof makeProject>[1] = {},
  stack: StackFunction[] = [fn],
): Promise<Project> {
  const project = await makeProject(stack, given)
  project.sources.set('/project/fn', content)
  await project.loop.start()
  return project
}

const ready = ({ platform }: Project) => platform.of('function.ready').map(({ by }) => by)
const standing = ({ platform }: Project) => platform.gate.of(fn.spec)

/** Lets the image behind be built. */
async function rest({ platform }: Project): Promise<void> {
  await platform.clock.advance(1500)
  await settle()
}

test('code that can be swapped in is: no build, the same revision, and said by what', async () => {
  await using project = await startProject()
  const before = project.platform.provider.actual(fn.spec)
  await project.save(HANDLER, 'f1/a=2')
  expect(project.provider.running.get('fn')).toBe('a=2')
  expect(project.builds).toEqual(['f1/a=1'])
  expect(project.platform.provider.actual(fn.spec)).toEqual(before)
  expect(ready(project)).toEqual(['build', 'swap'])
  expect(project.platform.started).toHaveLength(1)
  expect(project.platform.functions.get(fn.spec)).toMatchObject({ state: 'ready' })
})

test('where the image has the handler folder is known from the code', async () => {
  await using project = await startProject('f1/a')
  expect(project.loop.handlerFolder(fn.spec)).toBe('/app')
  expect(project.loop.handlerFolder({ name: 'other', namespace: 'fn' })).toBeUndefined()
})

test('where processes take no code, new replicas of the present image get it', async () => {
  await using project = await startProject('f1/a=1', { way: 'files' })
  const before = project.platform.provider.actual(fn.spec)?.revision
  await project.save(HANDLER, 'f1/a=2')
  await soon(() => project.provider.running.get('fn') === 'a=2')
  await soon(() => ready(project).length === 2)
  expect(project.builds).toEqual(['f1/a=1'])
  expect(project.answer(fn.spec)).toBe('id:f1/a=1')
  expect(project.platform.provider.actual(fn.spec)?.revision).not.toBe(before)
  expect(ready(project)).toEqual(['build', 'files'])
})

test.each([
  ['anything but the code changed', 'swap', 'f1/a=1', 'f2/a=2'],
  ['a file is gone that the image would keep', 'files', 'f1/a=1,b=1', 'f1/a=1'],
] as const)('it is built where %s', async (_what, way, before, after) => {
  await using project = await startProject(before, { way })
  await project.save(HANDLER, after)
  await soon(() => project.answer(fn.spec) === `id:${after}`)
  expect(project.builds).toEqual([before, after])
  expect(ready(project)).toEqual(['build', 'build'])
})

test('a save is told with what was saved and since when, and only if it changes something', async () => {
  await using project = await startProject()
  const seenAt = new Date(project.platform.clock.now()).toISOString()
  for (const file of ['handler.js', 'lib.js', 'handler.js']) project.touch(`/project/fn/${file}`)
  await project.save('/project/fn/lib.js', 'f1/a=2')
  expect(project.platform.of('source.changed')).toMatchObject([
    { ref: { name: 'fn' }, path: '/project/fn/lib.js', files: 2, seenAt },
  ])
  await project.save(HANDLER)
  expect(project.platform.of('source.changed')).toHaveLength(1)
})

test('calls are held from the first event on, until the code answers or nothing changed', async () => {
  await using project = await startProject()
  expect(standing(project)).toBeUndefined()
  project.touch(HANDLER)
  expect(standing(project)).toBe('held')
  await project.platform.clock.advance(8)
  await settle()
  expect(standing(project)).toBeUndefined()
  project.sources.set('/project/fn', 'f1/a=2')
  project.touch(HANDLER)
  expect(standing(project)).toBe('held')
  await project.platform.clock.advance(8)
  await soon(() => standing(project) === undefined)
  expect(project.provider.running.get('fn')).toBe('a=2')
})

test('neighbours of a function that is saved are not held; all are while the stack file is read', async () => {
  const other = fnOf('other')
  await using project = await startProject('f1/a=1', {}, [fn, other])
  const { gate, clock } = project.platform
  project.touch(HANDLER)
  expect(gate.of(other.spec)).toBeUndefined()
  await clock.advance(100)
  project.touch(FILE)
  expect([gate.of(fn.spec), gate.of(other.spec)]).toEqual(['held', 'held'])
  await clock.advance(100)
  await soon(() => gate.of(fn.spec) === undefined && gate.of(other.spec) === undefined)
})

test('a turn that takes longer than calls wait lets them go to the old code, until it ends', async () => {
  await using project = await startProject()
  await project.save(HANDLER, 'slow/a=2')
  expect(standing(project)).toBe('held')
  await project.platform.clock.advance(2000)
  expect(standing(project)).toBe('building')
  project.release()
  await soon(() => standing(project) === undefined)
  expect(project.answer(fn.spec)).toBe('id:slow/a=2')
})

test('calls that waited longer than that for the first code to answer are not told that it is older', async () => {
  await using project = await startProject('dying/a=1')
  const { clock, events } = project.platform
  const seen: unknown[] = []
  using _ = events.watch(({ type }) => {
    if (type === 'function.ready') seen.push(standing(project))
  })
  await project.save(HANDLER, 'slow/a=2')
  await soon(() => project.builds.includes('slow/a=2'))
  await clock.advance(2000)
  expect(standing(project)).toBe('building')
  project.release()
  await soon(() => seen.length === 1)
  expect(seen).toEqual([undefined])
})

test('that what was saved takes long to read is said once, and with what it is', async () => {
  await using project = await startProject()
  const said = () => project.platform.of('notice').map(({ message }) => message)
  await project.save('/project/fn/big.bin', 'huge/a=2')
  await project.platform.clock.advance(2500)
  expect(said()).toEqual([])
  await project.platform.clock.advance(500)
  expect(said()).toEqual([
    expect.stringMatching(/^fn: what was saved \(.*big\.bin\) .* \/project\/fn\/\.dockerignore$/),
  ])
  await project.save(HANDLER, 'huge/a=3')
  await project.platform.clock.advance(4000)
  expect(said()).toHaveLength(1)
  project.release()
  await soon(() => standing(project) === undefined)
  await project.save(HANDLER, 'f1/a=4')
  expect(said()).toHaveLength(1)
})

test('a save in the middle of a swap gives it up, and what was saved last answers', async () => {
  await using project = await startProject()
  await project.save(HANDLER, 'f1/a=stuck')
  await soon(() => project.provider.asked.some((asked) => asked.includes('stuck')))
  await project.save(HANDLER, 'f1/a=3')
  await soon(() => project.provider.running.get('fn') === 'a=3')
  await soon(() => standing(project) === undefined)
  expect(project.platform.of('code.failed')).toEqual([])
})

test('the image follows when nobody saves any more, and what starts then starts with it', async () => {
  await using project = await startProject()
  const { registry, functions } = project.platform
  await project.save(HANDLER, 'f1/a=2')
  await project.save(HANDLER, 'f1/a=3')
  expect(project.builds).toEqual(['f1/a=1'])
  await rest(project)
  await soon(() => project.platform.of('image.done').length === 1)
  expect(project.builds).toEqual(['f1/a=1', 'f1/a=3'])
  const { revision, lastGood } = registry.functions.get(fn.spec) ?? {}
  expect([revision?.imageId, lastGood?.imageId]).toEqual(['id:f1/a=3', 'id:f1/a=3'])
  expect(project.platform.started).toHaveLength(1)
  await functions.scale(fn.spec, 2).settled
  expect(project.provider.asked.at(-1)).toContain('a=3 over a=3')
  await project.save(HANDLER, 'f1/a=4')
  expect(project.provider.asked.at(-1)).toContain('a=4 over a=3')
})

test('what starts before the image has followed gets the newer code, whatever is on disk by then', async () => {
  await using project = await startProject()
  const { functions, clock } = project.platform
  await project.save(HANDLER, 'f1/a=2')
  await project.save(HANDLER, 'f1/a=bad')
  await soon(() => project.platform.of('code.failed').length === 1)
  project.provider.running.clear()
  await functions.scale(fn.spec, 2).settled
  expect(project.provider.asked.at(-1)).toContain('a=2 over a=1')
  project.provider.running.clear()
  await project.platform.crash(fn.spec)
  await clock.advance(1)
  await soon(() => project.provider.running.get('fn') === 'a=2')
})

test('an image that does not build is told while its code answers, until one does', async () => {
  await using project = await startProject()
  await project.save(HANDLER, 'f1/a=untested')
  expect(project.provider.running.get('fn')).toBe('a=untested')
  await rest(project)
  await soon(() => project.platform.of('image.failed').length === 1)
  expect(project.platform.functions.get(fn.spec)).toMatchObject({
    state: 'ready',
    problem: { code: 'BUILD_FAILED', message: 'f1/a=untested does not build' },
  })
  expect(standing(project)).toBeUndefined()
  await project.save(HANDLER, 'f1/a=3')
  await rest(project)
  await soon(() => project.platform.of('image.done').length === 1)
  expect(project.platform.functions.get(fn.spec)).not.toHaveProperty('problem')
})

test('an image that does not build is well again when what was saved is undone, and it is told', async () => {
  await using project = await startProject()
  await project.save(HANDLER, 'f1/a=untested')
  await rest(project)
  await soon(() => project.platform.of('image.failed').length === 1)
  await project.save(HANDLER, 'f1/a=1')
  await soon(() => project.platform.of('image.done').length === 1)
  expect(project.platform.of('image.done')).toMatchObject([{ ref: { name: 'fn' }, cached: true }])
  expect(project.platform.functions.get(fn.spec)).not.toHaveProperty('problem')
  await project.save(HANDLER, 'f2/a=1')
  expect(project.platform.of('image.done')).toHaveLength(1)
})

test('a save whose event got lost is found when the image follows', async () => {
  await using project = await startProject()
  await project.save(HANDLER, 'f1/a=2')
  project.sources.set('/project/fn', 'f1/a=3')
  await rest(project)
  await soon(() => project.provider.running.get('fn') === 'a=3')
  await rest(project)
  await soon(() => project.platform.of('image.done').length === 1)
  expect(project.builds).toEqual(['f1/a=1', 'f1/a=3'])
})

test('code that does not load: the code before it answers, marked, and it is shown where and why', async () => {
  const files = new Map([['/project/fn/a=bad', Buffer.from('one\ntwo')]])
  await using project = await startProject('f1/a=1', { files })
  const revision = project.platform.provider.actual(fn.spec)?.revision
  await project.save(HANDLER, 'f1/a=bad')
  await soon(() => project.platform.of('code.failed').length === 1)
  const problem = {
    code: 'CODE_NOT_LOADED',
    place: { file: 'fn/a=bad', line: 1, column: 2 },
    frame: expect.stringContaining('> 1 | ') as string,
  }
  expect(project.platform.of('code.failed')).toMatchObject([{ problem, serving: revision }])
  expect(project.platform.of('function.failed')).toEqual([])
  expect(project.platform.functions.get(fn.spec)).toMatchObject({ state: 'failing', problem })
  expect(standing(project)).toBe('failing')
  expect(project.provider.running.get('fn')).toBe('a=1')
  await rest(project)
  await project.platform.clock.advance(120_000)
  expect(project.builds).toEqual(['f1/a=1'])
  expect(project.platform.of('code.failed')).toHaveLength(1)
  await project.save(HANDLER, 'f1/a=3')
  await soon(() => standing(project) === undefined)
  expect(project.provider.running.get('fn')).toBe('a=3')
  expect(project.platform.functions.get(fn.spec)).toMatchObject({ state: 'ready' })
})

test('code that does not load is not taken for what answers when replicas of the code before come and go', async () => {
  await using project = await startProject()
  const { functions, clock } = project.platform
  await project.save(HANDLER, 'f1/a=bad')
  await soon(() => project.platform.of('code.failed').length === 1)
  await functions.scale(fn.spec, 2).settled
  expect(standing(project)).toBe('failing')
  project.provider.running.clear()
  await project.platform.crash(fn.spec)
  await clock.advance(1)
  await soon(() => project.provider.running.get('fn') === 'a=1')
  expect(standing(project)).toBe('failing')
  // Saved again, it is as bad as before.
  await project.save(HANDLER)
  await rest(project)
  expect(project.platform.of('source.mended')).toEqual([])
  expect(project.builds).toEqual(['f1/a=1'])
  expect(standing(project)).toBe('failing')
  expect(functions.get(fn.spec)).toMatchObject({ state: 'failing' })
})

test('a save that does not build stays one when a replica of the code before is replaced', async () => {
  await using project = await startProject()
  const told = ready(project).length
  await project.save(HANDLER, 'broken/a=2')
  await soon(() => project.platform.of('build.failed').length === 1)
  await project.platform.crash(fn.spec)
  await project.platform.clock.advance(1)
  await soon(() => ready(project).length > told)
  expect(standing(project)).toBe('failing')
})

test('a mistake that is undone is mended, without anything being deployed', async () => {
  await using project = await startProject()
  await project.save(HANDLER, 'f1/a=bad')
  await soon(() => project.platform.of('code.failed').length === 1)
  const told = ready(project).length
  await project.save(HANDLER, 'f1/a=1')
  await soon(() => project.platform.of('source.mended').length === 1)
  expect(ready(project)).toHaveLength(told)
  expect(standing(project)).toBeUndefined()
  expect(project.platform.functions.get(fn.spec)).toMatchObject({ state: 'ready' })
})

test('half a file is no failure while the other half is being written', async () => {
  await using project = await startProject()
  const { clock } = project.platform
  for (let written = 0; written < 5; written++) {
    project.sources.set('/project/fn', `f1/a=bad${written}`)
    project.touch(HANDLER)
    await clock.advance(100)
  }
  await project.save(HANDLER, 'f1/a=2')
  await soon(() => project.provider.running.get('fn') === 'a=2')
  expect(project.provider.asked.filter((asked) => asked.includes('bad')).length).toBeGreaterThan(1)
  expect(project.platform.of('code.failed')).toEqual([])
  expect(project.platform.of('build.failed')).toEqual([])
})

test('what was written without an event while a turn failed is taken, and the failure not told', async () => {
  await using project = await startProject()
  project.sources.set('/project/fn', 'f1/a=bad')
  project.touch(HANDLER)
  await project.platform.clock.advance(20)
  project.sources.set('/project/fn', 'f1/a=2')
  await project.platform.clock.advance(500)
  await soon(() => project.provider.running.get('fn') === 'a=2')
  expect(project.platform.of('code.failed')).toEqual([])
})

test('a file that is empty all of a sudden is most likely about to be written', async () => {
  await using project = await startProject()
  project.sources.set('/project/fn', 'f1/a=')
  project.touch(HANDLER)
  await project.platform.clock.advance(20)
  await project.save(HANDLER, 'f1/a=2')
  await soon(() => project.provider.running.get('fn') === 'a=2')
  expect(project.provider.asked.filter((asked) => asked.includes('a= over'))).toEqual([])
  await project.save(HANDLER, 'f1/a=')
  await soon(() => project.provider.running.get('fn') === 'a=')
})

test('a handler folder that is gone is told, the function goes on, and is well when it is back', async () => {
  await using project = await startProject()
  project.sources.delete('/project/fn')
  project.touch('/project/fn', true)
  await project.platform.clock.advance(400)
  await soon(() => project.platform.of('build.failed').length === 1)
  expect(project.platform.of('build.failed')).toMatchObject([{ problem: { code: 'HANDLER_NOT_FOUND' } }])
  expect(project.platform.provider.actual(fn.spec)?.available).toBe(1)
  expect(standing(project)).toBe('failing')
  await project.save(HANDLER, 'f1/a=1')
  await soon(() => project.platform.of('source.mended').length === 1)
  expect(standing(project)).toBeUndefined()
  expect(project.platform.started).toHaveLength(1)
})

test.each(['swap', 'files'] as const)(
  'a handler that is gone is not replaced by its template’s sample (%s): it answers until it is back',
  async (way) => {
    await using project = await startProject('f1/handler=1', { way })
    const serving = project.platform.provider.actual(fn.spec)?.revision
    project.sources.set('/project/fn', 'f1/handler=sample')
    project.touch(HANDLER, true)
    await project.platform.clock.advance(400)
    await soon(() => project.platform.of('build.failed').length === 1)
    const problem = {
      code: 'HANDLER_NOT_FOUND',
      message: expect.stringContaining('fn: handler.js is gone from /project/fn') as string,
      remedy: 'Put handler.js back into /project/fn.',
    }
    expect(project.platform.of('build.failed')).toMatchObject([{ problem, serving }])
    expect(project.platform.functions.get(fn.spec)).toMatchObject({ state: 'failing', problem })
    expect(standing(project)).toBe('failing')
    await rest(project)
    expect([project.provider.running.get('fn'), project.builds]).toEqual(['handler=1', ['f1/handler=1']])
    await project.save(HANDLER, 'f1/handler=1')
    await soon(() => project.platform.of('source.mended').length === 1)
    expect(standing(project)).toBeUndefined()
    expect(project.platform.started).toHaveLength(1)
  },
)

test('a function that begins as its template’s sample answers as such', async () => {
  await using project = await startProject('f1/handler=sample')
  expect(project.provider.running.get('fn')).toBe('handler=sample')
  await project.save(HANDLER, 'f1/handler=sample2')
  expect(project.provider.running.get('fn')).toBe('handler=sample2')
  expect(project.platform.of('build.failed')).toEqual([])
})

test('a folder that is gone for a moment, as in a checkout, is not told at all', async () => {
  await using project = await startProject()
  project.sources.delete('/project/fn')
  project.touch('/project/fn', true)
  await project.platform.clock.advance(60)
  await project.save(HANDLER, 'f1/a=2')
  await soon(() => project.provider.running.get('fn') === 'a=2')
  expect(project.platform.of('build.failed')).toEqual([])
})

test('a changed label or limit takes new replicas of the present image, with the newer code, and no build', async () => {
  await using project = await startProject()
  await project.save(HANDLER, 'f1/a=2')
  project.stack = [fnOf('fn', { labels: { team: 'mobile' }, limits: { memory: '64Mi' } })]
  await project.save(FILE)
  await soon(() => ready(project).length === 3)
  expect(ready(project).at(-1)).toBe('spec')
  expect(project.builds).toEqual(['f1/a=1'])
  expect(project.provider.asked.at(-1)).toContain('a=2 over a=1')
  expect(project.platform.functions.get(fn.spec)?.spec.labels).toEqual({ team: 'mobile' })
  expect(project.platform.started).toHaveLength(2)
})

test('what a function is made of, changed in the stack file, takes a build', async () => {
  await using project = await startProject()
  const other = { ...fn, source: { ...fn.source!, buildArgs: { DEBUG: '1' } } }
  project.stack = [other]
  await project.save(FILE)
  await soon(() => project.builds.length === 2)
})

test('functions that are gone from the file for a moment, while it is written, stay', async () => {
  const other = fnOf('other')
  await using project = await startProject('f1/a=1', {}, [fn, other])
  const revision = project.platform.provider.actual(other.spec)?.revision
  project.stack = [fn]
  project.touch(FILE)
  await project.platform.clock.advance(100)
  project.stack = [fn, other]
  await project.save(FILE)
  await soon(() => project.platform.of('stack.read').length === 2)
  expect(project.platform.provider.actual(other.spec)?.revision).toBe(revision)
  expect(project.platform.of('function.removed')).toEqual([])
  project.stack = [fn]
  await project.save(FILE)
  await soon(() => project.platform.of('function.removed').length === 1)
})

test('a stack file that cannot be read for a moment, while it is written, is not told', async () => {
  await using project = await startProject()
  project.stack = new FaasError('BAD_STACK', { message: 'the file is empty', remedy: '-' })
  project.touch(FILE)
  await project.platform.clock.advance(100)
  project.stack = [fn]
  await project.save(FILE)
  await soon(() => project.platform.of('stack.read').length === 2)
  expect(project.platform.of('stack.failed')).toEqual([])
  expect(standing(project)).toBeUndefined()
})

test('a container that dies and is undone: the last good revision is wished for again, and nothing restarts', async () => {
  await using project = await startProject('f1/a=1')
  const revision = project.platform.provider.actual(fn.spec)?.revision
  await project.save(HANDLER, 'dying/a=1')
  await soon(() => project.platform.of('function.failed').length === 1)
  await soon(() => standing(project) === 'failing')
  expect(project.platform.of('code.failed')).toEqual([])
  const started = project.platform.started.length
  await project.save(HANDLER, 'f1/a=1')
  await soon(() => standing(project) === undefined)
  expect(project.platform.provider.actual(fn.spec)?.revision).toBe(revision)
  expect(project.platform.functions.get(fn.spec)).toMatchObject({ state: 'ready', revision })
  expect(project.platform.started).toHaveLength(started)
})

test('at the start, a source that cannot be built gives way to what an earlier session had', async () => {
  await using project = await startProject()
  await project.platform.provider.remove(fn.spec)
  await using next = await makeProject([fn], { platform: project.platform })
  next.sources.set('/project/fn', 'broken/a=2')
  await next.loop.open()
  next.loop.beginAnew(new Set())
  await next.loop.start()
  const serving = project.platform.provider.actual(fn.spec)
  expect(serving?.available).toBe(1)
  expect(project.platform.of('build.failed')).toMatchObject([{ serving: serving?.revision }])
  expect(standing(project)).toBe('failing')
})

test('what runs when a session begins is not called before it is known to be what is on disk', async () => {
  await using project = await startProject()
  await using next = await makeProject([fn], { platform: project.platform })
  next.sources.set('/project/fn', 'f1/a=2')
  await next.loop.open()
  next.loop.beginAnew(new Set(['fn.openfaas-fn']))
  expect(standing(project)).toBe('held')
  await next.loop.start()
  expect(standing(project)).toBeUndefined()
  expect(next.answer(fn.spec)).toBe('id:f1/a=2')
})

test('a save of a function that is scaled to zero is for its next call', async () => {
  await using project = await startProject()
  await project.platform.functions.scale(fn.spec, 0).settled
  await project.save(HANDLER, 'f1/a=2')
  await soon(() => standing(project) === undefined)
  expect(project.platform.of('function.ready').at(-1)).toMatchObject({ by: 'swap', replicas: 0 })
  ;(await project.platform.router.route(fn.spec, new AbortController().signal))[Symbol.dispose]()
  expect(project.provider.running.get('fn')).toBe('a=2')
})

test('code that was saved while a function slept, and does not load at its next call, is a bad save', async () => {
  await using project = await startProject()
  const { functions, router, registry, clock } = project.platform
  await functions.scale(fn.spec, 0).settled
  await project.save(HANDLER, 'f1/a=bad')
  await rest(project)
  await soon(() => project.platform.of('image.done').length === 1)
  // An image of code that never answered is not what should start when it does not load.
  expect(registry.functions.get(fn.spec)?.revision.imageId).toBe('id:f1/a=1')
  ;(await router.route(fn.spec, new AbortController().signal))[Symbol.dispose]()
  expect(project.provider.running.get('fn')).toBe('a=1')
  expect(standing(project)).toBe('failing')
  await clock.advance(120_000)
  expect(standing(project)).toBe('failing')
  expect(functions.get(fn.spec)).toMatchObject({
    state: 'failing',
    availableReplicas: 1,
    problem: { code: 'CODE_NOT_LOADED' },
  })
  await project.save(HANDLER, 'f1/a=3')
  await soon(() => standing(project) === undefined)
  expect(project.provider.running.get('fn')).toBe('a=3')
  expect(functions.get(fn.spec)).toMatchObject({ state: 'ready' })
})

test('the image of what was saved while a function slept is its own once it has answered', async () => {
  await using project = await startProject()
  const { functions, router, registry } = project.platform
  await functions.scale(fn.spec, 0).settled
  await project.save(HANDLER, 'f1/a=2')
  await rest(project)
  await soon(() => project.builds.includes('f1/a=2'))
  ;(await router.route(fn.spec, new AbortController().signal))[Symbol.dispose]()
  await rest(project)
  await soon(() => registry.functions.get(fn.spec)?.revision.imageId === 'id:f1/a=2')
  expect(project.provider.running.get('fn')).toBe('a=2')
})

test('an image that does not start at the next call of a function that slept is told at every answer', async () => {
  await using project = await startProject()
  const { functions, router } = project.platform
  await functions.scale(fn.spec, 0).settled
  await project.save(HANDLER, 'dying/a=1')
  await soon(() => standing(project) === undefined)
  ;(await router.route(fn.spec, new AbortController().signal))[Symbol.dispose]()
  expect(standing(project)).toBe('failing')
  await project.save(HANDLER, 'f1/a=1')
  await soon(() => standing(project) === undefined)
  expect(functions.get(fn.spec)).toMatchObject({ state: 'ready' })
})
