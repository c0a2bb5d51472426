import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cli, temporaryFolder } from '../../../test/support/cli.ts'
import { startFakeGateway } from '../../../test/support/fake-gateway.ts'
import type { Toolbox } from '../../core/toolbox.ts'
import { makeFakeToolbox, roomsOf } from '../../../test/support/fake-rooms.ts'

/** A project with functions of these names, and a ready-made one. */
async function makeProject(
  path: string,
  names: readonly string[],
  gateway = 'http://127.0.0.1:1',
): Promise<void> {
  const functions = names.map(
    (name) =>
      `  ${name}:\n    lang: node22\n    handler: ./${name}\n    image: team/${name}:1\n    labels:\n      a: "1"\n`,
  )
  const text = `version: 1.0\nprovider:\n  name: openfaas\n  gateway: ${gateway}\nfunctions:\n${functions.join('')}  ready:\n    image: fn/ready:1\n`
  await writeFile(join(path, 'mobile.yml'), text)
  for (const name of names) {
    await mkdir(join(path, name))
    await writeFile(join(path, name, 'handler.js'), 'x')
  }
}

describe('build', () => {
  test('builds what has a source, with the arguments of the flags', async () => {
    await using folder = await temporaryFolder()
    await makeProject(folder.path, ['a', 'b'])
    const toolbox = makeFakeToolbox()
    const argv = ['build', '-f', 'mobile.yml', '--build-arg', 'X=1', '-b', 'Y=2']
    const { code, out } = await cli(argv, { cwd: folder.path, rooms: roomsOf({ toolbox }) })
    expect(code).toBe(0)
    expect(toolbox.built.map(({ name, buildArgs }) => [name, buildArgs])).toEqual([
      ['a', { X: '1', Y: '2' }],
      ['b', { X: '1', Y: '2' }],
    ])
    expect(out).toContain('a  Step 1/1 : FROM scratch\n')
    expect(out).toContain('✓ a  built team/a:1')
  })

  test('a failing build stops no other; all errors come at the end, the same one once, and the exit code is 5', async () => {
    await using folder = await temporaryFolder()
    await makeProject(folder.path, ['broken', 'good', 'broken-too'])
    const toolbox = makeFakeToolbox()
    const setting = { cwd: folder.path, rooms: roomsOf({ toolbox }) }
    const { code, out, err } = await cli(['build', '-f', 'mobile.yml', '--parallel', '1'], setting)
    expect(code).toBe(5)
    expect(out).toContain('✓ good  built team/good:1')
    expect(err).toMatch(
      /^\nbroken, broken-too:\nerror BUILD_FAILED: npm install failed\n {2}E404\n→ Fix it\.\n$/,
    )
  })

  test('under --json what was built is the payload and progress is chatter', async () => {
    await using folder = await temporaryFolder()
    await makeProject(folder.path, ['a'])
    const setting = { cwd: folder.path, rooms: roomsOf({ toolbox: makeFakeToolbox() }) }
    const { out, err } = await cli(['build', '-f', 'mobile.yml', '--json'], setting)
    expect(JSON.parse(out)).toMatchObject([{ name: 'a', image: 'team/a:1', imageId: 'sha256:1' }])
    expect(err).toContain('✓ a')
  })

  test('without a stack file takes one function from the flags', async () => {
    await using folder = await temporaryFolder()
    const toolbox = makeFakeToolbox()
    const setting = { cwd: folder.path, rooms: roomsOf({ toolbox }) }
    const argv = ['build', '--image', 'x:1', '--name', 'x', '--lang', 'node22', '--handler', './h']
    expect((await cli(argv, setting)).code).toBe(0)
    expect(toolbox.built[0]).toMatchObject({ name: 'x', handler: join(folder.path, 'h'), root: folder.path })
    const missing = await cli(argv.slice(0, 5), setting)
    expect([missing.code, missing.err]).toEqual([2, expect.stringContaining('needs --lang, --handler too')])
  })

  test('without any stack file says which to name', async () => {
    await using folder = await temporaryFolder()
    const { code, err } = await cli(['build'], { cwd: folder.path })
    expect([code, err]).toEqual([2, expect.stringContaining('-f')])
  })
})

