import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeDocker } from '../support/docker.ts'
import { makeHelloProject } from '../support/hello-project.ts'
import type { HelloProject } from '../support/hello-project.ts'
import { errorOf, runProgram, startProgram } from '../support/program.ts'
import type { RunningProgram } from '../support/program.ts'
import { makeScratch, uniqueWord } from '../support/scratch.ts'
import { removeImages, removeTracesBelow } from '../support/traces.ts'
import { untilPasses } from '../support/until.ts'

const GOOD = (image: string): string => `version: 1.0
provider:
  name: openfaas
functions:
  bad:
    lang: dockerfile
    handler: ./hello
    image: ${image}
`

interface Mistake {
  readonly what: string
  /** Makes the mistake in a stack file that is right. */
  readonly make: (stack: string) => string
  readonly code: string
  readonly exit: number
  /** Words of the message: the wrong value, and where it stands. */
  readonly fact: readonly (string | RegExp)[]
  readonly remedy: RegExp
}

/** The function of the file, with something in it. */
const within = (line: string) => (stack: string) => `${stack}    ${line.replaceAll('\n', '\n    ')}\n`
const instead = (from: string, to: string) => (stack: string) => stack.replace(from, to)

const MISTAKES: readonly Mistake[] = [
  {
    what: 'broken YAML',
    make: instead('handler: ./hello', 'handler: "./hello'),
    code: 'BAD_STACK',
    exit: 2,
    fact: [/stack\.yml:7:14 {2}not YAML: missing closing quote/, 'handler: "./hello'],
    remedy: /Correct/,
  },
  {
    what: 'an unknown field',
    make: within('enviroment:\n  A: b'),
    code: 'BAD_STACK',
    exit: 2,
    fact: [/stack\.yml:9:5/, 'enviroment', /did you mean "environment"\?/],
    remedy: /Correct/,
  },
  {
    what: 'a handler folder that is not there',
    make: instead('./hello', './helo'),
    code: 'BAD_STACK',
    exit: 2,
    fact: [/stack\.yml:7:14/, './helo', 'did you mean "./hello"?'],
    remedy: /Correct/,
  },
  {
    what: 'a template that is not there',
    make: instead('lang: dockerfile', 'lang: node21'),
    code: 'TEMPLATE_NOT_FOUND',
    exit: 2,
    fact: [/^bad: no template for lang "node21"/],
    remedy: /Did you mean .*node20/,
  },
  {
    what: 'a secret that nobody made',
    make: within('secrets:\n  - no-such-secret'),
    code: 'SECRET_NOT_FOUND',
    exit: 1,
    fact: ['no-such-secret'],
    remedy: /secret create no-such-secret/,
  },
  {
    what: 'an environment file that is not there',
    make: within('environment_file:\n  - nowhere.yml'),
    code: 'BAD_STACK',
    exit: 2,
    fact: [/stack\.yml:10:9/, 'nowhere.yml'],
    remedy: /Correct/,
  },
  {
    what: 'a quantity that does not parse',
    make: within('limits:\n  memory: 12 apples'),
    code: 'BAD_STACK',
    exit: 2,
    fact: [/stack\.yml:10:\d+/, '12 apples', '128Mi'],
    remedy: /Correct/,
  },
  {
    what: 'a name that is not a DNS label',
    make: instead('  bad:', '  Bad_Name:'),
    code: 'BAD_STACK',
    exit: 2,
    fact: [/stack\.yml:5:3/, 'Bad_Name'],
    remedy: /Correct/,
  },
  {
    what: 'two functions with one name',
    make: (stack) => `${stack}${stack.slice(stack.indexOf('  bad:'))}`,
    code: 'BAD_STACK',
    exit: 2,
    fact: [/stack\.yml:9:3/, 'bad'],
    remedy: /Correct/,
  },
  {
    what: 'a program that ends at once',
    make: within("environment:\n  START: 'exit:3'"),
    code: 'REPLICA_EXITED',
    exit: 6,
    fact: ['bad.openfaas-fn', /code 3/, 'cannot find module ./nothing'],
    remedy: /./,
  },
  {
    what: 'a program that never answers its health path',
    make: within("environment:\n  START: 'unready:3600000'"),
    code: 'REPLICA_NOT_READY',
    exit: 6,
    fact: ['bad.openfaas-fn', 'within 3 s', 'hello begins'],
    remedy: /\/_\/health.*--start-timeout/,
  },
]

