import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { createApp } from '../../src/app.ts'
import type { App } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { MemoryProvider } from '../../src/provider/memory/memory-provider.ts'
import type { MemoryImage } from '../../src/provider/memory/memory-provider.ts'
import { bundleProgram } from '../support/bundled-program.ts'
import { temporaryFolder } from '../support/cli.ts'
import { errorOf, runProgram } from '../support/program.ts'
import type { ProgramRun } from '../support/program.ts'

// The commands of faas-cli (contract 5.6), by the compiled program, against the real gateway over functions in memory.

const echo: MemoryImage = { listener: () => (request, response) => void request.pipe(response) }

let program: Awaited<ReturnType<typeof bundleProgram>>
beforeAll(async () => {
  program = await bundleProgram()
})
afterAll(() => program[Symbol.asyncDispose]())

/** A gateway, a folder to work in, and a home of our own. */
async function setUp({ auth = false } = {}): Promise<Place> {
  const folder = await temporaryFolder()
  const [cwd, home, data] = ['work', 'home', 'data'].map((name) => join(folder.path, name)) as [
    string,
    string,
    string,
  ]
  await mkdir(cwd)
  await mkdir(home)
  const config = readConfig({ env: {}, cwd, flags: { port: 0, data, metricsPort: 'off', auth } })
  const app = await createApp(config, { provider: new MemoryProvider({ images: { 'fn/echo:1': echo } }) })
  const run = (argv: readonly string[], more: Parameters<typeof runProgram>[1] = {}): Promise<ProgramRun> =>
    runProgram(argv, {
      cwd,
      command: [process.execPath, program.bin],
      ...more,
      env: { HOME: home, OPENFAAS_URL: app.url, ...more.env },
    })
  return {
    cwd,
    home,
    app,
    data,
    run,
    async ok(argv, more) {
      const ended = await run(argv, more)
      expect([argv, ended.code, ended.stderr]).toEqual([argv, 0, expect.anything()])
      return ended.stdout
    },
    async [Symbol.asyncDispose]() {
      await app[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

interface Place extends AsyncDisposable {
  readonly cwd: string
  readonly home: string
  readonly data: string
  readonly app: App
  run(argv: readonly string[], more?: Parameters<typeof runProgram>[1]): Promise<ProgramRun>
  /** Standard output of a run that has to end with 0. */
  ok(argv: readonly string[], more?: Parameters<typeof runProgram>[1]): Promise<string>
}

test('namespaces are made, shown, changed and removed, and group functions and secrets', async () => {
  await using at = await setUp()
  await at.ok(['namespace', 'create', 'dev', '--label', 'team=a', '--annotation', 'owner=me'])
  expect(errorOf(await at.run(['ns', 'create', 'dev', '--json'])).code).toBe('NAMESPACE_EXISTS')
  expect((await at.ok(['ns', 'ls'])).split('\n')).toEqual(expect.arrayContaining(['dev', 'openfaas-fn']))
  expect(JSON.parse(await at.ok(['namespace', 'get', 'dev', '--json']))).toMatchObject({
    labels: { team: 'a' },
    annotations: { owner: 'me' },
  })
  await at.ok(['namespace', 'update', 'dev', '--label', 'team=b'])
  expect(await at.ok(['namespace', 'get', 'dev'])).toMatch(/^Labels: +.*team=b$/m)

  await at.ok(['secret', 'create', 'key', '--from-literal', 'x', '-n', 'dev'])
  await at.ok(['deploy', '--image', 'fn/echo:1', '--name', 'inner', '--secret', 'key', '-n', 'dev'])
  expect(await at.ok(['list', '-q', '-n', 'dev'])).toBe('inner\n')
  expect(await at.ok(['list', '-q'])).toBe('')
  expect(await at.ok(['invoke', 'inner', '-n', 'dev', '-d', 'hi'])).toBe('hi')
  expect(await at.ok(['invoke', 'inner.dev', '-d', 'hi'])).toBe('hi')
  await at.ok(['remove', 'inner', '-n', 'dev'])

  await at.ok(['namespace', 'remove', 'dev'])
  expect(errorOf(await at.run(['namespace', 'get', 'dev', '--json'])).code).toBe('NAMESPACE_NOT_FOUND')
  expect((await at.run(['namespace', 'create', 'Bad_Name'])).code).toBe(2)
})

describe('a gateway that asks for a login', () => {
  test('is told who calls by what login kept, by the address, and says what to do without', async () => {
    await using at = await setUp({ auth: true })
    const password = await readFile(join(at.data, 'basic-auth-password'), 'utf8')
    for (const argv of [
      ['list'],
      ['deploy', '--image', 'fn/echo:1', '--name', 'a'],
      ['secret', 'list'],
      ['namespace', 'list'],
      ['logs', 'a', '--tail=false'],
      ['remove', 'a'],
      ['version'],
      ['describe', 'a'],
    ]) {
      const { code, stderr } = await at.run(argv)
      expect([argv, code, stderr]).toEqual([argv, 1, expect.stringContaining('faasdock login')])
    }
    expect((await at.run(['login', '-s'], { stdin: 'wrong\n' })).code).toBe(1)
    const { code, stderr } = await at.run(['login', '-p', password])
    expect([code, stderr]).toEqual([0, expect.stringContaining('--password-stdin')])
    const file = join(at.home, '.openfaas/config.yml')
    expect(parse(await readFile(file, 'utf8'))).toEqual({
      auths: [
        { gateway: at.app.url, auth: 'basic', token: Buffer.from(`admin:${password}`).toString('base64') },
      ],
    })

    await at.ok(['deploy', '--image', 'fn/echo:1', '--name', 'a'])
    expect(await at.ok(['list', '-q', '-g', `${at.app.url.toUpperCase().replace('HTTP', 'http')}/`])).toBe(
      'a\n',
    )
    expect(await at.ok(['invoke', 'a', '-d', 'x'])).toBe('x')
    expect((await at.run(['list', '--token', 'wrong'])).stderr).toContain(
      'the login it was given is not accepted',
    )

    await at.ok(['logout'])
    expect((await at.run(['logout'])).code).toBe(2)
    expect((await at.run(['list'])).code).toBe(1)
    expect(await at.ok(['list', '-q', '-g', at.app.url.replace('//', `//admin:${password}@`)])).toBe('a\n')
    await at.ok(['ready'])
  })

  test('is not kept from those that ask for none by logins that cannot be read', async () => {
    await using at = await setUp()
    await mkdir(join(at.home, '.openfaas'))
    await writeFile(join(at.home, '.openfaas/config.yml'), 'auths: [')
    const { code, stderr } = await at.run(['list'])
    expect([code, stderr]).toEqual([0, expect.stringContaining('does not hold logins')])
    expect((await at.run(['login', '-p', 'x'])).code).toBe(2)
  })

  test('gets no password from nowhere', async () => {
    await using at = await setUp()
    for (const argv of [
      ['login'],
      ['login', '-s'],
      ['login', '-s', '-p', 'x'],
      ['login', '-u', '', '-p', 'x'],
    ])
      expect([argv, (await at.run(argv)).code]).toEqual([argv, 2])
  })
})

test('secrets of a folder are created or changed, and what cannot be one is named', async () => {
  await using at = await setUp()
  await mkdir(join(at.cwd, '.secrets/more'), { recursive: true })
  for (const [name, value] of Object.entries({ one: ' 1\n', two: '2', '.gitkeep': '' }))
    await writeFile(join(at.cwd, '.secrets', name), value)
  await at.ok(['secret', 'create', 'two', '--from-literal', 'old'])
  expect(await at.ok(['secret', 'apply', '--trim'])).toBe('created secret one\nchanged secret two\n')
  expect(await at.ok(['secret', 'apply', '.secrets'])).toBe('changed secret one\nchanged secret two\n')
  const values = async (): Promise<string[]> => {
    const files = await readdir(join(at.data, 'secrets'), { recursive: true, withFileTypes: true })
    return Promise.all(
      files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name), 'utf8')),
    )
  }
  expect(await values()).toContain(' 1\n')

  await writeFile(join(at.cwd, '.secrets/Bad_Name'), 'x')
  await writeFile(join(at.cwd, '.secrets/empty'), '')
  const { code, stdout, stderr } = await at.run(['secret', 'apply'])
  expect([code, stdout]).toEqual([2, 'changed secret one\nchanged secret two\n'])
  expect(stderr).toContain('"Bad_Name" cannot be the name of a secret')
  expect(stderr).toContain('the value of empty')
  expect((await at.run(['secret', 'apply', 'none'])).code).toBe(2)
})

test('a generated secret is as long as asked for, and a file of one is for its owner alone', async () => {
  await using at = await setUp()
  expect(Buffer.from(await at.ok(['secret', 'generate', '--length', '48']), 'base64')).toHaveLength(48)
  await at.ok(['secret', 'gen', '-o', 'keys/k'])
  expect(Buffer.from(await readFile(join(at.cwd, 'keys/k'), 'utf8'), 'base64')).toHaveLength(32)
  expect((await at.run(['secret', 'gen', '-o', 'keys/k'])).code).toBe(2)
})

test('ready waits for what comes, and says what does not', async () => {
  await using at = await setUp()
  const waiting = at.run(['ready', 'late', '--attempts', '200', '--interval', '50ms'])
  await at.ok(['deploy', '--image', 'fn/echo:1', '--name', 'late'])
  expect(await waiting).toMatchObject({ code: 0, stdout: 'function late is ready\n' })
  expect((await at.run(['ready', 'none', '--attempts', '2', '--interval', '10ms'])).code).toBe(6)
  const gone = await at.run(['ready', '--attempts', '2', '--interval', '10ms', '-g', 'http://127.0.0.1:9'])
  expect([gone.code, gone.stderr]).toEqual([4, expect.stringContaining('was not ready within 20 ms')])
})

const STORE = {
  version: '2.0.0',
  functions: [
    {
      name: 'echo',
      title: 'Echo Function',
      description: 'Says what it hears',
      fprocess: 'cat',
      images: { x86_64: 'fn/echo:1', arm64: 'fn/echo:1' },
      environment: { LEVEL: 'info' },
      labels: { store: 'ours' },
      annotations: { topic: 'a' },
      readOnlyRootFilesystem: true,
    },
    { name: 'other', title: 'Other', images: { s390x: 'fn/other:1' } },
  ],
}

describe('a store of functions', () => {
  test('in a file is listed, described and deployed from, flags before what it says', async () => {
    await using at = await setUp()
    await writeFile(join(at.cwd, 'store.json'), JSON.stringify(STORE))
    const url = ['--url', 'store.json', '--platform', 'x86_64']
    expect(await at.ok(['store', 'list', ...url])).toMatch(/^FUNCTION .*\necho +unknown +Echo Function\n$/)
    expect(JSON.parse(await at.ok(['store', 'ls', '-u', 'store.json', '-p', 'S390X', '-j']))).toMatchObject([
      { name: 'other' },
    ])
    expect(await at.ok(['store', 'inspect', 'Echo Function', ...url])).toMatch(/^Image: +fn\/echo:1$/m)
    await at.ok(['store', 'deploy', 'echo', ...url, '--name', 'mine', '-e', 'LEVEL=debug', '-l', 'team=a'])
    expect(JSON.parse(await at.ok(['describe', 'mine', '-j']))).toMatchObject({
      envProcess: 'cat',
      envVars: { LEVEL: 'debug' },
      labels: { store: 'ours', team: 'a' },
      annotations: { topic: 'a' },
      readOnlyRootFilesystem: true,
      Status: 'Ready',
    })
    const missing = errorOf(await at.run(['store', 'describe', 'ech', ...url, '--json']))
    expect(missing).toMatchObject({ code: 'FUNCTION_NOT_FOUND', remedy: 'Did you mean echo?' })
  })

  test('behind an address is the one that OPENFAAS_STORE names', async () => {
    await using at = await setUp()
    await using web = await serve({ '/functions.json': JSON.stringify(STORE), '/none.json': '{}' })
    const env = { OPENFAAS_STORE: `${web.url}/functions.json` }
    expect(await at.ok(['store', 'list', '--platform', 'arm64'], { env })).toContain('echo')
    for (const place of ['/missing.json', '/none.json']) {
      const { code, message } = errorOf(await at.run(['store', 'list', '-u', `${web.url}${place}`, '-j']))
      expect([place, code, message]).toEqual([place, 'FILE_NOT_READABLE', expect.stringContaining(place)])
    }
  })
})

/** A project of git with the templates `mine` and `other`. */
function makeTemplates(path: string): void {
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], { cwd: path })
  for (const name of ['mine', 'other']) {
    execFileSync('mkdir', ['-p', join(path, 'template', name, 'function')])
    execFileSync(
      'sh',
      ['-c', `printf 'language: ${name}\\nfprocess: cat\\n' > template/${name}/template.yml`],
      { cwd: path },
    )
    execFileSync('sh', ['-c', `printf 'FROM scratch\\n' > template/${name}/Dockerfile`], { cwd: path })
    execFileSync('sh', ['-c', `echo sample > template/${name}/function/handler`], { cwd: path })
  }
  git('init', '-q')
  git('add', '-A')
  git('commit', '-qm', 'one')
  git('tag', '1.0')
}

