import { spawnSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

/** The scripts that run before anything is installed are plain JavaScript: their types are said here. */
interface Scripts {
  'dependencies.mjs': { decide: (root: string) => { action: string; why: string } }
  'native.mjs': { missingTools: (path: string) => string[] }
  'compile.mjs': {
    sourcesOf: (root: string) => string[]
    signatureOf: (root: string, sources: string[]) => string
  }
  'one-at-a-time.mjs': {
    oneAtATime: <T>(root: string, work: () => Promise<T>, folder: string) => Promise<T>
  }
  'run-tool.mjs': {
    mayInstallPackages: (osReleaseFile: string, uid: number) => boolean
    npmCommand: (args: string[], env: Record<string, string>) => [string, string[]]
    excerpt: (output: string, count: number) => string[]
  }
  'count-tests.mjs': {
    countTests: (
      report: unknown,
      status: number,
    ) => { passed: number; failed: number; skipped: number; withoutDocker: number; notes: string[] }
  }
}

async function script<K extends keyof Scripts>(name: K): Promise<Scripts[K]> {
  return (await import(new URL(`../../scripts/bootstrap/${name}`, import.meta.url).href)) as Scripts[K]
}

let root: string
beforeEach(async () => (root = await mkdtemp(join(tmpdir(), 'bootstrap-'))))
afterEach(() => rm(root, { recursive: true, force: true }))

async function write(path: string, content: unknown): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true })
  await writeFile(join(root, path), typeof content === 'string' ? content : JSON.stringify(content))
}

describe('dependencies', () => {
  const lock = {
    packages: {
      '': {},
      'node_modules/a': { version: '1.0.0' },
      'node_modules/b': { version: '2.0.0', optional: true },
    },
  }
  const runtime = `${process.platform}-${process.arch}-${process.versions.modules}`

  const decide = async (): Promise<string> => {
    const { action, why } = (await script('dependencies.mjs')).decide(root)
    return `${action}: ${why}`
  }
  const stamp = async (changes: Record<string, string> = {}): Promise<void> => {
    const { createHash } = await import('node:crypto')
    const hash = createHash('sha256')
      .update(await readFile(join(root, 'package-lock.json')))
      .digest('hex')
    await write('node_modules/.faasdock-install.json', { lock: hash, runtime, ...changes })
  }

  beforeEach(() => write('package-lock.json', lock))

  test('are installed when there are none', async () => {
    expect(await decide()).toBe('install: there are none yet')
  })

  test('are left alone when the lock file and Node are those of the last time', async () => {
    await write('node_modules/a/package.json', {})
    await stamp()
    expect(await decide()).toBe('nothing: ')
  })

  test('are installed again when the lock file changed', async () => {
    await stamp()
    await write('package-lock.json', {
      packages: { ...lock.packages, 'node_modules/c': { version: '1.0.0' } },
    })
    expect(await decide()).toBe('install: package-lock.json changed')
  })

  test('are looked at when Node changed: the native part is for the other one', async () => {
    await stamp({ runtime: 'linux-x64-1' })
    expect(await decide()).toBe(`verify: Node changed from linux-x64-1 to ${runtime}`)
  })

  test('that someone installed by hand are not installed again', async () => {
    await write('node_modules/.package-lock.json', { packages: { 'node_modules/a': { version: '1.0.0' } } })
    expect(await decide()).toBe('verify: installed by hand')
  })

  test.each([
    ['of another version', { 'node_modules/a': { version: '1.0.1' } }],
    ['of which one is missing', {}],
  ])('%s are installed', async (_, packages) => {
    await write('node_modules/.package-lock.json', { packages })
    expect(await decide()).toBe('install: not as package-lock.json says')
  })
})

describe('the build', () => {
  beforeEach(async () => {
    for (const path of ['scripts/bootstrap/bundle.mjs', 'package-lock.json']) await write(path, '{}')
    await write('src/a.ts', 'a')
    await write('src/a.test.ts', 'test')
    await write('src/deep/0001.sql', 'sql')
  })

  const signature = async (): Promise<string> => {
    const { signatureOf, sourcesOf } = await script('compile.mjs')
    return signatureOf(root, sourcesOf(root))
  }

  test('is made of everything below src but the tests', async () => {
    const { sourcesOf } = await script('compile.mjs')
    expect(sourcesOf(root)).toEqual(['a.ts', 'deep/0001.sql'])
  })

  test.each([
    ['a source', 'src/a.ts'],
    ['another file', 'src/deep/0001.sql'],
    ['a new file', 'src/b.ts'],
    ['the way it is made', 'scripts/bootstrap/bundle.mjs'],
  ])('is done again when %s changes', async (_, path) => {
    const before = await signature()
    await write(path, 'changed')
    expect(await signature()).not.toBe(before)
  })

  test.each([
    ['a test changes', 'src/a.test.ts', 'changed'],
    ['a source is written as it was', 'src/a.ts', 'a'],
  ])('is not done again when %s', async (_, path, content) => {
    const before = await signature()
    await write(path, content)
    expect(await signature()).toBe(before)
  })
})

