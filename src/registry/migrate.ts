import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type Database from 'better-sqlite3'
import { FaasError } from '../core/errors.ts'

/**
 * Brings a database to the newest schema: numbered files, one transaction each, tracked by PRAGMA user_version.
 * DATA_BROKEN when the database was made by a newer faasdock.
 */
export function migrate(db: Database.Database, folder: string): void {
  const files = readdirSync(folder)
    .filter((file) => /^\d{4}-.*\.sql$/.test(file))
    .sort()
  const version = db.pragma('user_version', { simple: true }) as number
  if (version > files.length) {
    throw new FaasError('DATA_BROKEN', {
      message: `the data directory has schema version ${version}, and this faasdock knows ${files.length}`,
      remedy: 'Use the newer faasdock that wrote it, or another data directory (--data).',
    })
  }
  for (const [index, file] of files.entries()) {
    if (index < version) continue
    db.transaction(() => {
      db.exec(readFileSync(join(folder, file), 'utf8'))
      db.pragma(`user_version = ${index + 1}`)
    })()
  }
}
