import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import { until } from '../../test/support/until.ts'
import type { Log } from '../core/log.ts'
import { ChokidarWatcher } from './chokidar-watcher.ts'

const LIMIT = { timeout: 90_000 }
const hasPython = spawnSync('python3', ['-c', 'import mmap']).status === 0

/** Changes a byte through memory, of which no file system tells: as if another machine had done it. */
function writeSilently(file: string, byte: string): void {
  const script =
    'import mmap,sys; f = open(sys.argv[1], "r+b"); m = mmap.mmap(f.fileno(), 0); m[0:1] = sys.argv[2].encode(); m.flush(); m.close()'
  expect(spawnSync('python3', ['-c', script, file, byte]).status).toBe(0)
}

function logInto(said: string[]): Log {
  const say = (message: string): void => void said.push(message)
  return { info: say, warn: say, error: say, debug: say }
}

test('a share is looked at as well, which is said once with its place and how often', LIMIT, async () => {
  await using folder = await makeFolder({ 'a/x.js': '1', 'b/x.js': '1' })
  const said: string[] = []
  await using watcher = new ChokidarWatcher({
    log: logInto(said),
    silentMountOf: () => Promise.resolve({ type: 'nfs4', mountPoint: '/mnt/team' }),
  })
  const told: string[] = []
  const paths = ['a', 'b'].map((name) => join(folder.path, name))
  await watcher.watch(paths, ({ path }) => told.push(path))
  expect(said).toEqual([expect.stringMatching(/^\/mnt\/team \(nfs4\) does not tell .* every 0\.3 s/)])
  expect(watcher.counts).toEqual({ folders: 3, watched: 3, polled: 3 })
  await writeFile(join(folder.path, 'a/x.js'), 'from here')
  await until(() => told.includes(join(folder.path, 'a/x.js')))
  if (!hasPython) return
  writeSilently(join(folder.path, 'b/x.js'), '2')
  await until(() => told.includes(join(folder.path, 'b/x.js')))
})

test.runIf(hasPython)(
  'a disk that tells nothing is found out, said, and looked at from then on',
  LIMIT,
  async () => {
    await using folder = await makeFolder({ 'fn/x.js': '1' })
    const said: string[] = []
    await using watcher = new ChokidarWatcher({ log: logInto(said) })
    let told = 0
    await watcher.watch([join(folder.path, 'fn')], () => told++)
    expect(watcher.counts.polled).toBe(0)
    writeSilently(join(folder.path, 'fn/x.js'), '2')
    await until(() => told > 0)
    await until(() => said.length > 0)
    expect(said).toEqual([
      expect.stringMatching(/changes of .* are not told by the system \(found by looking\)/),
    ])
    expect(watcher.counts.polled).toBe(watcher.counts.folders)
    told = 0
    writeSilently(join(folder.path, 'fn/x.js'), '3')
    await until(() => told > 0)
  },
)

test('where events are trusted nothing is looked at', LIMIT, async () => {
  await using folder = await makeFolder({ 'fn/x.js': '1' })
  await using watcher = new ChokidarWatcher({
    mode: 'events',
    silentMountOf: () => Promise.resolve({ type: '9p' }),
  })
  const told: string[] = []
  await watcher.watch([join(folder.path, 'fn')], ({ path }) => told.push(path))
  expect(watcher.counts).toMatchObject({ polled: 0 })
  await writeFile(join(folder.path, 'fn/y.js'), '1')
  await until(() => told.includes(join(folder.path, 'fn/y.js')))
})
