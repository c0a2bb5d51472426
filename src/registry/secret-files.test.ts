import { mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
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
  expect(value.equals(readFileSync(secrets.path(NS, 'key')))).toBe(true)
})

test('any user of a container can read a value, and nobody else of this machine can reach it', async () => {
  await using folder = await makeFolder()
  const secrets = new SecretFiles(join(folder.path, 'secrets'))
  secrets.put(NS, 'key', Buffer.from('x'))
  expect(statSync(secrets.path(NS, 'key')).mode & 0o444).toBe(0o444)
  expect(statSync(join(folder.path, 'secrets')).mode & 0o777).toBe(0o700)
})

test('a folder that was open to all is closed', async () => {
  await using folder = await makeFolder()
  mkdirSync(join(folder.path, 'secrets'), { mode: 0o755 })
  new SecretFiles(join(folder.path, 'secrets'))
  expect(statSync(join(folder.path, 'secrets')).mode & 0o777).toBe(0o700)
})

test('an update keeps the file that is mounted into running functions', async () => {
  await using folder = await makeFolder()
  const secrets = new SecretFiles(join(folder.path, 'secrets'))
  secrets.put(NS, 'key', Buffer.from('a much longer first value'))
  const { ino } = statSync(secrets.path(NS, 'key'))
  secrets.put(NS, 'key', Buffer.from('short'))
  expect(statSync(secrets.path(NS, 'key')).ino).toBe(ino)
  expect(readFileSync(secrets.path(NS, 'key'), 'utf8')).toBe('short')
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
    expect(readFileSync(secrets.path(NS, 'key'), 'utf8')).toBe('two')
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

test('a change that a crash cut off is finished at the next start', async () => {
  await using folder = await makeFolder()
  const path = join(folder.path, 'secrets')
  const before = new SecretFiles(path)
  before.put('openfaas-fn', 'key', Buffer.from('old'))
  // What a crash leaves in the middle of writing: the copy is whole, the file is not.
  writeFileSync(`${before.path('openfaas-fn', 'key')}~new`, 'the new value')
  writeFileSync(before.path('openfaas-fn', 'key'), 'the n')
  const after = new SecretFiles(path)
  expect(Buffer.from(after.read('openfaas-fn', 'key') ?? []).toString()).toBe('the new value')
  expect(after.list('openfaas-fn')).toEqual(['key'])
})

test('a change that had not begun when it was cut off leaves the old value', async () => {
  await using folder = await makeFolder()
  const path = join(folder.path, 'secrets')
  const before = new SecretFiles(path)
  before.put('openfaas-fn', 'key', Buffer.from('old'))
  utimesSync(before.path('openfaas-fn', 'key'), 1, 1)
  writeFileSync(`${before.path('openfaas-fn', 'key')}~new`, 'half of the n')
  const after = new SecretFiles(path)
  expect(Buffer.from(after.read('openfaas-fn', 'key') ?? []).toString()).toBe('old')
})
