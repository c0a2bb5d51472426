import { createHash } from 'node:crypto'
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { announce } from './run-tool.mjs'

/**
 * Runs `work` while no other program does so for the same folder: `npm start` and `npm test` may be started together,
 * and would install and build over each other. A program that died does not keep the others waiting.
 */
export async function oneAtATime(root, work, folder = tmpdir()) {
  const file = join(folder, `faasdock-${createHash('sha256').update(root).digest('hex').slice(0, 12)}.lock`)
  let said = false
  while (!take(file)) {
    const holder = holderOf(file)
    if (holder === undefined) continue
    if (!isAlive(holder)) {
      rmSync(file, { force: true })
      continue
    }
    if (!said) announce(`Waiting for the set-up that process ${holder} is doing`)
    said = true
    await wait(100)
  }
  const release = () => rmSync(file, { force: true })
  process.once('exit', release)
  try {
    return await work()
  } finally {
    process.off('exit', release)
    release()
  }
}

/** Written first and named then: a lock that is there always says whose it is. */
function take(file) {
  const own = `${file}.${process.pid}`
  writeFileSync(own, String(process.pid))
  try {
    linkSync(own, file)
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(own, { force: true })
  }
}

/** Undefined when the lock was given back meanwhile. */
function holderOf(file) {
  try {
    return Number(readFileSync(file, 'utf8')) || 0
  } catch {
    return undefined
  }
}

function isAlive(pid) {
  // Not a lock of ours, or one of a disk that was full.
  if (pid === 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
