import { execFileSync } from 'node:child_process'
import { closeSync, existsSync, openSync, unlinkSync } from 'node:fs'
import {
  chmod,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { contextRules, parseDockerignore } from '../../src/builder/dockerignore.ts'
import type { Log } from '../../src/core/log.ts'
import type { FileChange, Watcher, WatchOptions } from '../../src/core/watcher.ts'
import { makeFolder } from '../support/folder.ts'
import type { FileSketch, TestFolder } from '../support/folder.ts'
import { until } from '../support/until.ts'

interface WatcherSetting {
  readonly log: Log
  readonly parseIgnoreFile: typeof parseDockerignore
}

export interface WatcherUnderTest {
  /** What nobody looked at is told, too. */
  readonly isByEvents: boolean
  readonly make: (setting: WatcherSetting) => Watcher & { readonly counts: { readonly folders: number } }
}

/** A folder that is watched, and what was told of it. */
interface Scene extends AsyncDisposable {
  readonly folder: TestFolder
  readonly watcher: ReturnType<WatcherUnderTest['make']>
  /** Below the folder, with `-` before what is gone. In order. */
  readonly told: string[]
  readonly said: string[]
  path(...names: string[]): string
  /** Until all of these were told; in any order. What was told before is forgotten then. */
  hears(...expected: string[]): Promise<void>
  /** Writes a file that nothing else is about and waits until it was told: what came before it, was told before it. */
  settles(): Promise<void>
}

/** What every Watcher promises (core/watcher.ts), on the disk of this machine. */
export function watcherContract({ make, isByEvents }: WatcherUnderTest): void {
  async function watching(
    paths: readonly string[],
    files: Readonly<Record<string, FileSketch>> = {},
    options: WatchOptions = {},
    prepare: (folder: TestFolder) => Promise<void> = () => Promise.resolve(),
  ): Promise<Scene> {
    const folder = await makeFolder({ 'fn/handler.js': '1', ...files })
    await prepare(folder)
    const said: string[] = []
    const say = (message: string): void => void said.push(message)
    const watcher = make({
      log: { info: say, warn: say, error: say, debug: say },
      parseIgnoreFile: (text, file) => contextRules(parseDockerignore(text, file)),
    })
    const told: string[] = []
    const probe = join(folder.path, 'probe')
    const onChange = ({ path, isGone }: FileChange): void => {
      told.push((isGone ? '-' : '') + path.slice(folder.path.length + 1))
    }
    const path = (...names: string[]): string => join(folder.path, ...names)
    const absolute = { handlers: (options.handlers ?? []).map((name) => path(name)) }
    await watcher.watch([...paths.map((name) => path(name)), probe], onChange, absolute)
    let probes = 0
    const scene: Scene = {
      folder,
      watcher,
      told,
      said,
      path,
      hears: async (...expected) => {
        await until(() => expected.every((one) => told.includes(one)), {
          everyMs: 5,
          what: () => `told of ${expected.join(', ')}; told was ${told.join(', ')}`,
        })
        told.length = 0
      },
      settles: async () => {
        for (let round = 0; round < 2; round++) {
          const before = told.filter((one) => one === 'probe').length
          await writeFile(probe, 'x'.repeat(++probes))
          await until(() => told.filter((one) => one === 'probe').length > before, { everyMs: 5 })
        }
      },
      [Symbol.asyncDispose]: async () => {
        await watcher[Symbol.asyncDispose]()
        await folder[Symbol.asyncDispose]()
      },
    }
    return scene
  }

  test('a new, a changed and a removed file are told', async () => {
    await using scene = await watching(['fn'])
    await writeFile(scene.path('fn/new.js'), '1')
    await scene.hears('fn/new.js')
    await writeFile(scene.path('fn/handler.js'), 'longer')
    await scene.hears('fn/handler.js')
    await unlink(scene.path('fn/handler.js'))
    await scene.hears('-fn/handler.js')
  })

  test('nothing is told of what was there before', async () => {
    await using scene = await watching(['fn', 'stack.yml'], { 'stack.yml': '', 'fn/lib/a.js': '1' })
    await scene.settles()
    expect(scene.told.filter((one) => one !== 'probe')).toEqual([])
  })

  test('a change of the same length a moment after another one is told', async () => {
    await using scene = await watching(['fn'])
    for (let turn = 0; turn < 20; turn++) {
      await writeFile(scene.path('fn/handler.js'), String(turn % 10))
      await scene.hears('fn/handler.js')
    }
  })

  test('a file that keeps its times and size while another one takes its place is told', async () => {
    await using scene = await watching(['fn'])
    const at = new Date('2020-02-02')
    await utimes(scene.path('fn/handler.js'), at, at)
    await scene.hears('fn/handler.js')
    await writeFile(scene.path('other'), '2')
    await utimes(scene.path('other'), at, at)
    await rename(scene.path('other'), scene.path('fn/handler.js'))
    await scene.hears('fn/handler.js')
  })

  test('a file that is written beside and renamed over is told as that file', async () => {
    await using scene = await watching(['fn'])
    for (const temporary of [
      '.handler.js.swp',
      'handler.js.tmp',
      '.goutputstream-ABCDEF',
      'handler.js___jb_tmp___',
    ]) {
      await writeFile(scene.path('fn', temporary), temporary)
      await rename(scene.path('fn', temporary), scene.path('fn/handler.js'))
      await scene.hears('fn/handler.js')
    }
  })

  test('what editors put beside a file is not told', async () => {
    await using scene = await watching(['fn'])
    const names = [
      '.handler.js.swp',
      '4913',
      'handler.js~',
      '.#handler.js',
      '#handler.js#',
      'sedAb12Cd',
      'x.js.tmp',
      'x___jb_old___',
    ]
    for (const name of names) {
      await writeFile(scene.path('fn', name), 'x')
      await writeFile(scene.path('fn', name), 'xx')
      await unlink(scene.path('fn', name))
    }
    await writeFile(scene.path('fn/handler.js'), 'after')
    await until(() => scene.told.includes('fn/handler.js'))
    await scene.settles()
    expect(new Set(scene.told)).toEqual(new Set(['fn/handler.js', 'probe']))
  })

  test('a file that comes and goes before anybody could look is told as gone', async () => {
    await using scene = await watching(['fn'])
    await scene.settles()
    const file = openSync(scene.path('fn/brief.js'), 'w')
    closeSync(file)
    unlinkSync(scene.path('fn/brief.js'))
    await writeFile(scene.path('fn/handler.js'), 'two')
    await scene.hears('fn/handler.js', ...(isByEvents ? ['-fn/brief.js'] : []))
  })

  test('sed -i is told as the file that it changed', async () => {
    await using scene = await watching(['fn'])
    execFileSync('sed', ['-i', 's/1/one/', scene.path('fn/handler.js')])
    await until(() => scene.told.includes('fn/handler.js'))
    await scene.settles()
    expect(new Set(scene.told)).toEqual(new Set(['fn/handler.js', 'probe']))
  })

  test('.git, node_modules, caches and build output that says so are neither told nor watched', async () => {
    const files = Object.fromEntries(
      ['.git', 'node_modules', '__pycache__', '.venv', 'target'].flatMap((name) =>
        Array.from({ length: 5 }, (_, index) => [`fn/${name}/deep/${index}/x`, '1']),
      ),
    )
    await using scene = await watching(['fn'], { ...files, 'fn/target/CACHEDIR.TAG': 'Signature: 8a47' })
    // Itself, where it is, and the probe's.
    expect(scene.watcher.counts.folders).toBe(2)
    for (const name of Object.keys(files)) await writeFile(scene.path(name), 'changed')
    await writeFile(scene.path('fn/target/x'), '1')
    await scene.settles()
    expect(scene.told.filter((one) => one !== 'probe')).toEqual([])
  })

  test('a folder of that kind that is a watched path itself is watched', async () => {
    await using scene = await watching(['fn/node_modules/mine'], { 'fn/node_modules/mine/index.js': '1' })
    await writeFile(scene.path('fn/node_modules/mine/index.js'), 'two')
    await scene.hears('fn/node_modules/mine/index.js')
  })

  test('what a handler’s .dockerignore leaves out is neither told nor watched, as long as it says so', async () => {
    await using scene = await watching(
      ['fn'],
      {
        'fn/.dockerignore': 'docs\n*.md\n',
        'fn/docs/a/b/x.txt': '1',
        'fn/README.md': '1',
        'fn/build/x': '1',
        'fn/src/a.js': '1',
      },
      { handlers: ['fn'] },
    )
    // The folder above, fn and src.
    expect(scene.watcher.counts.folders).toBe(3)
    await scene.folder.write({ 'fn/docs/a/b/x.txt': '22', 'fn/README.md': '22', 'fn/build/x': '22' })
    await scene.settles()
    expect(scene.told.filter((one) => one !== 'probe')).toEqual([])
    await writeFile(scene.path('fn/.dockerignore'), '*.md\n')
    await scene.hears('fn/.dockerignore')
    await until(() => scene.watcher.counts.folders === 6, { everyMs: 5 })
    await scene.folder.write({ 'fn/docs/a/b/x.txt': '333', 'fn/README.md': '333' })
    await scene.hears('fn/docs/a/b/x.txt')
    expect(scene.told).not.toContain('fn/README.md')
  })

  test('what an exception of a .dockerignore brings back is told', async () => {
    await using scene = await watching(
      ['fn'],
      { 'fn/.dockerignore': '**\n!src/keep.js\n', 'fn/src/keep.js': '1', 'fn/src/drop.js': '1' },
      { handlers: ['fn'] },
    )
    await scene.folder.write({ 'fn/src/drop.js': '22', 'fn/src/keep.js': '22' })
    await scene.hears('fn/src/keep.js')
    expect(scene.told).not.toContain('fn/src/drop.js')
  })

  test('a .dockerignore of a folder that is no handler, and one that cannot be read, leave nothing out', async () => {
    await using scene = await watching(
      ['fn', 'shared'],
      { 'fn/.dockerignore': '[', 'shared/.dockerignore': '*', 'shared/a.js': '1' },
      { handlers: ['fn'] },
    )
    await scene.folder.write({ 'fn/handler.js': '22', 'shared/a.js': '22' })
    await scene.hears('fn/handler.js', 'shared/a.js')
  })

  test('a folder that comes is watched, and what came with it is told', async () => {
    await using scene = await watching(['fn'])
    await scene.folder.write({ 'fn/a/b/c/d.js': '1' })
    await scene.hears('fn/a', 'fn/a/b/c/d.js')
    await writeFile(scene.path('fn/a/b/c/d.js'), 'two')
    await scene.hears('fn/a/b/c/d.js')
  })

  test('files that are made in a folder in the moment that it is made are told', async () => {
    await using scene = await watching(['fn'])
    for (let turn = 0; turn < 20; turn++) {
      await mkdir(scene.path(`fn/${turn}/in`), { recursive: true })
      await Promise.all([
        writeFile(scene.path(`fn/${turn}/a`), '1'),
        writeFile(scene.path(`fn/${turn}/in/b`), '1'),
      ])
    }
    await scene.hears(...Array.from({ length: 20 }, (_, turn) => [`fn/${turn}/a`, `fn/${turn}/in/b`]).flat())
  })

  test('a folder is moved in, about, and out', async () => {
    await using scene = await watching(['fn'], { 'lib/in/a.js': '1' })
    await rename(scene.path('lib'), scene.path('fn/lib'))
    await scene.hears('fn/lib', 'fn/lib/in/a.js')
    await rename(scene.path('fn/lib'), scene.path('fn/lib2'))
    await scene.hears('-fn/lib', 'fn/lib2/in/a.js')
    await writeFile(scene.path('fn/lib2/in/a.js'), 'two')
    await scene.hears('fn/lib2/in/a.js')
    await rename(scene.path('fn/lib2'), scene.path('lib'))
    await scene.hears('-fn/lib2')
    await scene.settles()
    scene.told.length = 0
    await writeFile(scene.path('lib/in/a.js'), 'three')
    await scene.settles()
    expect(scene.told.filter((one) => one !== 'probe')).toEqual([])
  })

  test('a folder that is removed and made again at once goes on being watched', async () => {
    await using scene = await watching(['fn'], { 'fn/lib/a.js': '1' })
    for (let turn = 0; turn < 10; turn++) {
      await rm(scene.path('fn/lib'), { recursive: true })
      await scene.folder.write({ 'fn/lib/a.js': `turn ${turn}`, [`fn/lib/${turn}.js`]: '1' })
      await scene.hears('fn/lib/a.js', `fn/lib/${turn}.js`)
    }
  })

  test('a folder that another one is put in place of goes on being watched', async () => {
    await using scene = await watching(['fn'], { 'fn/lib/a.js': '1', 'next/a.js': 'two', 'next/b.js': '1' })
    await rename(scene.path('fn/lib'), scene.path('old'))
    await rename(scene.path('next'), scene.path('fn/lib'))
    await scene.hears('fn/lib', 'fn/lib/b.js')
    await writeFile(scene.path('fn/lib/b.js'), 'three')
    await scene.hears('fn/lib/b.js')
  })

  test('a file that a folder takes the place of, and the reverse', async () => {
    await using scene = await watching(['fn'], { 'fn/lib': 'a file' })
    await unlink(scene.path('fn/lib'))
    await scene.folder.write({ 'fn/lib/a.js': '1' })
    await scene.hears('fn/lib/a.js')
    await rm(scene.path('fn/lib'), { recursive: true })
    await writeFile(scene.path('fn/lib'), 'a file again')
    await scene.hears('fn/lib')
    await writeFile(scene.path('fn/lib'), 'and again a file')
    await scene.hears('fn/lib')
  })

  test('a rename that changes nothing but the case is told', async () => {
    await using scene = await watching(['fn'], { 'fn/Lib/A.js': '1' })
    await rename(scene.path('fn/Lib/A.js'), scene.path('fn/Lib/a.js'))
    await scene.hears('fn/Lib/a.js')
    await rename(scene.path('fn/Lib'), scene.path('fn/lib'))
    await scene.hears('fn/lib/a.js')
    await writeFile(scene.path('fn/lib/a.js'), 'two')
    await scene.hears('fn/lib/a.js')
  })

  test('a watched folder that vanishes comes back', async () => {
    await using scene = await watching(['fn'], { 'fn/lib/a.js': '1' })
    await rename(scene.path('fn'), scene.path('away'))
    await scene.hears('-fn')
    await rename(scene.path('away'), scene.path('fn'))
    await scene.hears('fn', 'fn/lib/a.js')
    await writeFile(scene.path('fn/lib/a.js'), 'two')
    await scene.hears('fn/lib/a.js')
    await rm(scene.path('fn'), { recursive: true })
    await scene.hears('-fn')
    await scene.folder.write({ 'fn/handler.js': 'three' })
    await scene.hears('fn/handler.js')
  })

  test('a watched folder vanishes and comes back with the folders that it is in', async () => {
    await using scene = await watching(['code/project/fn'], { 'code/project/fn/a.js': '1' })
    await rename(scene.path('code/project'), scene.path('code/elsewhere'))
    await scene.hears('-code/project/fn')
    await rm(scene.path('code'), { recursive: true })
    await scene.folder.write({ 'code/project/fn/a.js': 'two' })
    await scene.hears('code/project/fn/a.js')
    await writeFile(scene.path('code/project/fn/a.js'), 'three')
    await scene.hears('code/project/fn/a.js')
  })

  test('paths that are not there are seen when they come, files and folders, however deep', async () => {
    await using scene = await watching(['.secrets', 'template/node', 'config/env/a.yml'])
    await scene.folder.write({ '.secrets/key': '1' })
    await scene.hears('.secrets', '.secrets/key')
    await scene.folder.write({ 'template/node/index.js': '1' })
    await scene.hears('template/node', 'template/node/index.js')
    await scene.folder.write({ 'config/env/b.yml': '1', 'config/env/a.yml': '1' })
    await scene.hears('config/env/a.yml')
    await scene.folder.write({ 'template/node/index.js': 'two', 'config/env/a.yml': 'two' })
    await scene.hears('template/node/index.js', 'config/env/a.yml')
  })

  test('of a watched file only that file is told, saved in whatever way', async () => {
    await using scene = await watching(['stack.yml'], { 'stack.yml': '1', 'other.yml': '1' })
    await writeFile(scene.path('other.yml'), 'two')
    await writeFile(scene.path('stack.yml'), 'two')
    await scene.hears('stack.yml')
    await writeFile(scene.path('stack.yml.new'), 'three')
    await rename(scene.path('stack.yml.new'), scene.path('stack.yml'))
    await scene.hears('stack.yml')
    await unlink(scene.path('stack.yml'))
    await scene.hears('-stack.yml')
    await writeFile(scene.path('stack.yml'), 'four')
    await scene.hears('stack.yml')
    expect(scene.told).not.toContain('other.yml')
  })

  test('a link that is a watched path is followed, told by its own name, and may lead elsewhere later', async () => {
    await using scene = await watching(
      ['link'],
      { 'real/a.js': '1', 'other/b.js': '1' },
      {},
      async ({ path }) => symlink('real', join(path, 'link')),
    )
    await writeFile(scene.path('real/a.js'), 'two')
    await scene.hears('link/a.js')
    await unlink(scene.path('link'))
    await symlink(scene.path('other'), scene.path('link'))
    await scene.hears('link/b.js')
    await writeFile(scene.path('other/b.js'), 'two')
    await scene.hears('link/b.js')
    await rename(scene.path('other'), scene.path('gone'))
    await scene.hears('-link')
    await rename(scene.path('gone'), scene.path('other'))
    await scene.hears('link/b.js')
  })

  test('links inside, to files and folders elsewhere, are followed', async () => {
    await using scene = await watching(
      ['fn'],
      { 'shared/a.js': '1', 'conf/one.json': '1' },
      {},
      async ({ path }) => {
        await symlink('../shared', join(path, 'fn/shared'))
        await symlink(join(path, 'conf/one.json'), join(path, 'fn/conf.json'))
      },
    )
    await writeFile(scene.path('shared/a.js'), 'two')
    await scene.hears('fn/shared/a.js')
    await writeFile(scene.path('conf/next.json'), 'two')
    await rename(scene.path('conf/next.json'), scene.path('conf/one.json'))
    await scene.hears('fn/conf.json')
    await unlink(scene.path('conf/one.json'))
    await scene.hears('-fn/conf.json')
  })

  test('a link on the way to what a link leads to may be made to lead elsewhere', async () => {
    await using scene = await watching(['fn'], { 'v1/a.js': '1', 'v2/a.js': '1' }, {}, async ({ path }) => {
      await symlink('v1', join(path, 'current'))
      await symlink('../current/a.js', join(path, 'fn/a.js'))
    })
    await symlink('v2', scene.path('next'))
    await rename(scene.path('next'), scene.path('current'))
    await scene.hears('fn/a.js')
    await writeFile(scene.path('v2/a.js'), 'two')
    await scene.hears('fn/a.js')
  })

  test('a link on the way to a watched path may be made to lead elsewhere', async () => {
    await using scene = await watching(
      ['current/fn'],
      { 'v1/fn/a.js': '1', 'v2/fn/b.js': '1' },
      {},
      ({ path }) => symlink('v1', join(path, 'current')),
    )
    await symlink('v2', scene.path('next'))
    await rename(scene.path('next'), scene.path('current'))
    await scene.hears('current/fn/b.js')
    await writeFile(scene.path('v2/fn/b.js'), 'two')
    await scene.hears('current/fn/b.js')
  })

  test('links in a circle, to themselves, to what is above them and to nothing stop nobody', async () => {
    await using scene = await watching(['fn'], { 'fn/lib/a.js': '1' }, {}, async ({ path }) => {
      await symlink('self', join(path, 'fn/self'))
      await symlink('..', join(path, 'fn/lib/up'))
      await symlink('../..', join(path, 'fn/lib/above'))
      await symlink('pong', join(path, 'fn/ping'))
      await symlink('ping', join(path, 'fn/pong'))
      await symlink('/nowhere/at/all', join(path, 'fn/nowhere'))
    })
    expect(scene.watcher.counts.folders).toBeLessThan(10)
    await writeFile(scene.path('fn/lib/a.js'), 'two')
    await scene.hears('fn/lib/a.js')
    await symlink('..', scene.path('fn/lib/later'))
    await scene.hears('fn/lib/later')
    await writeFile(scene.path('fn/handler.js'), 'two')
    await scene.hears('fn/handler.js')
  })

  test('a folder that nobody may read is said once, stops nobody, and is watched when it may be read', async () => {
    await using scene = await watching(['fn'], { 'fn/lib/a.js': '1' })
    const locked = scene.path('fn/locked')
    await rm(scene.path('fn'), { recursive: true })
    await scene.hears('-fn')
    await chmod(scene.folder.path, 0o777)
    await using _ = asNobody()
    await scene.folder.write({ 'fn/lib/a.js': '1', 'fn/locked/a.js': '1' })
    await scene.hears('fn/locked/a.js')
    await chmod(locked, 0)
    await rename(locked, scene.path('fn/shut'))
    await until(() => scene.said.length > 0, { everyMs: 5 })
    expect(scene.said).toEqual([expect.stringContaining(`${scene.path('fn/shut')} cannot be read`)])
    await writeFile(scene.path('fn/lib/a.js'), 'two')
    await scene.hears('fn/lib/a.js')
    await chmod(scene.path('fn/shut'), 0o755)
    await scene.hears('fn/shut/a.js')
    await writeFile(scene.path('fn/shut/a.js'), 'two')
    await scene.hears('fn/shut/a.js')
    expect(scene.said).toHaveLength(1)
  })

  test('a file of two gigabytes is told at once: nobody reads it', async () => {
    await using scene = await watching(['fn'])
    const before = process.memoryUsage().rss
    await writeFile(scene.path('fn/big'), '')
    await truncate(scene.path('fn/big'), 2 * 2 ** 30)
    await scene.hears('fn/big')
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20)
  })

  test('a checkout of a thousand files, and back, is told to the last file', async () => {
    await using scene = await watching(['fn'])
    const git = (...args: string[]): void =>
      void execFileSync(
        'git',
        ['-c', 'user.name=t', '-c', 'user.email=t@example.com', '-c', 'core.hooksPath=/dev/null', ...args],
        { cwd: scene.path('fn'), stdio: 'ignore' },
      )
    git('init', '-q', '-b', 'main')
    git('add', '.')
    git('commit', '-qm', 'one')
    git('checkout', '-qb', 'many')
    const names = Array.from({ length: 1000 }, (_, index) => `d${index % 10}/f${index}.js`)
    await scene.folder.write(Object.fromEntries(names.map((name) => [`fn/${name}`, '1'])))
    await writeFile(scene.path('fn/handler.js'), 'of many')
    git('add', '.')
    git('commit', '-qm', 'two')
    const all = names.map((name) => `fn/${name}`)
    await scene.hears('fn/handler.js', ...all)
    git('checkout', '-q', 'main')
    await scene.hears('fn/handler.js', ...Array.from({ length: 10 }, (_, index) => `-fn/d${index}`))
    git('checkout', '-q', 'many')
    await scene.hears('fn/handler.js', ...all)
    await until(() => existsSync(scene.path('fn/d9/f999.js')))
    await writeFile(scene.path('fn/d9/f999.js'), 'last')
    await scene.hears('fn/d9/f999.js')
    expect(scene.told.some((one) => one.includes('.git'))).toBe(false)
  })

  test('what is written while a watch is being made is on disk when it is made, or told', async () => {
    await using folder = await makeFolder(
      Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`fn/${index}/in/a.js`, '1'])),
    )
    const watcher = make({ log: silent(), parseIgnoreFile: parseDockerignore })
    try {
      const told = new Set<string>()
      let isReady = false
      const watch = watcher.watch([join(folder.path, 'fn')], ({ path }) => told.add(path))
      const seen = watch.then(async () => {
        isReady = true
        return new Set(await readdir(join(folder.path, 'fn'), { recursive: true }))
      })
      const written: string[] = []
      const isOn = (turn: number): boolean => turn < 60 || !isReady
      for (let turn = 0; isOn(turn); turn++) {
        const name = `${turn % 60}/new${turn}/b.js`
        await folder.write({ [`fn/${name}`]: '1' })
        written.push(name)
      }
      const before = await seen
      await until(
        () => written.every((name) => before.has(name) || told.has(join(folder.path, 'fn', name))),
        {
          what: () => `lost: ${written.filter((name) => !before.has(name)).join(', ')}`,
        },
      )
    } finally {
      await watcher[Symbol.asyncDispose]()
    }
  })

  test('two watches of one folder do not take two, and one may end', async () => {
    await using scene = await watching(['fn'], { 'fn/lib/a.js': '1' })
    const before = scene.watcher.counts.folders
    let count = 0
    const second = await scene.watcher.watch([scene.path('fn')], () => count++)
    expect(scene.watcher.counts.folders).toBe(before)
    await writeFile(scene.path('fn/lib/a.js'), 'two')
    await scene.hears('fn/lib/a.js')
    await until(() => count > 0)
    await second[Symbol.asyncDispose]()
    count = 0
    await writeFile(scene.path('fn/lib/a.js'), 'three')
    await scene.hears('fn/lib/a.js')
    expect(count).toBe(0)
  })

  test('after its end nothing is told and nothing is watched', async () => {
    await using scene = await watching(['fn'])
    await scene.watcher[Symbol.asyncDispose]()
    expect(scene.watcher.counts.folders).toBe(0)
    await writeFile(scene.path('fn/handler.js'), 'two')
    const file = await open(scene.path('fn/more.js'), 'w')
    await file.close()
    await new Promise((resolve) => setImmediate(resolve))
    expect(scene.told).toEqual([])
    expect(dirname(scene.path('fn/handler.js'))).toBe(scene.path('fn'))
  })
}

function silent(): Log {
  const say = (): void => undefined
  return { info: say, warn: say, error: say, debug: say }
}

/** Root may read everything: for a while this process is somebody who may not. */
function asNobody(): AsyncDisposable {
  const isRoot = process.geteuid?.() === 0
  if (isRoot) process.seteuid?.(65534)
  return {
    [Symbol.asyncDispose]: () => {
      if (isRoot) process.seteuid?.(0)
      return Promise.resolve()
    },
  }
}
