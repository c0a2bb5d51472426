// The node template's image under what users and platforms do to it: bad handlers, locked-down containers, private
// registries, swaps.
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeDocker, dockerAvailable } from '../support/docker.ts'
import { makeFolder } from '../support/folder.ts'
import { callAt, until } from './templates/call.ts'
import type { Answer, Call } from './templates/call.ts'
import {
  assemble,
  build,
  buildKit,
  docker,
  exitCode,
  labelFlags,
  removeAll,
  start,
  tag,
  tryBuild,
  unique,
} from './templates/images.ts'
import type { Container } from './templates/images.ts'
import { majors } from './templates/node-binaries.ts'
import { swapEnv, swapping } from './templates/node-process.ts'

const hello = { 'handler.js': `module.exports = async () => 'hello'` }
const says = (container: Container, text: string | RegExp): Promise<string> =>
  until(
    () => container.logs(),
    (logs) => (typeof text === 'string' ? logs.includes(text) : text.test(logs)),
  )

afterAll(async () => {
  if (dockerAvailable) await removeAll()
})

/** An image of the template, and a container of it whose handler folder is another one: builds are what takes long. */
async function startWith(
  files: Readonly<Record<string, string | Buffer>>,
  options: Parameters<typeof start>[1] = {},
): Promise<Container> {
  const script = Object.entries(files).map(
    ([name, content]) =>
      `echo ${Buffer.from(content).toString('base64')} | base64 -d > /home/app/function/${name}`,
  )
  const run = ['rm -f /home/app/function/handler.js', ...script, 'exec node index.js'].join('\n')
  return start(tag('node-bad'), {
    ...options,
    flags: ['--read-only=false', ...(options.flags ?? [])],
    command: ['/bin/sh', '-c', run],
  })
}

describeDocker('node template, bad input', () => {
  beforeAll(() => build({ template: 'node', handler: hello }, tag('node-bad')))

  it.each([
    ['throws on load', { 'handler.js': `\nthrow new Error('at load')` }, /Error: at load\n.*handler\.js:2:7/],
    ['exports nothing', { 'handler.js': '' }, /handler\.js exports no function: write module\.exports/],
    ['imports a missing package', { 'handler.js': `require('not-there')` }, /Cannot find module 'not-there'/],
    [
      'imports a missing package as an ES module',
      { 'handler.mjs': `import 'not-there'` },
      /Cannot find package 'not-there'/,
    ],
    [
      'is not UTF-8',
      { 'handler.js': Buffer.from([0xff, 0xfe, 0x00, 0x6d]) },
      /handler\.js:1[\s\S]*SyntaxError/,
    ],
    [
      'calls process.exit on load',
      { 'handler.js': 'process.exit(4)' },
      /the process ends with code 4 before the handler is loaded/,
    ],
    ['runs out of memory', { 'handler.js': 'const a = []\nfor (;;) a.push(Buffer.alloc(1e6, 1))' }, /^/],
  ])('ends with a clear line when the handler %s', async (_, files, message) => {
    await using container = await startWith(files, { waitFor: 'none', flags: ['--memory', '128m'] })
    expect(await exitCode(container)).not.toBe(0)
    const logs = await container.logs()
    expect(logs).toMatch(message)
    expect(logs).not.toContain('listening')
  })

  it('serves a handler with Latin-1 in its text, as Node reads it', async () => {
    const text = Buffer.concat([
      Buffer.from(`module.exports = async () => '`),
      Buffer.from([0xe4]),
      Buffer.from(`'`),
    ])
    await using container = await startWith({ 'handler.js': text })
    expect(await container.call()).toMatchObject({ status: 200, body: '\ufffd' })
  })

  it('answers 504 where the handler never calls back, and goes on', async () => {
    const handler = `module.exports = (event, context, cb) => { if (event.path !== '/never') cb(undefined, 'fine'); else return new Promise(() => {}) }`
    await using container = await startWith({ 'handler.js': handler }, { env: { exec_timeout: '200ms' } })
    expect(await container.call({ path: '/never' })).toMatchObject({
      status: 504,
      body: 'the function gave no answer within its exec_timeout of 200ms',
    })
    await says(container, 'GET /never: no answer within exec_timeout of 200ms')
    expect(await container.call()).toMatchObject({ status: 200, body: 'fine' })
  })

  it('answers the error where the result is circular JSON, and logs where it was', async () => {
    await using container = await startWith({
      'handler.js': `module.exports = async () => { const a = {}; a.a = a; return a }`,
    })
    expect((await container.call()).body).toMatch(/^TypeError: Converting circular structure/)
    await says(container, /TypeError: Converting circular structure[\s\S]*at JSON\.stringify/)
    expect((await container.call({ path: '/_/health' })).status).toBe(200)
  })

  it.each([
    ['as it is', {}],
    ['with prefix_logs', { prefix_logs: 'true' }],
  ])('passes 100 MB that the handler prints, %s, and answers meanwhile', async (_, env) => {
    const handler = `module.exports = async (event) => {
      if (event.path !== '/print') return 'fine'
      const line = 'x'.repeat(1023) + '\\n'
      for (let i = 0; i < 1024; i += 1) { process.stdout.write(line.repeat(100)); if (i % 64 === 0) await new Promise(setImmediate) }
      return 'printed'
    }`
    await using container = await startWith(
      { 'handler.js': handler },
      {
        env: { exec_timeout: '60s', write_timeout: '60s', ...env },
        flags: ['--memory', '512m', '--log-opt', 'max-size=10m'],
      },
    )
    const printing = container.call({ path: '/print' })
    await until(
      () => container.call(),
      ({ body }) => body === 'fine',
    )
    expect(await printing).toMatchObject({ status: 200, body: 'printed' })
    expect((await container.call({ path: '/_/health' })).status).toBe(200)
  })

  it('serves a handler that leaks timers, and ends at once when told to', async () => {
    const handler = `module.exports = async () => { setInterval(() => {}, 10); setTimeout(() => {}, 1e8); return 'leaked' }`
    await using container = await startWith({ 'handler.js': handler })
    for (let i = 0; i < 50; i += 1) expect((await container.call()).body).toBe('leaked')
    const began = performance.now()
    await docker('stop', '--time', '10', container.id)
    expect(performance.now() - began).toBeLessThan(5000)
    expect(await container.state('{{.State.ExitCode}}')).toBe('0')
  })

  it('answers 500 and says so when the handler calls process.exit, and ends with its code', async () => {
    await using container = await startWith({ 'handler.js': 'module.exports = () => process.exit(5)' })
    expect(await container.call()).toMatchObject({
      status: 500,
      body: "the function's process ended with code 5 during the call",
    })
    expect(await exitCode(container)).toBe(5)
    expect(await container.logs()).toContain('the process ends with code 5 while 1 calls are in flight')
  })
})

