import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { OWNER_FILE, parseOwner } from '../core/data-owner.ts'
import type { DataOwner } from '../core/data-owner.ts'
import { FaasError } from '../core/errors.ts'

const LOCK_FILE = 'lock'
/** Says that what runs for this folder is meant to run on without us. */
const KEEP_FILE = 'keep'

/** A data directory held by this process. */
export interface DataLock extends Disposable {
  /** Tells others where the gateway is. */
  announce(url: string): void
}

/**
 * Takes a data directory for this process, or throws DATA_LOCKED naming who has it. The lock is SQLite's own file
 * lock: the operating system lets go of it however the process ends, so there is nothing stale to clean up.
 * `keepsFunctions`: what runs stays when this process ends, so it is nobody's leftover.
 */
export function lockDataDir(dataDir: string, keepsFunctions = false): DataLock {
  makeDataDir(dataDir)
  const file = join(dataDir, LOCK_FILE)
  const ownerFile = join(dataDir, OWNER_FILE)
  const db = lockOrRefuse(file, dataDir)
  if (!db) {
    const owner = readOwner(dataDir)
    const who = owner
      ? `process ${owner.pid}${owner.url === undefined ? '' : ` at ${owner.url}`}`
      : 'another process'
    throw new FaasError('DATA_LOCKED', {
      message: `the data directory ${dataDir} is in use by ${who}`,
      remedy: `Use that one, stop it${owner ? ` (kill ${owner.pid})` : ''}, or give this one its own with --data.`,
    })
  }
  const owner = { pid: process.pid, startedAt: new Date().toISOString() }
  writeFileSync(ownerFile, JSON.stringify(owner))
  if (keepsFunctions) writeFileSync(join(dataDir, KEEP_FILE), '')
  else rmSync(join(dataDir, KEEP_FILE), { force: true })
  return {
    announce: (url) => writeFileSync(ownerFile, JSON.stringify({ ...owner, url })),
    [Symbol.dispose]: () => {
      // While it is still held: afterwards the file may be somebody else's already.
      for (const path of [ownerFile, `${file}-journal`, file]) rmSync(path, { force: true })
      db.close()
    },
  }
}

/** Who holds a data directory right now; undefined when nobody does. */
function dataDirOwner(dataDir: string): DataOwner | undefined {
  const owner = readOwner(dataDir)
  if (!owner) return undefined
  const db = tryLock(join(dataDir, LOCK_FILE))
  if (!db) return owner
  db.close()
  return undefined
}

/** `alive`: somebody holds it. `kept`: nobody does, and what runs for it is meant to. `dead`: nobody will look after it. */
export function dataDirState(dataDir: string): 'alive' | 'kept' | 'dead' {
  if (dataDirOwner(dataDir)) return 'alive'
  return existsSync(join(dataDir, KEEP_FILE)) ? 'kept' : 'dead'
}

/** Deletes a data directory with all that it holds, unless somebody holds it; false then. */
export function removeDataDir(dataDir: string): boolean {
  const db = tryLock(join(dataDir, LOCK_FILE))
  if (!db) return false
  try {
    rmSync(dataDir, { recursive: true, force: true })
    return true
  } finally {
    db.close()
  }
}

function lockOrRefuse(file: string, dataDir: string): Database.Database | undefined {
  try {
    return tryLock(file)
  } catch (cause) {
    throw new FaasError('DATA_BROKEN', {
      message: `the lock of the data directory ${dataDir} cannot be taken: ${cause instanceof Error ? cause.message : String(cause)}`,
      remedy: `Remove ${file}, or give another directory with --data.`,
      cause,
    })
  }
}

/** The lock file, locked; undefined when somebody else has it. */
function tryLock(file: string): Database.Database | undefined {
  const db = new Database(file, { timeout: 0 })
  try {
    db.pragma('locking_mode = EXCLUSIVE')
    db.exec('BEGIN EXCLUSIVE')
    return db
  } catch (error) {
    db.close()
    if ((error as { code?: string }).code?.startsWith('SQLITE_BUSY') === true) return undefined
    throw error
  }
}

function readOwner(dataDir: string): DataOwner | undefined {
  try {
    return parseOwner(readFileSync(join(dataDir, OWNER_FILE), 'utf8'))
  } catch {
    return undefined
  }
}

function makeDataDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    writeFileSync(join(dataDir, OWNER_FILE), '', { flag: 'a' })
  } catch (cause) {
    throw new FaasError('DATA_BROKEN', {
      message: `the data directory ${dataDir} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`,
      remedy: 'Give one that can be with --data, or change its permissions.',
      cause,
    })
  }
}
