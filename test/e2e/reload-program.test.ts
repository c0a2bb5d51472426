// What a developer sees of saves in the terminal, and what a session that was killed leaves to the next one.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { ensureBaseImages } from '../../src/setup/base-images.ts'
import { describeDocker, dockerAddress } from '../support/docker.ts'
import { runProgram, startProgram } from '../support/program.ts'
import type { RunningProgram } from '../support/program.ts'
import { makeReloadProject } from '../support/reload-project.ts'
import type { Kind, ReloadProject } from '../support/reload-project.ts'
import { makeScratch, uniqueWord } from '../support/scratch.ts'
import { removeImages, removeTracesBelow } from '../support/traces.ts'
import { untilPasses } from '../support/until.ts'

/** Go's standard library is compiled once; on a busy machine that takes its time. */
const COMPILES_MS = 600_000

describeDocker('a session', () => {
  const tag = uniqueWord()
  const running: RunningProgram[] = []
  let scratch: Awaited<ReturnType<typeof makeScratch>>
  let project: ReloadProject

  beforeAll(async () => {
    scratch = await makeScratch()
    project = await makeReloadProject(scratch.path, 'session', tag)
  })
  afterEach(async () => {
    for (const program of running.splice(0)) await program[Symbol.asyncDispose]()
  })
  afterAll(async () => {
    await removeTracesBelow(scratch.path)
    await removeImages(project.images)
    await scratch[Symbol.asyncDispose]()
  })

  /** `dev` with a data folder of that name, as soon as it is up. */
  async function dev(data: string, ...flags: string[]): Promise<{ program: RunningProgram; url: string }> {
    const program = startProgram([
      'dev',
      ...['-f', project.stack, '--data', join(scratch.path, data), '--port', '0', '--metrics-port', 'off'],
      ...flags,
    ])
    running.push(program)
    const isJson = flags.includes('--json')
    if (isJson) {
      const { url } = await program.event(({ type }) => type === 'start.done', { limitMs: COMPILES_MS })
      return { program, url: String(url) }
    }
    const line = await program.shows(/API {2}http:\S+/, { limitMs: COMPILES_MS })
    return { program, url: line.replace(/^API {2}/, '') }
  }

  async function answers(url: string, kind: Kind, word: string, stale: string | null = null): Promise<void> {
    await untilPasses(
      async () => {
        const answer = await fetch(`${url}/function/${kind}`)
        const marked = answer.headers.get('x-faasdock-stale')
        expect([await answer.text(), marked]).toEqual([word, stale])
      },
      { everyMs: 20, limitMs: 120_000 },
    )
  }

  test('shows what each save took, and of a bad one the place, the lines around it, and what to do', async () => {
    await project.write(['swapped'])
    await project.say('swapped', 'before')
    const { program, url } = await dev('shown')
    await project.say('swapped', 'after')
    await program.shows(/^↻ swapped {2}handler\.js {2}swapped in \d+(\.\d)? m?s$/m)
    await answers(url, 'swapped', 'after')

    const seen = program.screen.length
    await writeFile(project.file('swapped'), 'module.exports = async () => {\n  return )\n}\n')
    await program.shows(/^✗ swapped {2}handler\.js {2}does not load; the last good version answers$/m, {
      after: seen,
    })
    await program.shows(/^ {2}CODE_NOT_LOADED: swapped\/handler\.js:2\S* SyntaxError: /m, { after: seen })
    await program.shows(/^ {4}> 2 \| {3}return \)$/m, { after: seen })
    await answers(url, 'swapped', 'after', 'failing')

    const status = await runProgram(['status', '--gateway', url])
    expect(status.code).toBe(6)
    expect(status.stdout).toContain('swapped/handler.js:2')
    expect(status.stdout).toContain('> 2 |   return )')
    const described = await runProgram(['describe', 'swapped', '--gateway', url])
    expect(described.stdout).toMatch(/^State: +failing/m)
    expect(described.stdout).toContain('> 2 |   return )')
    const asJson = await runProgram(['describe', 'swapped', '--json', '--gateway', url])
    expect(JSON.parse(asJson.stdout)).toMatchObject({
      problem: {
        place: { file: 'swapped/handler.js', line: 2 },
        frame: expect.stringContaining('> 2 |') as string,
      },
    })

    await project.say('swapped', 'mended')
    await answers(url, 'swapped', 'mended')
    await untilPasses(async () => {
      const again = await runProgram(['describe', 'swapped', '--gateway', url])
      expect(again.stdout).toMatch(/^State: +ready/m)
      expect(again.stdout).not.toContain('Problem:')
    })
  })

  test('whose image behind does not build says so while the code answers, until it does', async () => {
    await project.write(['swapped'])
    await project.say('swapped', 'tested')
    const manifest = (script: string): Promise<void> =>
      writeFile(
        project.file('swapped', 'package.json'),
        JSON.stringify({ name: 'swapped', scripts: { test: script } }),
      )
    await writeFile(
      project.file('swapped', 'check.js'),
      "if (require('fs').readFileSync('handler.js', 'utf8').includes('wrong')) throw new Error('a test fails')\n",
    )
    await manifest('node check.js')
    const { program, url } = await dev('behind')
    await answers(url, 'swapped', 'tested')
    await project.say('swapped', 'wrong')
    await answers(url, 'swapped', 'wrong')
    await program.shows(/^✗ swapped {2}the image behind does not build$/m)
    const status = await runProgram(['describe', 'swapped', '--gateway', url])
    expect(status.stdout).toMatch(/^State: +ready/m)
    expect(status.stdout).toContain('BUILD_FAILED')
    await project.say('swapped', 'right')
    await answers(url, 'swapped', 'right')
    await program.shows(/^✓ swapped {2}the image behind builds again$/m)
  })

  test('that was killed between a swap and its image: the next one runs what is on disk', async () => {
    await project.write(['swapped', 'foreign'])
    const first = await dev('killed', '--json')
    for (const kind of ['swapped', 'foreign'] as const) {
      await project.say(kind, 'newer')
      await answers(first.url, kind, 'newer')
    }
    first.program.signal('SIGKILL')
    await first.program.end
    expect(first.program.events.filter(({ type }) => type === 'image.done')).toEqual([])

    // What was edited meanwhile is noticed, too.
    await project.say('foreign', 'newest')
    const second = await dev('killed', '--json')
    await answers(second.url, 'swapped', 'newer')
    await answers(second.url, 'foreign', 'newest')
    for (const kind of ['swapped', 'foreign'] as const) {
      await project.say(kind, 'last')
      await answers(second.url, kind, 'last')
    }
    second.program.signal('SIGINT')
    await second.program.end
  })

  test('that begins with a source that does not build runs what the one before had, and says so', async () => {
    await project.write(['swapped'])
    await project.say('swapped', 'good')
    const first = await dev('begins', '--json')
    await answers(first.url, 'swapped', 'good')
    first.program.signal('SIGINT')
    await first.program.end
    await writeFile(project.file('swapped', 'package.json'), '{ "name": "swapped",\n  dependencies: {} }\n')
    const second = await dev('begins')
    await second.program.shows(/^✗ swapped {2}build failed; the last good version answers$/m)
    await second.program.shows(/swapped\/package\.json:2:3 is no JSON[^]*^ *> 2 \|/m)
    await answers(second.url, 'swapped', 'good', 'failing')
    await writeFile(project.file('swapped', 'package.json'), '{ "name": "swapped" }\n')
    await answers(second.url, 'swapped', 'good')
  })

  test(
    'with a compiled function builds it, and shows where it does not compile',
    async () => {
      const options = { env: process.env, announce: () => undefined, mayMakeStandIns: true }
      await ensureBaseImages(dockerAddress(), ['golang:1.25-alpine', 'alpine:3.22'], options)
      await project.write(['compiled'])
      const { program, url } = await dev('compiled')
      await project.say('compiled', 'compiled anew')
      await answers(url, 'compiled', 'compiled anew')
      await program.shows(/^↻ compiled {2}handler\.go {2}rebuilt in /m)
      const seen = program.screen.length
      const text = 'package function\n\nfunc Handle() {\n\treturn 1\n'
      await writeFile(project.file('compiled'), text)
      await program.shows(/^✗ compiled {2}handler\.go {2}build failed; the last good version answers$/m, {
        after: seen,
        limitMs: 120_000,
      })
      await program.shows(/compiled\/handler\.go:\d+/, { after: seen })
      await program.shows(/^ {4}> \d \| /m, { after: seen })
      await answers(url, 'compiled', 'compiled anew', 'failing')
      await project.say('compiled', 'good again')
      await answers(url, 'compiled', 'good again')
    },
    COMPILES_MS,
  )
})