describeDocker('a mistake gets one clear error, and the neighbours go on', () => {
  const tag = uniqueWord()
  const running: RunningProgram[] = []
  let scratch: Awaited<ReturnType<typeof makeScratch>>
  let project: HelloProject

  beforeAll(async () => {
    scratch = await makeScratch()
    project = await makeHelloProject(scratch.path, 'good', tag, { steady: {} })
  })

  afterAll(async () => {
    for (const program of running) await program[Symbol.asyncDispose]()
    await removeTracesBelow(scratch.path)
    await removeImages([project.image, `bad:${tag}`])
    await scratch[Symbol.asyncDispose]()
  })

  async function expectSteady(url: string): Promise<void> {
    const answer = await fetch(`${url}/function/steady`)
    expect(answer.status).toBe(200)
    expect(await answer.json()).toMatchObject({ word: 'steady' })
  }

  function expectFact(message: string, { fact }: Pick<Mistake, 'fact'>): void {
    for (const word of fact)
      if (typeof word === 'string') expect(message).toContain(word)
      else expect(message).toMatch(word)
  }

  describe('of `faasdock up`', () => {
    let url: string

    beforeAll(async () => {
      const serve = startProgram([
        ...['serve', '--data', join(scratch.path, 'data-serve'), '--port', '0', '--json'],
        ...['--start-timeout', '3s'],
      ])
      running.push(serve)
      url = String((await serve.event(({ type }) => type === 'start.done'))['url'])
      const up = await runProgram(['up', '-f', project.stack, '--gateway', url])
      expect(up.stderr).toBe('')
      await expectSteady(url)
    })

    test.each(MISTAKES)('$what', async (mistake) => {
      const { folder } = await makeHelloProject(project.folder, 'mistakes', tag, {})
      await writeFile(join(folder, 'stack.yml'), mistake.make(GOOD(`bad:${tag}`)))
      const up = await runProgram(['up', '--json', '--gateway', url], { cwd: folder })
      const { code, message, remedy } = errorOf(up)
      expect({ code, exit: up.code }).toEqual({ code: mistake.code, exit: mistake.exit })
      expectFact(message, mistake)
      expect(remedy).toMatch(mistake.remedy)
      await expectSteady(url)
    })

    test('a function that does not get ready is in the list with its problem, and is answered for', async () => {
      const { stdout } = await runProgram(['list', '--json', '--gateway', url])
      const functions = JSON.parse(stdout) as { name: string; state: string; problem?: { code: string } }[]
      expect(functions.map(({ name, state }) => [name, state])).toEqual([
        ['bad', 'failing'],
        ['steady', 'ready'],
      ])
      const answer = await fetch(`${url}/function/bad`)
      expect(answer.status).toBe(503)
      expect(await answer.text()).toContain('bad.openfaas-fn')
      expect((await runProgram(['remove', 'bad', '--gateway', url])).code).toBe(0)
    })
  })

  describe('saved into the stack file of a running `faasdock dev`', () => {
    let dev: RunningProgram
    let url: string

    beforeAll(async () => {
      dev = startProgram([
        ...['dev', '-f', project.stack, '--data', join(scratch.path, 'data-dev'), '--port', '0', '--json'],
        ...['--start-timeout', '3s'],
      ])
      running.push(dev)
      url = String((await dev.event(({ type }) => type === 'start.done'))['url'])
    })

    test.each(MISTAKES)('$what', async (mistake) => {
      const after = dev.events.length
      const good = GOOD(`bad:${tag}`)
      const steady = good
        .slice(good.indexOf('  bad:'))
        .replace('bad:', 'steady:')
        .replace(`bad:${tag}`, project.image)
      await writeFile(project.stack, `${mistake.make(good)}${steady}    environment:\n      WORD: steady\n`)
      const event = await dev.event(({ type }) => type.endsWith('.failed'), { after })
      const { code, message, remedy } = event['problem'] as { code: string; message: string; remedy: string }
      expect(code).toBe(mistake.code)
      expectFact(message, mistake)
      expect(remedy).not.toBe('')
      await expectSteady(url)

      const mended = dev.events.length
      await writeFile(project.stack, `${good}${steady}    environment:\n      WORD: steady\n`)
      await untilPasses(async () => {
        const { stdout } = await runProgram(['list', '--json', '--gateway', url])
        const functions = JSON.parse(stdout) as { name: string; state: string; problem?: unknown }[]
        const { state, problem } = functions.find(({ name }) => name === 'bad')!
        expect({ state, problem }).toEqual({ state: 'ready', problem: undefined })
      })
      expect(dev.events.slice(mended).filter(({ type }) => type.endsWith('.failed'))).toEqual([])
    })
  })

  test('a port that somebody has', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    try {
      const args = ['serve', '--port', String(port), '--data', join(scratch.path, 'data-port'), '--json']
      const run = await runProgram(args)
      const { code, message, remedy } = errorOf(run)
      expect({ code, exit: run.code }).toEqual({ code: 'PORT_TAKEN', exit: 1 })
      expect(message).toContain(String(port))
      expect(remedy).toContain('--port')
    } finally {
      await new Promise((resolve) => server.close(resolve))
    }
  })

  test('the default port that somebody has is given way, and said', async () => {
    const project = await makeHelloProject(scratch.path, 'two', tag, { steady: {} })
    const start = (name: string): RunningProgram => {
      const dev = startProgram(['dev', '-f', project.stack, '--data', join(scratch.path, name), '--json'])
      running.push(dev)
      return dev
    }
    const [first, second] = [start('data-first'), start('data-second')]
    const [one, two] = await Promise.all(
      [first, second].map((dev) => dev.event(({ type }) => type === 'start.done')),
    )
    expect(one!['url']).not.toBe(two!['url'])
    expect(
      [...first.events, ...second.events].filter(
        ({ type, message }) => type === 'notice' && /port 8080 is in use/.test(String(message)),
      ).length,
    ).toBeGreaterThan(0)
    await expectSteady(String(one!['url']))
    await expectSteady(String(two!['url']))
    for (const dev of [first, second]) {
      dev.signal('SIGINT')
      expect((await dev.end).code).toBe(0)
    }
  })
})

test('where no engine answers, what was tried and what to do are said', async () => {
  await using scratch = await makeScratch()
  const engine = `unix://${scratch.path}/nowhere.sock`
  const run = await runProgram([
    ...['serve', '--engine', engine, '--port', '0', '--data', join(scratch.path, 'data'), '--json'],
  ])
  const { code, message, remedy } = errorOf(run)
  expect({ code, exit: run.code }).toEqual({ code: 'ENGINE_NOT_FOUND', exit: 3 })
  expect(message).toContain(engine)
  expect(remedy).not.toBe('')
})
