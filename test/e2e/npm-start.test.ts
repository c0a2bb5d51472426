import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeDocker } from '../support/docker.ts'
import { runProgram, startProgram } from '../support/program.ts'
import type { ProgramRun, RunningProgram } from '../support/program.ts'
import { copySample, edit, makeScratch, uniqueWord } from '../support/scratch.ts'
import {
  instanceOf,
  locksIn,
  processesOf,
  removeImages,
  removeTracesBelow,
  tracesOf,
} from '../support/traces.ts'
import { untilPasses } from '../support/until.ts'

/** Everything may have to be built, with packages from the network. */
const FIRST_START_MS = 400_000
const NAMES = ['m-search', 'm-notice', 'pinyin', 'm-upstream']
const TOKEN = 'demo.change-me'
/** Of this run only, so that no image of an earlier run has it. */
const PARCEL = `Your parcel has arrived: ${uniqueWord()}`

interface FunctionJson {
  readonly name: string
  readonly state: string
  readonly availableReplicas: number
  readonly problem?: {
    readonly code: string
    readonly message: string
    readonly remedy: string
    readonly place?: object
    readonly frame?: string
  }
}

/** One story in the order of a developer's day: each test begins where the one before it ended. */
describeDocker('the sample application under npm start', () => {
  const tag = uniqueWord()
  let scratch: Awaited<ReturnType<typeof makeScratch>>
  let project: string
  let stack: string
  let dataDir: string
  let dev: RunningProgram
  let url: string
  let instance: string

  const start = (args: readonly string[] = []): RunningProgram =>
    startProgram(['dev', '-f', 'mobile.yml', '--data', dataDir, '--port', '0', ...args], {
      cwd: project,
      env: { TAG: tag },
    })
  const ask = (...args: string[]): Promise<ProgramRun> =>
    runProgram([...args, '--gateway', url], { cwd: scratch.path })
  const file = (...path: string[]): string => join(project, ...path)

  beforeAll(async () => {
    scratch = await makeScratch()
    project = await copySample('mobile', scratch.path)
    stack = file('mobile.yml')
    dataDir = join(scratch.path, 'data')
    dev = start()
  })

  afterAll(async () => {
    await dev[Symbol.asyncDispose]()
    await removeTracesBelow(scratch.path)
    await removeImages([...NAMES, 'm-extra'].map((name) => `${name}:${tag}`))
    await scratch[Symbol.asyncDispose]()
  })

  test(
    'ends its start with a table, the address, and a line to paste that works',
    async () => {
      const line = await dev.shows(/^Try {2}(.*)$/m, { limitMs: FIRST_START_MS })
      url = /^API {2}(\S+)/m.exec(dev.screen)![1]!
      instance = await instanceOf(dataDir)
      expect(dev.screen).toMatch(/^FUNCTION +URL +STATE +IMAGE$/m)
      for (const name of NAMES)
        expect(dev.screen).toMatch(
          new RegExp(
            `^${name} +${url}/function/${name} +ready +${name}:${tag} +(built now|up to date)$`,
            'm',
          ),
        )
      const pasted = await promisify(execFile)('sh', ['-c', `${line.replace('Try  ', '')} --silent --fail`])
      expect(JSON.parse(pasted.stdout)).toEqual({
        query: '中文',
        pinyin: 'zhong wen',
        results: [
          { id: 1, title: '中文: an introduction' },
          { id: 2, title: '中文 for travellers' },
        ],
        user: null,
      })
    },
    FIRST_START_MS,
  )

  test('m-notice wants the token, and knows its owner', async () => {
    expect((await fetch(`${url}/function/m-notice`)).status).toBe(401)
    const answer = await fetch(`${url}/function/m-notice`, { headers: { authorization: `Bearer ${TOKEN}` } })
    expect(answer.status).toBe(200)
    expect(await answer.json()).toMatchObject({ user: 'demo', notices: [{ id: 3 }, { id: 2 }] })
  })

  test('a saved handler changes the answer', async () => {
    const seen = dev.screen.length
    await edit(file('m-notice/handler.js'), 'Your parcel is on its way', PARCEL)
    await untilPasses(async () => expect(await notices()).toContain(PARCEL))
    await dev.shows(/↻ m-notice {2}handler\.js {2}swapped in /, { after: seen })
  })

  test('a handler that is no JavaScript leaves the old one answering, and is shown with file and line', async () => {
    const seen = dev.screen.length
    const good = await edit(file('m-notice/handler.js'), 'const notices = [', 'const notices = [[[')
    await dev.shows(/✗ m-notice/, { after: seen })
    await dev.shows(/SyntaxError/, { after: seen })
    expect(dev.screen.slice(seen)).toMatch(/handler\.js:\d+/)
    expect(await notices()).toContain(PARCEL)

    const listed = await functionOf('m-notice')
    expect(listed).toMatchObject({ state: 'failing', availableReplicas: 1 })
    expect(listed.problem?.place).toMatchObject({
      file: 'm-notice/handler.js',
      line: expect.any(Number) as number,
    })
    expect(listed.problem?.frame).toMatch(/^> +\d+ \| /m)
    expect(listed.problem?.message).toContain('SyntaxError')
    expect(listed.problem?.remedy).not.toBe('')

    const status = await ask('status', '--json')
    expect(status.code).toBe(6)
    const { functions } = JSON.parse(status.stdout) as { functions: FunctionJson[] }
    expect(functions.find(({ name }) => name === 'm-notice')?.problem).toEqual(listed.problem)
    expect(functions.filter(({ state }) => state === 'failing')).toHaveLength(1)

    const broken = dev.screen.length
    await writeFile(file('m-notice/handler.js'), good)
    await dev.shows(/✓ m-notice {2}what answers is what is saved again/, { after: broken })
    await untilPasses(async () => {
      const { state, problem } = await functionOf('m-notice')
      expect({ state, problem }).toEqual({ state: 'ready', problem: undefined })
    })
    expect(await notices()).toContain(PARCEL)
    expect((await ask('status')).code).toBe(0)
  })

  test('the local package that two functions share is watched for both', async () => {
    const seen = dev.screen.length
    await edit(file('mobile-auth/index.js'), 'a valid token is needed', 'who are you?')
    for (const name of ['m-notice', 'm-search'])
      await dev.shows(new RegExp(`↻ ${name} {2}.* {2}(swapped|rebuilt) in `), {
        after: seen,
        limitMs: 100_000,
      })
    expect(await (await fetch(`${url}/function/m-notice`)).text()).toContain('who are you?')
    expect(await search()).toMatchObject({ user: 'demo', pinyin: 'zhong wen' })
  })

  test('a function that is written into the stack file comes, and goes when it is taken out', async () => {
    const before = await edit(
      stack,
      /^configuration:/m,
      `  m-extra:\n    lang: dockerfile\n    handler: ./m-upstream\n    image: m-extra:\${TAG:-latest}\n\nconfiguration:`,
    )
    await untilPasses(async () => {
      const answer = await fetch(`${url}/function/m-extra/search?q=x`)
      expect(await answer.json()).toMatchObject({ query: 'x' })
    })
    const seen = dev.screen.length
    await writeFile(stack, before)
    await dev.shows(/- m-extra {2}removed/, { after: seen })
    expect((await fetch(`${url}/function/m-extra`)).status).toBe(404)
    await untilPasses(async () =>
      expect((await tracesOf(instance)).containers.map((one) => one.function)).not.toContain('m-extra'),
    )
    expect(await notices()).toHaveLength(2)
  })

  test('a changed variable, in the stack file or in an environment file, reaches the function without a build', async () => {
    await edit(file('env.yml'), "NOTICE_LIMIT: '2'", "NOTICE_LIMIT: '1'")
    await untilPasses(async () => expect(await notices()).toHaveLength(1))
    const seen = dev.screen.length
    const before = await edit(stack, 'm-upstream/search}', 'm-upstream/nowhere}')
    await untilPasses(async () => expect((await fetch(`${url}/function/m-search?q=x`)).status).toBe(502))
    await writeFile(stack, before)
    await untilPasses(async () => expect(await search()).toMatchObject({ pinyin: 'zhong wen' }))
    expect(dev.screen.slice(seen)).not.toMatch(/m-search {2}(Step|built)/)
  })

  test('a stack file that is no YAML is shown with its line, and what was read before goes on', async () => {
    const seen = dev.screen.length
    const good = await edit(stack, '  pinyin:\n', '  pinyin: [\n')
    await dev.shows(/✗ mobile\.yml {2}cannot be used; what was read before goes on/, { after: seen })
    await dev.shows(/BAD_STACK: mobile\.yml has [^]*mobile\.yml:\d+:\d+ {2}not YAML/, { after: seen })
    expect(await search()).toMatchObject({ pinyin: 'zhong wen' })
    await writeFile(stack, good)
    await edit(file('env.yml'), "NOTICE_LIMIT: '1'", "NOTICE_LIMIT: '2'")
    await dev.shows(/mobile\.yml {2}read, 4 functions/, { after: seen })
    expect(await search()).toMatchObject({ pinyin: 'zhong wen' })
  })

  test('Ctrl-C leaves no container, network, process or lock behind', async () => {
    const { pid } = dev
    dev.signalGroup('SIGINT')
    expect(await dev.end).toEqual({ code: 0, signal: null })
    expect(dev.screen).toMatch(/stopped; removed 4 functions: /)
    expect(await tracesOf(instance)).toEqual({ containers: [], networks: [] })
    expect(processesOf(pid, dataDir)).toEqual([])
    expect(locksIn(dataDir)).toEqual([])
  })

  test('a second start with nothing changed builds nothing, and npm passes one Ctrl-C as one', async () => {
    // The session before ended right after a save: its image is built by whoever needs it first.
    const built = await runProgram(['build', '-f', stack], { env: { TAG: tag } })
    expect(built.code).toBe(0)
    dev = startProgram(['--', '-f', stack, '--data', dataDir, '--port', '0', '--json'], {
      env: { TAG: tag },
      // In bash: it gives its place, and the Ctrl-C, to the program.
      command: ['npm', 'start', '--silent', '--script-shell=/bin/bash'],
    })
    const done = await dev.event(({ type }) => type === 'start.done', { limitMs: 120_000 })
    url = String(done['url'])
    instance = await instanceOf(dataDir)
    const builds = dev.events.filter(({ type }) => type === 'build.done')
    expect(builds.map(({ cached }) => cached)).toEqual([true, true, true, true])
    expect(dev.events.filter(({ type }) => type === 'build.output')).toEqual([])
    expect(done['functions']).toMatchObject(NAMES.map(() => ({ state: 'ready' })))
    expect(await search()).toMatchObject({ pinyin: 'zhong wen', user: 'demo' })
    expect(await notices()).toEqual([PARCEL, 'The library opens at ten today'])

    // A terminal tells all of its group, and npm tells its child once more. How npm itself ends is npm's affair.
    dev.signalGroup('SIGINT')
    await dev.end
    expect(dev.screen).toMatch(/stopped; removed 4 functions: /)
    expect(await tracesOf(instance)).toEqual({ containers: [], networks: [] })
    expect(processesOf(dev.pid, dataDir)).toEqual([])
    expect(locksIn(dataDir)).toEqual([])
  })

  async function search(): Promise<Record<string, unknown>> {
    const answer = await fetch(`${url}/function/m-search?q=${encodeURIComponent('中文')}`, {
      headers: { authorization: `Bearer ${TOKEN}` },
    })
    expect(answer.status).toBe(200)
    return (await answer.json()) as Record<string, unknown>
  }

  async function noticesAnswer(): Promise<{ user: string; notices: { text: string }[] }> {
    const answer = await fetch(`${url}/function/m-notice`, { headers: { authorization: `Bearer ${TOKEN}` } })
    expect(answer.status).toBe(200)
    return (await answer.json()) as { user: string; notices: { text: string }[] }
  }

  async function notices(): Promise<string[]> {
    return (await noticesAnswer()).notices.map(({ text }) => text)
  }

  async function functionOf(name: string): Promise<FunctionJson> {
    const { stdout } = await ask('list', '--json')
    return (JSON.parse(stdout) as FunctionJson[]).find((one) => one.name === name)!
  }
})