describeDocker('node template, locked down', () => {
  const image = tag('node-locked')
  beforeAll(() => build({ template: 'node', handler: hello }, image))

  it.each([
    ['a read-only root with /tmp', []],
    ['a read-only root without /tmp', ['--tmpfs', '/other']],
    ['any user', ['--user', '4711']],
    ['any user and group', ['--user', '4711:4712']],
    ['root', ['--user', '0']],
  ])('runs with %s', async (_, flags) => {
    await using container = await start(image, { flags })
    expect(await container.call()).toMatchObject({ status: 200, body: 'hello' })
    expect((await container.call({ path: '/_/health' })).status).toBe(200)
  })

  it('is not root by itself, and says what made it', async () => {
    const [user, template, version] = (
      await docker(
        'inspect',
        '--format',
        '{{.Config.User}} {{index .Config.Labels "com.faasdock.template"}} {{index .Config.Labels "com.faasdock.template.version"}}',
        image,
      )
    ).split(' ')
    expect([user, template, version]).toEqual([
      '1000:1000',
      'node',
      // The base image's own variable of that name wins, which is the whole version.
      expect.stringMatching(/^20(\.|$)/),
    ])
  })

  it.each([
    ['the root is read-only', [], /cannot be written/],
    ['the user does not own the folder', ['--read-only=false', '--user', '4711'], /cannot be written/],
  ])('says that it cannot swap where %s, and goes on', async (_, flags, reason) => {
    await using container = await start(image, { flags, env: swapEnv })
    const { put, state } = swapping((call) => container.call(call))
    expect(await state()).toMatchObject({ canSwap: false, reason: expect.stringMatching(reason) as string })
    expect(await put({ 'handler.js': `module.exports = async () => 'new'` })).toMatchObject({ status: 501 })
    expect((await container.call()).body).toBe('hello')
  })
})

describeDocker('node template, swap in a container', () => {
  it.each(majors)(
    'node%i takes changes of both module systems, and still runs them after a restart',
    async (major) => {
      const image = tag(`node-swap${String(major)}`)
      const handler = { ...hello, 'package.json': '{"dependencies":{"ms":"2.1.3"}}' }
      await build({ template: 'node', handler }, image, {
        NODE_VERSION: String(major),
        TEST_ENABLED: 'false',
      })
      await using container = await start(image, { flags: ['--read-only=false'], env: swapEnv })
      // A restart gives the container another port.
      const call = async (what: Call = {}): Promise<Answer> =>
        callAt('127.0.0.1', Number((await docker('port', container.id, '8080/tcp')).split(':').at(-1)), what)
      const runtime = swapping(call)
      const common = (text: string): string =>
        `const ms = require('ms')\nmodule.exports = async () => '${text} ' + ms('1s')`
      const modules = (text: string): string =>
        `import ms from 'ms'\nexport default async () => '${text} ' + ms('1s')`
      for (const text of ['one', 'two']) {
        expect(await runtime.put({ 'handler.js': common(text) })).toMatchObject({ status: 200 })
        expect((await call()).body).toBe(`${text} 1000`)
      }
      for (const text of ['three', 'four']) {
        expect(
          await runtime.put({ 'handler.mjs': modules(text) }, { deleted: ['handler.js'] }),
        ).toMatchObject({ status: 200 })
        expect((await call()).body).toBe(`${text} 1000`)
      }
      expect(await runtime.put({ 'handler.mjs': '\nexport default {' })).toMatchObject({
        status: 422,
        file: 'handler.mjs',
      })
      await docker('restart', '--time', '5', container.id)
      await until(runtime.state, ({ hash }) => hash === 'hash-4')
      expect((await call()).body).toBe('four 1000')
    },
  )
})

