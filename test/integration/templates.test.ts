// The built-in templates in real containers: every Node version and the sample application; python-*.test.ts has Python.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describeDocker, dockerAvailable } from '../support/docker.ts'
import { until } from './templates/call.ts'
import { expectAnswer } from './templates/expect-answer.ts'
import {
  assemble,
  build,
  buildKit,
  docker,
  exitCode,
  labelFlags,
  removeAll,
  repository,
  start,
  tag,
  tryBuild,
  unique,
} from './templates/images.ts'
import type { Container } from './templates/images.ts'
import {
  callOf,
  eraOf,
  expectedOf,
  handlerOf,
  jsonSizeContract,
  nodeContract,
  rawContract,
} from './templates/node-contract.ts'

const never = 'module.exports = () => new Promise(() => {})'
const sample = join(repository, 'samples/mobile')

afterAll(async () => {
  if (dockerAvailable) await removeAll()
})

describeDocker('node template, every version', () => {
  describe.each([12, 14, 16, 18, 20, 22, 24])('node%i', (major) => {
    const image = tag(`contract-node${String(major)}`)
    const tables = [
      { title: 'contract', rows: nodeContract, env: {} },
      { title: 'RAW_BODY', rows: rawContract, env: { RAW_BODY: 'true', MAX_RAW_SIZE: '1kb' } },
      { title: 'MAX_JSON_SIZE', rows: jsonSizeContract, env: { MAX_JSON_SIZE: '200kb' } },
    ]
    beforeAll(async () => {
      // One image for the three tables: the handler of the longest one is put in per container.
      const handler = {
        'contract.js': handlerOf(nodeContract),
        'raw.js': handlerOf(rawContract),
        'handler.js': `module.exports = require(process.env.RAW_BODY || process.env.MAX_JSON_SIZE ? './raw' : './contract')`,
      }
      await build({ template: 'node', handler }, image, { NODE_VERSION: String(major) })
    })

    it.each(tables)('keeps the handler contract: $title', async ({ rows, env }) => {
      await using container = await start(image, { env })
      for (const [index, row] of rows.entries()) {
        const answer = await container.call(callOf(rows, index))
        try {
          expectAnswer(answer, expectedOf(row, eraOf(major)))
        } catch (error) {
          throw new Error(`${row.says}: ${String(error)}`, { cause: error })
        }
      }
    })

    it('is its own watchdog: lock, health, limits, and an end at once when idle', async () => {
      await using container = await start(image, { env: { max_inflight: '2', exec_timeout: '100ms' } })
      expect(await container.exec('ls', '-l', '/tmp/.lock')).toMatch(/^-rw-r-----/)
      await container.exec('rm', '/tmp/.lock')
      expect((await container.call({ path: '/_/health' })).status).toBe(503)
      const started = performance.now()
      await docker('stop', '--time', '10', container.id)
      expect(performance.now() - started).toBeLessThan(5000)
      expect(await container.state('{{.State.ExitCode}}')).toBe('0')
    })
  })

  it('finishes what is in flight before it ends', async () => {
    const handler = `module.exports = () => new Promise((done) => process.once('SIGTERM', () => setTimeout(done, 300, 'finished')))`
    await build({ template: 'node', handler: { 'handler.js': handler } }, tag('drain'))
    await using container = await start(tag('drain'))
    const call = container.call()
    await until(
      () =>
        container.exec(
          'node',
          '-e',
          `require('http').get('http://127.0.0.1:8081/metrics', (r) => r.pipe(process.stdout))`,
        ),
      (text) => text.includes('http_requests_in_flight 1'),
    )
    await docker('kill', '--signal', 'TERM', container.id)
    expect(await call).toMatchObject({ status: 200, body: 'finished' })
    expect(await exitCode(container)).toBe(0)
  })

  it.each([
    [
      'says how to write an ES module where Node cannot tell',
      '12',
      { 'handler.js': `import 'fs'` },
      /"type": "module"/,
    ],
    [
      'says that TypeScript needs a newer Node',
      '20',
      { 'handler.ts': 'export default () => 1' },
      /cannot run TypeScript; use lang node24/,
    ],
  ])('%s', async (_, version, files, message) => {
    await using folder = await assemble({ template: 'node', handler: {} })
    await folder.write(files)
    const { code, output } = await tryBuild(folder.path, tag('load'), {
      NODE_VERSION: version,
      TEST_ENABLED: 'false',
    })
    expect(code, output).toBe(0)
    await using container = await start(tag('load'), { waitFor: 'none' })
    expect(await exitCode(container)).toBe(1)
    expect(await container.logs()).toMatch(message)
  })

  it('runs ES modules on Node 12 and TypeScript on Node 24', async () => {
    const esm = { 'handler.js': `export default async () => 'esm'`, 'package.json': '{"type":"module"}' }
    await build({ template: 'node', handler: esm }, tag('esm'), { NODE_VERSION: '12', TEST_ENABLED: 'false' })
    await using old = await start(tag('esm'))
    expect((await old.call()).body).toBe('esm')
    await using folder = await assemble({
      template: 'node',
      handler: {
        'handler.ts': 'export default async (event: { method: string }): Promise<string> => event.method',
      },
    })
    const built = await tryBuild(folder.path, tag('ts'), { NODE_VERSION: '24', TEST_ENABLED: 'false' })
    expect(built.code, built.output).toBe(0)
    await using young = await start(tag('ts'))
    expect((await young.call()).body).toBe('GET')
  })
})

