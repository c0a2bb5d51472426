import type Database from 'better-sqlite3'
import { formatRef } from '../core/function.ts'
import type { FunctionRef } from '../core/function.ts'
import type {
  InvocationBounds,
  InvocationHead,
  InvocationRecord,
  InvocationStore,
  Named,
} from '../core/invocation-record.ts'
import { openView } from './view-database.ts'

interface HeadRow {
  readonly ordinal: number
  readonly head: string
}

interface Row extends HeadRow {
  readonly request_body: Uint8Array
  readonly response_body: Uint8Array
}

const SCHEMA = `
  CREATE TABLE invocations (
    seq           INTEGER PRIMARY KEY,
    call_id       TEXT NOT NULL,
    -- The first, second … of that call id.
    ordinal       INTEGER NOT NULL,
    -- name.namespace
    function      TEXT NOT NULL,
    is_replay     INTEGER NOT NULL,
    size          INTEGER NOT NULL,
    -- Everything but the bodies, as JSON.
    head          TEXT NOT NULL,
    request_body  BLOB NOT NULL,
    response_body BLOB NOT NULL
  ) STRICT;
  CREATE INDEX invocations_function ON invocations (function, seq, size);
  CREATE INDEX invocations_call ON invocations (call_id, ordinal);
`
const HEADS = 'SELECT ordinal, head FROM invocations'
/** Of the caller's choice, so bounded; the whole of it is among the headers. */
const CALL_ID_LENGTH = 128

/** The database of kept invocations: requests of people are in it, so nothing that was deleted is to be found there. */
export function openInvocations(file: string): Database.Database {
  const db = openView(file, { version: 1, sql: SCHEMA, secure: true })
  // Of a run that was killed.
  db.prepare(
    `UPDATE invocations SET head = json_set(head, '$.state', 'broken', '$.problem', 'the gateway ended')
     WHERE head ->> '$.state' = 'running'`,
  ).run()
  return db
}

