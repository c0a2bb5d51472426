import { access, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeEngine } from '../../src/docker/client.ts'
import { describeDocker, dockerAddress } from '../support/docker.ts'
import { makeHelloProject } from '../support/hello-project.ts'
import type { HelloProject } from '../support/hello-project.ts'
import { errorOf, PROGRAM, runProgram, startProgram } from '../support/program.ts'
import type { ProgramEnd, ProgramSetting, RunningProgram } from '../support/program.ts'
import { makeScratch, uniqueWord } from '../support/scratch.ts'
import {
  instanceOf,
  locksIn,
  processesOf,
  removeImages,
  removeTracesBelow,
  tracesOf,
} from '../support/traces.ts'
import { until, untilPasses } from '../support/until.ts'

interface Run {
  readonly dev: RunningProgram
  readonly url: string
  readonly instance: string
}

interface LeftoverJson {
  readonly kind: string
  readonly name: string
  readonly reason: string
  readonly removed: boolean
}

describeDocker('a platform ends', () => {
  const tag = uniqueWord()
  let scratch: Awaited<ReturnType<typeof makeScratch>>
  let project: HelloProject
  const running: RunningProgram[] = []

  /** gc judges only what was started under its own host name: here that is nothing but this test's, and none of yours. */
  const hasHostNames = process.platform === 'linux' && process.getuid?.() === 0
  const onOtherHost: ProgramSetting = {
    command: [
      'unshare',
      '--uts',
      'sh',
      '-c',
      `hostname ${tag} && exec "$@"`,
      'sh',
      process.execPath,
      PROGRAM,
    ],
  }

  const data = (name: string): string => join(scratch.path, `data-${name}`)

  async function start(name: string, setting: ProgramSetting = {}): Promise<Run> {
    const dev = startProgram(
      ['dev', '-f', project.stack, '--data', data(name), '--port', '0', '--json'],
      setting,
    )
    running.push(dev)
    const { url } = await dev.event(({ type }) => type === 'start.done')
    return { dev, url: String(url), instance: await instanceOf(data(name)) }
  }

  async function expectNothingLeft({ dev, instance }: Run, name: string): Promise<void> {
    expect(await tracesOf(instance)).toEqual({ containers: [], networks: [] })
    expect(processesOf(dev.pid, data(name))).toEqual([])
    expect(locksIn(data(name))).toEqual([])
  }

  async function word(url: string, name = 'one'): Promise<string> {
    return ((await (await fetch(`${url}/function/${name}`)).json()) as { word: string }).word
  }

  async function gc(...args: string[]): Promise<LeftoverJson[]> {
    const { code, stdout } = await runProgram(['gc', '--json', ...args], onOtherHost)
    expect(code).toBe(0)
    return JSON.parse(stdout) as LeftoverJson[]
  }

  beforeAll(async () => {
    scratch = await makeScratch()
    project = await makeHelloProject(scratch.path, 'project', tag, { one: {}, two: {} })
  })

  afterAll(async () => {
    for (const dev of running) await dev[Symbol.asyncDispose]()
    await removeTracesBelow(scratch.path)
    await removeImages([project.image])
    await scratch[Symbol.asyncDispose]()
  })

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('on %s, and leaves nothing behind', async (signal) => {
    const run = await start(signal)
    expect(await word(run.url)).toBe('one')
    run.dev.signal(signal)
    expect(await run.dev.end).toEqual({ code: 0, signal: null })
    await expectNothingLeft(run, signal)
  })

  test('on Ctrl-C after the call that is under way, and answers that call', async () => {
    const run = await start('drain')
    const slow = fetch(`${run.url}/function/one/slow?ms=1500`)
    await until(async () => (await invocations(run.url)) > 0)
    run.dev.signal('SIGINT')
    expect(await (await slow).json()).toMatchObject({ word: 'one' })
    const answered = performance.now()
    expect(await run.dev.end).toEqual({ code: 0, signal: null })
    // The limit of a drain is 30 s: not that, but the answer ended it.
    expect(performance.now() - answered).toBeLessThan(15_000)
    await expectNothingLeft(run, 'drain')
  })

  test.skipIf(!hasHostNames)(
    'at once on the second Ctrl-C; gc removes what that leaves and nothing that lives',
    async () => {
      const living = await start('living', onOtherHost)
      const served = startProgram(['serve', '--data', data('served'), '--port', '0', '--json'], onOtherHost)
      running.push(served)
      const { url } = await served.event(({ type }) => type === 'start.done')
      await runProgram(['up', '-f', project.stack, '--filter', 'one', '--gateway', String(url)])
      const kept = await instanceOf(data('served'))

      const run = await start('forced', onOtherHost)
      const slow = fetch(`${run.url}/function/one/slow?ms=60000`).catch((error: unknown) => error)
      await until(async () => (await invocations(run.url)) > 0)
      run.dev.signal('SIGINT')
      await run.dev.shows(/stopping \(again to force\)/)
      let end: ProgramEnd | undefined
      run.dev.end.then(
        (ended) => (end = ended),
        () => undefined,
      )
      // What comes at once is the echo of a runner such as npm.
      const forced = await until(
        () => {
          if (end === undefined) run.dev.signal('SIGINT')
          return end
        },
        { everyMs: 100, limitMs: 10_000 },
      )
      expect(forced).toEqual({ code: 130, signal: null })
      await slow
      const left = await tracesOf(run.instance)
      expect(left.networks).toHaveLength(1)
      expect(left.containers.length).toBeGreaterThan(0)

      served.signal('SIGINT')
      expect((await served.end).code).toBe(0)

      const found = await gc()
      const names = found.map(({ name }) => name)
      expect(names).toEqual(
        expect.arrayContaining([...left.networks, ...left.containers.map(({ name }) => name.slice(1))]),
      )
      expect(found.find(({ name }) => name === left.networks[0])).toMatchObject({
        kind: 'network',
        reason: expect.stringContaining(data('forced')) as string,
        removed: false,
      })
      expect((await tracesOf(run.instance)).networks).toHaveLength(1)
      for (const instance of [living.instance, kept]) {
        const { containers, networks } = await tracesOf(instance)
        for (const name of [...networks, ...containers.map((one) => one.name.slice(1))])
          expect(names).not.toContain(name)
      }

      const removed = await gc('--yes')
      expect(removed.every((one) => one.removed)).toBe(true)
      expect(await tracesOf(run.instance)).toEqual({ containers: [], networks: [] })
      expect((await tracesOf(kept)).containers.map((one) => [one.function, one.isRunning])).toEqual([
        ['one', true],
      ])
      expect(await word(living.url)).toBe('one')
      expect(await word(living.url, 'two')).toBe('two')
      living.dev.signal('SIGINT')
      await living.dev.end
      await expectNothingLeft(living, 'living')
    },
  )

  test('by kill -9, and the next start goes on with its replicas, its data and its address', async () => {
    const killed = await start('killed')
    const secret = await runProgram(['secret', 'create', 'kept-word', '--gateway', killed.url], {
      stdin: 'x',
    })
    expect(secret.code).toBe(0)
    const replica = await replicaOf(killed.url)
    killed.dev.signal('SIGKILL')
    expect((await killed.dev.end).signal).toBe('SIGKILL')

    const again = await start('killed')
    expect(again.instance).toBe(killed.instance)
    expect(await replicaOf(again.url)).toBe(replica)
    expect(again.dev.events.filter(({ type }) => type === 'function.deploying')).toEqual([])
    const { stdout } = await runProgram(['secret', 'list', '--json', '--gateway', again.url])
    expect(stdout).toContain('kept-word')
    expect((await tracesOf(again.instance)).containers).toHaveLength(2)
    again.dev.signal('SIGINT')
    await again.dev.end
    await expectNothingLeft(again, 'killed')
  })

  test('by kill -9, and the next start replaces what died meanwhile and removes what is wanted no more', async () => {
    const killed = await start('died')
    killed.dev.signal('SIGKILL')
    await killed.dev.end
    const engine = makeEngine(dockerAddress())
    const { containers } = await tracesOf(killed.instance)
    const victim = containers.find((one) => one.function === 'one')!
    await engine.getContainer(victim.id).kill()

    await project.write({ one: {} })
    const again = await start('died')
    expect(await word(again.url)).toBe('one')
    await untilPasses(async () => {
      const now = await tracesOf(again.instance)
      expect(now.containers.map(({ id }) => id)).not.toContain(victim.id)
      expect(now.containers.map((one) => one.function)).toEqual(['one'])
    })
    again.dev.signal('SIGINT')
    await again.dev.end
    await expectNothingLeft(again, 'died')
    await project.write({ one: {}, two: {} })
  })

  test('on Ctrl-C in the middle of a build, without a container of that build', async () => {
    const marker = uniqueWord()
    const own = await makeHelloProject(scratch.path, 'building', tag, { one: {} })
    await writeFile(
      join(own.folder, 'hello/Dockerfile'),
      `FROM node:20-alpine\nRUN echo ${marker} && sleep 300\n`,
    )
    const dev = startProgram(['dev', '-f', own.stack, '--data', data('building'), '--port', '0', '--verbose'])
    running.push(dev)
    const engine = makeEngine(dockerAddress())
    await dev.shows(new RegExp(`^${marker}$|${marker}\\r?$`, 'm'))
    expect(processesOf(-1, `echo ${marker}`)).not.toEqual([])
    const instance = await instanceOf(data('building'))
    dev.signal('SIGINT')
    expect(await dev.end).toEqual({ code: 0, signal: null })
    await untilPasses(async () => {
      expect(processesOf(-1, `echo ${marker}`)).toEqual([])
      const all = await engine.listContainers({ all: true })
      expect(all.filter(({ Command: command }) => command.includes(marker))).toEqual([])
    })
    await expectNothingLeft({ dev, url: '', instance }, 'building')
  })

  test('and its data folder cannot be taken by a second one while it runs', async () => {
    const run = await start('locked')
    const second = await runProgram([
      'dev',
      '-f',
      project.stack,
      '--data',
      data('locked'),
      '--port',
      '0',
      '--json',
    ])
    expect(second.code).toBe(1)
    const { code, message, remedy } = errorOf(second)
    expect(code).toBe('DATA_LOCKED')
    expect(message).toContain(data('locked'))
    expect(message).toContain(`process ${run.dev.pid} at ${run.url}`)
    expect(remedy).toContain('--data')
    expect(await word(run.url)).toBe('one')
    run.dev.signal('SIGINT')
    await run.dev.end
    await expectNothingLeft(run, 'locked')
    await expect(access(join(data('locked'), 'lock'))).rejects.toThrow()
  })

  async function replicaOf(url: string): Promise<string> {
    return ((await (await fetch(`${url}/function/one`)).json()) as { replica: string }).replica
  }

  /** Calls of `one` that have begun, as the gateway's metrics say. */
  async function invocations(url: string): Promise<number> {
    const text = await (await fetch(`${url}/metrics`)).text()
    const line =
      /^gateway_function_invocation_(?:started|inflight)\{function_name="one\.openfaas-fn"\} (\d+)$/m
    return Number(line.exec(text)?.[1] ?? 0)
  }
})
