import { truncate, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import type { TestFolder } from '../../test/support/folder.ts'
import { contentHash, FileHashes, hashFiles } from './content-hash.ts'
import type { Ingredients } from './content-hash.ts'
import { copyTree } from './copy-tree.ts'
import { ContextTree } from './tree.ts'

const INGREDIENTS: Ingredients = {
  lang: 'node20',
  buildArgs: { A: '1' },
  bases: new Map([['node:20', 'id']]),
  secrets: [],
}
const never = new AbortController().signal
const RULES = { ignores: () => false, skipsFolder: () => false, onSkipped: () => undefined }

async function entriesOf(folder: TestFolder) {
  const tree = new ContextTree()
  await copyTree(folder.path, 'ctx', tree, RULES)
  return tree.list()
}

async function hashOf(folder: TestFolder, ingredients = INGREDIENTS, hashes = new FileHashes()) {
  const entries = await entriesOf(folder)
  return contentHash(entries, await hashFiles(entries, hashes), ingredients)
}

/** Times long past, so that hashes are remembered. */
async function settle(folder: TestFolder, file: string, seconds = 1_000_000) {
  await utimes(join(folder.path, file), seconds, seconds)
}

describe('the content hash', () => {
  test('of equal content is equal, wherever and whenever it was written', async () => {
    await using one = await makeFolder({ 'a/b': 'x', c: 'y' })
    await using two = await makeFolder({ c: 'y', 'a/b': 'x' })
    await settle(two, 'c')
    expect(await hashOf(one)).toBe(await hashOf(two))
    expect(await hashOf(one)).toMatch(/^[0-9a-f]{64}$/)
  })

  test.each<[string, Record<string, string | { content: string; mode: number }>]>([
    ['a content', { a: 'other', b: '' }],
    ['a name', { A: 'text', b: '' }],
    ['a mode', { a: { content: 'text', mode: 0o755 }, b: '' }],
    ['a missing file', { a: 'text' }],
    ['a moved boundary', { a: 'tex', b: 't' }],
    ['an empty folder in its place', { a: 'text', 'b/c': '' }],
  ])('changes with %s', async (_, files) => {
    await using before = await makeFolder({ a: 'text', b: '' })
    await using after = await makeFolder(files)
    expect(await hashOf(after)).not.toBe(await hashOf(before))
  })

  test.each<[string, Partial<Ingredients>]>([
    ['lang', { lang: 'node22' }],
    ['a build argument', { buildArgs: { A: '2' } }],
    ['one more build argument', { buildArgs: { A: '1', B: '' } }],
    ['a newer base image', { bases: new Map([['node:20', 'newer']]) }],
    ['a base image that is not there', { bases: new Map([['node:20', undefined]]) }],
    ['a build secret', { secrets: ['token'] }],
  ])('changes with %s', async (_, change) => {
    await using folder = await makeFolder({ a: 'text' })
    expect(await hashOf(folder, { ...INGREDIENTS, ...change })).not.toBe(await hashOf(folder))
  })

  test('does not depend on the order of arguments', async () => {
    await using folder = await makeFolder({ a: 'text' })
    const one = await hashOf(folder, { ...INGREDIENTS, buildArgs: { A: '1', B: '2' } })
    expect(await hashOf(folder, { ...INGREDIENTS, buildArgs: { B: '2', A: '1' } })).toBe(one)
  })
})

describe('remembered file hashes', () => {
  test('unchanged files are read once', async () => {
    await using folder = await makeFolder({ a: '1', b: '2' })
    await settle(folder, 'a')
    await settle(folder, 'b')
    const hashes = new FileHashes()
    const first = await hashOf(folder, INGREDIENTS, hashes)
    expect(await hashOf(folder, INGREDIENTS, hashes)).toBe(first)
    expect(hashes.reads).toBe(2)
  })

  test('a file of the same size and time, but written again, is read again', async () => {
    await using folder = await makeFolder({ a: 'one' })
    await settle(folder, 'a')
    const hashes = new FileHashes()
    const first = await hashOf(folder, INGREDIENTS, hashes)
    await folder.write({ a: 'two' })
    await settle(folder, 'a')
    expect(await hashOf(folder, INGREDIENTS, hashes)).not.toBe(first)
  })

  test('a file written a moment ago is not trusted: it may change within the same tick', async () => {
    await using folder = await makeFolder({ a: 'one' })
    // However slow the machine is, this is no longer ago than a moment.
    await settle(folder, 'a', Date.now() / 1000 + 3600)
    const hashes = new FileHashes()
    await hashOf(folder, INGREDIENTS, hashes)
    await hashOf(folder, INGREDIENTS, hashes)
    expect(hashes.reads).toBe(2)
  })

  test('a large file is read once for several that want it, though the first has left', async () => {
    await using folder = await makeFolder({ a: '' })
    await truncate(join(folder.path, 'a'), 256 * 2 ** 20)
    const entries = await entriesOf(folder)
    const hashes = new FileHashes()
    const abort = new AbortController()
    const first = hashFiles(entries, hashes, abort.signal)
    const others = [hashFiles(entries, hashes, never), hashFiles(entries, hashes)]
    abort.abort(new Error('stop'))
    await expect(first).rejects.toThrow('stop')
    const [one, other] = await Promise.all(others)
    expect(one?.get('ctx/a')).toMatch(/^[0-9a-f]{64}$/)
    expect(other).toEqual(one)
    expect(hashes.reads).toBe(1)
  }, 60_000)
})

test('a file that vanished between looking and reading is named', async () => {
  await using folder = await makeFolder({ a: 'one' })
  const [, entry] = await entriesOf(folder)
  if (entry?.kind !== 'file') throw new Error('no file')
  await expect(new FileHashes().of({ ...entry, file: `${entry.file}-gone` })).rejects.toMatchObject({
    code: 'FILE_NOT_READABLE',
    message: expect.stringContaining(`${entry.file}-gone`) as string,
  })
})

test('an abort ends hashing with its reason', async () => {
  await using folder = await makeFolder({ a: 'one' })
  const entries = await entriesOf(folder)
  await expect(hashFiles(entries, new FileHashes(), AbortSignal.abort(new Error('stop')))).rejects.toThrow(
    'stop',
  )
})