/** A registry with one package, `@private/thing`, for those who bring the token. */
async function privateRegistry(token: string): Promise<{ readonly host: string } & AsyncDisposable> {
  const archive = pack()
  archive.entry(
    { name: 'package/package.json' },
    JSON.stringify({ name: '@private/thing', version: '1.0.0' }),
  )
  archive.entry({ name: 'package/index.js' }, `module.exports = 'from the private registry'`)
  archive.finalize()
  const tarball = gzipSync(await buffer(archive))
  const server = createServer((req, res) => {
    const host = `127.0.0.1:${String((server.address() as AddressInfo).port)}`
    if (req.headers.authorization !== `Bearer ${token}`) res.writeHead(401).end('{}')
    else if (req.url?.endsWith('.tgz') === true) res.end(tarball)
    else {
      const dist = {
        tarball: `http://${host}/thing.tgz`,
        shasum: createHash('sha1').update(tarball).digest('hex'),
        integrity: `sha512-${createHash('sha512').update(tarball).digest('base64')}`,
      }
      const version = { name: '@private/thing', version: '1.0.0', dist }
      res.setHeader('Content-Type', 'application/json')
      res.end(
        JSON.stringify({
          name: '@private/thing',
          'dist-tags': { latest: '1.0.0' },
          versions: { '1.0.0': version },
        }),
      )
    }
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const host = `127.0.0.1:${String((server.address() as AddressInfo).port)}`
  return {
    host,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

describeDocker('node template, private registries', () => {
  const token = `token-${unique}`
  const handler = {
    'handler.js': `module.exports = async () => require('@private/thing')`,
    // A secret is not part of what a layer is known by: without a word of this run, a layer of an earlier one would do.
    'package.json': `{"description":"run ${unique}","dependencies":{"@private/thing":"1.0.0"}}`,
  }
  const npmrc = (host: string, secret: string): string =>
    `@private:registry=http://${host}/\n//${host}/:_authToken=${secret}\n`

  async function answersWithoutToken(image: string): Promise<void> {
    await using container = await start(image)
    expect((await container.call()).body).toBe('from the private registry')
    expect(
      await docker(
        'run',
        '--rm',
        ...labelFlags,
        image,
        'sh',
        '-c',
        `grep -rl ${token} /home /root /run /tmp 2>/dev/null; true`,
      ),
    ).toBe('')
    expect(await docker('history', '--no-trunc', image)).not.toContain(token)
  }

  it('installs with .npmrc and the build argument NPM_TOKEN', async () => {
    await using registry = await privateRegistry(token)
    const image = tag('node-private')
    await using folder = await assemble({
      template: 'node',
      handler: { ...handler, '.npmrc': npmrc(registry.host, '${NPM_TOKEN}') },
    })
    const refused = await tryBuild(folder.path, image, { TEST_ENABLED: 'false' }, ['--network', 'host'])
    expect(refused.code).not.toBe(0)
    const { code, output } = await tryBuild(folder.path, image, { NPM_TOKEN: token, TEST_ENABLED: 'false' }, [
      '--network',
      'host',
    ])
    expect(code, output).toBe(0)
    await answersWithoutToken(image)
  })

  it.each([
    ['npmrc, a whole file', (host: string) => ({ id: 'npmrc', secret: npmrc(host, token), own: {} })],
    [
      'NPM_TOKEN, which .npmrc names',
      (host: string) => ({
        id: 'NPM_TOKEN',
        secret: `${token}\n`,
        own: { '.npmrc': npmrc(host, '${NPM_TOKEN}') },
      }),
    ],
  ])('installs with the build secret %s', async (_, make) => {
    const withBuildKit = await buildKit()
    if (withBuildKit === undefined) throw new Error('no docker CLI here can drive BuildKit')
    await using registry = await privateRegistry(token)
    const { id, secret, own } = make(registry.host)
    await using folder = await assemble({ template: 'node', handler: { ...handler, ...own } })
    await using secrets = await makeFolder({ secret })
    const image = tag('node-secret')
    const args = ['--network', 'host', '--build-arg', 'TEST_ENABLED=false']
    const given = ['--secret', `id=${id},src=${join(secrets.path, 'secret')}`]
    expect((await withBuildKit(folder.path, image, args)).code).not.toBe(0)
    const { code, output } = await withBuildKit(folder.path, image, [...args, ...given])
    expect(code, output).toBe(0)
    await answersWithoutToken(image)
  })
})
