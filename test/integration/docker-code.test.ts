// What src/core/provider.ts promises of revisions with code, on real images of the templates and on one that is not ours.
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Code } from '../../src/core/code.ts'
import type { FunctionRef, Revision } from '../../src/core/function.ts'
import { silentLog } from '../../src/core/log.ts'
import type { ProviderEvent } from '../../src/core/provider.ts'
import { makeEngine } from '../../src/docker/client.ts'
import type { Engine } from '../../src/docker/client.ts'
import { LABEL } from '../../src/docker/labels.ts'
import { fixedLogins } from '../../src/docker/registry-config.ts'
import { createDockerProvider } from '../../src/provider/docker/docker-provider.ts'
import type { DockerProviderOptions } from '../../src/provider/docker/docker-provider.ts'
import { codeContract } from '../contract/code.contract.ts'
import type { CodeContract } from '../contract/code.contract.ts'
import type { ProviderUnderTest } from '../contract/provider.contract.ts'
import { makeCode, revisionCode } from '../support/code.ts'
import type { Texts } from '../support/code.ts'
import { describeDocker, dockerAddress, dockerAvailable } from '../support/docker.ts'
import { makeFolder } from '../support/folder.ts'
import type { TestFolder } from '../support/folder.ts'
import { helloSpec, revisionOf } from '../support/hello.ts'
import { until, untilPasses } from '../support/until.ts'
import { build, removeAll, tag } from './templates/images.ts'

const never = new AbortController().signal
const FOLDER = '/home/app/function'

/** Answers as the contract asks of Node code. */
const nodeProgram = `
const fs = require('fs'), path = require('path')
const word = require('./lib/word')
let begun = 0
exports.answer = async (where) => {
  if (where === '/extra') return fs.existsSync(path.join(__dirname, 'extra.txt'))
  if (where === '/begun') return begun
  if (where === '/slow') { begun++; await new Promise((go) => setTimeout(go, 2000)) }
  return word
}
`
const nodeFiles = (word: string, extra = false): Texts => ({
  'program.js': nodeProgram,
  'lib/word.js': `module.exports = ${JSON.stringify(word)}\n`,
  ...(extra && { 'extra.txt': 'x' }),
})
const swapped = (word: string, extra?: boolean): Texts => ({
  ...nodeFiles(word, extra),
  'handler.js': `const { answer } = require('./program')
module.exports = async (event, context) => context.status(200).succeed({ word: await answer(event.path) })\n`,
})
/** A server that no template of ours made, which knows nothing of swaps. */
const foreign = (word: string, extra?: boolean): Texts => ({
  ...nodeFiles(word, extra),
  'handler.js': `exports.answer = require('./program').answer\n`,
})
const foreignServer = `
const { answer } = require('./function/handler')
require('http').createServer(async (request, response) => {
  if (request.url === '/_/health') return response.end()
  if (request.url === '/who') return response.end(JSON.stringify({ word: process.getuid() }))
  response.end(JSON.stringify({ word: await answer(request.url) }))
}).listen(8080)
process.on('SIGTERM', () => process.exit(0))
`
const python = (word: string, extra = false): Texts => ({
  'lib/__init__.py': '',
  'lib/words.py': `word = ${JSON.stringify(word)}\n`,
  'handler.py': `
import json, os, time
from .lib.words import word
begun = 0

def answer(where):
    global begun
    if where == "/extra":
        return os.path.exists(os.path.join(os.path.dirname(__file__), "extra.txt"))
    if where == "/begun":
        return begun
    if where == "/slow":
        begun += 1
        time.sleep(2)
    return word

def handle(event, context):
    return {"statusCode": 200, "body": json.dumps({"word": answer(event.path)})}
`,
  ...(extra && { 'extra.txt': 'x' }),
})

const nodeImage = tag('code-node')
const pythonImage = tag('code-python')
const foreignImage = tag('code-foreign')
const foreignImageOfRoot = tag('code-foreign-root')

