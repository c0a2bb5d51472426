import { expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import { loginFor, readRegistryConfig } from './registry-config.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')

test('plain sign-ins of the Docker config file are read, those of helpers left out', async () => {
  await using folder = await makeFolder({
    'config.json': JSON.stringify({
      auths: {
        'private.example:5000': { auth: base64('me:pass:word') },
        'token.example': { identitytoken: 'tok' },
        'helper.example': {},
      },
      credsStore: 'desktop',
    }),
  })
  expect(await readRegistryConfig({ DOCKER_CONFIG: folder.path })).toEqual({
    'private.example:5000': { username: 'me', password: 'pass:word', serveraddress: 'private.example:5000' },
    'token.example': { username: '', password: '', serveraddress: 'token.example', identitytoken: 'tok' },
  })
})

test('the file is looked for at home', async () => {
  await using folder = await makeFolder({
    '.docker/config.json': JSON.stringify({ auths: { r: { auth: base64('a:b') } } }),
  })
  expect(Object.keys(await readRegistryConfig({ HOME: folder.path }))).toEqual(['r'])
})

test.each(['', 'not json', '[]', '{"auths": 3}'])('a file that says %j has no sign-ins', async (content) => {
  await using folder = await makeFolder({ 'config.json': content })
  expect(await readRegistryConfig({ DOCKER_CONFIG: folder.path })).toEqual({})
})

test('no file, or nowhere to look, has no sign-ins', async () => {
  expect(await readRegistryConfig({ DOCKER_CONFIG: '/nowhere' })).toEqual({})
  expect(await readRegistryConfig({})).toEqual({})
})

test('an image gets the sign-in of its own registry and of no other', () => {
  const login = (username: string) => ({ username, password: '' })
  const config = {
    'https://index.example/v1/': login('default'),
    'private.example:5000': login('private'),
    'https://other.example/v2/': login('other'),
  }
  const user = (image: string) => loginFor(image, config)?.username
  expect(user('private.example:5000/team/app:1')).toBe('private')
  expect(user('other.example/app')).toBe('other')
  expect(user('node:20')).toBe('default')
  expect(user('me/app')).toBe('default')
  expect(user('unknown.example/app')).toBeUndefined()
  expect(user('localhost/app')).toBeUndefined()
})