describe('push', () => {
  test('pushes what is built here, and refuses an image that names nobody to push to', async () => {
    await using folder = await temporaryFolder()
    await makeProject(folder.path, ['a'])
    const toolbox = makeFakeToolbox()
    const setting = { cwd: folder.path, rooms: roomsOf({ toolbox }) }
    expect((await cli(['push', '-f', 'mobile.yml'], setting)).code).toBe(0)
    expect(toolbox.pushed).toEqual(['team/a:1'])
    const text = await readFile(join(folder.path, 'mobile.yml'), 'utf8')
    await writeFile(join(folder.path, 'mobile.yml'), text.replace('team/a:1', 'a:1'))
    const bare = await cli(['push', '-f', 'mobile.yml'], setting)
    expect([bare.code, bare.err]).toEqual([2, expect.stringContaining('USER/a:1')])
  })
})

describe('up', () => {
  test('builds and deploys the selected function and no other', async () => {
    await using gateway = await startFakeGateway()
    await using folder = await temporaryFolder()
    await makeProject(folder.path, ['m-search', 'm-notice'], gateway.url)
    const toolbox = makeFakeToolbox()
    const setting = { cwd: folder.path, rooms: roomsOf({ toolbox }) }
    const { code, out } = await cli(['up', '--filter', '*search', '-f', 'mobile.yml', '--skip-push'], setting)
    expect(code).toBe(0)
    expect(toolbox.built.map(({ name }) => name)).toEqual(['m-search'])
    expect([...gateway.functions.keys()]).toEqual(['m-search'])
    expect(toolbox.pushed).toEqual([])
    expect(out).toContain(`✓ m-search  ready  ${gateway.url}/function/m-search`)
  })

  test('deploys what could be built, and fails with the code of what could not', async () => {
    await using gateway = await startFakeGateway()
    await using folder = await temporaryFolder()
    await makeProject(folder.path, ['broken', 'good'], gateway.url)
    const setting = { cwd: folder.path, rooms: roomsOf({ toolbox: makeFakeToolbox() }) }
    const { code } = await cli(['up', '-f', 'mobile.yml'], setting)
    expect(code).toBe(5)
    expect([...gateway.functions.keys()].sort()).toEqual(['good', 'ready'])
  })

  test('pushes before it deploys when told so, and leaves a step out when told so', async () => {
    await using gateway = await startFakeGateway()
    await using folder = await temporaryFolder()
    await makeProject(folder.path, ['a'], gateway.url)
    const toolbox = makeFakeToolbox()
    const setting = { cwd: folder.path, rooms: roomsOf({ toolbox }) }
    await cli(['up', '-f', 'mobile.yml', '--push', '--skip-deploy', '--filter', 'a'], setting)
    expect([toolbox.pushed, gateway.seen]).toEqual([['team/a:1'], []])
  })
})

describe('deploy', () => {
  test('sends the stack with the flags on top', async () => {
    await using gateway = await startFakeGateway()
    await using folder = await temporaryFolder()
    await makeProject(folder.path, ['a'], gateway.url)
    const flags = [
      '--env',
      'LOG=x=y',
      '--label',
      'a=2',
      '--annotation',
      'topic=t',
      '--secret',
      'key',
      '--readonly',
      '--memory-limit',
      '5Mi',
    ]
    const { code } = await cli(['deploy', '-f', 'mobile.yml', '--filter', 'a', ...flags], {
      cwd: folder.path,
    })
    expect(code).toBe(0)
    expect(
      JSON.parse(gateway.seen.find(({ line }) => line.startsWith('POST'))?.body.toString() ?? ''),
    ).toEqual({
      service: 'a',
      envProcess: 'node index.js',
      image: 'team/a:1',
      labels: { a: '2' },
      annotations: { topic: 't' },
      envVars: { LOG: 'x=y' },
      secrets: ['key'],
      readOnlyRootFilesystem: true,
      limits: { memory: '5Mi' },
    })
  })

  test('replaces with DELETE and POST, as faas-cli does', async () => {
    await using gateway = await startFakeGateway()
    await cli(['deploy', '--image', 'fn/a:1', '--name', 'a', '--replace', '--wait=false', '-g', gateway.url])
    expect(gateway.seen.map(({ line }) => line)).toEqual([
      'DELETE /system/functions',
      'POST /system/functions',
    ])
  })

  test('a function that does not become ready fails with its own problem and exit code 6', async () => {
    await using gateway = await startFakeGateway()
    const problem = { code: 'REPLICA_EXITED', message: 'it ended with 1', remedy: 'Read its log.', at: '' }
    gateway.intercept = (request, response) => {
      if (request.method !== 'GET') return false
      response.end(JSON.stringify({ name: 'a', image: 'x', replicas: 1, state: 'failing', problem }))
      return true
    }
    const { code, err } = await cli(['deploy', '--image', 'fn/a:1', '--name', 'a', '-g', gateway.url])
    expect([code, err]).toEqual([
      6,
      expect.stringContaining('error REPLICA_EXITED: it ended with 1\n→ Read its log.'),
    ])
  })

  test('waiting has an end', async () => {
    await using gateway = await startFakeGateway()
    gateway.intercept = (request, response) => {
      if (request.method !== 'GET') return false
      response.end(JSON.stringify({ name: 'a', image: 'x', replicas: 1, availableReplicas: 0 }))
      return true
    }
    const argv = ['deploy', '--image', 'fn/a:1', '--name', 'a', '--timeout', '200ms', '-g', gateway.url]
    const { code, err } = await cli(argv)
    expect([code, err]).toEqual([6, expect.stringContaining('did not become ready within 0.2 s')])
  })
})

