import { chmod, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support/cli.ts'
import { loginFor, loginsFile, readLogins, removeLogin, saveLogin } from './logins.ts'

const LOGIN = { gateway: 'http://127.0.0.1:8080', auth: 'basic', token: 'YWRtaW46cHc=' }
/** Byte for byte what faas-cli 0.18 writes for it. */
const FAAS_CLI = 'auths:\n  - gateway: http://127.0.0.1:8080\n    auth: basic\n    token: YWRtaW46cHc=\n'

test.each([
  [{ HOME: '/home/me' }, '/home/me/.openfaas/config.yml'],
  [{ HOME: '/home/me', OPENFAAS_CONFIG: '/etc/of' }, '/etc/of/config.yml'],
  [{ HOME: '/home/me', OPENFAAS_CONFIG: '~/of' }, '/home/me/of/config.yml'],
  [{ HOME: '/home/me', OPENFAAS_CONFIG: 'of' }, '/project/of/config.yml'],
  [{ HOME: '/home/me', CI: 'true' }, '/project/.openfaas/config.yml'],
  [{ HOME: '/home/me', CI: '1', OPENFAAS_CONFIG: '/etc/of' }, '/etc/of/config.yml'],
  [{ HOME: '/home/me', CI: 'no' }, '/home/me/.openfaas/config.yml'],
])('with %j logins are in %s, as with faas-cli', (env, file) => {
  expect(loginsFile({ env, cwd: '/project' })).toBe(file)
})

test('a login is written as faas-cli writes it, for its owner alone', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'of/config.yml')
  await saveLogin(file, LOGIN)
  expect(await readFile(file, 'utf8')).toBe(FAAS_CLI)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect((await stat(join(folder.path, 'of'))).mode & 0o777).toBe(0o700)
})

test('a login takes the place of the older one for the same gateway, and others stay as they are', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'config.yml')
  const other =
    'auths:\n  - gateway: https://b\n    auth: oauth2\n    token: t\n    options:\n      - name: x\n        value: z\n'
  await writeFile(file, other)
  await chmod(file, 0o644)
  await saveLogin(file, LOGIN)
  await saveLogin(file, { ...LOGIN, token: 'bmV3' })
  expect(await readLogins(file)).toMatchObject([{ gateway: 'https://b' }, { ...LOGIN, token: 'bmV3' }])
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(await removeLogin(file, LOGIN.gateway)).toBe(true)
  expect(await readFile(file, 'utf8')).toBe(other)
  expect(await removeLogin(file, LOGIN.gateway)).toBe(false)
  expect(loginFor(await readLogins(file), 'https://b')?.token).toBe('t')
  await removeLogin(file, 'https://b')
  expect(await readFile(file, 'utf8')).toBe('auths: []\n')
})

test('a file that is a link stays one', async () => {
  await using folder = await temporaryFolder()
  const kept = join(folder.path, 'dotfiles.yml')
  await writeFile(kept, '')
  await mkdir(join(folder.path, 'of'))
  await symlink(kept, join(folder.path, 'of/config.yml'))
  await saveLogin(join(folder.path, 'of/config.yml'), LOGIN)
  expect(await readFile(kept, 'utf8')).toBe(FAAS_CLI)
})

test('a file that holds something else is neither read nor overwritten', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'config.yml')
  for (const text of ['auths: [', 'auths: 1\n', '- a\n']) {
    await writeFile(file, text)
    await expect(readLogins(file)).rejects.toMatchObject({ code: 'BAD_CONFIG' })
    await expect(saveLogin(file, LOGIN)).rejects.toMatchObject({ code: 'BAD_CONFIG' })
    expect(await readFile(file, 'utf8')).toBe(text)
  }
  expect(await readLogins(join(folder.path, 'none.yml'))).toEqual([])
})
