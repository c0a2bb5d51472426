import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import type { FunctionRef, Revision } from '../core/function.ts'
import { migrate } from './migrate.ts'
import { openRegistry } from './sqlite-registry.ts'

const MIGRATIONS = join(import.meta.dirname, 'migrations')
const createdAt = '2030-01-01T00:00:00.000Z'

function revision(id: string, ref: FunctionRef, more: Partial<Revision> = {}): Revision {
  return { id, spec: { ...ref, image: `image:${id}`, labels: {}, annotations: {} }, createdAt, ...more }
}

const a: FunctionRef = { name: 'a', namespace: 'openfaas-fn' }
const b: FunctionRef = { name: 'b', namespace: 'openfaas-fn' }

test('in a folder that is open to all, nobody else reads what functions are given', async () => {
  await using folder = await makeFolder()
  chmodSync(folder.path, 0o755)
  writeFileSync(join(folder.path, 'registry.db'), '', { mode: 0o644 })
  using registry = openRegistry(folder.path, MIGRATIONS)
  registry.functions.put({ ref: a, revision: revision('r1', a), replicas: 1, createdAt })
  const files = readdirSync(folder.path).filter((name) => name.includes('.db'))
  expect(files).toEqual(expect.arrayContaining(['registry.db', 'registry.db-wal', 'calls.db']))
  for (const name of files)
    expect([name, statSync(join(folder.path, name)).mode & 0o777]).toEqual([name, 0o600])
})

test('what was put is there after a restart, to the last field', async () => {
  await using folder = await makeFolder()
  const full = {
    ref: a,
    revision: revision('r1', a, {
      imageId: 'sha256:1',
      spec: {
        ...a,
        image: 'image:1',
        labels: { 'com.openfaas.scale.min': '2' },
        annotations: { note: '中文 "quoted" \u0000' },
        envVars: { A: '' },
        envProcess: 'node',
        constraints: ['node.platform.os == linux'],
        secrets: ['key'],
        limits: { memory: '128Mi', cpu: '100m' },
        requests: { memory: '64Mi' },
        readOnlyRootFilesystem: true,
      },
    }),
    replicas: 3,
    origin: '/project/stack.yml',
    createdAt,
  }
  let instance = ''
  {
    using registry = openRegistry(folder.path, MIGRATIONS)
    instance = registry.instance
    registry.functions.put(full)
    registry.functions.put({ ref: b, revision: revision('r2', b), replicas: 0, createdAt })
    registry.namespaces.put({ name: 'dev', labels: { a: 'b' }, annotations: {} })
  }
  using registry = openRegistry(folder.path, MIGRATIONS)
  expect(registry.instance).toBe(instance)
  expect(instance).toMatch(/^[0-9a-f]{8}$/)
  expect(registry.functions.get(a)).toEqual({ ...full, invocationCount: 0 })
  expect(registry.functions.get(b)).toEqual({
    ref: b,
    revision: revision('r2', b),
    replicas: 0,
    createdAt,
    invocationCount: 0,
  })
  expect(registry.functions.list().map(({ ref }) => ref.name)).toEqual(['a', 'b'])
  expect(registry.functions.list('dev')).toEqual([])
  expect(registry.namespaces.list().map(({ name }) => name)).toEqual(['dev', 'openfaas-fn'])
  expect(registry.namespaces.get('dev')).toEqual({ name: 'dev', labels: { a: 'b' }, annotations: {} })
})

test('an update keeps the day of birth, the counter and the last good revision', async () => {
  await using folder = await makeFolder()
  using registry = openRegistry(folder.path, MIGRATIONS)
  const { functions } = registry
  functions.put({ ref: a, revision: revision('r1', a), replicas: 1, createdAt })
  functions.pinImage(a, 'r1', 'sha256:1')
  functions.setGood(a, 'r1')
  functions.addInvocations(new Map([[a, 41]]))
  functions.addInvocations(
    new Map([
      [{ ...a }, 1],
      [b, 5],
    ]),
  )
  functions.put({ ref: a, revision: revision('r2', a), replicas: 2, createdAt: '2031-01-01T00:00:00.000Z' })
  // What came late is about a revision that nobody wants any more.
  functions.pinImage(a, 'r1', 'sha256:late')
  functions.setGood(a, 'r1')
  expect(functions.get(a)).toEqual({
    ref: a,
    revision: revision('r2', a),
    lastGood: revision('r1', a, { imageId: 'sha256:1' }),
    replicas: 2,
    createdAt,
    invocationCount: 42,
  })
  expect(functions.get(b)).toBeUndefined()
})

test('a function that is deleted is gone with everything', async () => {
  await using folder = await makeFolder()
  using registry = openRegistry(folder.path, MIGRATIONS)
  const { functions } = registry
  functions.put({ ref: a, revision: revision('r1', a), replicas: 1, createdAt })
  functions.setGood(a, 'r1')
  functions.addInvocations(new Map([[a, 1]]))
  expect(functions.delete(a)).toBe(true)
  expect(functions.delete(a)).toBe(false)
  functions.put({ ref: a, revision: revision('r2', a), replicas: 1, createdAt })
  expect(functions.get(a)).toMatchObject({ invocationCount: 0 })
  expect(functions.get(a)?.lastGood).toBeUndefined()
})