describeDocker('node template, the image', () => {
  const listing = (image: string, path: string): Promise<string> =>
    docker('run', '--rm', ...labelFlags, image, 'sh', '-c', `cd ${path} && ls -A`)

  it('takes a handler without package.json', async () => {
    await build({ template: 'node', handler: join(repository, 'templates/node/function') }, tag('bare'))
    await using container = await start(tag('bare'))
    expect(await container.call({ method: 'POST', body: 'x' })).toMatchObject({
      status: 200,
      body: '{"body":"\\"x\\"","content-type":"text/plain"}',
    })
    expect(await container.exec('id', '-u')).toBe('1000')
    expect(await container.exec('sh', '-c', 'echo $HOME ${NODE_ENV-unset}; pwd')).toBe(
      '/home/app unset\n/home/app',
    )
  })

  it('has no dev dependencies, which tests at build time do have', async () => {
    const handler = {
      'handler.js': `const ms = require('ms')\nmodule.exports = async () => String(ms('1s'))`,
      'check.js': `// ${unique}\nrequire('assert').strictEqual(require('is-number')(5), true)\nconsole.log('tests ran')`,
      'package.json': JSON.stringify({
        scripts: { test: 'node check.js', prepare: 'husky' },
        dependencies: { ms: '2.1.3' },
        devDependencies: { 'is-number': '7.0.0' },
      }),
      '.npmrc': 'fund=false\n',
      'node_modules/ms/index.js': `throw new Error("the developer's own copy")`,
    }
    await using folder = await assemble({ template: 'node', handler })
    const built = await tryBuild(folder.path, tag('dev'))
    expect(built.output).toContain('tests ran')
    expect(built.code).toBe(0)
    expect(
      (await listing(tag('dev'), 'function/node_modules')).split('\n').filter((n) => !n.startsWith('.')),
    ).toEqual(['ms'])
    expect(await listing(tag('dev'), 'function')).not.toContain('.npmrc')
    await using container = await start(tag('dev'))
    expect((await container.call()).body).toBe('1000')
  })

  it.each([
    ['fails where npm test fails', 'exit 3', {}, 1],
    ['does not run tests where TEST_ENABLED is false', 'exit 3', { TEST_ENABLED: 'false' }, 0],
    ["does not run npm's placeholder", 'echo "Error: no test specified" && exit 1', {}, 0],
  ])('%s', async (_, test, args, wanted) => {
    const handler = { 'handler.js': never, 'package.json': JSON.stringify({ scripts: { test } }) }
    await using folder = await assemble({ template: 'node', handler })
    const { code, output } = await tryBuild(folder.path, tag('tested'), args)
    expect(code === 0 ? 0 : 1, output).toBe(wanted)
  })

  it('installs ADDITIONAL_PACKAGE, and fails where there is no such package', async () => {
    await using folder = await assemble({ template: 'node', handler: { 'handler.js': never } })
    const good = await tryBuild(folder.path, tag('packages'), { ADDITIONAL_PACKAGE: 'jq' })
    expect(good.code, good.output).toBe(0)
    await docker('run', '--rm', ...labelFlags, tag('packages'), 'jq', '--version')
    const bad = await tryBuild(folder.path, tag('packages'), {
      ADDITIONAL_PACKAGE: 'no-such-package-anywhere',
    })
    expect(bad.code).not.toBe(0)
  })

  it('says which local package is missing, and what to write', async () => {
    const handler = {
      'handler.js': never,
      'package.json': '{"dependencies":{"@x/auth":"file:../libs/auth"}}',
    }
    await using folder = await assemble({ template: 'node', handler })
    const { code, output } = await tryBuild(folder.path, tag('missing'))
    expect(code).not.toBe(0)
    expect(output).toContain('@x/auth as file:../libs/auth, but that is not in the build folder')
    expect(output).toContain('configuration.copy')
  })

  it.each(['12', '18', '24'])('links local packages and their own dependencies, Node %s', async (version) => {
    const handler = {
      'handler.js': `module.exports = async () => require('@x/auth')()`,
      'package.json': '{"dependencies":{"@x/auth":"file:../../libs/auth"}}',
      'libs/auth/package.json':
        '{"name":"@x/auth","version":"1.0.0","dependencies":{"ms":"2.1.3","@x/log":"file:../log"}}',
      'libs/auth/index.js': `module.exports = () => require('ms')('1s') + require('@x/log')`,
      'libs/log/package.json': '{"name":"@x/log","version":"1.0.0"}',
      'libs/log/index.js': `module.exports = ' logged'`,
    }
    await build({ template: 'node', handler }, tag(`local${version}`), {
      NODE_VERSION: version,
      TEST_ENABLED: 'false',
    })
    await using container = await start(tag(`local${version}`))
    expect((await container.call()).body).toBe('1000 logged')
  })

  it('installs nothing again when a handler or a local package is edited, classic builder', async () => {
    await using folder = await assemble({
      template: 'node',
      handler: join(sample, 'm-search'),
      copies: [join(sample, 'mobile-auth')],
    })
    expect((await tryBuild(folder.path, tag('cache'))).code).toBe(0)
    await edit(folder)
    const { code, output } = await tryBuild(folder.path, tag('cache'))
    expect(code).toBe(0)
    expect(output).toMatch(/install\.js production\n ---> Using cache/)
    expect(output).toMatch(/install\.js development\n ---> Using cache/)
    expect(output).not.toMatch(/install\.js test\n ---> Using cache/)
    await using container = await start(tag('cache'))
    expect(await container.exec('tail', '-1', 'function/handler.js')).toBe(`// edited ${unique}`)
  })

  it('installs nothing again when a handler or a local package is edited, BuildKit', async ({ skip }) => {
    const withBuildKit = await buildKit()
    if (withBuildKit === undefined) return skip('no docker CLI here can drive BuildKit')
    await using folder = await assemble({
      template: 'node',
      handler: join(sample, 'm-search'),
      copies: [join(sample, 'mobile-auth')],
    })
    const first = await withBuildKit(folder.path, tag('cache-buildkit'))
    expect(first.code, first.output).toBe(0)
    await edit(folder)
    const { code, output } = await withBuildKit(folder.path, tag('cache-buildkit'))
    expect(code).toBe(0)
    const step = /^#(\d+) \[dependencies .*install\.js production/m.exec(output)?.[1] ?? 'none'
    expect(output).toMatch(new RegExp(`^#${step} CACHED`, 'm'))
  })

  async function edit(folder: {
    readonly path: string
    write(files: Record<string, string>): Promise<void>
  }): Promise<void> {
    const text = await readFile(join(folder.path, 'function/handler.js'), 'utf8')
    const auth = await readFile(join(folder.path, 'function/mobile-auth/index.js'), 'utf8')
    await folder.write({
      'handler.js': `${text}// edited ${unique}\n`,
      'mobile-auth/index.js': `${auth}// edited ${unique}\n`,
    })
  }
})