describe('new', () => {
  test('copies the sample handler and writes stack file and .gitignore', async () => {
    await using folder = await temporaryFolder()
    const setting = { cwd: folder.path, rooms: roomsOf({ toolbox: makeFakeToolbox() }) }
    const first = await cli(['new', 'hello', '--lang', 'node22', '--prefix', 'reg.local/team/'], setting)
    expect([first.code, first.err]).toEqual([0, ''])
    expect(first.out).toContain('Welcome.')
    expect(await readFile(join(folder.path, 'hello/handler.js'), 'utf8')).toBe('module.exports = 1\n')
    expect(await readFile(join(folder.path, '.gitignore'), 'utf8')).toBe('template\nbuild\n.secrets\n')
    expect(await readFile(join(folder.path, 'stack.yaml'), 'utf8')).toBe(
      'version: 1.0\nprovider:\n  name: openfaas\n  gateway: http://127.0.0.1:8080\n\nfunctions:\n' +
        '  hello:\n    lang: node22\n    handler: ./hello\n    image: reg.local/team/hello:latest\n',
    )
    const env = { OPENFAAS_PREFIX: 'me' }
    const second = await cli(['new', 'words', '--lang', 'node22', '--cpu-limit', '100m'], { ...setting, env })
    expect(second.out).toContain('added to stack.yaml')
    const built = makeFakeToolbox()
    await cli(['build'], { cwd: folder.path, rooms: roomsOf({ toolbox: built }) })
    expect(built.built.map(({ image }) => image)).toEqual(['reg.local/team/hello:latest', 'me/words:latest'])
  })

  test('writes nothing when anything is refused', async () => {
    await using folder = await temporaryFolder()
    const setting = { cwd: folder.path, rooms: roomsOf({ toolbox: makeFakeToolbox() }) }
    await mkdir(join(folder.path, 'taken'))
    for (const [argv, code] of [
      [['new', 'Bad_Name', '--lang', 'node22'], 'BAD_NAME'],
      [['new', 'x'], 'BAD_USAGE'],
      [['new', '--lang', 'node22'], 'BAD_USAGE'],
      [['new', 'x', '--lang', 'nod22'], 'TEMPLATE_NOT_FOUND'],
      [['new', 'taken', '--lang', 'node22'], 'BAD_USAGE'],
      [['new', 'x', '--lang', 'node22', '--append', 'none.yml'], 'FILE_NOT_READABLE'],
    ] as const) {
      const { code: exit, err } = await cli(argv, setting)
      expect([exit, err], argv.join(' ')).toEqual([2, expect.stringContaining(code)])
    }
    await expect(readFile(join(folder.path, 'stack.yaml'))).rejects.toThrow('ENOENT')
  })

  test('--list shows the templates, as template list does', async () => {
    const rooms = roomsOf({ toolbox: makeFakeToolbox() })
    const { out } = await cli(['new', '--list'], { rooms })
    expect(out).toBe('LANG    FROM      HANDLER\ngo-own  project\nnode22  built-in  a JavaScript function\n')
    expect((await cli(['template', 'list'], { rooms })).out).toBe(out)
  })
})

