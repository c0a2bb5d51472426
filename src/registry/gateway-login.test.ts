import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import { gatewayLogin } from './gateway-login.ts'

test('a login is made once, for its owner’s eyes only, and kept', async () => {
  await using folder = await makeFolder()
  const made = gatewayLogin(join(folder.path, 'nowhere'), folder.path)
  expect(made.user).toBe('admin')
  expect(made.password).toMatch(/^[\w-]{43}$/)
  expect(readFileSync(made.passwordFile, 'utf8')).toBe(made.password)
  for (const name of ['basic-auth-user', 'basic-auth-password'])
    expect(statSync(join(folder.path, name)).mode & 0o777).toBe(0o600)
  expect(gatewayLogin(join(folder.path, 'nowhere'), folder.path)).toEqual(made)
  await using other = await makeFolder()
  expect(gatewayLogin(join(folder.path, 'nowhere'), other.path).password).not.toBe(made.password)
})

test('a crash between the two files is made good', async () => {
  await using folder = await makeFolder()
  writeFileSync(join(folder.path, 'basic-auth-user'), 'admin')
  expect(gatewayLogin('/nowhere', folder.path).password).toMatch(/^[\w-]{43}$/)
})

test('mounted files win, without the white space around them', async () => {
  await using folder = await makeFolder()
  const mount = join(folder.path, 'secrets')
  mkdirSync(mount)
  writeFileSync(join(mount, 'basic-auth-user'), 'me\n')
  writeFileSync(join(mount, 'basic-auth-password'), '  pass word \n')
  expect(gatewayLogin(mount, folder.path)).toEqual({
    user: 'me',
    password: 'pass word',
    passwordFile: join(mount, 'basic-auth-password'),
  })
})

test.each([
  ['no user', undefined, 'x', /cannot be read/],
  ['an empty password', 'me', ' \n', /are empty/],
  ['an empty user', '', 'x', /are empty/],
  ['a user that cannot be sent', 'a:b', 'x', /":"/],
])('files with %s are refused before anybody is let in', async (_what, user, password, message) => {
  await using folder = await makeFolder()
  const mount = join(folder.path, 'secrets')
  mkdirSync(mount)
  if (user !== undefined) writeFileSync(join(mount, 'basic-auth-user'), user)
  writeFileSync(join(mount, 'basic-auth-password'), password)
  chmodSync(mount, 0o700)
  expect(() => gatewayLogin(mount, folder.path)).toThrow(
    expect.objectContaining({ code: 'BAD_CONFIG', message: expect.stringMatching(message) as string }),
  )
})
