import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import { openPortBook } from './port-book.ts'

const entry = { ref: { name: 'a', namespace: 'openfaas-fn' }, port: 9229, isOn: true }

test('ports are known again when the book is opened again', async () => {
  await using folder = await makeFolder()
  const path = join(folder.path, 'debug.json')
  openPortBook(path).put({ ...entry, isOn: false })
  openPortBook(path).put(entry)
  openPortBook(path).put({ ...entry, ref: { name: 'b', namespace: 'dev' }, port: 9230 })
  expect(openPortBook(path).all()).toEqual([
    entry,
    { ...entry, ref: { name: 'b', namespace: 'dev' }, port: 9230 },
  ])
})

test.each(['', '{', '[{"ref": "a"}]', '[{"ref": {"name": "a", "namespace": "b"}, "port": 0, "isOn": true}]'])(
  'a book that says %j is begun anew',
  async (text) => {
    await using folder = await makeFolder({ 'debug.json': text })
    const path = join(folder.path, 'debug.json')
    expect(openPortBook(path).all()).toEqual([])
    openPortBook(path).put(entry)
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual([entry])
  },
)

test('a book that cannot be written says so', async () => {
  await using folder = await makeFolder()
  const book = openPortBook(join(folder.path, 'nowhere/debug.json'))
  expect(() => book.put(entry)).toThrow(/cannot be written/)
})