describeDocker('one function of the sample on a platform that serves', () => {
  test(
    'up --filter builds and deploys that one and no other',
    async () => {
      const tag = uniqueWord()
      await using scratch = await makeScratch()
      const project = await copySample('mobile', scratch.path)
      const dataDir = join(scratch.path, 'data')
      await using serve = startProgram(['serve', '--data', dataDir, '--port', '0', '--json'])
      try {
        const url = String((await serve.event(({ type }) => type === 'start.done'))['url'])
        const token = await readFile(join(project, '.secrets/mobile-token'), 'utf8')
        const gateway = ['--gateway', url]
        await runProgram(['secret', 'create', 'mobile-token', ...gateway], { stdin: token })
        const up = await runProgram(['up', '--filter', '*search', '-f', 'mobile.yml', '--json', ...gateway], {
          cwd: project,
          env: { TAG: tag },
        })
        expect(up.stderr).not.toContain('"error"')
        expect(up.code).toBe(0)
        expect(JSON.parse(up.stdout)).toEqual([
          { name: 'm-search', state: 'ready', url: `${url}/function/m-search` },
        ])
        const listed = await runProgram(['list', '--quiet', ...gateway])
        expect(listed.stdout).toBe('m-search\n')
        // Its neighbours are not there: it says so itself.
        expect((await fetch(`${url}/function/m-search?q=x`)).status).toBe(502)
        expect((await fetch(`${url}/function/m-search`)).status).toBe(400)
      } finally {
        await serve[Symbol.asyncDispose]()
        await removeTracesBelow(scratch.path)
        await removeImages([`m-search:${tag}`])
      }
    },
    FIRST_START_MS,
  )
})