describe('templates', () => {
  test('of a store are listed, described, pulled, and used', async () => {
    await using at = await setUp()
    const repository = join(at.home, 'templates')
    await mkdir(repository)
    makeTemplates(repository)
    const entry = {
      platform: 'x86_64',
      language: 'X',
      source: 'us',
      description: 'ours',
      repo: './templates',
    }
    await writeFile(
      join(at.home, 'store.json'),
      JSON.stringify([
        { ...entry, template: 'other', official: '', recommended: false },
        { ...entry, template: 'mine', official: 'true', recommended: true },
      ]),
    )
    const env = { OPENFAAS_TEMPLATE_STORE_URL: '../home/store.json' }
    expect(
      (await at.ok(['template', 'store', 'ls'], { env })).split('\n').map((line) => line.split(' ')[0]),
    ).toEqual(['NAME', 'mine', 'other', ''])
    expect(await at.ok(['template', 'store', 'list', '--official', '-v'], { env })).not.toContain('other')
    expect(await at.ok(['template', 'store', 'describe', 'us/mine'], { env })).toMatch(/^Recommended: +yes$/m)
    await at.ok(['template', 'store', 'pull', 'mine'], { env })
    await at.ok(['template', 'store', 'pull', 'mine@1.0'], { env })
    expect((await readdir(join(at.cwd, 'template'))).sort()).toEqual(['mine', 'mine@1.0'])
    const near = errorOf(await at.run(['template', 'store', 'pull', 'mien', '--json'], { env }))
    expect(near).toMatchObject({ code: 'TEMPLATE_NOT_FOUND', remedy: 'Did you mean mine?' })
    await at.ok(['new', 'fn1', '--lang', 'mine'])
    expect(await readFile(join(at.cwd, 'fn1/handler'), 'utf8')).toBe('sample\n')
  })

  test('that are missing are fetched for a build, once, from where the stack file says', async () => {
    await using at = await setUp()
    const repository = join(at.home, 'templates')
    await mkdir(repository)
    makeTemplates(repository)
    await mkdir(join(at.cwd, 'fn1'))
    await writeFile(join(at.cwd, 'fn1/handler'), 'x')
    const stack = (source: string): string =>
      `version: 1.0\nprovider:\n  name: openfaas\nfunctions:\n  fn1:\n    lang: mine\n    handler: ./fn1\n    image: fn/echo:1\nconfiguration:\n  templates:\n    - name: mine\n      source: ${source}\n`
    await writeFile(join(at.cwd, 'stack.yaml'), stack(`${repository}#1.0`))
    const off = await at.run(['build', '--shrinkwrap', '--disable-stack-pull'])
    expect([off.code, off.stderr]).toEqual([2, expect.stringContaining('TEMPLATE_NOT_FOUND')])
    expect(await at.ok(['build', '--shrinkwrap'])).toContain('pulled mine from')
    expect(await readFile(join(at.cwd, 'build/fn1/function/handler'), 'utf8')).toBe('x')
    const meta = JSON.parse(await readFile(join(at.cwd, 'template/mine/meta.json'), 'utf8')) as unknown
    expect(meta).toMatchObject({ ref_name: '1.0', repository })

    // From now on the repository is not needed, and what was edited stays.
    await rm(repository, { recursive: true })
    await writeFile(join(at.cwd, 'template/mine/Dockerfile'), 'FROM mine\n')
    await at.ok(['build', '--shrinkwrap'])
    expect(await readFile(join(at.cwd, 'build/fn1/Dockerfile'), 'utf8')).toBe('FROM mine\n')
    // A deploy takes the process from the template.
    await at.ok(['deploy', '--wait=false'])
    expect(JSON.parse(await at.ok(['describe', 'fn1', '-j']))).toMatchObject({ envProcess: 'cat' })

    await rm(join(at.cwd, 'template'), { recursive: true })
    const gone = await at.run(['build', '--shrinkwrap'])
    expect([gone.code, gone.stderr]).toEqual([1, expect.stringContaining('TEMPLATE_PULL_FAILED')])
    expect(gone.stderr).toContain(repository)
  })

  test('that nobody can fetch name the repository that has them', async () => {
    await using at = await setUp()
    await mkdir(join(at.cwd, 'fn1'))
    await writeFile(join(at.cwd, 'fn1/handler'), 'x')
    await writeFile(
      join(at.cwd, 'stack.yaml'),
      'version: 1.0\nprovider:\n  name: openfaas\nfunctions:\n  fn1:\n    lang: ruby-http\n    handler: ./fn1\n    image: fn/x:1\n',
    )
    // Every address leads to a port where nobody answers: no way to the internet, and at once.
    const env = {
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'http.proxy',
      GIT_CONFIG_VALUE_0: 'http://127.0.0.1:9',
    }
    const { code, stderr } = await at.run(['build'], { env })
    expect([code, stderr]).toEqual([1, expect.stringContaining('TEMPLATE_PULL_FAILED')])
    expect(stderr).toMatch(/openfaas\/ruby-http[^]*faasdock template pull FOLDER/)
  })
})

