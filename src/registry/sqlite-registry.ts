import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { FaasError } from '../core/errors.ts'
import { DEFAULT_NAMESPACE } from '../core/function.ts'
import type { FunctionRef, Revision } from '../core/function.ts'
import type { DesiredFunction, FunctionStore, Namespace, NamespaceStore, Registry } from '../core/registry.ts'
import type { CallStore } from '../core/call.ts'
import type { InvocationStore } from '../core/invocation-record.ts'
import { callStore, openCallRecords } from './call-store.ts'
import { invocationStore, openInvocations } from './invocation-store.ts'
import { migrate } from './migrate.ts'
import { privateFile } from './private-file.ts'
import { SecretFiles } from './secret-files.ts'
import { removeView } from './view-database.ts'

/** Opens, or makes, the registry of a data directory, and brings it up to date by the files in `migrations`. The caller holds its lock. DATA_BROKEN. */
export function openRegistry(dataDir: string, migrations: string): SqliteRegistry {
  let db: Database.Database | undefined
  try {
    db = new Database(privateFile(join(dataDir, 'registry.db')))
    db.pragma('journal_mode = WAL')
    // With WAL, NORMAL can lose the last moments in a power cut but never breaks the file; a kill -9 loses nothing.
    db.pragma('synchronous = NORMAL')
    migrate(db, migrations)
    const records = openCallRecords(join(dataDir, 'calls.db'))
    return new SqliteRegistry(dataDir, db, records)
  } catch (cause) {
    db?.close()
    if (cause instanceof FaasError) throw cause
    throw new FaasError('DATA_BROKEN', {
      message: `the registry in ${dataDir} cannot be opened: ${cause instanceof Error ? cause.message : String(cause)}`,
      remedy: 'Check permissions and disk space; move the folder away to start afresh.',
      cause,
    })
  }
}

interface FunctionRow {
  namespace: string
  name: string
  revision: string
  last_good: string | null
  replicas: number
  origin: string | null
  invocation_count: number
  created_at: string
}

/** Desired state in SQLite; secret values in files. */
export class SqliteRegistry implements Registry {
  readonly instance: string
  readonly functions: FunctionStore
  readonly namespaces: NamespaceStore
  readonly secrets: SecretFiles
  readonly calls: CallStore
  readonly #dataDir: string
  readonly #db: Database.Database
  readonly #records: Database.Database
  #invocations: Database.Database | undefined

  constructor(dataDir: string, db: Database.Database, records: Database.Database) {
    this.#dataDir = dataDir
    this.#db = db
    this.#records = records
    this.secrets = new SecretFiles(join(dataDir, 'secrets'))
    this.functions = functionStore(db)
    this.namespaces = namespaceStore(db)
    this.calls = callStore(records, db)
    this.instance = instanceOf(db)
  }

  transaction<T>(work: () => T): T {
    return this.#db.transaction(work)()
  }