function buildForeign(image: string, owner: number): Promise<unknown> {
  const dockerfile = `FROM node:20-alpine
WORKDIR /home/app
COPY server.js ./
COPY --chown=${owner}:${owner} function/ function/
USER 1000:1000
CMD ["node", "server.js"]
`
  const files = Object.entries(foreign('image')).map(([path, text]) => [`function/${path}`, text] as const)
  const handler = { Dockerfile: dockerfile, 'server.js': foreignServer, ...Object.fromEntries(files) }
  return build({ template: 'dockerfile', handler }, image)
}

afterAll(async () => {
  if (dockerAvailable) await removeAll()
})

describeDocker('code in containers', () => {
  let engine: Engine
  let folder: TestFolder

  beforeAll(async () => {
    engine = makeEngine(dockerAddress())
    folder = await makeFolder()
    await build({ template: 'node', handler: swapped('image') }, nodeImage)
    await build({ template: 'python3', handler: python('image') }, pythonImage, { CONTRACT: 'http' })
    await buildForeign(foreignImage, 1000)
    await buildForeign(foreignImageOfRoot, 0)
  }, 600_000)
  afterAll(() => folder[Symbol.asyncDispose]())

  async function make(
    options: Partial<DockerProviderOptions> = {},
    instance = randomBytes(4).toString('hex'),
  ): Promise<ProviderUnderTest> {
    const provider = await createDockerProvider({
      engine,
      instance,
      dataDir: folder.path,
      readSecret: () => undefined,
      startTimeoutMs: 60_000,
      drainMs: 30_000,
      relayImage: 'node:20-alpine',
      registryConfig: () => Promise.resolve(fixedLogins({})),
      log: silentLog,
      ...options,
    })
    await provider.routeGateway({ host: provider.hostAddress ?? 'host.docker.internal', port: 8080 })
    return {
      provider,
      crash: (replica) => engine.getContainer(replica).kill(),
      [Symbol.asyncDispose]: async () => {
        await provider.removeAll()
        await provider[Symbol.asyncDispose]()
      },
    }
  }

  const contracts: Record<string, Omit<CodeContract, 'make' | 'folder'>> = {
    'the node template': {
      image: nodeImage,
      way: 'swap',
      saying: swapped,
      bad: {
        files: { ...swapped('bad'), 'lib/word.js': 'module.exports = 1\nmodule.exports = = 2\n' },
        message: /SyntaxError: Unexpected token/,
        place: { file: 'lib/word.js', line: 2 },
      },
      deadly: {
        files: { ...swapped('bad'), 'lib/word.js': `process.abort()\n` },
        message: /exited with (signal|code) \d+/,
      },
    },
    'a template of somebody else': {
      image: foreignImage,
      way: 'files',
      saying: foreign,
      bad: {
        files: { ...foreign('bad'), 'lib/word.js': 'module.exports = = 2\n' },
        message: /word\.js[^]*SyntaxError/,
      },
    },
  }
  describe.each(Object.entries(contracts))('%s keeps the contract', (_name, contract) => {
    codeContract({ ...contract, folder: FOLDER, make: (options) => make(options) })
  })

  const inCode = (files: Texts, way: Code['way'] = 'swap'): Code => makeCode(files, { way, folder: FOLDER })
  const spoken = async (under: ProviderUnderTest, ref: FunctionRef, path = '/'): Promise<unknown> => {
    using lease = under.provider.lease(ref)
    const response = await fetch(`${lease?.origin ?? 'http://nobody.invalid'}${path}`)
    return ((await response.json()) as { word: unknown }).word
  }
  const idOf = (under: ProviderUnderTest, ref: FunctionRef): string => {
    using lease = under.provider.lease(ref)
    return lease?.replica ?? ''
  }

  interface Deployed extends AsyncDisposable {
    readonly revision: Revision
    readonly deploy: (wanted: Code, replicas?: number, signal?: AbortSignal) => Promise<void>
  }

  /** A function of an image whose code says `image`, with one replica, gone when the test ends. */
  async function deployed(
    under: ProviderUnderTest,
    image: string,
    files: (word: string) => Texts,
    given: Parameters<typeof helloSpec>[1] = {},
    way: Code['way'] = 'swap',
  ): Promise<Deployed> {
    const inImage = inCode(files('image'), way)
    const bare = revisionOf(helloSpec(image, given), await under.provider.resolveImage(image, never))
    const of = (wanted: Code): Revision => ({ ...bare, code: revisionCode(wanted, inImage) })
    await under.provider.deploy(of(inImage), 1, never)
    return {
      revision: of(inImage),
      deploy: (wanted, replicas = 1, signal = never) => under.provider.deploy(of(wanted), replicas, signal),
      [Symbol.asyncDispose]: () => under.provider.remove(bare.spec),
    }
  }

  test('the python3 template takes code in place, gives up files, and tells where it does not load or dies of it', async () => {
    await using under = await make()
    await using one = await deployed(under, pythonImage, python)
    const { spec } = one.revision
    const before = idOf(under, spec)
    await one.deploy(inCode(python('new', true)))
    expect([await spoken(under, spec), await spoken(under, spec, '/extra')]).toEqual(['new', true])
    await one.deploy(inCode(python('newer')))
    expect([await spoken(under, spec), await spoken(under, spec, '/extra')]).toEqual(['newer', false])
    const bad = { ...python('bad'), 'lib/words.py': 'word = 1\nword = = 2\n' }
    await expect(one.deploy(inCode(bad))).rejects.toMatchObject({
      code: 'CODE_NOT_LOADED',
      message: expect.stringContaining('SyntaxError') as string,
      place: { file: '/source/lib/words.py', line: 2 },
    })
    expect(await spoken(under, spec)).toBe('newer')
    expect(idOf(under, spec)).toBe(before)
    const deadly = { ...python('bad'), 'lib/words.py': 'import os\nos.abort()\n' }
    await expect(one.deploy(inCode(deadly))).rejects.toMatchObject({
      code: 'CODE_NOT_LOADED',
      message: expect.stringMatching(/exited with (signal|code) \d+/) as string,
    })
    expect(await spoken(under, spec)).toBe('newer')
  })

  describe('code that hangs', () => {
    test.each([
      ['node', nodeImage, swapped, { ...swapped('bad'), 'lib/word.js': 'for (;;);\n' }],
      ['python', pythonImage, python, { ...python('bad'), 'lib/words.py': 'while True:\n    pass\n' }],
    ] as const)('in %s is told, and the code before goes on', async (_name, image, files, endless) => {
      await using under = await make()
      await using one = await deployed(under, image, files)
      const { spec } = one.revision
      await one.deploy(inCode(files('good')))
      const loading = one.deploy(inCode(endless)).catch((error: unknown) => error)
      // Long before it is given up, somebody answers again.
      let hasEnded = false
      loading.finally(() => (hasEnded = true)).catch(() => undefined)
      await until(async () => (await spoken(under, spec).catch(() => '')) === 'good' && !hasEnded)
      expect(await loading).toMatchObject({
        code: 'CODE_NOT_LOADED',
        message: expect.stringMatching(/does not finish|not loaded|10 s/) as string,
      })
      expect(await spoken(under, spec)).toBe('good')
      expect(under.provider.actual(spec)).toMatchObject({ replicas: 1, available: 1 })
      await one.deploy(inCode(files('better')))
      expect(await spoken(under, spec)).toBe('better')
    })

    test('keeps the next save waiting no longer than it takes to start a container', async () => {
      await using under = await make()
      await using one = await deployed(under, nodeImage, swapped)
      const abort = new AbortController()
      const endless = inCode({ ...swapped('bad'), 'lib/word.js': 'for (;;);\n' })
      const loading = one.deploy(endless, 1, abort.signal).catch(String)
      const hung = idOf(under, one.revision.spec)
      // Another one answers.
      await until(() => idOf(under, one.revision.spec) !== hung && under.provider.lease(one.revision.spec))
      abort.abort(new Error('saved again'))
      expect(await loading).toBe('Error: saved again')
      await one.deploy(inCode(swapped('good')))
      expect(await spoken(under, one.revision.spec)).toBe('good')
    })
  })

  test('a container that is killed while it loads is replaced, and has the code then', async () => {
    await using under = await make()
    await using one = await deployed(under, nodeImage, swapped)
    const slow = {
      ...swapped('slow'),
      'lib/word.js': `Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2000)\nmodule.exports = 'slow'\n`,
    }
    const before = idOf(under, one.revision.spec)
    const loading = one.deploy(inCode(slow))
    // The code is on its way; whether it has come in yet makes no difference.
    await under.crash(before)
    await loading
    expect(await spoken(under, one.revision.spec)).toBe('slow')
    expect(idOf(under, one.revision.spec)).not.toBe(before)
  })

  test('a process that ends at its first call after a swap is replaced by one with the same code', async () => {
    await using under = await make()
    await using one = await deployed(under, nodeImage, swapped)
    const { spec } = one.revision
    const handler = `const word = require('./lib/word')
module.exports = async (event, context) => {
  if (event.path === '/end') process.abort()
  return context.status(200).succeed({ word })
}\n`
    const ending = inCode({ ...swapped('ending'), 'handler.js': handler })
    await one.deploy(ending)
    const gone: ProviderEvent[] = []
    using _watch = under.provider.watch((event) => event.type === 'replica-gone' && gone.push(event))
    await spoken(under, spec, '/end').catch(() => undefined)
    await until(() => gone.length > 0)
    expect(gone).toMatchObject([{ expected: false }])
    await one.deploy(ending)
    expect(await spoken(under, spec)).toBe('ending')
  })

  describe('a root that nobody may write to', () => {
    test.each([
      ['the node template', nodeImage, 'swap', swapped],
      ['the python3 template', pythonImage, 'swap', python],
      ['a template of somebody else', foreignImage, 'files', foreign],
    ] as const)('of %s gets code before its process starts', async (_name, image, way, files) => {
      await using under = await make()
      await using one = await deployed(under, image, files, { readOnlyRootFilesystem: true }, way)
      const { spec } = one.revision
      const before = idOf(under, spec)
      for (const word of ['one', 'two']) {
        await one.deploy(inCode(files(word), way))
        expect(await spoken(under, spec)).toBe(word)
      }
      expect(idOf(under, spec)).not.toBe(before)
      const { HostConfig } = await engine.getContainer(idOf(under, spec)).inspect()
      expect(HostConfig.ReadonlyRootfs).toBe(true)
    })
  })

  test('files that are put in belong to whom those of that image belong to, save after save, also in new folders', async () => {
    await using under = await make()
    for (const [image, owner] of [
      [foreignImage, 1000],
      [foreignImageOfRoot, 0],
    ] as const) {
      await using one = await deployed(under, image, foreign, {}, 'files')
      const { spec } = one.revision
      for (const word of ['new', 'newer']) {
        await one.deploy(inCode({ ...foreign(word), 'deep/er/new.txt': word }, 'files'))
        expect(await spoken(under, spec)).toBe(word)
        expect(await spoken(under, spec, '/who')).toBe(1000)
        expect(await ownersIn(idOf(under, spec))).toEqual([
          `${owner} 644 handler.js`,
          `${owner} 644 lib/word.js`,
          `${owner} 755 deep`,
          `${owner} 755 deep/er`,
          `${owner} 644 deep/er/new.txt`,
        ])
      }
    }
  })

  async function ownersIn(container: string): Promise<string[]> {
    const exec = await engine.getContainer(container).exec({
      Cmd: ['stat', '-c', '%u %a %n', 'handler.js', 'lib/word.js', 'deep', 'deep/er', 'deep/er/new.txt'],
      WorkingDir: FOLDER,
      AttachStdout: true,
      Tty: true,
    })
    const chunks: Buffer[] = []
    for await (const chunk of await exec.start({ Tty: true })) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString().trim().split(/\r?\n/)
  }

  test('works through published ports', async () => {
    await using under = await make({ forcePublish: true })
    await using one = await deployed(under, nodeImage, swapped)
    const before = idOf(under, one.revision.spec)
    await one.deploy(inCode(swapped('new')))
    expect(await spoken(under, one.revision.spec)).toBe('new')
    expect(idOf(under, one.revision.spec)).toBe(before)
  })

  test('the token is the function’s own, is not the user’s to set, and is told to nobody', async () => {
    await using under = await make()
    const envVars = { FAASDOCK_SWAP_TOKEN: 'guessed', FAASDOCK_CONTENT_HASH: 'guessed' }
    const events: ProviderEvent[] = []
    using _watch = under.provider.watch((event) => events.push(event))
    await using one = await deployed(under, nodeImage, swapped, { envVars })
    await using two = await deployed(under, nodeImage, swapped)
    const tokens: string[] = []
    for (const { revision } of [one, two]) {
      const { Config } = await engine.getContainer(idOf(under, revision.spec)).inspect()
      const env = new Map(Config.Env.map((line) => line.split('=') as [string, string]))
      expect(env.get('FAASDOCK_CONTENT_HASH')).toBe(revision.code?.inImage)
      tokens.push(env.get('FAASDOCK_SWAP_TOKEN') ?? '')
      expect(JSON.stringify(Config.Labels)).not.toContain(tokens.at(-1))
    }
    expect(tokens[0]).toMatch(/^[0-9a-f]{64}$/)
    expect(tokens[1]).toMatch(/^[0-9a-f]{64}$/)
    expect(tokens[0]).not.toBe(tokens[1])
    await one.deploy(inCode(swapped('new')))
    await one.deploy(inCode({ ...swapped('bad'), 'handler.js': '(' })).catch((error: unknown) => {
      expect(String(error)).not.toContain(tokens[0])
    })
    let lines = ''
    const ref = one.revision.spec
    // The engine has a line a moment after it was written.
    await untilPasses(async () => {
      lines = ''
      for await (const { text } of under.provider.logs({ ref, follow: false }, never)) lines += text
      expect(lines).toContain('answers after')
    })
    for (const token of tokens) expect(lines + JSON.stringify(events)).not.toContain(token)
  })

  test('a revision without code has none of it', async () => {
    await using under = await make()
    const revision = revisionOf(helloSpec(nodeImage))
    await under.provider.deploy(revision, 1, never)
    const { Config } = await engine.getContainer(idOf(under, revision.spec)).inspect()
    expect(Config.Env.filter((line) => line.startsWith('FAASDOCK_'))).toEqual([])
    expect(Config.Labels).not.toHaveProperty([LABEL.code])
  })

  describe('what an earlier run left', () => {
    test.each([
      ['goes on with new code in place, and is left alone where it has it', true],
      ['is replaced where it does not know us', false],
    ])('%s', async (_title, knowsUs) => {
      const instance = randomBytes(4).toString('hex')
      const swapKey = randomBytes(32)
      await using first = await make({ swapKey }, instance)
      await using one = await deployed(first, nodeImage, swapped)
      const { revision } = one
      const { spec } = revision
      const to = (word: string): Revision => ({
        ...revision,
        code: { inImage: revision.code?.inImage ?? '', wanted: inCode(swapped(word)) },
      })
      await first.provider.deploy(to('before'), 1, never)
      const before = idOf(first, spec)
      await first.provider[Symbol.asyncDispose]()

      await using second = await make(knowsUs ? { swapKey } : {}, instance)
      await second.provider.deploy(to('before'), 1, never)
      expect(await spoken(second, spec)).toBe('before')
      expect(idOf(second, spec) === before).toBe(knowsUs)
      const then = idOf(second, spec)
      await second.provider.deploy(to('after'), 1, never)
      expect(await spoken(second, spec)).toBe('after')
      expect(idOf(second, spec)).toBe(then)
    })

    test('with files put in goes on where it has those that are wanted', async () => {
      const instance = randomBytes(4).toString('hex')
      await using first = await make({}, instance)
      await using one = await deployed(first, foreignImage, foreign, {}, 'files')
      const { spec } = one.revision
      const wanted = inCode(foreign('before'), 'files')
      await one.deploy(wanted)
      const before = idOf(first, spec)
      await first.provider[Symbol.asyncDispose]()
      await using second = await make({}, instance)
      const again = { ...one.revision, code: { inImage: one.revision.code?.inImage ?? '', wanted } }
      await second.provider.deploy(again, 1, never)
      expect(idOf(second, spec)).toBe(before)
      expect(await spoken(second, spec)).toBe('before')
    })
  })
})