test('functions are written as objects of Kubernetes, of both kinds', async () => {
  await using at = await setUp()
  await writeFile(
    join(at.cwd, 'stack.yaml'),
    `version: 1.0
provider:
  name: openfaas
functions:
  zeta:
    image: fn/zeta:2
    environment: {N: "1", ON: "yes"}
    labels: {b: "2", a: "1"}
    annotations: {topic: "x,y"}
    secrets: [s1]
    limits: {memory: 5Mi, cpu: 100m}
    constraints: ["a=b"]
    readonly_root_filesystem: true
  alpha:
    image: fn/alpha
`,
  )
  const read = async (...flags: string[]): Promise<unknown[]> =>
    parseAllDocuments(await at.ok(['generate', ...flags])).map((one) => (one as { toJS(): unknown }).toJS())
  expect(await read()).toEqual([
    {
      apiVersion: 'openfaas.com/v1',
      kind: 'Function',
      metadata: { name: 'alpha', namespace: 'openfaas-fn' },
      spec: { name: 'alpha', image: 'fn/alpha:latest' },
    },
    {
      apiVersion: 'openfaas.com/v1',
      kind: 'Function',
      metadata: { name: 'zeta', namespace: 'openfaas-fn' },
      spec: {
        name: 'zeta',
        image: 'fn/zeta:2',
        environment: { N: '1', ON: 'yes' },
        labels: { a: '1', b: '2' },
        annotations: { topic: 'x,y' },
        limits: { memory: '5Mi', cpu: '100m' },
        constraints: ['a=b'],
        secrets: ['s1'],
        readOnlyRootFilesystem: true,
      },
    },
  ])
  const [, knative] = await read('--api', 'serving.knative.dev/v1', '-n', 'dev')
  expect(knative).toMatchObject({
    kind: 'Service',
    metadata: { name: 'zeta', namespace: 'dev', annotations: { topic: 'x,y' } },
    spec: {
      template: {
        spec: {
          containers: [
            {
              image: 'fn/zeta:2',
              env: [
                { name: 'N', value: '1' },
                { name: 'ON', value: 'yes' },
              ],
              volumeMounts: [{ name: 's1', mountPath: '/var/openfaas/secrets/s1', readOnly: true }],
            },
          ],
          volumes: [{ name: 's1', secret: { secretName: 's1' } }],
        },
      },
    },
  })
  await writeFile(join(at.cwd, 'store.json'), JSON.stringify(STORE))
  const [fromStore] = await read(
    '--from-store',
    'echo',
    '-u',
    'store.json',
    '--arch',
    'arm64',
    '--label',
    'a=b',
  )
  expect(fromStore).toMatchObject({
    spec: { environment: { fprocess: 'cat', LEVEL: 'info' }, labels: { a: 'b', store: 'ours' } },
  })
})

