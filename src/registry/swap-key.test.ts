import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import { swapKey } from './swap-key.ts'

test('the key is the same at the next start, differs between data directories, and only its owner reads it', async () => {
  await using here = await makeFolder()
  await using there = await makeFolder()
  const key = swapKey(here.path)
  expect(key).toHaveLength(32)
  expect(swapKey(here.path)).toEqual(key)
  expect(swapKey(there.path)).not.toEqual(key)
  expect(readdirSync(here.path)).toEqual(['swap-key'])
  expect(statSync(join(here.path, 'swap-key')).mode & 0o777).toBe(0o600)
})

test('a key that a crash cut short is made anew', async () => {
  await using folder = await makeFolder()
  writeFileSync(join(folder.path, 'swap-key'), 'half')
  expect(swapKey(folder.path)).toHaveLength(32)
})

test('a key that cannot be read is an error that says where it is', async () => {
  await using folder = await makeFolder()
  expect(() => swapKey(join(folder.path, 'nowhere'))).toThrow(/nowhere.*cannot be read or written/)
})
