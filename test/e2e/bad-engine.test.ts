import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeDocker } from '../support/docker.ts'
import { makeHelloProject } from '../support/hello-project.ts'
import type { HelloProject } from '../support/hello-project.ts'
import { noPrivateEngine, startPrivateEngine } from '../support/private-engine.ts'
import type { PrivateEngine } from '../support/private-engine.ts'
import { errorOf, PROGRAM, runProgram, startProgram } from '../support/program.ts'
import type { ProgramRun, RunningProgram } from '../support/program.ts'
import { makeScratch, uniqueWord } from '../support/scratch.ts'
import { tracesOf } from '../support/traces.ts'
import { untilPasses } from '../support/until.ts'

/** Room for the base image, the functions, and not for what the test's build writes. */
const DISK_MB = 800

describeDocker('an engine that fails', () => {
  const reason = noPrivateEngine()
  if (reason !== undefined) {
    test.skip(reason, () => undefined)
    return
  }

  let scratch: Awaited<ReturnType<typeof makeScratch>>
  let engine: PrivateEngine
  let project: HelloProject
  let serve: RunningProgram
  let url: string
  let instance: string

  /** The program beside that engine: in its network, where its containers can be reached. */
  const setting = (): { command: readonly [string, ...string[]]; env: Record<string, string> } => ({
    command: [...engine.inside, process.execPath, PROGRAM],
    env: { FAASDOCK_ENGINE: engine.address, FAASDOCK_INSTALL_ENGINE: '0' },
  })
  const run = (...args: string[]): Promise<ProgramRun> => runProgram([...args, '--gateway', url], setting())

  async function expectSteady(): Promise<void> {
    const { code, stdout, stderr } = await run('invoke', 'steady', '--data', 'x')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(stdout)).toMatchObject({ word: 'steady' })
  }

  beforeAll(async () => {
    scratch = await makeScratch()
    engine = await startPrivateEngine(join(scratch.path, 'engine'), DISK_MB)
    await engine.load('node:20-alpine')
    project = await makeHelloProject(scratch.path, 'good', uniqueWord(), { steady: {} })
    serve = startProgram(['serve', '--data', join(scratch.path, 'data'), '--port', '0', '--json'], setting())
    const started = await serve.event(({ type }) => type === 'start.done')
    url = String(started['url'])
    instance = String(started['instance'])
    const up = await run('up', '-f', project.stack, '--json')
    expect(up.stderr).not.toContain('"error"')
    expect(up.code).toBe(0)
  }, 180_000)

  afterAll(async () => {
    await serve[Symbol.asyncDispose]()
    await engine[Symbol.asyncDispose]()
    await scratch[Symbol.asyncDispose]()
  })

  test('disk full during a build: one error that says so, no container of the build, and functions go on', async () => {
    await expectSteady()
    const big = await makeHelloProject(scratch.path, 'big', uniqueWord(), { big: {} })
    await writeFile(
      join(big.folder, 'hello/Dockerfile'),
      `FROM node:20-alpine\nRUN head -c ${DISK_MB}M /dev/zero > /home/big\nCMD ["node"]\n`,
    )
    const up = await run('up', '-f', big.stack, '--json')
    const { code, message, remedy } = errorOf(up)
    expect({ code, exit: up.code }).toEqual({ code: 'DISK_FULL', exit: 1 })
    expect(message).toContain('big: the engine ran out of disk space')
    expect(message).toContain('head -c')
    expect(remedy).toContain('faasdock gc')
    const containers = await engine.engine.listContainers({ all: true })
    expect(containers.map(({ State: state }) => state)).toEqual(['running'])
    await expectSteady()
  })

  test('that stops while the platform runs is said once, calls are answered with it, and its return is enough', async () => {
    await engine.stop()
    const lost = await serve.event(({ type }) => type === 'engine.lost')
    expect(lost['reason']).toMatch(/connection|ended/)

    const called = await run('invoke', 'steady', '--data', 'x')
    expect(called.code).toBe(1)
    expect(called.stderr).toContain('steady answered 503')
    expect(called.stderr).toContain('the Docker engine went away')
    expect(called.stderr).toContain('Start the engine again')
    const listed = await run('list', '--json')
    expect(listed.code).toBe(0)
    expect(JSON.parse(listed.stdout)).toMatchObject([{ name: 'steady', availableReplicas: 0 }])
    const up = await run('up', '-f', project.stack, '--json')
    const { code, message, remedy } = errorOf(up)
    expect({ code, exit: up.code }).toEqual({ code: 'ENGINE_NOT_FOUND', exit: 3 })
    expect(message).toContain(engine.address)
    expect(remedy).not.toBe('')
    expect(serve.events.filter(({ type }) => type === 'engine.lost')).toHaveLength(1)

    await engine.start()
    await serve.event(({ type }) => type === 'engine.back')
    await untilPasses(expectSteady, { limitMs: 60_000, everyMs: 500 })
    await untilPasses(async () => {
      const { containers } = await tracesOf(instance, engine.engine)
      expect(containers.map((one) => [one.function, one.isRunning])).toEqual([['steady', true]])
    })
    const status = await run('status', '--json')
    expect(status.code).toBe(0)
  })

  test('that stops does not keep the platform from ending', async () => {
    await engine.stop()
    serve.signal('SIGINT')
    expect(await serve.end).toEqual({ code: 0, signal: null })
  })
})