test('diff says what is deployed otherwise than the stack file says, and nothing when it is not', async () => {
  await using at = await setUp()
  const stack = (level: string): string =>
    `version: 1.0\nprovider:\n  name: openfaas\nfunctions:\n  a:\n    image: fn/echo:1\n    environment: {LEVEL: ${level}}\n`
  await writeFile(join(at.cwd, 'stack.yaml'), stack('info'))
  expect((await at.run(['diff'])).code).toBe(1)
  await at.ok(['deploy', '-e', 'EXTRA=1'])
  const same = await at.run(['diff', '--json'])
  // The platform's own label is none of the file's.
  expect([same.code, same.stdout]).toEqual([0, '[]\n'])
  const strict = await at.run(['diff', '--env', 'all'])
  expect([strict.code, strict.stdout]).toEqual([1, expect.stringMatching(/env\.EXTRA +1$/m)])
  await writeFile(join(at.cwd, 'stack.yaml'), stack('debug'))
  expect((await at.run(['diff'])).stdout).toMatch(/env\.LEVEL +debug +info$/m)
})

test('local-run prints the docker command, and needs to know which function', async () => {
  await using at = await setUp()
  await writeFile(
    join(at.cwd, 'stack.yaml'),
    'version: 1.0\nprovider:\n  name: openfaas\nfunctions:\n  a:\n    image: fn/a:1\n    environment: {X: a b}\n    limits: {memory: 1Mi, cpu: 100m}\n    secrets: [s]\n  b:\n    image: fn/b:1\n',
  )
  const line = await at.ok(['local-run', 'a', '--print', '-p', '9000', '-e', 'Y=1', '--build=false'])
  expect(line).toMatch(/^docker run --name a --rm -i -p=9000:8080 /)
  expect(line).toContain(`'-e=X=a b' -e=Y=1`)
  expect(line).toContain('--memory-reservation=6291456 --cpus=0.1')
  expect(line).toContain(`--volume=${join(at.cwd, '.secrets')}:/var/openfaas/secrets fn/a:1\n`)
  expect(errorOf(await at.run(['local-run', '--json'])).message).toContain('2 functions')
  expect(errorOf(await at.run(['local-run', 'aa', '--json'])).remedy).toContain('Did you mean a')
  expect((await at.run(['local-run', 'a', '--network', 'host'])).stderr).toContain('host.docker.internal')
})

