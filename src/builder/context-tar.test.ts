import { createHash } from 'node:crypto'
import { open, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { extract } from 'tar-stream'
import type { Header } from 'tar-stream'
import { describe, expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import type { TestFolder } from '../../test/support/folder.ts'
import { FileHashes, hashFiles } from './content-hash.ts'
import { tarContext } from './context-tar.ts'
import { copyTree } from './copy-tree.ts'
import { ContextTree } from './tree.ts'

const RULES = { ignores: () => false, skipsFolder: () => false, onSkipped: () => undefined }
const MEGABYTE = 2 ** 20

async function contextOf(folder: TestFolder) {
  const tree = new ContextTree()
  await copyTree(folder.path, 'ctx', tree, RULES)
  const entries = tree.list()
  return { entries, hashes: await hashFiles(entries, new FileHashes()) }
}

async function unpack(tar: Buffer) {
  const found: { header: Header; content: string }[] = []
  const reader = extract()
  reader.end(tar)
  for await (const entry of reader) {
    const chunks: Buffer[] = []
    for await (const chunk of entry) chunks.push(chunk as Buffer)
    found.push({ header: entry.header, content: Buffer.concat(chunks).toString() })
  }
  return found
}

describe('the tar of a context', () => {
  test('has every entry sorted, owned by root, with its mode and content', async () => {
    const long = `${'long/'.repeat(40)}name`
    await using folder = await makeFolder({
      b: 'B',
      'a/x': { content: 'X', mode: 0o755 },
      empty: '',
      [long]: 'deep',
      'ü/文': 'u',
    })
    const { entries, hashes } = await contextOf(folder)
    const found = await unpack(await buffer(tarContext(entries, hashes)))
    const files = found.filter(({ header }) => header.type === 'file')
    expect(files.map(({ header, content }) => [header.name, header.mode, content])).toEqual([
      ['ctx/a/x', 0o755, 'X'],
      ['ctx/b', 0o644, 'B'],
      ['ctx/empty', 0o644, ''],
      [`ctx/${long}`, 0o644, 'deep'],
      ['ctx/ü/文', 0o644, 'u'],
    ])
    expect(found[0]?.header).toMatchObject({ name: 'ctx/', type: 'directory', mode: 0o700 })
    expect(found.every(({ header }) => header.uid === 0 && header.gid === 0)).toBe(true)
  })

  test('is the same for the same tree, byte for byte', async () => {
    await using folder = await makeFolder({ b: 'B', 'a/x': 'X' })
    const [one, two] = [await contextOf(folder), await contextOf(folder)]
    const tars = await Promise.all(
      [one, two].map(({ entries, hashes }) => buffer(tarContext(entries, hashes))),
    )
    expect(tars[0]?.equals(tars[1] ?? Buffer.alloc(0))).toBe(true)
  })

  test('keeps the times of files, but none that a zip file cannot have', async () => {
    await using folder = await makeFolder({ new: '', old: '' })
    await utimes(join(folder.path, 'new'), 1_700_000_000, 1_700_000_000)
    await utimes(join(folder.path, 'old'), 0, 0)
    const { entries, hashes } = await contextOf(folder)
    const found = await unpack(await buffer(tarContext(entries, hashes)))
    expect(Object.fromEntries(found.map(({ header }) => [header.name, header.mtime.toISOString()]))).toEqual({
      'ctx/': '1980-01-02T00:00:00.000Z',
      'ctx/new': '2023-11-14T22:13:20.000Z',
      'ctx/old': '1980-01-02T00:00:00.000Z',
    })
  })

  test('of a huge file is streamed: memory does not grow with it', async () => {
    await using folder = await makeFolder()
    const size = 300 * MEGABYTE
    const file = await open(join(folder.path, 'huge'), 'w')
    await file.truncate(size)
    await file.close()
    const { entries, hashes } = await contextOf(folder)
    const before = process.memoryUsage().rss
    let [peak, total] = [before, 0]
    for await (const chunk of tarContext(entries, hashes)) {
      total += (chunk as Buffer).length
      peak = Math.max(peak, process.memoryUsage().rss)
    }
    expect(total).toBeGreaterThan(size)
    expect((peak - before) / MEGABYTE).toBeLessThan(100)
  }, 60_000)

  test('waits for a slow reader', async () => {
    await using folder = await makeFolder()
    const file = await open(join(folder.path, 'big'), 'w')
    await file.truncate(50 * MEGABYTE)
    await file.close()
    const { entries, hashes } = await contextOf(folder)
    const tar = tarContext(entries, hashes)
    const [first] = (await tar.take(1).toArray()) as Buffer[]
    expect(first?.length).toBeGreaterThan(0)
    expect(tar.readableLength).toBeLessThan(MEGABYTE)
    expect(tar.destroyed).toBe(true)
  })
})

describe('a file that changes between hash and tar', () => {
  test.each([
    ['grew', 'longer than it was'],
    ['shrank', 'x'],
    ['has the same size and another content', 'efgh'],
  ])('fails the build when it %s', async (_, content) => {
    await using folder = await makeFolder({ a: 'abcd' })
    const { entries, hashes } = await contextOf(folder)
    await folder.write({ a: content })
    await expect(buffer(tarContext(entries, hashes))).rejects.toMatchObject({
      code: 'BUILD_FAILED',
      message: `${join(folder.path, 'a')} changed while it was read for a build`,
    })
  })

  test('fails the build when it vanishes', async () => {
    await using folder = await makeFolder({ a: 'abcd' })
    const { entries, hashes } = await contextOf(folder)
    const gone = entries.map((entry) =>
      entry.kind === 'file' ? { ...entry, file: `${entry.file}-gone` } : entry,
    )
    await expect(buffer(tarContext(gone, hashes))).rejects.toMatchObject({ code: 'BUILD_FAILED' })
  })
})

test('a text of ours goes in as it is', async () => {
  const content = Buffer.from('FROM scratch')
  const entry = { kind: 'text', path: 'Dockerfile', mode: 0o644, content } as const
  const hashes = new Map([['Dockerfile', createHash('sha256').update('what was on disk').digest('hex')]])
  const [found] = await unpack(await buffer(tarContext([entry], hashes)))
  expect(found).toMatchObject({ header: { name: 'Dockerfile', size: 12 }, content: 'FROM scratch' })
})
