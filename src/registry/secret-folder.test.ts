import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import { readSecretFolder } from './secret-folder.ts'

test('each file is a secret, and so is a link to one; folders and hidden files are none', async () => {
  await using folder = await makeFolder()
  await folder.write({ token: 'a', '.token.swp': 'x', 'elsewhere/key': 'b' })
  await symlink('elsewhere/key', join(folder.path, 'key'))
  const warnings: string[] = []
  const secrets = await readSecretFolder(folder.path, (warning) => warnings.push(warning))
  expect([...secrets].map(([name, value]) => [name, Buffer.from(value).toString()]).sort()).toEqual([
    ['key', 'b'],
    ['token', 'a'],
  ])
  expect(warnings).toEqual([])
})

test('one that cannot be read is told, and keeps the others from nothing', async () => {
  await using folder = await makeFolder()
  await folder.write({ token: 'a' })
  await symlink('loop', join(folder.path, 'loop'))
  await symlink('nowhere', join(folder.path, 'gone'))
  const warnings: string[] = []
  const secrets = await readSecretFolder(folder.path, (warning) => warnings.push(warning))
  expect([...secrets.keys()]).toEqual(['token'])
  expect(warnings.sort()).toEqual([
    expect.stringContaining(`${join(folder.path, 'gone')} cannot be read (ENOENT)`),
    expect.stringContaining(`${join(folder.path, 'loop')} cannot be read (ELOOP)`),
  ])
})

test('an absent folder has none, and one that cannot be read says so', async () => {
  await using folder = await makeFolder()
  const warnings: string[] = []
  const tell = (warning: string): number => warnings.push(warning)
  expect(await readSecretFolder(join(folder.path, 'none'), tell)).toEqual(new Map())
  expect(warnings).toEqual([])
  await mkdir(join(folder.path, 'real'))
  await symlink('loop', join(folder.path, 'loop'))
  expect(await readSecretFolder(join(folder.path, 'loop'), tell)).toEqual(new Map())
  expect(warnings).toEqual([expect.stringContaining('loop cannot be read (ELOOP)')])
})
