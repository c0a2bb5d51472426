// The runtime's own route /_/generation (docs/runtime.md), on the real program of every Node that the template offers.
import { spawn } from 'node:child_process'
import { chmod, readFile, readdir, readlink, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { callAt, until } from './templates/call.ts'
import { majors, nodeBinaries } from './templates/node-binaries.ts'
import type { NodeBinaries } from './templates/node-binaries.ts'
import { startRuntime, swapEnv, swapping } from './templates/node-process.ts'
import type { RuntimeOptions, RuntimeProcess, Swapping } from './templates/node-process.ts'

type Swappable = RuntimeProcess & Swapping

async function startSwappable(
  files: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
  options: RuntimeOptions = {},
): Promise<Swappable> {
  const runtime = await startRuntime(files, { ...swapEnv, ...env }, options)
  return Object.assign(runtime, swapping(runtime.call))
}

/** The same code in both module systems. */
interface Flavour {
  readonly title: string
  /** Written as a handler that exports `EXPRESSION`, after `imports` and `statements`. */
  readonly handler: (
    expression: string,
    statements?: string,
    imports?: Readonly<Record<string, string>>,
  ) => string
  readonly value: (expression: string) => string
  readonly extra: Readonly<Record<string, string>>
}

const flavours: readonly Flavour[] = [
  {
    title: 'CommonJS',
    handler: (expression, statements = '', imports = {}) =>
      `${Object.entries(imports)
        .map(([name, from]) => `const ${name} = require('${from}');`)
        .join(' ')}\n${statements}\nmodule.exports = ${expression}\n`,
    value: (expression) => `module.exports = ${expression}\n`,
    extra: {},
  },
  {
    title: 'ES modules',
    handler: (expression, statements = '', imports = {}) =>
      `${Object.entries(imports)
        .map(([name, from]) => `import ${name} from '${from}';`)
        .join(' ')}\n${statements}\nexport default ${expression}\n`,
    value: (expression) => `export default ${expression}\n`,
    extra: { 'package.json': '{"type":"module"}' },
  },
]

let binaries: NodeBinaries
beforeAll(async () => {
  binaries = await nodeBinaries()
})
afterAll(() => binaries[Symbol.asyncDispose]())

const bodyOf = async (runtime: RuntimeProcess, path = '/'): Promise<string> =>
  (await runtime.call({ path })).body
const prints = (runtime: RuntimeProcess, text: string | RegExp): Promise<string> =>
  until(
    () => Promise.resolve(runtime.output()),
    (output) => (typeof text === 'string' ? output.includes(text) : text.test(output)),
  )

describe.each(majors)('swap on node%i', (major) => {
  /** The tests of a version are skipped, and counted as such, where its program is not here. */
  const onThisNode = (title: string, test: (node: string) => Promise<void>): void => {
    it(title, async ({ skip }) => {
      const node = binaries.paths.get(major)
      if (node === undefined) return skip(`no program of Node ${String(major)} that runs here`)
      await test(node)
    })
  }

  describe.each(flavours)('$title', ({ handler, value, extra }) => {
    onThisNode('answers with the new code of any file, and keeps dependencies', async (node) => {
      const files = {
        ...extra,
        'handler.js': handler('async () => "one " + part + dep.loads', '', {
          part: './lib/part.js',
          dep: 'dep',
        }),
        'lib/part.js': handler('deep', '', { deep: './deep.js' }),
        'lib/deep.js': value('"a"'),
        'node_modules/dep/package.json': '{"name":"dep","main":"index.js"}',
        'node_modules/dep/index.js': 'global.loads = (global.loads || 0) + 1; exports.loads = global.loads',
      }
      await using runtime = await startSwappable(files, {}, { node })
      expect(await bodyOf(runtime)).toBe('one a1')
      expect(await runtime.state()).toEqual({ number: 1, hash: 'first', inflight: {}, canSwap: true })

      expect(await runtime.put({ 'lib/deep.js': value('"b"') }, { hash: 'second' })).toMatchObject({
        status: 200,
        number: 2,
        hash: 'second',
        ms: expect.any(Number) as number,
      })
      expect(await bodyOf(runtime)).toBe('one b1')
      const two = handler('async () => "two " + part + dep.loads', '', { part: './lib/part.js', dep: 'dep' })
      await runtime.put({ 'handler.js': two })
      expect(await bodyOf(runtime)).toBe('two b1')
      await runtime.put({ 'lib/deep.js': value('"c"') })
      expect(await bodyOf(runtime)).toBe('two c1')
      expect(await readFile(join(runtime.folder, 'function/lib/deep.js'), 'utf8')).toBe(value('"c"'))
      expect(await runtime.state()).toMatchObject({ number: 4, inflight: {} })
      expect(JSON.parse(await readFile(join(runtime.folder, '.generation'), 'utf8'))).toEqual({
        number: 4,
        hash: 'hash-3',
      })
      await prints(runtime, /generation 4 answers after \d+\.\d ms/)
    })

    onThisNode('finishes calls in flight on the old code while later ones meet the new', async (node) => {
      const gated = (name: string): string =>
        handler(
          `async (event) => {
            if (event.path === '/go') { waiting.forEach((go) => go()); waiting.length = 0; return 'gone' }
            if (event.path !== '/wait') return '${name}'
            await new Promise((go) => waiting.push(go))
            return 'waited in ${name}'
          }`,
          'const waiting = global.waiting || (global.waiting = [])',
        )
      await using runtime = await startSwappable({ ...extra, 'handler.js': gated('one') }, {}, { node })
      const call = runtime.call({ path: '/wait' })
      await until(runtime.state, ({ inflight }) => inflight['1'] === 1)
      await runtime.put({ 'handler.js': gated('two') })
      const second = runtime.call({ path: '/wait' })
      expect(await bodyOf(runtime)).toBe('two')
      await until(runtime.state, ({ inflight }) => inflight['1'] === 1 && inflight['2'] === 1)
      expect(await bodyOf(runtime, '/go')).toBe('gone')
      expect((await call).body).toBe('waited in one')
      expect((await second).body).toBe('waited in two')
      await until(runtime.state, ({ inflight }) => Object.keys(inflight).length === 0)
    })

    onThisNode('goes on with the old code, and tells where the new one fails', async (node) => {
      const good = handler('async () => "good " + part', '', { part: './part.js' })
      const part = value('"part"')
      await using runtime = await startSwappable(
        { ...extra, 'handler.js': good, 'part.js': part },
        {},
        { node },
      )
      const failing: readonly (readonly [string, string, object])[] = [
        ['a syntax error', `\n${handler('{ a: ; }')}`, { file: 'handler.js', line: 4 }],
        [
          'a throw',
          handler('1', 'throw new Error("at load")'),
          { file: 'handler.js', line: 2, message: 'Error: at load' },
        ],
        [
          'a missing package',
          handler('nothing', '', { nothing: 'not-there' }),
          { file: 'handler.js', line: 1, message: expect.stringContaining("'not-there'") as string },
        ],
        [
          'a missing file',
          handler('nothing', '', { nothing: './not/there.js' }),
          { file: 'handler.js', line: 1, message: expect.stringContaining('not/there.js') as string },
        ],
        [
          'no export',
          '',
          { file: 'handler.js', message: expect.stringContaining('exports no function') as string },
        ],
        [
          'an end of the process',
          handler('1', 'process.exit(3)'),
          { file: 'handler.js', line: 2, message: expect.stringContaining('process.exit(3)') as string },
        ],
      ]
      for (const [title, text, expected] of failing) {
        const answer = await runtime.put({ 'handler.js': text, 'new.js': part })
        expect(answer, title).toMatchObject({ status: 422, ...expected })
        expect(answer.stack, title).toContain(String(answer.message).split('\n')[0]?.split(': ').at(-1))
        expect(answer.stack, title).not.toMatch(/generation[-=]\d/)
        expect(await bodyOf(runtime), title).toBe('good part')
        await until(
          () => readdir(join(runtime.folder, 'function')),
          (names) => names.sort().join() === ['handler.js', 'part.js', ...Object.keys(extra)].sort().join(),
        )
      }
      const answer = await runtime.put({ 'part.js': `\n\nthrow new Error("below")\n${part}` })
      expect(answer).toMatchObject({ status: 422, file: 'part.js', line: 3 })
      expect(await bodyOf(runtime)).toBe('good part')
      await prints(runtime, /generation \d+ does not load, generation 1 goes on\n[\s\S]*Error: below\n\s+at /)
      expect(await runtime.state()).toMatchObject({ number: 1, hash: 'first', canSwap: true })
      expect(await runtime.put({ 'part.js': value('"after"') })).toMatchObject({ status: 200 })
      expect(await bodyOf(runtime)).toBe('good after')
      const left = await readdir(join(runtime.folder, 'function'))
      expect(left.filter((name) => name.endsWith('.new'))).toEqual([])
    })

    onThisNode('releases what an old version started, after its own SIGTERM listeners', async (node) => {
      const busy = handler(
        `async (event) => {
          if (event.path === '/ticks') return String(global.ticks)
          setTimeout(() => { process.stdout.write('LATE\\n') }, 300)
          process.once('SIGUSR2', () => {})
          return 'busy'
        }`,
        `setInterval(() => { global.ticks = (global.ticks || 0) + 1 }, 5)
         process.on('SIGTERM', () => {
           process.stdout.write('CLOSED ' + (global.ticks > 0) + '\\n')
           setTimeout(() => { throw new Error('after the end') }, 20)
           process.exit(7)
         })
         process.on('warning', () => {})`,
      )
      const listeners = handler(
        `async (event) => JSON.stringify([await (event.path === '/later' && new Promise((go) => setTimeout(go, 350))), process.listenerCount('SIGTERM'), process.listenerCount('SIGUSR2'), process.listenerCount('warning'), global.ticks])`,
      )
      await using runtime = await startSwappable({ ...extra, 'handler.js': listeners }, {}, { node })
      const before = JSON.parse(await bodyOf(runtime)) as number[]
      await runtime.put({ 'handler.js': busy })
      expect(await bodyOf(runtime)).toBe('busy')
      await until(
        () => bodyOf(runtime, '/ticks'),
        (ticks) => Number(ticks) > 0,
      )
      await runtime.put({ 'handler.js': listeners })
      await prints(runtime, 'CLOSED true')
      await prints(runtime, 'process.exit(7) is ignored')
      const after = JSON.parse(await bodyOf(runtime)) as number[]
      expect(after.slice(1, 4)).toEqual(before.slice(1, 4))
      // A timer that is longer than all of the old version's: those that still ran would have fired before it.
      const later = JSON.parse(await bodyOf(runtime, '/later')) as number[]
      expect(later[4]).toBe(after[4])
      expect(runtime.output()).not.toContain('LATE')
      expect(runtime.child.exitCode).toBeNull()
    })

    onThisNode('survives what an old version does while it still has calls', async (node) => {
      const old = handler(
        `(event) => new Promise((done) => {
          global.gone = false
          const timer = setInterval(() => {
            if (!global.gone) return
            clearInterval(timer)
            if (event.path === '/exit') process.exit(9)
            if (event.path === '/throw') throw new Error('loose')
            Promise.reject(new Error('loose'))
            setTimeout(done, 20, 'answered')
          }, 2)
        })`,
      )
      const newer = handler(`async (event) => { if (event.path === '/go') global.gone = true; return 'new' }`)
      const expected: readonly (readonly [string, number, RegExp])[] = [
        ['/exit', 500, /old code called process\.exit\(9\)/],
        ['/throw', 500, /loose/],
        ['/reject', major < 15 ? 200 : 500, major < 15 ? /answered/ : /loose/],
      ]
      await using runtime = await startSwappable({ ...extra, 'handler.js': old }, {}, { node })
      for (const [path, status, body] of expected) {
        const call = runtime.call({ path })
        await until(runtime.state, ({ inflight }) => Object.values(inflight).includes(1))
        expect(await runtime.put({ 'handler.js': newer })).toMatchObject({ status: 200 })
        expect(await bodyOf(runtime, '/go')).toBe('new')
        expect(await call, path).toMatchObject({ status, body: expect.stringMatching(body) as string })
        expect(await bodyOf(runtime)).toBe('new')
        expect(runtime.child.exitCode).toBeNull()
        await runtime.put({ 'handler.js': old })
      }
    })
  })

  onThisNode('takes another module type, and changes between them', async (node) => {
    await using runtime = await startSwappable({ 'handler.js': 'module.exports = () => "cjs"' }, {}, { node })
    const steps: readonly (readonly [string, string, string])[] = [
      ['{"type":"module"}', 'export default () => "esm 1"', 'esm 1'],
      ['{"type":"module"}', 'export default () => "esm 2"', 'esm 2'],
      ['{"type":"commonjs"}', 'module.exports = () => "cjs 1"', 'cjs 1'],
      ['{}', 'module.exports = () => "cjs 2"', 'cjs 2'],
      ['{"type":"module"}', 'export default () => "esm 3"', 'esm 3'],
    ]
    for (const [manifest, code, body] of steps) {
      expect(await runtime.put({ 'package.json': manifest, 'handler.js': code })).toMatchObject({
        status: 200,
      })
      expect(await bodyOf(runtime)).toBe(body)
    }
    await until(
      () => readdir(join(runtime.folder, 'function')),
      (names) => names.filter((name) => name.startsWith('.generation')).length <= 1,
    )
  })

  onThisNode('sees ES modules anew that CommonJS imports', async (node) => {
    const handler = `module.exports = async () => (await import('./a.mjs')).default`
    await using runtime = await startSwappable(
      {
        'handler.js': handler,
        'a.mjs': `export { default } from './b.mjs'`,
        'b.mjs': 'export default "one"',
      },
      {},
      { node },
    )
    expect(await bodyOf(runtime)).toBe('one')
    for (const text of ['two', 'three']) {
      await runtime.put({ 'b.mjs': `export default "${text}"` })
      expect(await bodyOf(runtime)).toBe(text)
    }
  })

  if (major >= 22) {
    onThisNode('runs TypeScript of both kinds, under its own name', async (node) => {
      const kinds = [
        [
          'module',
          `export const a: string = `,
          `import { a } from './lib.ts'\nexport default async (): Promise<string> => a + new Error('x').stack`,
        ],
        [
          'commonjs',
          `exports.a = `,
          `const { a } = require('./lib.ts')\nmodule.exports = async (): Promise<string> => a + new Error('x').stack`,
        ],
      ] as const
      for (const [type, lib, handler] of kinds) {
        const files = {
          'package.json': JSON.stringify({ type }),
          'handler.ts': handler,
          'lib.ts': `${lib}'one'`,
        }
        await using runtime = await startSwappable(files, {}, { node })
        for (const text of ['two', 'three']) {
          await runtime.put({ 'lib.ts': `${lib}'${text}'` })
          expect(await bodyOf(runtime), type).toMatch(
            new RegExp(`^${text}Error: x\\n.*function/handler\\.ts(\\?generation=\\d)?:2:`),
          )
        }
        expect(await runtime.put({ 'lib.ts': '\nconst let = 1\n' })).toMatchObject({
          status: 422,
          file: 'lib.ts',
          line: 2,
        })
        expect(await bodyOf(runtime), type).toMatch(/^three/)
      }
    })

    onThisNode('sees ES modules anew that CommonJS requires, also after one that failed', async (node) => {
      const files = {
        'handler.js': `const { a } = require('./a.mjs')\nmodule.exports = async () => a`,
        'a.mjs': `export * from './b.mjs'`,
      }
      await using runtime = await startSwappable(
        { ...files, 'b.mjs': `export const a = 'one'` },
        {},
        { node },
      )
      for (const text of ['two', 'three']) {
        await runtime.put({ 'b.mjs': `export const a = '${text}'` })
        expect(await bodyOf(runtime)).toBe(text)
        expect(await runtime.put({ 'b.mjs': '\nthrow new Error("no")' })).toMatchObject({
          status: 422,
          file: 'b.mjs',
          line: 2,
        })
      }
      await using fresh = await startSwappable(hello, {}, { node })
      expect(await fresh.put({ 'handler.js': `\nthrow new Error('x')\nexport default 1` })).toMatchObject({
        status: 422,
        line: 2,
      })
      expect(await fresh.put({ 'handler.js': `export default () => 'detected'` })).toMatchObject({
        status: 200,
      })
      expect(await bodyOf(fresh)).toBe('detected')
    })
  }

  onThisNode('sees local packages anew', async (node) => {
    for (const [type, dep, code] of [
      ['commonjs', 'module.exports = ', `module.exports = async () => require('local')`],
      ['module', 'export default ', `import local from 'local'\nexport default async () => local`],
    ] as const) {
      await using runtime = await startSwappable(
        {
          'package.json': JSON.stringify({ type, name: 'x' }),
          'handler.js': `${code}\n`,
          'libs/local/package.json': JSON.stringify({ type, name: 'local', main: 'index.js' }),
          'libs/local/index.js': `${dep}"one"`,
        },
        {},
        { node, links: { 'node_modules/local': '../libs/local' } },
      )
      expect(await bodyOf(runtime)).toBe('one')
      for (const text of ['two', 'three']) {
        expect(await runtime.put({ 'libs/local/index.js': `${dep}"${text}"` })).toMatchObject({ status: 200 })
        expect(await bodyOf(runtime), type).toBe(text)
      }
    }
  })
})

const hello = { 'handler.js': `module.exports = async () => 'one'` }
const two = { 'handler.js': `module.exports = async () => 'two'` }

describe('/_/generation', () => {
  const asked = (runtime: Swappable, method: string, headers: Record<string, string>, body?: string) =>
    runtime.call({ method, path: '/_/generation', headers, ...(body !== undefined && { body }) })
  const known = { 'X-Faasdock-Token': 'the-token' }

  it("is the handler's own path for everybody without the token", async () => {
    const handler = {
      'handler.js': `module.exports = async (event) => 'handler ' + event.method + ' ' + event.path`,
    }
    await using runtime = await startSwappable(handler)
    for (const headers of [{}, { 'X-Faasdock-Token': 'wrong' }, { 'X-Faasdock-Token': '' }]) {
      expect(await asked(runtime, 'GET', headers)).toMatchObject({
        status: 200,
        body: 'handler GET /_/generation',
      })
      expect((await asked(runtime, 'PUT', headers, '{}')).body).toBe('handler PUT /_/generation')
    }
    await using without = await startRuntime(handler)
    expect((await without.call({ path: '/_/generation', headers: known })).body).toBe(
      'handler GET /_/generation',
    )
    expect((await without.call({ path: '/_/debugger', headers: known })).body).toBe('handler GET /_/debugger')
  })

  it('keeps the token from the handler and its children', async () => {
    await using runtime = await startSwappable({
      'handler.js': `const env = require('child_process').execSync('env').toString()
        module.exports = async () => JSON.stringify(process.env) + env`,
    })
    expect((await runtime.call()).body).not.toContain('the-token')
  })

  it('takes GET and PUT', async () => {
    await using runtime = await startSwappable(hello)
    expect((await asked(runtime, 'POST', known, '{}')).status).toBe(405)
  })

  it.each([
    ['no JSON', '{'],
    ['no object', '[]'],
    ['no hash', '{"from":null}'],
    ['no from', '{"hash":"x"}'],
    ['a file that is no text', '{"hash":"x","from":null,"files":{"a":1}}'],
    ['a file that is not base64', '{"hash":"x","from":null,"files":{"a":"ab!="}}'],
    ...[
      '../a',
      '/a',
      'a/../../b',
      'a//b',
      './a',
      '',
      'a\\\\b',
      'a\\u0000b',
      'node_modules/x/index.js',
      '.generation-9/x',
    ].flatMap((path) => [
      [`a file called ${path}`, `{"hash":"x","from":"first","files":{"${path}":""}}`],
      [`a deleted file called ${path}`, `{"hash":"x","from":"first","deleted":["${path}"]}`],
    ]),
    ['a path through a link that leads out', `{"hash":"x","from":"first","files":{"out/a.js":""}}`],
  ])('answers 400 to %s, with nothing done', async (_, body) => {
    await using runtime = await startSwappable(hello, {}, { links: { out: '../..' } })
    const answer = await asked(runtime, 'PUT', known, body)
    expect(answer.status, answer.body).toBe(400)
    expect((JSON.parse(answer.body) as { message: string }).message).toMatch(/\w+ \w+/)
    expect(await runtime.state()).toMatchObject({ number: 1, hash: 'first' })
  })

  it('answers 409 with what is here when the change is to something else', async () => {
    await using runtime = await startSwappable(hello)
    expect(await runtime.put(two, { from: 'other' })).toMatchObject({ status: 409, hash: 'first' })
    expect(await bodyOf(runtime)).toBe('one')
    await runtime.put(two, { from: 'first', hash: 'second' })
    expect(await runtime.put(hello, { from: 'first' })).toMatchObject({ status: 409, hash: 'second' })
  })

  it('answers 413 to more than 64 MiB', async () => {
    await using runtime = await startSwappable(hello)
    expect(await runtime.put({ 'big.bin': Buffer.alloc(50 * 1024 * 1024) })).toMatchObject({ status: 413 })
    expect(await runtime.put(two)).toMatchObject({ status: 200 })
  })

  it('answers 501, with the reason, where the folder cannot be written', async ({ skip }) => {
    if (process.getuid?.() === 0) return skip('root may write everywhere; the containers test this')
    await using runtime = await startSwappable(hello)
    await chmod(join(runtime.folder, 'function'), 0o555)
    expect(await runtime.put(two)).toMatchObject({ status: 501 })
  })

  it('makes the folder what `files` says where `from` is null, and deletes what is named', async () => {
    const files = { ...hello, 'old/a.js': '', 'keep.txt': 'x', 'node_modules/dep/index.js': 'exports.a = 1' }
    await using runtime = await startSwappable(files)
    const list = async (): Promise<string[]> =>
      (await readdir(join(runtime.folder, 'function'), { recursive: true }))
        .filter((name) => /\.\w+$/.test(name))
        .sort()
    await runtime.put({ ...two, 'old.js/b.js': '' }, { from: null })
    expect(await list()).toEqual(['handler.js', 'node_modules/dep/index.js', 'old.js', 'old.js/b.js'])
    await runtime.put(
      { 'old.js': 'a file in the place of a folder' },
      { deleted: ['old.js/b.js', 'never-there.js'] },
    )
    expect(await list()).toEqual(['handler.js', 'node_modules/dep/index.js', 'old.js'])
    await runtime.put({ 'old.js/again.js': '' }, { deleted: ['old.js'] })
    expect(await list()).toEqual(['handler.js', 'node_modules/dep/index.js', 'old.js', 'old.js/again.js'])
    expect(await bodyOf(runtime)).toBe('two')
  })

  it('keeps the mode of a file', async () => {
    await using runtime = await startSwappable({ ...hello, 'tool.sh': '#!/bin/sh' })
    const tool = join(runtime.folder, 'function/tool.sh')
    await chmod(tool, 0o755)
    await runtime.put({ 'tool.sh': '#!/bin/sh\necho new' })
    expect((await stat(tool)).mode & 0o777).toBe(0o755)
  })

  it('swaps one at a time, in the order of the calls', async () => {
    await using runtime = await startSwappable(hello)
    const slow = {
      'package.json': '{"type":"module"}',
      'handler.js': `await new Promise((go) => setTimeout(go, 100))\nexport default () => 'slow'`,
    }
    const first = runtime.put(slow, { from: 'first', hash: 'slow' })
    const second = runtime.put({ ...two, 'package.json': '{}' }, { from: 'slow', hash: 'fast' })
    expect([await first, await second]).toMatchObject([
      { status: 200, number: 2 },
      { status: 200, number: 3 },
    ])
    expect(await bodyOf(runtime)).toBe('two')
  })

  it('gives up a top-level await that never ends after 10 s, and answers meanwhile', async () => {
    await using runtime = await startSwappable(hello)
    const endless = runtime.put(
      { 'handler.mjs': 'await new Promise(() => {})\nexport default 1' },
      { deleted: ['handler.js'] },
    )
    await until(
      () => bodyOf(runtime),
      (body) => body === 'one',
    )
    expect(await endless).toMatchObject({
      status: 422,
      file: 'handler.mjs',
      message: expect.stringContaining('10 s') as string,
    })
    expect(await bodyOf(runtime)).toBe('one')
    expect(await runtime.put(two)).toMatchObject({ status: 200 })
  }, 30_000)

  it('answers 422 when the handler is deleted, or is TypeScript on a Node that cannot run it', async () => {
    await using runtime = await startSwappable(hello)
    expect(await runtime.put({}, { deleted: ['handler.js'] })).toMatchObject({
      status: 422,
      message: expect.stringContaining('no handler') as string,
    })
    expect(await bodyOf(runtime)).toBe('one')
  })

  it('gives an old version what it asks for late, and the new one its own', async () => {
    const handler = (name: string): string => `
      module.exports = async (event) => {
        if (event.path === '/wait') await new Promise((go) => { const t = setInterval(() => { if (global.gone) { clearInterval(t); go() } }, 2) })
        if (event.path === '/go') global.gone = true
        return '${name} ' + require('./late')
      }`
    await using runtime = await startSwappable({
      'handler.js': handler('one'),
      'late.js': `module.exports = 'one'`,
    })
    await runtime.call()
    const call = runtime.call({ path: '/wait' })
    await until(runtime.state, ({ inflight }) => inflight['1'] === 1)
    await runtime.put({ 'handler.js': handler('two'), 'late.js': `module.exports = 'two'` })
    expect(await bodyOf(runtime, '/go')).toBe('two two')
    expect((await call).body).toBe('one one')
    expect(await bodyOf(runtime)).toBe('two two')
  })

  it('stops loops of an old version that sleep, and waits for asynchronous SIGTERM listeners', async () => {
    const looping = `
      const { promisify } = require('util')
      const promised = require('timers/promises')
      global.rounds = 0
      const loop = async (sleep) => { for (;;) { await sleep(5); global.rounds += 1 } }
      loop(promisify(setTimeout)); loop(promised.setTimeout); loop((ms) => new Promise((go) => setTimeout(go, ms)))
      ;(async () => { for await (const _ of promised.setInterval(5)) global.rounds += 1 })()
      process.once('SIGTERM', async () => {
        await new Promise((go) => setTimeout(go, 50))
        console.log('CLOSED AFTER A WHILE')
      })
      module.exports = async () => 'looping'`
    const watching = `module.exports = async (event) => {
      if (event.path === '/later') await new Promise((go) => setTimeout(go, 100))
      return String(global.rounds)
    }`
    await using runtime = await startSwappable({ 'handler.js': looping })
    await runtime.put({ 'handler.js': watching })
    await prints(runtime, 'CLOSED AFTER A WHILE')
    const rounds = Number(await bodyOf(runtime))
    expect(Number(await bodyOf(runtime, '/later'))).toBe(rounds)
  })

  it('is remembered by a process that is started again', async () => {
    await using runtime = await startSwappable(hello)
    await runtime.put(two, { hash: 'second' })
    const again = { port: String(runtime.port), metrics_port: String(runtime.metricsPort) }
    runtime.child.kill('SIGTERM')
    await runtime.ended()
    const child = spawn(process.execPath, ['index.js'], {
      cwd: runtime.folder,
      env: { ...swapEnv, ...again, suppress_lock: 'true', prefix_logs: 'false' },
      stdio: 'ignore',
    })
    try {
      const state = await until(runtime.state, ({ hash }) => hash !== '')
      expect(state).toMatchObject({ hash: 'second', number: 3, canSwap: true })
      expect(await bodyOf(runtime)).toBe('two')
    } finally {
      child.kill('SIGKILL')
    }
  })

  it('takes links in the folder for what they are', async () => {
    const links = { 'to-lib': 'lib', 'lost.js': 'nowhere', 'alias.js': 'lib/part.js' }
    const files = { ...hello, 'lib/part.js': 'module.exports = 1' }
    await using runtime = await startSwappable(files, {}, { links })
    const folder = join(runtime.folder, 'function')
    expect(await runtime.put({ 'handler.js': 'syntax error(' }, { from: null })).toMatchObject({
      status: 422,
    })
    expect((await readdir(folder)).sort()).toEqual(['alias.js', 'handler.js', 'lib', 'lost.js', 'to-lib'])
    expect(await readlink(join(folder, 'alias.js'))).toBe('lib/part.js')
    expect(await runtime.put(two, { from: null })).toMatchObject({ status: 200 })
    expect(await readdir(folder)).toEqual(['handler.js'])
  })

  it('comes back with the files before a swap that killed the process', async () => {
    await using runtime = await startSwappable({ ...hello, 'old.js': 'exports.a = 1' })
    const folder = join(runtime.folder, 'function')
    await runtime.put(two, { hash: 'second' })
    const fatal = { 'handler.js': 'process.kill(process.pid, "SIGKILL")', 'new/a.js': '' }
    await expect(runtime.put(fatal, { deleted: ['old.js'], hash: 'third' })).rejects.toThrow()
    await runtime.ended()
    const child = spawn(process.execPath, ['index.js'], {
      cwd: runtime.folder,
      env: {
        ...swapEnv,
        port: String(runtime.port),
        metrics_port: String(runtime.metricsPort),
        suppress_lock: 'true',
      },
      stdio: 'ignore',
    })
    try {
      await until(
        () =>
          runtime.call().then(
            ({ body }) => body,
            () => '',
          ),
        (body) => body !== '',
      )
      expect(await bodyOf(runtime)).toBe('two')
      expect(await runtime.state()).toMatchObject({ hash: 'second', canSwap: true })
      expect((await readdir(folder)).sort()).toEqual(['handler.js', 'old.js'])
    } finally {
      child.kill('SIGKILL')
    }
  })

  it('wants everything after a process that was killed while it wrote', async () => {
    const marker = { '../.generation': '{"number":4,"hash":""}' }
    await using runtime = await startSwappable({ ...hello, ...marker })
    expect(await runtime.state()).toMatchObject({ number: 5, hash: '' })
    expect(await runtime.put(two, { from: '' })).toMatchObject({ status: 409, hash: '' })
    expect(await runtime.put(two, { from: null })).toMatchObject({ status: 200, number: 6 })
  })

  it('lets SIGTERM finish the calls of every version', async () => {
    const waiting = (name: string): Record<string, string> => ({
      'handler.js': `module.exports = () => new Promise((done) => process.once('SIGTERM', () => setTimeout(done, 100, '${name}')))`,
    })
    await using runtime = await startSwappable(waiting('one'))
    const first = runtime.call()
    await until(runtime.state, ({ inflight }) => inflight['1'] === 1)
    await runtime.put(waiting('two'))
    const second = runtime.call()
    await until(runtime.state, ({ inflight }) => inflight['2'] === 1)
    runtime.child.kill('SIGTERM')
    expect([(await first).body, (await second).body]).toEqual(['one', 'two'])
    expect(await runtime.ended()).toBe(0)
  })

  it('counts itself in neither calls nor max_inflight', async () => {
    await using runtime = await startSwappable(
      { 'handler.js': 'module.exports = () => new Promise(() => {})' },
      { max_inflight: '1' },
    )
    const call = runtime.call().catch(() => undefined)
    await until(runtime.state, ({ inflight }) => inflight['1'] === 1)
    expect(await runtime.put(two)).toMatchObject({ status: 200 })
    expect((await callAt('127.0.0.1', runtime.metricsPort, { path: '/metrics' })).body).not.toContain(
      'method="put"',
    )
    runtime.child.kill('SIGKILL')
    await call
  })
})