describe('gc', () => {
  const leftover = { kind: 'container', id: 'c1', name: 'fn-a', reason: 'its run ended' } as const

  test('lists, and removes only with --yes', async () => {
    const toolbox = makeFakeToolbox()
    toolbox.leftovers = [leftover]
    const rooms = roomsOf({ toolbox })
    expect((await cli(['gc'], { rooms })).out).toContain('container  fn-a  its run ended')
    expect(toolbox.leftovers).toHaveLength(1)
    expect(JSON.parse((await cli(['gc', '--json', '-y'], { rooms })).out)).toEqual([
      { ...leftover, removed: true },
    ])
    expect(toolbox.leftovers).toEqual([])
    expect(await cli(['gc'], { rooms })).toEqual({ code: 0, out: '', err: 'nothing is left over\n' })
  })
})

describe('doctor', () => {
  test('shows every check with its remedy, and fails when one does', async () => {
    const checks = [
      { name: 'node', ok: 'ok', detail: '20.20.2' },
      { name: 'engine', ok: 'fail', detail: 'no socket', remedy: 'sudo systemctl start docker' },
    ] as const
    const rooms = roomsOf({ toolbox: makeFakeToolbox({ doctor: () => Promise.resolve(checks) }) })
    const { code, out } = await cli(['doctor'], { rooms })
    expect(code).toBe(1)
    expect(out).toContain('FAIL engine: no socket\n        → sudo systemctl start docker')
    expect(JSON.parse((await cli(['doctor', '--json'], { rooms })).out)).toMatchObject({ checks })
    const fine = roomsOf({ toolbox: makeFakeToolbox({ doctor: () => Promise.resolve(checks.slice(0, 1)) }) })
    expect((await cli(['doctor'], { rooms: fine })).code).toBe(0)
  })

  test('a gateway that takes no async calls knows better why than whoever looks from outside', async () => {
    await using gateway = await startFakeGateway()
    const checks = [{ name: 'async calls', ok: 'ok', detail: '/usr/bin/nats-server' }] as const
    const rooms = roomsOf({ toolbox: makeFakeToolbox({ doctor: () => Promise.resolve(checks) }) })
    const argv = ['doctor', '-g', gateway.url]
    const answers = [
      { state: 'ready', functions: [] },
      {
        state: 'unavailable',
        problem: { code: 'QUEUE_UNAVAILABLE', message: 'the store is broken', remedy: 'Mend it.' },
      },
    ]
    gateway.intercept = (request, response) => {
      if (request.url !== '/system/queue') return false
      response.end(JSON.stringify(answers.shift()))
      return true
    }
    expect(await cli(argv, { rooms })).toMatchObject({ code: 0 })
    const { code, out } = await cli(argv, { rooms })
    expect([code, out]).toEqual([
      1,
      expect.stringMatching(/FAIL async calls: .*the store is broken\n.*Mend it\./),
    ])
    expect(out).not.toContain('/usr/bin/nats-server')
    // A gateway that knows of no queue, such as another OpenFaaS.
    gateway.intercept = () => false
    expect(await cli(argv, { rooms })).toMatchObject({ code: 0 })
  })
})

describe('setup', () => {
  test('makes the engine and the base images of the stack ready, and says what it does', async () => {
    await using folder = await temporaryFolder()
    await makeProject(folder.path, ['a'])
    const asked: string[] = []
    const setup: Toolbox['setup'] = (sources, onOutput) => {
      asked.push(...sources.map(({ name }) => name))
      onOutput('pulling node:22')
      return Promise.resolve()
    }
    const rooms = roomsOf({ toolbox: makeFakeToolbox({ setup }) })
    const { out } = await cli(['setup', '-f', 'mobile.yml'], { cwd: folder.path, rooms })
    expect(asked).toEqual(['a'])
    expect(out).toBe('pulling node:22\nready: Docker 20.10.1 (amd64) at unix:///run/test.sock\n')
    const json = await cli(['setup', '--json'], { cwd: folder.path, rooms })
    expect(JSON.parse(json.out)).toMatchObject({ version: '20.10.1' })
    expect(json.err).toContain('pulling')
  })
})

