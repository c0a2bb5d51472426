import { execFileSync } from 'node:child_process'
import { mkdir, rename, rm, symlink, truncate, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createApp } from '../../src/app.ts'
import type { App } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import type { StampedEvent } from '../../src/engine/events.ts'
import { MemoryProvider } from '../../src/provider/memory/memory-provider.ts'
import { MemoryQueue } from '../../src/queue/memory-queue.ts'
import { makeDiskBuilder } from '../support/disk-builder.ts'
import type { HandlerFiles } from '../support/disk-builder.ts'
import { makeFolder } from '../support/folder.ts'
import type { TestFolder } from '../support/folder.ts'
import { until, untilPasses } from '../support/until.ts'

/** The whole platform over a project on disk that is really watched; what it builds are the files that are there. */
interface Session extends AsyncDisposable {
  readonly app: App
  readonly folder: TestFolder
  readonly events: readonly StampedEvent[]
  readonly builds: readonly string[]
  path(...names: string[]): string
  /** What a function answers. */
  call(name: string): Promise<{ readonly files: HandlerFiles; readonly env: object; readonly labels: object }>
  /** Until a function was built from exactly these files. */
  becomes(name: string, files: HandlerFiles): Promise<void>
  of<T extends StampedEvent['type']>(type: T): (StampedEvent & { type: T })[]
}

