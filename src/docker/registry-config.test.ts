import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import type { TestFolder } from '../../test/support/folder.ts'
import type { RegistryConfig } from './registry-config.ts'
import { readRegistryConfig } from './registry-config.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** A home with that config file, and helpers on PATH by name. */
async function home(
  config: object | string,
  helpers: Readonly<Record<string, string>> = {},
): Promise<{ folder: TestFolder; config: RegistryConfig; [Symbol.asyncDispose](): Promise<void> }> {
  const files = Object.entries(helpers).map(
    ([name, script]) => [`bin/docker-credential-${name}`, script] as const,
  )
  const folder = await makeFolder({
    'config.json': typeof config === 'string' ? config : JSON.stringify(config),
    ...Object.fromEntries(files),
  })
  for (const [file] of files) await chmod(join(folder.path, file), 0o755)
  const path = `${join(folder.path, 'bin')}:${process.env['PATH'] ?? ''}`
  return {
    folder,
    config: await readRegistryConfig({ DOCKER_CONFIG: folder.path, PATH: path }),
    [Symbol.asyncDispose]: async () => folder[Symbol.asyncDispose](),
  }
}

/** A helper that knows one registry; it writes down whom it was asked for. */
const helper = (registry: string, user: string, secret: string): string => `#!/bin/sh
case $1 in
  list) echo '{"${registry}":"${user}"}' ;;
  get)
    read -r asked
    echo "$asked" >> "$(dirname "$0")/asked"
    if [ "$asked" = "${registry}" ]; then echo '{"ServerURL":"${registry}","Username":"${user}","Secret":"${secret}"}'
    else echo 'credentials not found in native keychain'; exit 1; fi ;;
esac
`

describe('logins that stand in the Docker config file', () => {
  test('are read in all their forms', async () => {
    await using at = await home({
      auths: {
        'private.example:5000': { auth: base64('me:pass:word\0') },
        'https://apart.example/v2/': { username: 'you', password: 'word' },
        'token.example': { identitytoken: 'tok' },
        'empty.example': {},
      },
    })
    expect(await at.config.loginFor('private.example:5000/team/app:1')).toEqual({
      username: 'me',
      password: 'pass:word',
      serveraddress: 'private.example:5000',
    })
    expect(await at.config.loginFor('apart.example/app')).toMatchObject({ username: 'you', password: 'word' })
    expect(await at.config.loginFor('token.example/app')).toMatchObject({
      username: '',
      identitytoken: 'tok',
    })
    expect(Object.keys(await at.config.all())).toEqual([
      'private.example:5000',
      'https://apart.example/v2/',
      'token.example',
    ])
  })

  test('serve the images of their own registry and no other', async () => {
    const login = (user: string): object => ({ auth: base64(`${user}:x`) })
    await using at = await home({
      auths: {
        'https://index.example/v1/': login('default'),
        'private.example:5000': login('private'),
        'https://other.example/v2/': login('other'),
      },
    })
    const user = async (image: string): Promise<string | undefined> =>
      (await at.config.loginFor(image))?.username
    expect(await user('private.example:5000/team/app:1')).toBe('private')
    expect(await user('private.example/team/app:1')).toBeUndefined()
    expect(await user('other.example/app')).toBe('other')
    expect(await user('node:20')).toBe('default')
    expect(await user('me/app')).toBe('default')
    expect(await user('unknown.example/app')).toBeUndefined()
    expect(await user('localhost/app')).toBeUndefined()
  })

  test('are looked for at home where no folder is named', async () => {
    await using folder = await makeFolder({
      '.docker/config.json': JSON.stringify({ auths: { 'r.example': { auth: base64('a:b') } } }),
    })
    expect(Object.keys(await (await readRegistryConfig({ HOME: folder.path })).all())).toEqual(['r.example'])
  })

  test.each(['', 'not json', '[]', '{"auths": 3}'])('are none in a file that says %j', async (content) => {
    await using at = await home(content)
    expect(await at.config.all()).toEqual({})
    expect(await at.config.loginFor('r.example/x')).toBeUndefined()
  })

  test('are none where there is no file, or nowhere to look', async () => {
    expect(await (await readRegistryConfig({ DOCKER_CONFIG: '/nowhere' })).all()).toEqual({})
    expect(await (await readRegistryConfig({})).loginFor('node:20')).toBeUndefined()
  })
})

describe('logins that credential helpers keep', () => {
  test('come from the store, for the registry of the image', async () => {
    await using at = await home(
      { auths: { 'r.example:5000': {} }, credsStore: 'keys' },
      { keys: helper('r.example:5000', 'me', 'pass') },
    )
    expect(await at.config.loginFor('r.example:5000/a/b:1')).toEqual({
      username: 'me',
      password: 'pass',
      serveraddress: 'r.example:5000',
    })
    expect(await at.config.all()).toMatchObject({ 'r.example:5000': { username: 'me' } })
  })

  test('of one registry come from its own helper, of the others from the store', async () => {
    await using at = await home(
      { credsStore: 'keys', credHelpers: { 'cloud.example': 'cloud' } },
      { keys: helper('r.example', 'me', 'pass'), cloud: helper('cloud.example', '<token>', 'tok') },
    )
    expect(await at.config.loginFor('cloud.example/x')).toMatchObject({ username: '', identitytoken: 'tok' })
    expect(await at.config.loginFor('r.example/x')).toMatchObject({ username: 'me' })
    expect(await at.config.all()).toMatchObject({ 'r.example': { username: 'me' }, 'cloud.example': {} })
  })

  test('of Docker’s default registry are found under the odd name that it has there', async () => {
    const odd = 'https://index.example/v1/'
    await using listed = await home({ credsStore: 'keys' }, { keys: helper(odd, 'me', 'pass') })
    for (const image of ['me/app', 'docker.io/me/app', 'docker.io/library/node:20'])
      expect(await listed.config.loginFor(image)).toMatchObject({ username: 'me', serveraddress: odd })
    await using named = await home(
      { auths: { [odd]: {} }, credsStore: 'keys' },
      { keys: helper(odd, 'me', 'pass') },
    )
    expect(await named.config.loginFor('node:20')).toMatchObject({ username: 'me' })
  })

  test('that a helper does not know are none: the registry may be public', async () => {
    await using at = await home({ credsStore: 'keys' }, { keys: helper('r.example', 'me', 'pass') })
    expect(await at.config.loginFor('other.example/x')).toBeUndefined()
  })

  test.each<[string, object, Record<string, string>, RegExp]>([
    ['is missing', { credsStore: 'gone' }, {}, /docker-credential-gone, which is not on PATH/],
    [
      'fails',
      { credHelpers: { 'r.example': 'bad' } },
      { bad: '#!/bin/sh\necho locked >&2; exit 3\n' },
      /ended with 3: locked/,
    ],
    ['talks nonsense', { credsStore: 'odd' }, { odd: '#!/bin/sh\necho "my secret is 1234"\n' }, /not JSON/],
    ['is a path', { credsStore: '../../bin/sh' }, {}, /not the name of a program/],
  ])(
    'a helper that %s is named, with the registry and without what it knows',
    async (_how, config, helpers, words) => {
      await using at = await home(config, helpers)
      const failure: unknown = await at.config.loginFor('r.example/x').catch((error: unknown) => error)
      expect(failure).toMatchObject({
        code: 'REGISTRY_DENIED',
        message: expect.stringMatching(words) as string,
        remedy: expect.stringContaining('docker login r.example') as string,
      })
      expect(String(failure)).not.toContain('1234')
      // A build of public images must not fail for it.
      expect(await at.config.all()).toEqual({})
    },
  )
})