test('what faas-cli has and we have not says what there is instead', async () => {
  await using at = await setUp()
  for (const [argv, words] of [
    [['registry-login'], 'docker login'],
    [['plugin', 'get', 'x'], 'built in'],
    [['secret', 'seal', 'k'], 'remote builder'],
    [['up', '--watch'], 'faasdock dev'],
    [['up', '--publish'], 'faasdock publish'],
    [['publish', '--remote-builder', 'http://x'], '--engine'],
  ] as const) {
    const { code, stderr } = await at.run(argv)
    expect([argv, code, stderr]).toEqual([argv, 2, expect.stringContaining(words)])
  }
})

test('the version is in the shape of faas-cli', async () => {
  await using at = await setUp()
  const version = JSON.parse(await at.ok(['version', '--json', '--warn-update=false'])) as unknown
  expect(version).toMatchObject({
    cli: { commit: expect.any(String) as string, version: expect.any(String) as string },
    gateway: { uri: at.app.url, version: expect.any(String) as string, sha: expect.any(String) as string },
    provider: { name: 'faas-docker', orchestration: 'memory' },
  })
})

/** Texts at addresses. */
async function serve(pages: Readonly<Record<string, string>>): Promise<{ url: string } & AsyncDisposable> {
  const server = createServer((request, response) => {
    const page = pages[request.url ?? '']
    response.writeHead(page === undefined ? 404 : 200).end(page)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