async function session(folder: TestFolder, watchMode: string, dataDir = 'data'): Promise<Session> {
  const builder = makeDiskBuilder()
  const provider = new MemoryProvider({ images: { app: builder.image }, drainMs: 100 })
  const config = readConfig({
    env: {},
    cwd: folder.path,
    flags: {
      port: 0,
      metricsPort: 'off',
      data: join(folder.path, dataDir),
      drainTimeout: '100ms',
      watchMode,
    },
    stack: { file: join(folder.path, 'stack.yml'), substitute: true },
  })
  const app = await createApp(config, { provider, builder, queue: new MemoryQueue() })
  const events: StampedEvent[] = []
  app.events.watch((event) => events.push(event), 0)
  await app.dev?.settled()
  const call: Session['call'] = async (name) => {
    const answer = await fetch(`${app.url}/function/${name}`)
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${name} answered ${answer.status}: ${text}`)
    return JSON.parse(text) as Awaited<ReturnType<Session['call']>>
  }
  return {
    app,
    folder,
    events,
    builds: builder.builds,
    path: (...names) => join(folder.path, ...names),
    call,
    becomes: (name, files) => untilPasses(async () => expect((await call(name)).files).toEqual(files)),
    of: <T extends StampedEvent['type']>(type: T) =>
      events.filter((event): event is StampedEvent & { type: T } => event.type === type),
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  }
}

function stackOf(functions: Readonly<Record<string, readonly string[]>>): string {
  const blocks = Object.entries(functions).map(([name, lines]) =>
    [
      `  ${name}:`,
      '    lang: node',
      `    handler: ./${name}`,
      '    image: app',
      ...lines.map((line) => `    ${line}`),
    ].join('\n'),
  )
  return ['version: 1.0', 'provider:', '  name: openfaas', 'functions:', ...blocks, ''].join('\n')
}

const TWO = { 'stack.yml': stackOf({ a: [], b: [] }), 'a/handler.js': 'a 1', 'b/handler.js': 'b 1' }

for (const watchMode of ['auto', 'poll']) {
  test(`a function that is added to the stack file is there, one that is taken out is gone, the third stays (${watchMode})`, async () => {
    await using folder = await makeFolder({ ...TWO, 'c/handler.js': 'c 1' })
    await using s = await session(folder, watchMode)
    const replica = s.app.functions.list().find(({ spec }) => spec.name === 'a')?.revision
    await writeFile(s.path('stack.yml'), stackOf({ a: [], c: [] }))
    await s.becomes('c', { 'handler.js': 'c 1' })
    await until(async () => (await fetch(`${s.app.url}/function/b`)).status === 404)
    expect(s.app.functions.list().find(({ spec }) => spec.name === 'a')?.revision).toBe(replica)
    // The new one is watched, too.
    await writeFile(s.path('c/handler.js'), 'c 2')
    await s.becomes('c', { 'handler.js': 'c 2' })
  })

  test(`a changed label, limit, secret, environment variable and environment file replace without a build (${watchMode})`, async () => {
    await using folder = await makeFolder({ ...TWO, '.secrets/key': 'one' })
    await using s = await session(folder, watchMode)
    const before = [...s.builds]
    const spec = () => s.app.functions.list().find((one) => one.spec.name === 'a')?.spec
    const becomesSpec = (expected: object) => untilPasses(() => expect(spec()).toMatchObject(expected))
    await writeFile(s.path('stack.yml'), stackOf({ a: ['labels:', '  team: mobile'], b: [] }))
    await becomesSpec({ labels: { team: 'mobile' } })
    await writeFile(s.path('stack.yml'), stackOf({ a: ['limits:', '  memory: 64Mi'], b: [] }))
    await becomesSpec({ limits: { memory: '64Mi' } })
    await writeFile(s.path('stack.yml'), stackOf({ a: ['secrets:', '  - key'], b: [] }))
    await becomesSpec({ secrets: ['key'] })
    await folder.write({ 'env.yml': 'environment:\n  LEVEL: one\n' })
    await writeFile(s.path('stack.yml'), stackOf({ a: ['environment_file:', '  - env.yml'], b: [] }))
    await untilPasses(async () => expect((await s.call('a')).env).toMatchObject({ LEVEL: 'one' }))
    await folder.write({ 'env.yml': 'environment:\n  LEVEL: two\n' })
    await untilPasses(async () => expect((await s.call('a')).env).toMatchObject({ LEVEL: 'two' }))
    expect(s.builds).toEqual(before)
    expect((await s.call('a')).files).toEqual({ 'handler.js': 'a 1' })
    expect(s.of('function.deploying').filter(({ ref }) => ref.name === 'b')).toHaveLength(1)
  })

  test(`a stack file that is empty, gone or cut off while it is written tears nothing down (${watchMode})`, async () => {
    await using folder = await makeFolder(TWO)
    await using s = await session(folder, watchMode)
    const stack = s.path('stack.yml')
    const whole = TWO['stack.yml']
    for (const spoil of [
      () => truncate(stack),
      () => unlink(stack),
      () => writeFile(stack, whole.slice(0, whole.lastIndexOf('handler'))),
      () => rename(stack, `${stack}~`),
    ]) {
      await spoil()
      const calls = Promise.all([s.call('a'), s.call('b')])
      await writeFile(stack, whole)
      await calls
    }
    // Told when all of that has been read.
    await folder.write({ 'a/handler.js': 'a 2' })
    await s.becomes('a', { 'handler.js': 'a 2' })
    expect(s.of('function.removed')).toEqual([])
    expect((await s.call('b')).files).toEqual({ 'handler.js': 'b 1' })
  })

  test(`a stack file that stays empty is told, and everything goes on until it is mended (${watchMode})`, async () => {
    await using folder = await makeFolder(TWO)
    await using s = await session(folder, watchMode)
    await truncate(s.path('stack.yml'))
    await until(() => s.of('stack.failed').length > 0)
    const stackNow = async (): Promise<unknown> =>
      ((await (await fetch(`${s.app.url}/system/info`)).json()) as { stack?: unknown }).stack
    expect(await stackNow()).toMatchObject({ file: s.path('stack.yml'), problem: { code: 'BAD_STACK' } })
    await folder.write({ 'a/handler.js': 'a 2' })
    await s.becomes('a', { 'handler.js': 'a 2' })
    await s.call('b')
    await writeFile(s.path('stack.yml'), stackOf({ a: ['labels:', '  mended: "yes"'], b: [] }))
    await untilPasses(async () => expect((await s.call('a')).labels).toMatchObject({ mended: 'yes' }))
    expect(await stackNow()).toBeUndefined()
    expect(s.of('function.removed')).toEqual([])
  })

  test(`deletions, moves of folders and renames of case alone end in what is on disk (${watchMode})`, async () => {
    await using folder = await makeFolder({
      ...TWO,
      'a/lib/one.js': '1',
      'a/lib/two.js': '2',
      'aside/three.js': '3',
    })
    await using s = await session(folder, watchMode)
    await s.becomes('a', { 'handler.js': 'a 1', 'lib/one.js': '1', 'lib/two.js': '2' })
    await unlink(s.path('a/lib/two.js'))
    await s.becomes('a', { 'handler.js': 'a 1', 'lib/one.js': '1' })
    await rename(s.path('aside'), s.path('a/aside'))
    await s.becomes('a', { 'handler.js': 'a 1', 'lib/one.js': '1', 'aside/three.js': '3' })
    await rename(s.path('a/lib/one.js'), s.path('a/lib/One.js'))
    await s.becomes('a', { 'handler.js': 'a 1', 'lib/One.js': '1', 'aside/three.js': '3' })
    await rename(s.path('a/lib'), s.path('a/Lib'))
    await s.becomes('a', { 'handler.js': 'a 1', 'Lib/One.js': '1', 'aside/three.js': '3' })
    await rename(s.path('a/aside'), s.path('aside'))
    await rm(s.path('a/Lib'), { recursive: true })
    await s.becomes('a', { 'handler.js': 'a 1' })
    await rm(s.path('a/handler.js'))
    await mkdir(s.path('a/handler.js'))
    await folder.write({ 'a/handler.js/index.js': 'a folder now' })
    await s.becomes('a', { 'handler.js/index.js': 'a folder now' })
  })

  test(`a handler folder that vanishes leaves its last good version, and comes back (${watchMode})`, async () => {
    await using folder = await makeFolder(TWO)
    await using s = await session(folder, watchMode)
    await rename(s.path('a'), s.path('away'))
    await until(() => s.of('build.failed').some(({ ref }) => ref.name === 'a'))
    expect((await s.call('a')).files).toEqual({ 'handler.js': 'a 1' })
    await folder.write({ 'away/handler.js': 'a 2' })
    await rename(s.path('away'), s.path('a'))
    await s.becomes('a', { 'handler.js': 'a 2' })
    await writeFile(s.path('a/handler.js'), 'a 3')
    await s.becomes('a', { 'handler.js': 'a 3' })
    expect(s.of('function.removed')).toEqual([])
  })

  test(`a checkout of a thousand files, of a branch without a function, and back (${watchMode})`, async () => {
    const many = Object.fromEntries(
      Array.from({ length: 1000 }, (_, index) => [`lib${index % 7}/f${index}.js`, `${index}`]),
    )
    await using folder = await makeFolder(TWO)
    const git = (...args: string[]): void =>
      void execFileSync(
        'git',
        ['-c', 'user.name=t', '-c', 'user.email=t@example.com', '-c', 'core.hooksPath=/dev/null', ...args],
        { cwd: folder.path, stdio: 'ignore' },
      )
    git('init', '-q', '-b', 'main')
    git('add', 'stack.yml', 'a', 'b')
    git('commit', '-qm', 'one')
    git('checkout', '-qb', 'many')
    await folder.write(Object.fromEntries(Object.entries(many).map(([name, text]) => [`a/${name}`, text])))
    await folder.write({ 'stack.yml': stackOf({ a: [] }), 'a/handler.js': 'a of many' })
    await rm(join(folder.path, 'b'), { recursive: true })
    git('add', '-A', 'stack.yml', 'a', 'b')
    git('commit', '-qm', 'two')
    git('checkout', '-q', 'main')
    await using s = await session(folder, watchMode)
    await s.becomes('a', { 'handler.js': 'a 1' })
    git('checkout', '-q', 'many')
    await s.becomes('a', { 'handler.js': 'a of many', ...many })
    await until(async () => (await fetch(`${s.app.url}/function/b`)).status === 404)
    git('checkout', '-q', 'main')
    await s.becomes('a', { 'handler.js': 'a 1' })
    await s.becomes('b', { 'handler.js': 'b 1' })
    await writeFile(s.path('b/handler.js'), 'b 2')
    await s.becomes('b', { 'handler.js': 'b 2' })
  })

  test(`a template and secrets that come while it runs are seen (${watchMode})`, async () => {
    await using folder = await makeFolder({
      ...TWO,
      'stack.yml': stackOf({ a: ['secrets:', '  - key'], b: [] }),
    })
    await using s = await session(folder, watchMode)
    await folder.write({ '.secrets/key': 'value' })
    await s.becomes('a', { 'handler.js': 'a 1' })
    await folder.write({ 'template/node/index.js': 'mine' })
    for (const name of ['a', 'b'])
      await s.becomes(name, { 'handler.js': `${name} 1`, 'template/index.js': 'mine' })
  })

  test(`a loop of links in a handler neither ends the watching nor the function (${watchMode})`, async () => {
    await using folder = await makeFolder(TWO)
    await using s = await session(folder, watchMode)
    await symlink('..', s.path('a/up'))
    await symlink('self', s.path('a/self'))
    await writeFile(s.path('a/handler.js'), 'a 2')
    await s.becomes('a', { 'handler.js': 'a 2' })
  })
}

test('what was edited, added and removed while nothing ran is noticed at the start', async () => {
  await using folder = await makeFolder({ ...TWO, 'c/handler.js': 'c 1' })
  {
    await using s = await session(folder, 'auto')
    await s.becomes('a', { 'handler.js': 'a 1' })
    await s.app.stop({ removeFunctions: false })
  }
  await folder.write({ 'a/handler.js': 'a 2', 'a/more.js': '1', 'stack.yml': stackOf({ a: [], c: [] }) })
  await using s = await session(folder, 'auto')
  expect((await s.call('a')).files).toEqual({ 'handler.js': 'a 2', 'more.js': '1' })
  expect((await s.call('c')).files).toEqual({ 'handler.js': 'c 1' })
  expect((await fetch(`${s.app.url}/function/b`)).status).toBe(404)
})