  /** Where invocations are kept; opened, or made, when it is first asked for. */
  keepInvocations(): InvocationStore {
    this.#invocations ??= openInvocations(this.#invocationsFile)
    return invocationStore(this.#invocations)
  }

  /** Nothing is kept, nor what was kept before. */
  dropInvocations(): void {
    removeView(this.#invocationsFile)
  }

  get #invocationsFile(): string {
    return join(this.#dataDir, 'invocations.db')
  }

  [Symbol.dispose](): void {
    this.#invocations?.close()
    this.#records.close()
    this.#db.close()
  }
}

function instanceOf(db: Database.Database): string {
  db.prepare('INSERT OR IGNORE INTO meta (name, value) VALUES (?, ?)').run(
    'instance',
    randomBytes(4).toString('hex'),
  )
  const row = db.prepare<[string], { value: string }>('SELECT value FROM meta WHERE name = ?').get('instance')
  return row?.value ?? ''
}

function functionStore(db: Database.Database): FunctionStore {
  const one = db.prepare<[string, string], FunctionRow>(
    'SELECT * FROM functions WHERE namespace = ? AND name = ?',
  )
  const all = db.prepare<[], FunctionRow>('SELECT * FROM functions ORDER BY name, namespace')
  const inNamespace = db.prepare<[string], FunctionRow>(
    'SELECT * FROM functions WHERE namespace = ? ORDER BY name',
  )
  const put = db.prepare(
    `INSERT INTO functions (namespace, name, revision, replicas, origin, created_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (namespace, name) DO UPDATE SET revision = excluded.revision, replicas = excluded.replicas,
       origin = excluded.origin`,
  )
  const setReplicas = db.prepare('UPDATE functions SET replicas = ? WHERE namespace = ? AND name = ?')
  const pin = db.prepare(
    `UPDATE functions SET revision = json_set(revision, '$.imageId', ?)
     WHERE namespace = ? AND name = ? AND revision ->> '$.id' = ?`,
  )
  const good = db.prepare(
    `UPDATE functions SET last_good = revision WHERE namespace = ? AND name = ? AND revision ->> '$.id' = ?`,
  )
  const count = db.prepare(
    'UPDATE functions SET invocation_count = invocation_count + ? WHERE namespace = ? AND name = ?',
  )
  const remove = db.prepare('DELETE FROM functions WHERE namespace = ? AND name = ?')
  return {
    get: ({ namespace, name }) => {
      const row = one.get(namespace, name)
      return row && desiredOf(row)
    },
    list: (namespace) => (namespace === undefined ? all.all() : inNamespace.all(namespace)).map(desiredOf),
    put: ({ ref, revision, replicas, origin, createdAt }) =>
      void put.run(ref.namespace, ref.name, JSON.stringify(revision), replicas, origin ?? null, createdAt),
    setReplicas: (ref, replicas) => void setReplicas.run(replicas, ref.namespace, ref.name),
    pinImage: (ref, revision, imageId) => void pin.run(imageId, ref.namespace, ref.name, revision),
    setGood: (ref, revision) => void good.run(ref.namespace, ref.name, revision),
    addInvocations: (counts: ReadonlyMap<FunctionRef, number>) =>
      db.transaction(() => {
        for (const [ref, added] of counts) count.run(added, ref.namespace, ref.name)
      })(),
    delete: (ref) => remove.run(ref.namespace, ref.name).changes > 0,
  }
}

function desiredOf(row: FunctionRow): DesiredFunction {
  return {
    ref: { name: row.name, namespace: row.namespace },
    revision: JSON.parse(row.revision) as Revision,
    ...(row.last_good !== null && { lastGood: JSON.parse(row.last_good) as Revision }),
    replicas: row.replicas,
    ...(row.origin !== null && { origin: row.origin }),
    invocationCount: row.invocation_count,
    createdAt: row.created_at,
  }
}

interface NamespaceRow {
  name: string
  labels: string
  annotations: string
}

function namespaceStore(db: Database.Database): NamespaceStore {
  db.prepare(`INSERT OR IGNORE INTO namespaces (name, labels, annotations) VALUES (?, '{}', '{}')`).run(
    DEFAULT_NAMESPACE,
  )
  const one = db.prepare<[string], NamespaceRow>('SELECT * FROM namespaces WHERE name = ?')
  const all = db.prepare<[], NamespaceRow>('SELECT * FROM namespaces ORDER BY name')
  const put = db.prepare('INSERT OR REPLACE INTO namespaces (name, labels, annotations) VALUES (?, ?, ?)')
  const remove = db.prepare('DELETE FROM namespaces WHERE name = ?')
  const namespaceOf = ({ name, labels, annotations }: NamespaceRow): Namespace => ({
    name,
    labels: JSON.parse(labels) as Record<string, string>,
    annotations: JSON.parse(annotations) as Record<string, string>,
  })
  return {
    get: (name) => {
      const row = one.get(name)
      return row && namespaceOf(row)
    },
    list: () => all.all().map(namespaceOf),
    put: ({ name, labels, annotations }) =>
      void put.run(name, JSON.stringify(labels), JSON.stringify(annotations)),
    delete: (name) => remove.run(name).changes > 0,
  }
}
