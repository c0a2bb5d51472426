import { execFileSync, spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { build } from 'esbuild'
import { expect, test } from 'vitest'
import { makeFolder } from '../support/folder.ts'
import type { TestFolder } from '../support/folder.ts'
import { until } from '../support/until.ts'

const SOURCE = new URL('../../src/watcher/chokidar-watcher.ts', import.meta.url).pathname

/** A program that watches the folders that it is given and says what it hears, one JSON value a line. */
const PROGRAM = `
import { ChokidarWatcher } from './watcher.mjs'
const say = (what) => console.log(JSON.stringify(what))
const log = { info: (text) => say({ info: text }), warn: (text) => say({ warn: text }), error() {}, debug() {} }
const watcher = new ChokidarWatcher({ log })
await watcher.watch(process.argv.slice(2), ({ path }) => say({ path }))
say({ ready: watcher.counts })
setInterval(() => say({ counts: watcher.counts }), 200)
`

interface Said {
  readonly info?: string
  readonly warn?: string
  readonly path?: string
  readonly ready?: Counts
  readonly counts?: Counts
}

interface Counts {
  readonly folders: number
  readonly watched: number
  readonly polled: number
}

/** Runs the program in a user namespace of its own, whose limits are nobody else's. */
async function limited(folder: TestFolder, setting: string, limit: number, paths: readonly string[]) {
  await build({
    entryPoints: [SOURCE],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: join(folder.path, 'watcher.mjs'),
    logLevel: 'error',
  })
  await writeFile(join(folder.path, 'program.mjs'), PROGRAM)
  const script =
    `echo ${limit} > /proc/sys/user/${setting}; "$@" & program=$!; ` +
    `while read -r line; do echo "$line" > /proc/sys/user/${setting}; done; kill $program`
  const child = spawn(
    'unshare',
    [
      '--user',
      '--map-root-user',
      'sh',
      '-c',
      script,
      'sh',
      process.execPath,
      join(folder.path, 'program.mjs'),
      ...paths,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  const said: Said[] = []
  createInterface({ input: child.stdout }).on('line', (line) => said.push(JSON.parse(line) as Said))
  const ended = new Promise((resolve) => child.once('exit', resolve))
  return {
    said,
    raise: (to: number) => void child.stdin.write(`${to}\n`),
    [Symbol.asyncDispose]: async () => {
      child.stdin.end()
      await ended
    },
  }
}

function canLimit(): boolean {
  try {
    execFileSync(
      'unshare',
      ['--user', '--map-root-user', 'sh', '-c', 'echo 9 > /proc/sys/user/max_inotify_watches'],
      {
        stdio: 'ignore',
      },
    )
    return true
  } catch {
    return false
  }
}

if (canLimit()) {
  test.each([
    ['max_inotify_watches', 12, 'user.max_inotify_watches', 12],
    ['max_inotify_instances', 0, 'user.max_inotify_instances', 0],
  ])(
    'folders beyond %s are looked at instead, which is said with the remedy, until the limit is raised',
    async (setting, limit, name, watched) => {
      const files = Object.fromEntries(
        Array.from({ length: 30 }, (_, index) => [`project/fn${index}/a.js`, '1']),
      )
      await using folder = await makeFolder(files)
      const paths = Array.from({ length: 30 }, (_, index) => join(folder.path, `project/fn${index}`))
      await using program = await limited(folder, setting, limit, paths)
      const { said } = program
      await until(() => said.some(({ warn }) => warn !== undefined))
      // 30 functions and the folder that they are in.
      expect(said.find(({ ready }) => ready)?.ready).toEqual({ folders: 31, watched, polled: 31 - watched })
      const warning = said.find(({ warn }) => warn !== undefined)?.warn
      expect(warning).toContain(
        `${31 - watched} of 31 folders cannot be watched and are looked at every 0.3 s instead`,
      )
      expect(warning).toContain(`${name} is ${limit}`)
      expect(warning).toMatch(new RegExp(`sudo sysctl ${name.replaceAll('.', '\\.')}=\\d+ `))
      for (const path of paths) {
        await writeFile(join(path, 'a.js'), 'two')
        await mkdir(join(path, 'lib'))
        await writeFile(join(path, 'lib/b.js'), '1')
      }
      const expected = paths.flatMap((path) => [join(path, 'a.js'), join(path, 'lib/b.js')])
      await until(() => expected.every((one) => said.some(({ path }) => path === one)), {
        what: () => expected.filter((one) => !said.some(({ path }) => path === one)).join(', '),
      })
      program.raise(10_000)
      await until(() => said.some(({ info }) => info?.includes('the limit was raised')))
      await until(() => said.findLast(({ counts }) => counts)?.counts?.polled === 0)
      expect(said.filter(({ warn }) => warn !== undefined)).toHaveLength(1)
    },
  )
}
