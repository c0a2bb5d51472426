import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import { dataDirState, lockDataDir } from './data-lock.ts'

test('a data directory is made, held, named with its gateway, and let go of without a trace', async () => {
  await using folder = await makeFolder()
  const dir = join(folder.path, 'deep', 'data')
  const lock = lockDataDir(dir)
  expect(dataDirState(dir)).toBe('alive')
  lock.announce('http://127.0.0.1:8080')
  expect(() => lockDataDir(dir)).toThrow(
    expect.objectContaining({
      code: 'DATA_LOCKED',
      message: `the data directory ${dir} is in use by process ${process.pid} at http://127.0.0.1:8080`,
      remedy: expect.stringContaining(`kill ${process.pid}`) as string,
    }),
  )
  lock[Symbol.dispose]()
  expect(dataDirState(dir)).toBe('dead')
  expect(readdirSync(dir)).toEqual([])
  lockDataDir(dir)[Symbol.dispose]()
})

test('asking who holds it does not take it away from the holder', async () => {
  await using folder = await makeFolder()
  using _lock = lockDataDir(folder.path)
  for (let time = 0; time < 3; time++) expect(dataDirState(folder.path)).toBe('alive')
  expect(() => lockDataDir(folder.path)).toThrow(expect.objectContaining({ code: 'DATA_LOCKED' }))
})

test('a holder that is killed with -9 has let go of it', async () => {
  await using folder = await makeFolder()
  // Holds it as lockDataDir does: a child cannot run TypeScript without being told how.
  const script = `
    const Database = require('better-sqlite3')
    require('fs').writeFileSync(${JSON.stringify(join(folder.path, 'owner.json'))}, JSON.stringify({ pid: process.pid, startedAt: '' }))
    const db = new Database(${JSON.stringify(join(folder.path, 'lock'))}, { timeout: 0 })
    db.pragma('locking_mode = EXCLUSIVE'); db.exec('BEGIN EXCLUSIVE')
    console.log('held'); setInterval(() => undefined, 1000)`
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  expect(dataDirState(folder.path)).toBe('alive')
  expect(() => lockDataDir(folder.path)).toThrow(
    expect.objectContaining({
      code: 'DATA_LOCKED',
      message: expect.stringContaining(`process ${child.pid ?? 0}`) as string,
    }),
  )
  child.kill('SIGKILL')
  await once(child, 'close')
  expect(existsSync(join(folder.path, 'lock'))).toBe(true)
  expect(dataDirState(folder.path)).toBe('dead')
  using _lock = lockDataDir(folder.path)
  expect(dataDirState(folder.path)).toBe('alive')
})

test('what a holder leaves running is kept, until a holder comes that takes it along', async () => {
  await using folder = await makeFolder()
  lockDataDir(folder.path, true)[Symbol.dispose]()
  expect(dataDirState(folder.path)).toBe('kept')
  lockDataDir(folder.path)[Symbol.dispose]()
  expect(dataDirState(folder.path)).toBe('dead')
})

test('a data directory that cannot be one is refused with what to do', async () => {
  await using folder = await makeFolder({ file: 'not a folder', 'broken/lock': 'not a lock'.repeat(1000) })
  mkdirSync(join(folder.path, 'strange', 'lock'), { recursive: true })
  for (const name of ['file', 'broken', 'strange'])
    expect(() => lockDataDir(join(folder.path, name))).toThrow(
      expect.objectContaining({
        code: 'DATA_BROKEN',
        message: expect.stringContaining(join(folder.path, name)) as string,
        remedy: expect.stringContaining('--data') as string,
      }),
    )
})
