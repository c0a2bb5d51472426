// The reload ladder through the front door, on a real engine: what a save takes, what becomes of a bad one, and that no
// call is lost or answered by older code.
import { readFileSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createApp } from '../../src/app.ts'
import type { App } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import type { FunctionStatus } from '../../src/core/function.ts'
import type { Watcher } from '../../src/core/watcher.ts'
import type { StampedEvent } from '../../src/engine/events.ts'
import { MemoryQueue } from '../../src/queue/memory-queue.ts'
import { ChokidarWatcher } from '../../src/watcher/chokidar-watcher.ts'
import { describeDocker } from '../support/docker.ts'
import { makeReloadProject } from '../support/reload-project.ts'
import type { Kind, ReloadProject } from '../support/reload-project.ts'
import { makeScratch, uniqueWord } from '../support/scratch.ts'
import { removeImages, removeTracesBelow, tracesOf } from '../support/traces.ts'
import { untilPasses } from '../support/until.ts'

/** How many saves are made under load; 1000 takes its time. */
const SAVES = Number(process.env['FAASDOCK_RELOAD_SAVES'] ?? 100)
const KINDS = ['swapped', 'snake', 'foreign'] as const
/** What does not load, by kind: its text, and where its mistake is said to be. */
const BAD: Readonly<Record<(typeof KINDS)[number], readonly [text: string, line: number | undefined]>> = {
  swapped: ['module.exports = async () => {\n  return )\n}\n', 2],
  snake: ['def handle(event, context):\n    return (\n', 2],
  foreign: ["module.exports = () => 'bad'\nrequire('./nowhere')\n", undefined],
}

