import { rmSync } from 'node:fs'
import Database from 'better-sqlite3'
import { privateFile } from './private-file.ts'

export interface ViewSchema {
  /** A file of another version is thrown away. */
  readonly version: number
  readonly sql: string
  /** Overwrites what is deleted. */
  readonly secure?: boolean
}

/**
 * A database in a file of its own for what is a view of something else: it is written often and need not survive a power
 * cut, so nothing waits for the disk. One that cannot be read is made afresh.
 */
export function openView(file: string, schema: ViewSchema): Database.Database {
  try {
    return open(file, schema)
  } catch {
    removeView(file)
    return open(file, schema)
  }
}

/** Deletes the file with what SQLite keeps beside it. */
export function removeView(file: string): void {
  for (const path of [file, `${file}-wal`, `${file}-shm`]) rmSync(path, { force: true })
}

function open(file: string, { version, sql, secure }: ViewSchema): Database.Database {
  const db = new Database(privateFile(file))
  try {
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = OFF')
    if (secure) db.pragma('secure_delete = ON')
    const found = db.pragma('user_version', { simple: true })
    if (found === 0) db.exec(`BEGIN; ${sql} PRAGMA user_version = ${version}; COMMIT`)
    else if (found !== version) throw new Error(`version ${String(found)}`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}