export function invocationStore(db: Database.Database): InvocationStore {
  const put = db.prepare(
    `INSERT INTO invocations (seq, call_id, ordinal, function, is_replay, size, head, request_body, response_body)
     VALUES (@seq, @callId, (SELECT coalesce(max(ordinal), 0) + 1 FROM invocations WHERE call_id = @callId),
       @function, @isReplay, @size, @head, @requestBody, @responseBody)
     ON CONFLICT (seq) DO UPDATE SET call_id = excluded.call_id, size = excluded.size, head = excluded.head,
       request_body = excluded.request_body, response_body = excluded.response_body`,
  )
  const pruneFunction = db.prepare<[string, number, number]>(
    `DELETE FROM invocations WHERE seq IN (SELECT seq FROM (
       SELECT seq, row_number() OVER newest AS place, sum(size) OVER newest AS bytes
       FROM invocations WHERE function = ? WINDOW newest AS (ORDER BY seq DESC)
     ) WHERE place > ? OR (bytes > ? AND place > 1))`,
  )
  const total = db.prepare<[], { bytes: number | null }>('SELECT sum(size) AS bytes FROM invocations')
  const pruneAll = db.prepare<[number]>(
    `DELETE FROM invocations WHERE seq IN (SELECT seq FROM (
       SELECT seq, sum(size) OVER (ORDER BY seq DESC) AS bytes FROM invocations
     ) WHERE bytes > ?)`,
  )
  const newest = db.prepare<[], { seq: number | null }>('SELECT max(seq) AS seq FROM invocations')
  const listed = db.prepare<[number], HeadRow>(`${HEADS} ORDER BY seq DESC LIMIT ?`)
  const listedOf = db.prepare<[string, number], HeadRow>(
    `${HEADS} WHERE function = ? ORDER BY seq DESC LIMIT ?`,
  )
  const one = db.prepare<[number], Row>(
    'SELECT ordinal, head, request_body, response_body FROM invocations WHERE seq = ?',
  )
  const begins = db.prepare<[string, string], { seq: number; call_id: string; ordinal: number }>(
    'SELECT seq, call_id, ordinal FROM invocations WHERE substr(call_id, 1, length(?)) = ? ORDER BY seq',
  )
  const lastOf = db.prepare<[string | null, string | null], { seq: number | null }>(
    'SELECT max(seq) AS seq FROM invocations WHERE is_replay = 0 AND (? IS NULL OR function = ?)',
  )
  const seqs = db.prepare<[], { seq: number }>('SELECT seq FROM invocations')
  const forgetAll = db.prepare('DELETE FROM invocations')
  const forgetOf = db.prepare<[string]>('DELETE FROM invocations WHERE function = ?')
  const putOne = (record: InvocationRecord): void => void put.run(rowOf(record))
  const writeAll = db.transaction((records: readonly InvocationRecord[], bounds: InvocationBounds) => {
    for (const record of records) putOne(record)
    const functions = new Set(records.map(({ ref }) => formatRef(ref)))
    for (const name of functions) pruneFunction.run(name, bounds.perFunction, bounds.bytesPerFunction)
    if ((total.get()?.bytes ?? 0) > bounds.bytes) pruneAll.run(bounds.bytes)
  })
  const rewriteAll = db.transaction((change: (record: InvocationRecord) => InvocationRecord | undefined) => {
    let changed = 0
    for (const { seq } of seqs.all()) {
      const row = one.get(seq)
      const next = row && change(storedOf(row))
      if (!next) continue
      putOne(next)
      changed++
    }
    return changed
  })
  /** What was deleted is still in the log that SQLite writes ahead. */
  const wipe = (): void => void db.pragma('wal_checkpoint(TRUNCATE)')
  return {
    get nextSeq() {
      return (newest.get()?.seq ?? 0) + 1
    },
    write: (records, bounds) => {
      writeAll(records, bounds)
    },
    list: ({ ref, limit }) => (ref ? listedOf.all(formatRef(ref), limit) : listed.all(limit)).map(headOf),
    get: (seq) => {
      const row = one.get(seq)
      return row && recordOf(row)
    },
    beginningWith: (start) =>
      begins.all(start, start).map(({ seq, call_id, ordinal }) => ({ seq, id: idOf(call_id, ordinal) })),
    last: (ref?: FunctionRef) => {
      const name = ref ? formatRef(ref) : null
      return lastOf.get(name, name)?.seq ?? undefined
    },
    rewrite: (change) => {
      if (rewriteAll(change) > 0) wipe()
    },
    forget: (ref) => {
      const { changes } = ref ? forgetOf.run(formatRef(ref)) : forgetAll.run()
      wipe()
      return changes
    },
  }
}

function rowOf({ requestBody, responseBody, ...record }: InvocationRecord): Record<string, unknown> {
  const callId = record.callId.slice(0, CALL_ID_LENGTH)
  const head = JSON.stringify({ ...record, callId })
  return {
    seq: record.seq,
    callId,
    function: formatRef(record.ref),
    isReplay: record.replayOf === undefined ? 0 : 1,
    size: head.length + requestBody.length + responseBody.length,
    head,
    requestBody,
    responseBody,
  }
}

function headOf({ head, ordinal }: HeadRow): Named<InvocationHead> {
  const read = JSON.parse(head) as InvocationHead
  return { ...read, id: idOf(read.callId, ordinal) }
}

function recordOf(row: Row): Named<InvocationRecord> {
  const record = storedOf(row)
  return { ...record, id: idOf(record.callId, row.ordinal) }
}

function storedOf({ head, request_body, response_body }: Row): InvocationRecord {
  return { ...(JSON.parse(head) as InvocationHead), requestBody: request_body, responseBody: response_body }
}

function idOf(callId: string, ordinal: number): string {
  return ordinal === 1 ? callId : `${callId}~${ordinal}`
}
