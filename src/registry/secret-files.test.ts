import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { chown } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import { SecretFiles } from './secret-files.ts'

const NS = 'openfaas-fn'

test.each([
  ['text without a newline', Buffer.from('s3cret')],
  ['trailing newlines and carriage returns', Buffer.from('a\r\n\n')],
  ['every byte', Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))],
  ['nothing', Buffer.alloc(0)],
  ['a megabyte', Buffer.alloc(2 ** 20, 7)],
])('%s is kept exactly', async (_what, value) => {
  await using folder = await makeFolder()
  const secrets = new SecretFiles(join(folder.path, 'secrets'))
  secrets.put(NS, 'key', value)
  expect(secrets.has(NS, 'key')).toBe(true)
  // Not toEqual: it looks at a megabyte byte by byte.
  expect(value.equals(secrets.read(NS, 'key') ?? Buffer.from('absent'))).toBe(true)
  expect(value.equals(readFileSync(join(folder.path, 'secrets', NS, 'key')))).toBe(true)
})

test('nobody else of this machine can read a value, or reach it', async () => {
  await using folder = await makeFolder()
  const secrets = new SecretFiles(join(folder.path, 'secrets'))
  secrets.put(NS, 'key', Buffer.from('x'))
  expect(statSync(join(folder.path, 'secrets', NS, 'key')).mode & 0o777).toBe(0o600)
  expect(statSync(join(folder.path, 'secrets')).mode & 0o777).toBe(0o700)
})

test('a folder that was open to all is closed', async () => {
  await using folder = await makeFolder()
  mkdirSync(join(folder.path, 'secrets'), { mode: 0o755 })
  new SecretFiles(join(folder.path, 'secrets'))
  expect(statSync(join(folder.path, 'secrets')).mode & 0o777).toBe(0o700)
})

test('who watches is told of every value that was written, once it can be read', async () => {
  await using folder = await makeFolder()
  const secrets = new SecretFiles(join(folder.path, 'secrets'))
  const told: string[] = []
  const watch = secrets.watch((namespace, name) =>
    told.push(`${namespace}/${name}: ${Buffer.from(secrets.read(namespace, name) ?? []).toString()}`),
  )
  secrets.put(NS, 'key', Buffer.from('one'))
  secrets.put(NS, 'key', Buffer.from('two'))
  watch[Symbol.dispose]()
  secrets.put(NS, 'key', Buffer.from('three'))
  expect(told).toEqual([`${NS}/key: one`, `${NS}/key: two`])
})

// Root may write what it likes; everybody else needs the permission.
test.runIf(process.getuid?.() === 0)('a user who is not root can update a secret', async () => {
  await using folder = await makeFolder()
  await chown(folder.path, 12345, 12345)
  process.seteuid?.(12345)
  try {
    const secrets = new SecretFiles(join(folder.path, 'secrets'))
    secrets.put(NS, 'key', Buffer.from('one'))
    secrets.put(NS, 'key', Buffer.from('two'))
    expect(readFileSync(join(folder.path, 'secrets', NS, 'key'), 'utf8')).toBe('two')
    expect(secrets.delete(NS, 'key')).toBe(true)
  } finally {
    process.seteuid?.(0)
  }
})

test.each(['', '..', '../x', 'a/b', 'A', '-a', 'a-', 'a..b', 'a\n', 'a b', 'x'.repeat(254)])(
  'the name %j is refused, and is nobody’s',
  async (name) => {
    await using folder = await makeFolder()
    const secrets = new SecretFiles(join(folder.path, 'secrets'))
    expect(() => secrets.put(NS, name, Buffer.from('x'))).toThrow(
      expect.objectContaining({ code: 'BAD_NAME' }),
    )
    expect(secrets.has(NS, name)).toBe(false)
    expect(secrets.read(NS, name)).toBeUndefined()
    expect(secrets.delete(NS, name)).toBe(false)
  },
)

test.each(['..', '../..', 'a/../..', '/etc', '.', '', 'A', 'a.b'])(
  'the namespace %j leads nowhere: nothing outside is listed, read, written or deleted',
  async (namespace) => {
    await using folder = await makeFolder({ outside: 'precious' })
    const secrets = new SecretFiles(join(folder.path, 'secrets'))
    expect(secrets.list(namespace)).toEqual([])
    expect(secrets.has(namespace, 'outside')).toBe(false)
    expect(secrets.read(namespace, 'outside')).toBeUndefined()
    expect(secrets.delete(namespace, 'outside')).toBe(false)
    expect(() => secrets.put(namespace, 'outside', Buffer.from('x'))).toThrow(
      expect.objectContaining({ code: 'BAD_NAME' }),
    )
    expect(readFileSync(join(folder.path, 'outside'), 'utf8')).toBe('precious')
  },
)

test('what is listed are the secrets of the namespace, sorted, and nothing that is none', async () => {
  await using folder = await makeFolder()
  const secrets = new SecretFiles(join(folder.path, 'secrets'))
  secrets.put(NS, 'b', Buffer.from('x'))
  secrets.put(NS, 'a.b-c', Buffer.from('x'))
  secrets.put('other', 'z', Buffer.from('x'))
  // An engine makes a folder for a file that it should mount and does not find.
  mkdirSync(join(folder.path, 'secrets', NS, 'folder'))
  writeFileSync(join(folder.path, 'secrets', NS, '.swp'), '')
  expect(secrets.list(NS)).toEqual(['a.b-c', 'b'])
  expect(secrets.has(NS, 'folder')).toBe(false)
  expect(secrets.read(NS, 'folder')).toBeUndefined()
  secrets.delete(NS, 'b')
  expect(secrets.list(NS)).toEqual(['a.b-c'])
  expect(secrets.list('nobody')).toEqual([])
})

test('a change that a crash cut off leaves the old value, and nothing of the new one', async () => {
  await using folder = await makeFolder()
  const path = join(folder.path, 'secrets')
  const before = new SecretFiles(path)
  before.put(NS, 'key', Buffer.from('old'))
  writeFileSync(join(path, NS, 'key~new'), 'half of the n', { mode: 0o600 })
  const after = new SecretFiles(path)
  expect(Buffer.from(after.read(NS, 'key') ?? []).toString()).toBe('old')
  expect(after.list(NS)).toEqual(['key'])
  expect(readdirSync(join(path, NS))).toEqual(['key'])
})