describeDocker('a save', () => {
  const tag = uniqueWord()
  let scratch: Awaited<ReturnType<typeof makeScratch>>
  let project: ReloadProject
  let app: App
  let told: StampedEvent[] = []
  /** When the platform saw what is in a file, on the clock of `performance`: by file and content. */
  const saw = new Map<string, number>()

  beforeAll(async () => {
    scratch = await makeScratch()
    project = await makeReloadProject(scratch.path, 'ladder', tag)
    await project.write(KINDS)
    app = await open()
    await app.dev?.settled()
    told = []
    expect(app.functions.list().map(({ state }) => state)).toEqual(['ready', 'ready', 'ready'])
  })
  afterEach(() => {
    told = []
  })
  afterAll(async () => {
    await app[Symbol.asyncDispose]()
    await removeTracesBelow(scratch.path)
    await removeImages(project.images)
    await scratch[Symbol.asyncDispose]()
  })

  async function open(): Promise<App> {
    const flags = { port: 0, metricsPort: 'off', data: join(scratch.path, 'data'), drainTimeout: '2s' }
    const stack = { file: project.stack, substitute: true }
    const real = new ChokidarWatcher()
    const watcher: Watcher = {
      watch: (paths, onChange, ...more) =>
        real.watch(
          paths,
          (change) => {
            onChange(change)
            if (change.isGone) return
            const key = `${change.path} ${contentOf(change.path)}`
            if (!saw.has(key)) saw.set(key, performance.now())
          },
          ...more,
        ),
      [Symbol.asyncDispose]: () => real[Symbol.asyncDispose](),
    }
    const config = readConfig({ env: process.env, cwd: scratch.path, flags, stack })
    const opened = await createApp(config, { queue: new MemoryQueue(), watcher })
    opened.events.watch((event) => told.push(event))
    return opened
  }

  async function call(kind: Kind): Promise<{ status: number; text: string; stale: string | null }> {
    const answer = await fetch(`${app.url}/function/${kind}`)
    return { status: answer.status, text: await answer.text(), stale: answer.headers.get('x-faasdock-stale') }
  }

  function answers(kind: Kind, word: string, stale: string | null = null): Promise<void> {
    return untilPasses(async () => expect(await call(kind)).toEqual({ status: 200, text: word, stale }), {
      everyMs: 20,
      limitMs: 60_000,
    })
  }

  const of = (kind: Kind): StampedEvent[] => told.filter((event) => 'ref' in event && event.ref.name === kind)
  /** The type of an event, and of `function.ready` what brought it: short enough to be read in a failure. */
  const kindsOf = (kind: Kind): string[] =>
    of(kind).map((event) =>
      event.type === 'function.ready' ? `${event.type} ${event.by ?? ''}` : event.type,
    )
  const happens = (kind: Kind, type: string): Promise<void> =>
    untilPasses(() => expect(kindsOf(kind).join(', ')).toContain(type), { limitMs: 60_000 })
  const statusOf = (kind: Kind): FunctionStatus | undefined =>
    app.functions.list().find(({ spec }) => spec.name === kind)
  const replicasOf = async (kind: Kind): Promise<string[]> =>
    (await tracesOf(app.instance)).containers.filter((one) => one.function === kind).map(({ id }) => id)

  test.each([
    ['swapped', 'swap'],
    ['snake', 'swap'],
    ['foreign', 'files'],
  ] as const)('of %s is taken by %s without a build, and its image follows', async (kind, by) => {
    await answers(kind, `${kind} ${tag}`)
    const replicas = await replicasOf(kind)
    await project.say(kind, 'one')
    await answers(kind, 'one')
    await happens(kind, `function.ready ${by}`)
    expect(of(kind).filter(({ type }) => type === 'build.started')).toEqual([])
    if (by === 'swap') expect(await replicasOf(kind)).toEqual(replicas)
    await happens(kind, 'image.done')
    if (by === 'swap') expect(await replicasOf(kind)).toEqual(replicas)
  })

  test.each(['swapped', 'foreign'] as const)(
    'of %s, and a scale-up before its image has followed: all replicas run what was saved',
    async (kind) => {
      await project.say(kind, 'scaled')
      await answers(kind, 'scaled')
      await app.functions.scale({ name: kind, namespace: 'openfaas-fn' }, 3).settled
      expect(of(kind).map(({ type }) => type)).not.toContain('image.done')
      const words = await Promise.all(Array.from({ length: 12 }, () => call(kind)))
      expect(new Set(words.map(({ text }) => text))).toEqual(new Set(['scaled']))
      await project.say(kind, 'thrice')
      await answers(kind, 'thrice')
      const again = await Promise.all(Array.from({ length: 12 }, () => call(kind)))
      expect(new Set(again.map(({ text }) => text))).toEqual(new Set(['thrice']))
      await app.functions.scale({ name: kind, namespace: 'openfaas-fn' }, 1).settled
    },
  )

  test.each(KINDS)(
    'of %s that is bad: the code before it answers, marked, and it is said where and why, until the next good one',
    async (kind) => {
      const [text, line] = BAD[kind]
      await project.say(kind, 'good')
      await answers(kind, 'good')
      await writeFile(project.file(kind), text)
      await answers(kind, 'good', 'failing')
      const status = statusOf(kind)
      expect(status).toMatchObject({ state: 'failing', availableReplicas: 1 })
      expect(status?.problem?.place).toMatchObject({
        file: `${kind}/${kind === 'snake' ? 'handler.py' : 'handler.js'}`,
        ...(line !== undefined && { line }),
      })
      expect(status?.problem?.frame).toContain(text.split('\n')[(status?.problem?.place?.line ?? 1) - 1])
      await project.say(kind, 'better')
      await answers(kind, 'better')
      await untilPasses(() => expect(statusOf(kind)).toMatchObject({ state: 'ready' }))
      expect(statusOf(kind)).not.toHaveProperty('problem')
    },
  )

  test('that is undone puts everything right without a new replica', async () => {
    await project.say('foreign', 'kept')
    await answers('foreign', 'kept')
    await happens('foreign', 'image.done')
    const replicas = await replicasOf('foreign')
    await writeFile(project.file('foreign'), BAD.foreign[0])
    await answers('foreign', 'kept', 'failing')
    await project.say('foreign', 'kept')
    await answers('foreign', 'kept')
    await happens('foreign', 'source.mended')
    await untilPasses(async () => expect(await replicasOf('foreign')).toEqual(replicas))
  })

  test('of the handler folder’s name: it vanishes, the function goes on, it comes back, all is well', async () => {
    await project.say('swapped', 'moved')
    await answers('swapped', 'moved')
    const folder = join(project.folder, 'swapped')
    await rename(folder, `${folder}-away`)
    await answers('swapped', 'moved', 'failing')
    expect(statusOf('swapped')).toMatchObject({ state: 'failing', availableReplicas: 1 })
    await rename(`${folder}-away`, folder)
    await answers('swapped', 'moved')
    await untilPasses(() => expect(statusOf('swapped')).toMatchObject({ state: 'ready' }))
    await project.say('swapped', 'again')
    await answers('swapped', 'again')
  })

  test('of the stack file: a label and a limit take new replicas with the newest code, and no build', async () => {
    await project.say('swapped', 'spec')
    await answers('swapped', 'spec')
    await project.write(KINDS, { swapped: ['labels:', '  team: mobile', 'limits:', '  memory: 200Mi'] })
    await happens('swapped', 'function.ready spec')
    await answers('swapped', 'spec')
    expect(of('swapped').filter(({ type }) => type === 'build.started')).toEqual([])
    expect(statusOf('swapped')?.spec).toMatchObject({
      labels: { team: 'mobile' },
      limits: { memory: '200Mi' },
    })
    expect([...of('snake'), ...of('foreign')]).toEqual([])
  })

  test('of the stack file that is empty for a moment, or ends too early, tears nothing down', async () => {
    const whole = readFileSync(project.stack, 'utf8')
    for (const half of ['', whole.slice(0, whole.indexOf('  foreign:'))]) {
      await writeFile(project.stack, half)
      await wait(60)
      await writeFile(project.stack, whole)
      await untilPasses(() => expect(told.at(-1)?.type).toBe('stack.read'))
      told = []
    }
    await writeFile(project.stack, '')
    await untilPasses(() => expect(told.map(({ type }) => type)).toContain('stack.failed'))
    for (const kind of KINDS) expect((await call(kind)).status).toBe(200)
    await writeFile(project.stack, whole)
    await untilPasses(() => expect(told.at(-1)?.type).toBe('stack.read'))
    expect(told.filter(({ type }) => /deploying|removed|build\./.test(type))).toEqual([])
  })

  test('of the stack file removes a function that is no longer in it, and deploys one that is', async () => {
    await project.write(KINDS)
    await untilPasses(() => {
      const { state, spec } = statusOf('swapped') ?? {}
      expect([state, spec?.labels]).toEqual(['ready', {}])
    })
    told = []
    await project.write(['swapped', 'snake'])
    await untilPasses(async () => expect((await call('foreign')).status).toBe(404))
    await project.write(KINDS)
    await untilPasses(async () => expect(await call('foreign')).toMatchObject({ status: 200 }), {
      limitMs: 60_000,
    })
    const others = [...of('swapped'), ...of('snake')]
    expect(others.filter(({ type }) => /deploying|started|died/.test(type))).toEqual([])
  })

  test('in a folder of its own, moved and deleted, ends in what is on disk', async () => {
    const lib = project.file('swapped', 'lib')
    await mkdir(lib, { recursive: true })
    await writeFile(join(lib, 'word.js'), "module.exports = 'from lib'\n")
    const use = (path: string): string =>
      `const word = require('${path}')\nmodule.exports = async (event, context) => context.succeed(word)\n`
    await writeFile(project.file('swapped'), use('./lib/word'))
    await answers('swapped', 'from lib')
    await rename(lib, project.file('swapped', 'words'))
    await answers('swapped', 'from lib', 'failing')
    await writeFile(project.file('swapped'), use('./words/word'))
    await answers('swapped', 'from lib')
    await rm(project.file('swapped', 'words'), { recursive: true })
    await answers('swapped', 'from lib', 'failing')
    await project.say('swapped', 'no lib')
    await answers('swapped', 'no lib')
  })

  describe('under load', () => {
    test.each([
      ['swapped', SAVES],
      ['snake', SAVES],
      ['foreign', Math.ceil(SAVES / 20)],
    ] as const)(
      'of %s, %i times, with 50 calls a second: none fails, and none is answered by older code',
      async (kind, saves) => {
        saw.clear()
        const load = new Load(() => fetch(`${app.url}/function/${kind}`))
        for (let n = 1; n <= saves; n++) {
          await project.say(kind, String(n))
          // Sometimes in the middle of the turn before, and now and then long enough for the image to follow.
          await wait(n % 100 === 0 ? 4000 : (n * 7919) % (kind === 'foreign' ? 1500 : 160))
        }
        await answers(kind, String(saves))
        const calls = await load.end()
        const seenAt = [...saw]
          .filter(([key]) => key.startsWith(`${project.file(kind)} `))
          .map(([key, at]) => ({
            at,
            word: Number(/\d+(?=['"])/.exec(key.slice(project.file(kind).length))?.[0]),
          }))
        const newest = (time: number): number =>
          Math.max(0, ...seenAt.flatMap(({ at, word }) => (at < time && word ? [word] : [])))
        expect(seenAt.length).toBeGreaterThan(saves / 2)
        expect(calls.filter(({ status }) => status !== 200)).toEqual([])
        const first = calls.findIndex(({ text }) => /^\d+$/.test(text))
        const stale = calls
          .slice(first)
          .filter((one) => one.stale === null && Number(one.text) < newest(one.began))
        expect(stale).toEqual([])
      },
      SAVES * 2000 + 120_000,
    )
  })
})

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

interface LoadCall {
  /** On the clock of `performance`. */
  readonly began: number
  readonly took: number
  /** 0 when there was no answer. */
  readonly status: number
  readonly text: string
  readonly stale: string | null
}

/** 50 calls a second, whatever becomes of those before. */
class Load {
  readonly #calls: Promise<LoadCall>[] = []
  readonly #timer: NodeJS.Timeout

  constructor(call: () => Promise<Response>) {
    this.#timer = setInterval(() => this.#calls.push(this.#call(call)), 20)
  }

  end(): Promise<LoadCall[]> {
    clearInterval(this.#timer)
    return Promise.all(this.#calls)
  }

  async #call(call: () => Promise<Response>): Promise<LoadCall> {
    const began = performance.now()
    try {
      const answer = await call()
      const text = await answer.text()
      const stale = answer.headers.get('x-faasdock-stale')
      return { began, took: performance.now() - began, status: answer.status, text, stale }
    } catch (error) {
      return { began, took: performance.now() - began, status: 0, text: String(error), stale: null }
    }
  }
}
