import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import { debugpyWheel } from './debugpy.ts'

/** A Python whose pip does what the line says; `$dest` is where it is to put the wheel. */
const pip = (line: string): { content: string; mode: number } => ({
  content: `#!/bin/sh\nfor dest in "$@"; do :; done\necho run >>"$COUNT"\n${line}\n`,
  mode: 0o755,
})
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

test('pip gets it once, for all that come later', async () => {
  await using folder = await makeFolder({
    'bin/python3': pip('echo wheel >"$dest/debugpy-1.8.0-py2.py3-none-any.whl"'),
  })
  const options = {
    folder: join(folder.path, 'kept'),
    env: { PATH: `${folder.path}/bin:${process.env['PATH'] ?? ''}`, COUNT: join(folder.path, 'count') },
  }
  expect(text(await debugpyWheel(options))).toBe('wheel\n')
  expect(text(await debugpyWheel({ ...options, env: {} }))).toBe('wheel\n')
  expect(await readdir(options.folder)).toEqual(['debugpy-1.8.0-py2.py3-none-any.whl'])
})

test('a wheel that is named goes before all others, and has to be there', async () => {
  await using folder = await makeFolder({ 'mine.whl': 'mine', 'kept/other.whl': 'other' })
  const env = { FAASDOCK_DEBUGPY: join(folder.path, 'mine.whl') }
  expect(text(await debugpyWheel({ folder: join(folder.path, 'kept'), env }))).toBe('mine')
  await expect(
    debugpyWheel({ folder: join(folder.path, 'kept'), env: { FAASDOCK_DEBUGPY: '/nowhere.whl' } }),
  ).rejects.toMatchObject({
    code: 'DEBUGGER_UNAVAILABLE',
    message: expect.stringContaining('/nowhere.whl') as string,
  })
})

test('without it, pip’s last words are told, and what to do', async () => {
  await using folder = await makeFolder({ 'bin/python3': pip('echo "ERROR: no network" >&2; exit 1') })
  const env = { PATH: `${folder.path}/bin`, COUNT: '/dev/null' }
  await expect(debugpyWheel({ folder: join(folder.path, 'kept'), env })).rejects.toMatchObject({
    code: 'DEBUGGER_UNAVAILABLE',
    message: expect.stringContaining('ERROR: no network') as string,
    remedy: expect.stringContaining('FAASDOCK_DEBUGPY') as string,
  })
  expect(await readdir(join(folder.path, 'kept'))).toEqual([])
})

test('without a Python, that is told', async () => {
  await using folder = await makeFolder()
  await expect(
    debugpyWheel({ folder: join(folder.path, 'kept'), env: { PATH: folder.path } }),
  ).rejects.toMatchObject({
    message: expect.stringContaining('no Python on this machine') as string,
  })
})