describe('status', () => {
  test('shows gateway, engine, functions and the last problem', async () => {
    await using gateway = await startFakeGateway()
    const problem = {
      code: 'BUILD_FAILED',
      message: 'npm failed',
      remedy: 'Fix it.',
      at: '2026-01-31T09:30:00Z',
    }
    gateway.functions.set('a', {
      name: 'a',
      image: 'x',
      replicas: 1,
      availableReplicas: 1,
      state: 'failing',
      problem,
    })
    const older = {
      ...problem,
      message: 'no b\nat all',
      place: { file: 'b/b.js', line: 4 },
      at: '2026-01-30T09:30:00Z',
    }
    gateway.functions.set('b', { name: 'b', image: 'x', state: 'failing', problem: older })
    const rooms = roomsOf({ toolbox: makeFakeToolbox() })
    const { code, out } = await cli(['status', '-g', gateway.url], { rooms })
    expect(code).toBe(6)
    expect(out).toMatch(/→ Fix it\.\n\nb: BUILD_FAILED: b\/b\.js:4 no b\n$/)
    expect((await cli(['list', '-g', gateway.url])).err).toContain('b: BUILD_FAILED: b/b.js:4 no b\n')
    expect(out).toContain('engine    unix:///run/test.sock  Docker 20.10.1 (amd64)')
    expect(out).toContain('BUILD_FAILED: npm failed\n→ Fix it.')
    expect(JSON.parse((await cli(['status', '--json', '-g', gateway.url], { rooms })).out)).toMatchObject({
      gateway: { url: gateway.url, arch: 'x86_64' },
      engine: { version: '20.10.1' },
      functions: [{ name: 'a', problem }, { name: 'b' }],
    })
  })

  test('tells of a stack file that cannot be used, although every function answers, and ends with 6', async () => {
    await using gateway = await startFakeGateway()
    const problem = {
      code: 'BAD_STACK',
      message: 'stack.yml:3:1 no map\n\nof functions',
      remedy: 'Mend it.',
      at: '',
    }
    const stack = { file: '/project/stack.yml', problem }
    gateway.intercept = ({ url }, response) => {
      if (url === '/system/info') response.end(JSON.stringify({ arch: 'x86_64', stack }))
      return url === '/system/info'
    }
    const rooms = roomsOf({ toolbox: makeFakeToolbox() })
    const { code, out } = await cli(['status', '-g', gateway.url], { rooms })
    expect(code).toBe(6)
    expect(out).toContain('stack     /project/stack.yml cannot be used; what was read before goes on\n')
    expect(out).toContain(
      '\n          BAD_STACK: stack.yml:3:1 no map\n\n          of functions\n          → Mend it.\n',
    )
    const json = await cli(['status', '--json', '-g', gateway.url], { rooms })
    expect([json.code, JSON.parse(json.out)]).toMatchObject([6, { gateway: { stack } }])
  })

  test('tells of functions that there is nothing of yet, of the namespace that is asked for, and ends with 6', async () => {
    await using gateway = await startFakeGateway()
    gateway.functions.set('m', { name: 'm', image: 'x', replicas: 1, availableReplicas: 1, state: 'ready' })
    const problem = {
      code: 'BUILD_FAILED',
      message: 'npm failed',
      remedy: 'Fix it.',
      at: '2026-01-31T09:30:00Z',
    }
    const undeployed = [{ name: 'broken', namespace: 'openfaas-fn', problem }]
    gateway.intercept = ({ url }, response) => {
      if (url === '/system/info') response.end(JSON.stringify({ undeployed }))
      return url === '/system/info'
    }
    const rooms = roomsOf({ toolbox: makeFakeToolbox() })
    const { code, out } = await cli(['status', '-g', gateway.url], { rooms })
    expect(code).toBe(6)
    expect(out).toMatch(/functions 2\nFUNCTION .*\nbroken +failing, never deployed\nm +http.*ready\n/)
    expect(out).toContain(
      'last problem: broken at 2026-01-31T09:30:00Z\nBUILD_FAILED: npm failed\n→ Fix it.\n',
    )
    const elsewhere = await cli(['status', '-g', gateway.url, '-n', 'dev'], { rooms })
    expect(elsewhere.out).not.toContain('broken')
    expect(elsewhere.code).toBe(0)
  })

  test('without a gateway still shows the engine, and ends with 4', async () => {
    const gateway = await startFakeGateway()
    await gateway[Symbol.asyncDispose]()
    const rooms = roomsOf({ toolbox: makeFakeToolbox() })
    const { code, out } = await cli(['status', '-g', gateway.url], { rooms })
    expect([code, out]).toEqual([4, expect.stringContaining('Docker 20.10.1')])
    expect(out).toContain('no gateway answers')
  })
})
