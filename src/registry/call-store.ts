import type Database from 'better-sqlite3'
import type { CallQuery, CallRecord, CallStore } from '../core/call.ts'
import { formatRef } from '../core/function.ts'
import { openView } from './view-database.ts'

interface Row {
  readonly record: string
}

/** Of this very shape; a file of another one is thrown away. */
const VERSION = 1
const SCHEMA = `
  CREATE TABLE calls (
    id        TEXT NOT NULL,
    -- name.namespace
    function  TEXT NOT NULL,
    state     TEXT NOT NULL,
    -- Milliseconds since the epoch.
    queued_at INTEGER NOT NULL,
    ended_at  INTEGER,
    -- Everything, as JSON.
    record    TEXT NOT NULL,
    PRIMARY KEY (id, function)
  ) STRICT;
  CREATE INDEX calls_open ON calls (function, queued_at) WHERE ended_at IS NULL;
  CREATE INDEX calls_ended ON calls (ended_at) WHERE ended_at IS NOT NULL AND state <> 'dead';
  CREATE INDEX calls_dead ON calls (function) WHERE state = 'dead';
`

/** The database of call records: written thousands of times a second. */
export function openCallRecords(file: string): Database.Database {
  return openView(file, { version: VERSION, sql: SCHEMA })
}

/** Call records in a database of their own; what is paused, in the registry's. */
export function callStore(db: Database.Database, registry: Database.Database): CallStore {
  const put = db.prepare(
    `INSERT INTO calls (id, function, state, queued_at, ended_at, record) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (id, function) DO UPDATE SET state = excluded.state, queued_at = excluded.queued_at,
       ended_at = excluded.ended_at, record = excluded.record`,
  )
  const byId = db.prepare<[string], Row>('SELECT record FROM calls WHERE id = ?')
  const oldest = db.prepare<[string], { queued_at: number }>(
    'SELECT queued_at FROM calls WHERE function = ? AND ended_at IS NULL ORDER BY queued_at LIMIT 1',
  )
  const dead = db.prepare<[], { function: string; count: number }>(
    `SELECT function, count(*) AS count FROM calls WHERE state = 'dead' GROUP BY function`,
  )
  const cancelQueued = db.prepare<[number, number, string, number, number], Row>(
    `UPDATE calls SET state = 'cancelled', ended_at = ?,
       record = json_set(record, '$.state', 'cancelled', '$.endedAt', ?)
     WHERE rowid IN (SELECT rowid FROM calls WHERE function = ? AND ended_at IS NULL
       AND state IN ('queued', 'waiting') AND coalesce(record ->> '$.position', 0) <= ? LIMIT ?)
     RETURNING record`,
  )
  const open = db.prepare<[], { function: string; count: number }>(
    `SELECT function, count(*) AS count FROM calls WHERE ended_at IS NULL GROUP BY function`,
  )
  const ended = db.prepare<[], { count: number }>(
    `SELECT count(*) AS count FROM calls WHERE ended_at IS NOT NULL AND state <> 'dead'`,
  )
  const pruneOld = db.prepare(
    `DELETE FROM calls WHERE rowid IN
       (SELECT rowid FROM calls WHERE ended_at IS NOT NULL AND state <> 'dead' AND ended_at < ? ORDER BY ended_at LIMIT ?)`,
  )
  const pruneMany = db.prepare(
    `DELETE FROM calls WHERE rowid IN
       (SELECT rowid FROM calls WHERE ended_at IS NOT NULL AND state <> 'dead' ORDER BY ended_at LIMIT ?)`,
  )
  const pruneDead = db.prepare(
    `DELETE FROM calls WHERE rowid IN
       (SELECT rowid FROM calls WHERE state = 'dead' AND ended_at < ?
        UNION SELECT rowid FROM (SELECT rowid FROM calls WHERE state = 'dead' ORDER BY ended_at DESC LIMIT -1 OFFSET ?))`,
  )
  const pausedAll = registry.prepare<[], { scope: string }>('SELECT scope FROM paused ORDER BY scope')
  const pause = registry.prepare('INSERT OR IGNORE INTO paused (scope) VALUES (?)')
  const resume = registry.prepare('DELETE FROM paused WHERE scope = ?')
  const writeAll = db.transaction((records: readonly CallRecord[]) => {
    for (const record of records) {
      const { id, ref, state, queuedAt, endedAt } = record
      put.run(id, formatRef(ref), state, queuedAt, endedAt ?? null, JSON.stringify(record))
    }
  })
  return {
    write: (records) => {
      writeAll(records)
    },
    get: (id) => byId.all(id).map(recordOf),
    list: (query) => {
      const { sql, values } = listing(query)
      return db
        .prepare<(string | number)[], Row>(sql)
        .all(...values)
        .map(recordOf)
    },
    cancelQueued: (ref, upTo, at, limit) =>
      cancelQueued.all(at, at, formatRef(ref), upTo, limit).map(recordOf),
    open: () => new Map(open.all().map((row) => [row.function, row.count])),
    dead: () => new Map(dead.all().map((row) => [row.function, row.count])),
    oldest: (ref) => oldest.get(formatRef(ref))?.queued_at,
    prune: (keep, endedBefore, limit) => {
      const old = pruneOld.run(endedBefore, limit).changes
      const beyond = Math.min((ended.get()?.count ?? 0) - keep, limit)
      return old + (beyond > 0 ? pruneMany.run(beyond).changes : 0)
    },
    pruneDead: (keep, endedBefore) => pruneDead.run(endedBefore, keep).changes,
    paused: () => pausedAll.all().map(({ scope }) => scope),
    setPaused: (scope, isPaused) => void (isPaused ? pause : resume).run(scope),
  }
}

function recordOf({ record }: Row): CallRecord {
  return JSON.parse(record) as CallRecord
}

function listing({ id, ref, states, limit }: CallQuery): { sql: string; values: (string | number)[] } {
  const conditions: string[] = []
  const values: (string | number)[] = []
  if (id !== undefined) {
    conditions.push('id = ?')
    values.push(id)
  }
  if (ref) {
    conditions.push('function = ?')
    values.push(formatRef(ref))
  }
  if (states) {
    // As text: an index of one state is not used for a value that comes later.
    const [only, ...others] = states
    if (only !== undefined && others.length === 0) conditions.push(`state = '${only}'`)
    else conditions.push(`state IN (${states.map((state) => `'${state}'`).join(', ')})`)
  }
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
  return {
    sql: `SELECT record FROM calls ${where} ORDER BY rowid DESC LIMIT ?`,
    values: [...values, limit],
  }
}