test('a transaction that fails leaves nothing behind', async () => {
  await using folder = await makeFolder()
  using registry = openRegistry(folder.path, MIGRATIONS)
  expect(() =>
    registry.transaction(() => {
      registry.functions.put({ ref: a, revision: revision('r1', a), replicas: 1, createdAt })
      throw new Error('half-way')
    }),
  ).toThrow('half-way')
  expect(registry.functions.list()).toEqual([])
})

test('a kill -9 loses nothing that a call had returned from, and leaves a registry that opens', async () => {
  await using folder = await makeFolder()
  openRegistry(folder.path, MIGRATIONS)[Symbol.dispose]()
  // Another process that writes as fast as it can through the same driver, and says what it has written.
  const script = `
    const Database = require('better-sqlite3')
    const db = new Database(${JSON.stringify(join(folder.path, 'registry.db'))})
    db.pragma('journal_mode = WAL'); db.pragma('synchronous = NORMAL')
    const put = db.prepare('INSERT INTO functions (namespace, name, revision, replicas, created_at) VALUES (?, ?, ?, 1, ?)')
    for (let n = 0; ; n++) {
      const name = 'fn-' + n
      put.run('openfaas-fn', name, JSON.stringify({ id: 'r', spec: { name } }), '')
      require('fs').writeSync(1, n + '\\n')
    }`
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
    if (said.length > 2000) child.kill('SIGKILL')
  })
  await once(child, 'close')
  const last = Number(said.trimEnd().split('\n').at(-1))
  expect(last).toBeGreaterThan(100)
  using registry = openRegistry(folder.path, MIGRATIONS)
  const names = new Set(registry.functions.list().map(({ ref }) => ref.name))
  for (let n = 0; n <= last; n++) expect(names.has(`fn-${n}`)).toBe(true)
})

test('a registry of a newer faasdock is refused, and is not touched', async () => {
  await using folder = await makeFolder()
  openRegistry(folder.path, MIGRATIONS)[Symbol.dispose]()
  const file = join(folder.path, 'registry.db')
  const newer = new Database(file)
  newer.pragma('user_version = 99')
  newer.close()
  expect(() => openRegistry(folder.path, MIGRATIONS)).toThrow(
    expect.objectContaining({
      code: 'DATA_BROKEN',
      message: expect.stringContaining('schema version 99') as string,
      remedy: expect.stringContaining('--data') as string,
    }),
  )
  const db = new Database(file, { readonly: true })
  expect(db.pragma('user_version', { simple: true })).toBe(99)
  db.close()
})

test('a registry that is not one is refused with what to do, and lets go of the file', async () => {
  await using folder = await makeFolder({
    'registry.db': 'this is no database, but it is long enough'.repeat(200),
  })
  for (let time = 0; time < 2; time++)
    expect(() => openRegistry(folder.path, MIGRATIONS)).toThrow(
      expect.objectContaining({
        code: 'DATA_BROKEN',
        message: expect.stringContaining(folder.path) as string,
      }),
    )
  expect(openFiles().filter((path) => path.startsWith(folder.path))).toEqual([])
})

test('a registry with a torn page is refused, or opens with what can be read: it never crashes', async () => {
  await using folder = await makeFolder()
  {
    using registry = openRegistry(folder.path, MIGRATIONS)
    for (let n = 0; n < 200; n++) {
      const ref = { name: `fn-${n}`, namespace: 'openfaas-fn' }
      registry.functions.put({ ref, revision: revision('r', ref), replicas: 1, createdAt })
    }
  }
  const file = join(folder.path, 'registry.db')
  const bytes = readFileSync(file)
  bytes.fill(0x5a, 100, 4096)
  writeFileSync(file, bytes)
  expect(() => openRegistry(folder.path, MIGRATIONS)).toThrow(
    expect.objectContaining({ code: 'DATA_BROKEN' }),
  )
})

test('a migration that fails leaves the version and the tables as they were', async () => {
  await using folder = await makeFolder({
    'migrations/0001-first.sql': 'CREATE TABLE first (x);',
    'migrations/0002-second.sql': 'CREATE TABLE second (x); CREATE TABLE first (x);',
    'migrations/notes.txt': 'not SQL',
  })
  const db = new Database(join(folder.path, 'x.db'))
  const migrations = join(folder.path, 'migrations')
  expect(() => migrate(db, migrations)).toThrow(/first already exists/)
  expect(db.pragma('user_version', { simple: true })).toBe(1)
  expect(db.prepare('SELECT name FROM sqlite_master').all()).toEqual([{ name: 'first' }])
  await folder.write({ 'migrations/0002-second.sql': 'CREATE TABLE second (x);' })
  migrate(db, migrations)
  migrate(db, migrations)
  expect(db.pragma('user_version', { simple: true })).toBe(2)
  db.close()
})

test('the files of the registry are in a folder that only its owner can open', async () => {
  await using folder = await makeFolder()
  using registry = openRegistry(folder.path, MIGRATIONS)
  registry.secrets.put('openfaas-fn', 'key', Buffer.from('x'))
  expect(statSync(join(folder.path, 'secrets')).mode & 0o777).toBe(0o700)
})

/** Paths that this process has open. */
function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)]
    } catch {
      return []
    }
  })
}