describeDocker('dockerfile template', () => {
  it('is a server of its own', async () => {
    await build(
      { template: 'dockerfile', handler: join(repository, 'templates/dockerfile/function') },
      tag('dockerfile'),
    )
    await using container = await start(tag('dockerfile'))
    expect(await container.call({ path: '/a?b' })).toMatchObject({ status: 200, body: 'GET /a?b\n' })
  })
})

describeDocker('samples/mobile', () => {
  // The gateway comes from elsewhere; this one knows the path rule and nothing more.
  const gateway = `require('http').createServer((req, res) => {
    const [, name, path] = /^\\/function\\/([^/?]+)(.*)$/.exec(req.url)
    req.pipe(require('http').request({ host: name, port: 8080, method: req.method, headers: req.headers,
      path: path.startsWith('/') ? path : '/' + path }, (up) => { res.writeHead(up.statusCode, up.headers); up.pipe(res) }))
  }).listen(8080)`
  const network = `faasdock-test-mobile-${String(process.pid)}`
  const containers: Container[] = []
  let front: Container

  beforeAll(async () => {
    const copies = [join(sample, 'mobile-auth')]
    for (const name of ['m-search', 'm-notice']) {
      await build({ template: 'node', handler: join(sample, name), copies }, tag(name), {
        NODE_VERSION: '20',
      })
    }
    await build({ template: 'python3', handler: join(sample, 'pinyin'), copies }, tag('pinyin'), {
      CONTRACT: 'classic',
    })
    await build({ template: 'dockerfile', handler: join(sample, 'm-upstream'), copies }, tag('m-upstream'))
    await docker('network', 'create', ...labelFlags, network)
    const on = (alias: string): string[] => ['--network', network, '--network-alias', alias]
    const secrets = ['--volume', `${join(sample, '.secrets')}:/var/openfaas/secrets:ro`]
    const env = { API_URL: 'http://gateway.openfaas:8080/function/m-upstream/search', NOTICE_LIMIT: '2' }
    for (const name of ['m-search', 'm-notice', 'pinyin', 'm-upstream']) {
      containers.push(await start(tag(name), { flags: [...on(name), ...secrets], env }))
    }
    front = await start('node:20-alpine', {
      flags: on('gateway.openfaas'),
      command: ['node', '-e', gateway],
      waitFor: 'none',
    })
    containers.push(front)
  })
  afterAll(async () => {
    await Promise.all(containers.map((container) => container[Symbol.asyncDispose]()))
  })

  const at = (name: string): Container => {
    const index = ['m-search', 'm-notice', 'pinyin', 'm-upstream'].indexOf(name)
    const found = containers[index]
    if (found === undefined) throw new Error(`${name} did not start`)
    return found
  }

  it('m-search joins the data of the API with the pinyin of the query', async () => {
    const answer = await until(
      () => at('m-search').call({ path: '/?q=%E4%B8%AD%E6%96%87' }),
      ({ status }) => status === 200,
    )
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(JSON.parse(answer.body)).toEqual({
      query: '中文',
      pinyin: 'zhong wen',
      results: [
        { id: 1, title: '中文: an introduction' },
        { id: 2, title: '中文 for travellers' },
      ],
      user: null,
    })
  })

  it('m-notice answers 401 without the token and 200 with it', async () => {
    const headers = {
      Authorization: `Bearer ${await readFile(join(sample, '.secrets/mobile-token'), 'utf8')}`,
    }
    expect((await at('m-notice').call()).status).toBe(401)
    const answer = await at('m-notice').call({ headers })
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.body)).toMatchObject({ user: 'demo', notices: [{ id: 3 }, { id: 2 }] })
  })

  it('m-search knows the user who shows a token', async () => {
    const answer = await at('m-search').call({
      path: '/?q=a',
      headers: { Authorization: 'Bearer demo.change-me' },
    })
    expect(JSON.parse(answer.body)).toMatchObject({ user: 'demo' })
  })
})
