import { chmod, mkdir, open, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import { sourceIn } from '../../test/support/function-source.ts'
import type { Fingerprint, FunctionSource } from '../core/builder.ts'
import type { Engine } from '../docker/client.ts'
import { makePlanner } from './plan.ts'

/** The templates that are shipped. */
const TEMPLATES = fileURLToPath(new URL('../../templates/', import.meta.url))

type Files = Parameters<typeof makeFolder>[0]

const never = new AbortController().signal

/** An engine that has every image, and counts what it is asked. */
function countingEngine() {
  let asked = 0
  const inspect = () => {
    asked++
    return Promise.resolve({ Id: 'sha256:base', Config: { Labels: {} }, Architecture: 'amd64' })
  }
  const version = () => {
    asked++
    return Promise.resolve({ Version: '1', ApiVersion: '1.41', Arch: 'amd64', Components: [] })
  }
  return { engine: { version, getImage: () => ({ inspect }) } as unknown as Engine, asked: () => asked }
}

/** A project with one function `hello`, and its fingerprints. */
async function makeProject(lang: string, files: Files, more: Partial<FunctionSource> = {}) {
  const folder = await makeFolder(files)
  const { engine, asked } = countingEngine()
  const planner = makePlanner({
    engine,
    templates: TEMPLATES,
    env: {},
    chooseMethod: () => Promise.resolve({ kind: 'classic', build: () => Promise.reject(new Error('no')) }),
    registryConfig: () => Promise.reject(new Error('no registry')),
  })
  const handler = join(folder.path, 'hello')
  const source = sourceIn(folder, { lang, ...more })
  return {
    handler,
    asked,
    look: (signal = never) => planner.fingerprint(source, { signal }, () => undefined),
    plan: () => planner.plan(source, { signal: never }, () => undefined),
    put: async (path: string, content: string) => {
      await mkdir(dirname(join(handler, path)), { recursive: true })
      await writeFile(join(handler, path), content)
    },
    remove: (path: string) => rm(join(handler, path), { recursive: true }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  }
}

/** The rung that lies between two fingerprints. */
function between(before: Fingerprint, after: Fingerprint): string {
  if (before.frame !== after.frame) return 'build'
  if (before.code?.hash === after.code?.hash) return 'nothing'
  return after.code?.way ?? 'build'
}

const pathsOf = ({ code }: Fingerprint) => [...(code?.files.keys() ?? [])]

const NODE = {
  'hello/handler.js': 'module.exports = 1',
  'hello/lib/a.js': 'a',
  'hello/package.json': '{"dependencies":{"left-pad":"1"},"scripts":{"test":"node x"}}',
  'hello/package-lock.json': '{}',
  'hello/.npmrc': 'x=y',
  'hello/node_modules/left-pad/index.js': 'theirs',
}
const LOCAL = {
  'hello/handler.js': 'x',
  'hello/package.json': '{"dependencies":{"auth":"file:../libs/auth"}}',
  'hello/libs/auth/package.json': '{"name":"auth"}',
  'hello/libs/auth/index.js': 'x',
  'hello/data/package.json': '{}',
}
const MADE = {
  ...LOCAL,
  'hello/package.json': '{"dependencies":{"made":"file:libs/made"}}',
  'hello/libs/made/package.json': '{"name":"made","scripts":{"prepare":"tsc"}}',
  'hello/libs/made/index.ts': 'x',
}
const HOOKED = { ...NODE, 'hello/package.json': '{"scripts":{"postinstall":"node gen.js"}}' }
const WORKSPACES = { ...LOCAL, 'hello/package.json': '{"workspaces":["libs/*"]}' }
const PYTHON = {
  'hello/handler.py': 'def handle(event, context): pass',
  'hello/requirements.txt': 'requests',
  'hello/pyproject.toml': '',
  'hello/tox.ini': '',
  'hello/fast.so': '',
  'hello/pkg/x.py': '',
}

describe('what a save takes', () => {
  test.each<[string, string, Files, string, string]>([
    ['the handler of Node', 'node20', NODE, 'handler.js', 'swap'],
    ['what it requires', 'node20', NODE, 'lib/a.js', 'swap'],
    ['a new file', 'node20', NODE, 'lib/deep/b.json', 'swap'],
    ['a file of its own that is new', 'node20', NODE, 'views/page.html', 'swap'],
    ['package.json', 'node20', NODE, 'package.json', 'build'],
    ['the lock file', 'node20', NODE, 'package-lock.json', 'build'],
    ['.npmrc', 'node20', NODE, '.npmrc', 'build'],
    ['the developer’s own node_modules', 'node20', NODE, 'node_modules/left-pad/index.js', 'nothing'],
    ['a compiled addon', 'node20', NODE, 'build-of/x.node', 'build'],
    ['a module of a local package', 'node20', LOCAL, 'libs/auth/index.js', 'swap'],
    ['the manifest of a local package', 'node20', LOCAL, 'libs/auth/package.json', 'build'],
    ['a local package that is compiled', 'node20', MADE, 'libs/made/index.ts', 'build'],
    // Given as a whole, code would remove what that one's script has made.
    ['the handler beside a local package that is compiled', 'node20', MADE, 'handler.js', 'build'],
    ['a manifest that nothing installs', 'node20', LOCAL, 'data/package.json', 'swap'],
    ['a manifest of a workspace', 'node20', WORKSPACES, 'libs/auth/package.json', 'build'],
    ['the handler where a script installs', 'node20', HOOKED, 'handler.js', 'build'],
    ['the handler of Python', 'python3-http', PYTHON, 'handler.py', 'swap'],
    ['a package of it', 'python3-http', PYTHON, 'pkg/x.py', 'swap'],
    ['requirements.txt', 'python3-http', PYTHON, 'requirements.txt', 'build'],
    ['pyproject.toml', 'python3-http', PYTHON, 'pyproject.toml', 'build'],
    ['tox.ini', 'python3-http', PYTHON, 'tox.ini', 'swap'],
    ['a compiled module', 'python3-http', PYTHON, 'fast.so', 'build'],
    ['byte code', 'python3-http', PYTHON, '__pycache__/handler.cpython-312.pyc', 'nothing'],
    ['a cache of tests', 'python3-http', PYTHON, '.pytest_cache/x', 'nothing'],
    ['a shell script', 'bash', { 'hello/handler.sh': 'true' }, 'handler.sh', 'files'],
    ['Go', 'golang-middleware', { 'hello/handler.go': 'package function' }, 'handler.go', 'build'],
    [
      'a file of an own Dockerfile',
      'dockerfile',
      { 'hello/Dockerfile': 'FROM x\nWORKDIR /a\nCOPY . .', 'hello/a.js': '' },
      'a.js',
      'files',
    ],
    [
      'an own Dockerfile',
      'dockerfile',
      { 'hello/Dockerfile': 'FROM x\nWORKDIR /a\nCOPY . .', 'hello/a.js': '' },
      'Dockerfile',
      'build',
    ],
  ])('%s', async (_, lang, files, changed, rung) => {
    await using project = await makeProject(lang, files)
    const before = await project.look()
    await project.put(changed, changed.endsWith('.json') ? '{"name":"other"}' : 'FROM other')
    expect(between(before, await project.look())).toBe(rung)
  })

  test.each<[string, string, Files, string, string]>([
    ['a module', 'node20', NODE, 'lib/a.js', 'build'],
    ['a module beside another', 'node20', { ...NODE, 'hello/lib/b.js': '' }, 'lib/a.js', 'swap'],
    ['a folder', 'node20', NODE, 'lib', 'swap'],
    ['a manifest', 'node20', NODE, 'package-lock.json', 'build'],
  ])('removed: %s', async (_, lang, files, removed, rung) => {
    await using project = await makeProject(lang, files)
    const before = await project.look()
    await project.remove(removed)
    expect(between(before, await project.look())).toBe(rung)
  })

  test('a file that becomes a program takes a build, as a process that runs is given contents alone', async () => {
    await using project = await makeProject('node20', NODE)
    const before = await project.look()
    await chmod(join(project.handler, 'lib/a.js'), 0o755)
    expect(between(before, await project.look())).toBe('build')
  })

  test('a file that only its owner may read takes a build where it would become root’s', async () => {
    await using project = await makeProject('bash', { 'hello/handler.sh': 'true', 'hello/b.sh': 'x' })
    await chmod(join(project.handler, 'b.sh'), 0o600)
    const before = await project.look()
    expect(pathsOf(before)).toEqual(['handler.sh'])
    await project.put('b.sh', 'y')
    expect(between(before, await project.look())).toBe('build')
  })

  test('a build argument takes a build', async () => {
    await using project = await makeProject('node20', NODE)
    await using other = await makeProject('node20', NODE, { buildArgs: { A: 'b' } })
    expect(between(await project.look(), await other.look())).toBe('build')
  })

  test('a rename of case alone is a swap', async () => {
    await using project = await makeProject('node20', { ...NODE, 'hello/lib/b.js': '' })
    const before = await project.look()
    await rename(join(project.handler, 'lib/a.js'), join(project.handler, 'lib/A.js'))
    const after = await project.look()
    expect(between(before, after)).toBe('swap')
    expect(pathsOf(after)).toContain('lib/A.js')
  })
})

describe('code', () => {
  test('is all that the image has in the folder, for what is given as a whole removes the rest', async () => {
    await using project = await makeProject('node20', NODE)
    const { code } = await project.look()
    expect(code).toMatchObject({ way: 'swap', folder: '/home/app/function' })
    expect([...(code?.files.keys() ?? [])]).toEqual([
      'handler.js',
      'lib/a.js',
      'package-lock.json',
      'package.json',
    ])
  })

  test('has the sample handler of the template only where a build keeps it', async () => {
    await using without = await makeProject('node20', { 'hello/lib.js': '' })
    expect(pathsOf(await without.look())).toEqual(['handler.js', 'lib.js', 'package.json'])
    await using typed = await makeProject('node24', { 'hello/handler.ts': '' })
    expect(pathsOf(await typed.look())).toEqual(['handler.ts', 'package.json'])
    await using own = await makeProject('node24', { 'hello/handler.ts': '', 'hello/handler.js': 'own' })
    expect(pathsOf(await own.look())).toEqual(['handler.js', 'handler.ts', 'package.json'])
  })

  test.each([
    ['node20', 'handler.js', 'handler.mjs'],
    ['python3-http', 'handler.py', 'handler/__init__.py'],
    ['bash', 'handler.sh', 'handler.sh'],
  ])(
    'of %s is said to be the sample where nothing of the function’s own answers',
    async (lang, sample, other) => {
      await using project = await makeProject(lang, { [`hello/${sample}`]: 'own', 'hello/lib.x': '' })
      expect(await project.look()).not.toHaveProperty('sample')
      await project.remove(sample)
      expect(await project.look()).toMatchObject({ sample })
      expect((await project.plan()).fingerprint).toMatchObject({ sample })
      await project.put(other, 'own')
      expect(await project.look()).not.toHaveProperty('sample')
    },
  )

  test('has what is copied to it, and the source of each file', async () => {
    const files = { 'hello/handler.js': '', 'libs/x/x.js': 'x' }
    await using project = await makeProject('node20', files, { copy: ['libs/x'] })
    const { code } = await project.look()
    expect(code?.files.get('libs/x/x.js')?.source).toBe(join(project.handler, '../libs/x/x.js'))
  })

  test('reads a file as it was looked at, or says that it was changed', async () => {
    await using project = await makeProject('node20', NODE)
    const file = (await project.look()).code?.files.get('handler.js')
    expect(Buffer.from((await file?.read(never)) ?? []).toString()).toBe('module.exports = 1')
    await project.put('handler.js', 'module.exports = 2')
    await expect(file?.read(never)).rejects.toMatchObject({
      code: 'FILE_NOT_READABLE',
      message: expect.stringContaining('was changed meanwhile') as string,
    })
    await project.remove('handler.js')
    await expect(file?.read(never)).rejects.toMatchObject({ code: 'FILE_NOT_READABLE' })
    await expect(file?.read(AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop')
  })

  test('of more than a runtime takes is none: it takes a build', async () => {
    await using project = await makeProject('node20', NODE)
    await using large = await open(join(project.handler, 'large.bin'), 'w')
    await large.truncate(65 * 2 ** 20)
    const print = await project.look()
    expect(print.code).toBeUndefined()
    expect(print.frame).toBe(print.content)
  })
})

describe('a fingerprint', () => {
  test('is what a build says of the same content', async () => {
    await using project = await makeProject('node20', NODE)
    const { fingerprint } = await project.plan()
    const looked = await project.look()
    expect([looked.content, looked.frame, looked.code?.hash]).toEqual([
      fingerprint.content,
      fingerprint.frame,
      fingerprint.code?.hash,
    ])
  })

  test('asks the engine nothing once it was asked', async () => {
    await using project = await makeProject('node20', NODE)
    await project.look()
    const asked = project.asked()
    expect(asked).toBeGreaterThan(0)
    await project.put('handler.js', 'other')
    await project.look()
    expect(project.asked()).toBe(asked)
  })

  test('of a thousand files takes a moment, and of those that stayed only a look', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 1000 }, (_, at) => [`hello/m${at % 20}/f${at}.js`, `${at}`]),
    )
    await using project = await makeProject('node20', { ...NODE, ...many })
    const { code } = await project.look()
    expect(code?.files.size).toBe(1004)
    const taken: number[] = []
    for (let at = 0; at < 5; at++) {
      await project.put('handler.js', `${at}`)
      const began = performance.now()
      await project.look()
      taken.push(performance.now() - began)
    }
    // Tens of milliseconds; the rest is room for a busy machine.
    expect(Math.min(...taken)).toBeLessThan(2000)
  }, 60_000)

  test('stops in the middle of a huge file', async () => {
    await using project = await makeProject('node20', NODE)
    await using huge = await open(join(project.handler, 'huge.bin'), 'w')
    await huge.truncate(2 * 2 ** 30)
    const abort = new AbortController()
    const looking = project.look(abort.signal)
    setTimeout(() => abort.abort(new Error('stop')), 20)
    await expect(looking).rejects.toThrow('stop')
  }, 60_000)

  test('names the symlink that leads back, and what cannot be found', async () => {
    await using project = await makeProject('node20', NODE)
    await symlink('..', join(project.handler, 'lib/loop'))
    await expect(project.look()).rejects.toMatchObject({ code: 'BUILD_FAILED' })
    await project.remove('lib/loop')
    await project.look()
    await rm(project.handler, { recursive: true })
    await expect(project.look()).rejects.toMatchObject({ code: 'HANDLER_NOT_FOUND' })
  })

  test('of a manifest that is half written takes a build, and is the old one again when it is whole', async () => {
    await using project = await makeProject('node20', NODE)
    const before = await project.look()
    await project.put('package.json', '{"dependencies":{')
    const half = await project.look()
    expect(between(before, half)).toBe('build')
    await project.put('package.json', NODE['hello/package.json'])
    expect(between(before, await project.look())).toBe('nothing')
  })
})