describe('set-ups of one folder', () => {
  test('run one after the other', async () => {
    const { oneAtATime } = await script('one-at-a-time.mjs')
    const order: string[] = []
    let finish: () => void = () => undefined
    const first = oneAtATime(
      '/x',
      async () => {
        await new Promise<void>((resolve) => (finish = resolve))
        order.push('first')
      },
      root,
    )
    const second = oneAtATime('/x', () => Promise.resolve(order.push('second')), root)
    await oneAtATime('/another', () => Promise.resolve(order.push('another')), root)
    finish()
    await Promise.all([first, second])
    expect(order).toEqual(['another', 'first', 'second'])
    expect(await readdir(root)).toEqual([])
  })

  test('do not wait for one that died', async () => {
    const { oneAtATime } = await script('one-at-a-time.mjs')
    const { createHash } = await import('node:crypto')
    const dead = spawnSync(process.execPath, ['-e', '']).pid
    await write(`faasdock-${createHash('sha256').update('/x').digest('hex').slice(0, 12)}.lock`, String(dead))
    expect(await oneAtATime('/x', () => Promise.resolve('done'), root)).toBe('done')
  })

  test('that fail give way', async () => {
    const { oneAtATime } = await script('one-at-a-time.mjs')
    await expect(oneAtATime('/x', () => Promise.reject(new Error('no')), root)).rejects.toThrow('no')
    expect(await readdir(root)).toEqual([])
  })
})

describe('tools', () => {
  test('that are missing are named as Debian packages', async () => {
    const { missingTools } = await script('native.mjs')
    expect(missingTools(root)).toEqual(['python3', 'make', 'g++'])
    for (const name of ['make', 'clang++']) {
      await write(name, '')
      await chmod(join(root, name), 0o755)
    }
    expect(missingTools(root)).toEqual(['python3'])
  })

  test.each([
    ['ID=debian\n', 0, true],
    ['ID=linuxmint\nID_LIKE="ubuntu debian"\n', 0, true],
    ['ID=debian\n', 1000, false],
    ['ID=fedora\nHOME_URL="https://debian.example"\n', 0, false],
  ])('are installed by os-release %j and uid %d: %s', async (text, uid, may) => {
    await write('os-release', text)
    const { mayInstallPackages } = await script('run-tool.mjs')
    expect(mayInstallPackages(join(root, 'os-release'), uid)).toBe(may)
  })

  test('are called through the npm that runs us', async () => {
    const { npmCommand } = await script('run-tool.mjs')
    expect(npmCommand(['ci'], { npm_execpath: '/x/npm-cli.js' })).toEqual([
      process.execPath,
      ['/x/npm-cli.js', 'ci'],
    ])
    expect(npmCommand(['ci'], { npm_execpath: '/x/yarn.js' })[1]).toEqual(['ci'])
  })

  test('that fail show how their words begin and end', async () => {
    const { excerpt } = await script('run-tool.mjs')
    expect(excerpt('1\n2\n3\n', 1)).toEqual(['1', '2', '3'])
    expect(excerpt('1\n2\n3\n4\n', 1)).toEqual(['1', '… 2 lines …', '4'])
  })
})

describe('the count of tests', () => {
  const one = (status: string, ...ancestorTitles: string[]): object => ({ status, ancestorTitles })
  const file = (status: string, ...assertionResults: object[]): object => ({
    name: 'x.test.ts',
    status,
    assertionResults,
  })

  const count = async (
    files: object[] | undefined,
    status: number,
  ): Promise<[number, number, number, number]> => {
    const { countTests } = await script('count-tests.mjs')
    const counted = countTests(files && { testResults: files }, status)
    return [counted.passed, counted.failed, counted.skipped, counted.withoutDocker]
  }

  test('takes what vitest says', async () => {
    const files = [
      file('passed', one('passed'), one('pending')),
      file('failed', one('passed'), one('failed')),
    ]
    expect(await count(files, 1)).toEqual([2, 1, 1, 0])
  })

  test('counts a file that could not be loaded as a failure', async () => {
    expect(await count([file('failed'), file('passed', one('passed'))], 1)).toEqual([1, 1, 0, 0])
  })

  test('counts an error outside of tests as a failure', async () => {
    expect(await count([file('passed', one('passed'))], 1)).toEqual([1, 1, 0, 0])
  })

  test('counts a run without a report as a failure', async () => {
    expect(await count(undefined, 0)).toEqual([0, 1, 0, 0])
  })

  test('knows which skipped tests wait for Docker', async () => {
    const files = [file('passed', one('pending', 'set-up [docker]', 'deep'), one('skipped', 'other'))]
    expect(await count(files, 0)).toEqual([0, 0, 2, 1])
  })
})
