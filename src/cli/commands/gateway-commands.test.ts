import { createHmac } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cli, eventually, startCli, temporaryFolder } from '../../../test/support/cli.ts'
import { startFakeGateway } from '../../../test/support/fake-gateway.ts'
import type { FakeGateway } from '../../../test/support/fake-gateway.ts'

const problem = { code: 'REPLICA_EXITED', message: 'it ended', remedy: 'Look.', at: '2026-01-31T09:30:00Z' }

function addFunction(gateway: FakeGateway, name: string, extra: Record<string, unknown> = {}): void {
  gateway.functions.set(name, {
    name,
    namespace: 'openfaas-fn',
    image: `fn/${name}:1`,
    replicas: 1,
    availableReplicas: 1,
    invocationCount: 3,
    createdAt: '2026-01-31T09:30:00Z',
    labels: {},
    annotations: {},
    ...extra,
  })
}

describe('list', () => {
  test('shows a table, names alone, or what the gateway said', async () => {
    await using gateway = await startFakeGateway()
    addFunction(gateway, 'b', { replicas: 2 })
    addFunction(gateway, 'a', { state: 'failing', problem, availableReplicas: 0 })
    const at = ['list', '-g', gateway.url]
    expect((await cli(at)).out).toBe(
      'FUNCTION  INVOCATIONS  REPLICAS  STATE    IMAGE\n' +
        'a         3            0/1       failing  fn/a:1\n' +
        'b         3            1/2       ready    fn/b:1\n',
    )
    expect((await cli([...at, '-q'])).out).toBe('a\nb\n')
    expect((await cli([...at, '-v'])).out).toMatch(/^FUNCTION .* IMAGE +CREATED\n/)
    const { out, err } = await cli([...at, '--json'])
    expect(JSON.parse(out)).toMatchObject([{ name: 'a', problem }, { name: 'b' }])
    expect(err).toBe('')
  })

  test('sorts by invocations, most first', async () => {
    await using gateway = await startFakeGateway()
    addFunction(gateway, 'a', { invocationCount: 1 })
    addFunction(gateway, 'b', { invocationCount: 2 })
    expect((await cli(['ls', '-q', '--sort', 'invocations', '-g', gateway.url])).out).toBe('b\na\n')
  })

  test('without functions is empty, and JSON without functions is an empty array', async () => {
    await using gateway = await startFakeGateway()
    expect((await cli(['list', '-g', gateway.url])).out).toBe('')
    expect((await cli(['list', '--json', '-g', gateway.url])).out).toBe('[]\n')
  })
})

test('describe shows state, problem and remedy of one function', async () => {
  await using gateway = await startFakeGateway()
  addFunction(gateway, 'a', { state: 'failing', problem, labels: { team: 'x', tier: '1' } })
  const { out } = await cli(['describe', 'a', '-g', gateway.url])
  expect(out).toMatch(/^State: +failing, last good version answers$/m)
  expect(out).toMatch(/^Problem: +REPLICA_EXITED: it ended$/m)
  expect(out).toMatch(/^Remedy: +Look\.$/m)
  expect(out).toMatch(/^Labels: +team=x\n +tier=1$/m)
  expect(out).toContain(`${gateway.url}/async-function/a`)
  const json = await cli(['describe', 'a', '--json', '-g', gateway.url])
  expect(JSON.parse(json.out)).toMatchObject({ name: 'a', problem })
  const listed = await cli(['list', '-g', gateway.url])
  expect(listed.err).toContain('a: REPLICA_EXITED: it ended')
  const missing = await cli(['describe', 'none', '-g', gateway.url])
  expect([missing.code, missing.out]).toEqual([1, ''])
  expect(missing.err).toContain('FUNCTION_NOT_FOUND')
})

describe('invoke', () => {
  test('answers exactly the bytes of the function', async () => {
    await using gateway = await startFakeGateway()
    addFunction(gateway, 'echo')
    const bytes = Buffer.from([0, 255, 10, 13, 128])
    const started = startCli(['invoke', 'echo', '-g', gateway.url, '--content-type', 'application/x'], {
      stdin: bytes,
    })
    expect(await started.exit).toBe(0)
    expect(Buffer.concat(started.stdout.chunks)).toEqual(bytes)
    expect(started.stderr.text).toBe('')
    expect(gateway.seen[0]).toMatchObject({
      line: 'POST /function/echo.openfaas-fn',
      headers: { 'content-type': 'application/x', 'content-length': '5' },
    })
  })

  test('sends a long body as a stream', async () => {
    await using gateway = await startFakeGateway()
    addFunction(gateway, 'echo')
    const body = Buffer.alloc(3 * 1024 * 1024, 'x')
    const { code, out } = await cli(['invoke', 'echo', '-g', gateway.url], { stdin: body })
    expect([code, out.length]).toEqual([0, body.length])
    expect(gateway.seen[0]?.headers['transfer-encoding']).toBe('chunked')
  })

  test('sends method, headers, query, path and signature', async () => {
    await using gateway = await startFakeGateway()
    addFunction(gateway, 'echo')
    const argv = [
      'invoke',
      'echo',
      '-m',
      'put',
      '-H',
      'X-A: 1',
      '--query',
      'q=中文',
      '--path',
      'v1',
      '-d',
      'hi',
    ]
    await cli([...argv, '--sign', 'X-Sig', '--key', 'k', '-n', 'dev', '-g', gateway.url])
    expect(gateway.seen[0]).toMatchObject({
      line: 'PUT /function/echo.dev/v1?q=%E4%B8%AD%E6%96%87',
      headers: {
        'x-a': '1',
        'x-sig': `sha256=${createHmac('sha256', 'k').update('hi').digest('hex')}`,
      },
    })
  })

  test('an answer of 400 or more is on standard error, and the exit code is 1', async () => {
    await using gateway = await startFakeGateway()
    const { code, out, err } = await cli(['invoke', 'none', '-m', 'GET', '-g', gateway.url])
    expect([code, out]).toEqual([1, ''])
    expect(err).toContain('none answered 404')
  })

  test('asynchronous calls answer their id, with what tells their fate', async () => {
    await using gateway = await startFakeGateway()
    const argv = ['invoke', 'echo', '-a', '-d', 'x', '-g', gateway.url]
    const { code, out, err } = await cli(argv)
    expect([code, err]).toEqual([0, ''])
    expect(out).toBe(
      `accepted: call 3f2c; see what becomes of it with: faasdock calls 3f2c -g ${gateway.url}\n`,
    )
    expect(gateway.seen[0]?.line).toBe('POST /async-function/echo.openfaas-fn')
    const json = await cli([...argv, '--json'])
    expect(JSON.parse(json.out)).toEqual({ function: 'echo', accepted: true, callId: '3f2c' })
    expect(json.err).toBe('')
  })

  test('an asynchronous call at a gateway that gives no id is accepted, which is no answer', async () => {
    await using gateway = await startFakeGateway()
    gateway.intercept = (_request, response) => {
      response.writeHead(202).end()
      return true
    }
    const { code, out, err } = await cli(['invoke', 'echo', '-a', '-d', 'x', '-g', gateway.url])
    expect([code, out]).toEqual([0, ''])
    expect(err).toContain('accepted')
  })
})

test('ready ends with 6 for a function that is not there in the end, and with 4 for a gateway', async () => {
  await using gateway = await startFakeGateway()
  const once = ['--attempts', '1', '--interval', '1ms']
  const missing = await cli(['ready', 'nosuch', ...once, '-g', gateway.url])
  expect([missing.code, missing.err]).toEqual([6, expect.stringContaining('no function "nosuch"')])
  expect((await cli(['ready', 'nosuch', ...once, '-g', 'http://127.0.0.1:9'])).code).toBe(4)
})

describe('scale', () => {
  test('waits until as many replicas answer as were asked for', async () => {
    await using gateway = await startFakeGateway()
    addFunction(gateway, 'a', { state: 'ready' })
    let looks = 0
    gateway.intercept = (request) => {
      const fn = gateway.functions.get('a')
      // Two of three come at the third look only, after the one before anything was asked for.
      if (request.method === 'GET' && fn)
        gateway.functions.set('a', { ...fn, availableReplicas: ++looks < 4 ? 1 : 3 })
      return false
    }
    const { code, out } = await cli(['scale', 'a', '3', '-g', gateway.url])
    expect([code, out]).toEqual([0, 'a  ready  3 replicas\n'])
    expect(looks).toBe(4)
    const { line, body } = gateway.seen.find((one) => one.line.startsWith('POST')) ?? {}
    expect(line).toBe('POST /system/scale-function/a')
    expect(JSON.parse(String(body))).toEqual({ serviceName: 'a', replicas: 3 })
  })

  test('a bad save is no reason not to scale what answers; a problem of its own is', async () => {
    await using gateway = await startFakeGateway()
    addFunction(gateway, 'a', { state: 'failing', problem, availableReplicas: 2 })
    const { code, out } = await cli(['scale', 'a', '2', '-g', gateway.url])
    expect([code, out]).toEqual([0, 'a  failing  2 replicas\n'])
    gateway.intercept = (request) => {
      if (request.method === 'POST')
        addFunction(gateway, 'a', {
          state: 'failing',
          problem: { ...problem, at: '2026-01-31T09:31:00Z' },
          availableReplicas: 2,
        })
      return false
    }
    const failed = await cli(['scale', 'a', '3', '-g', gateway.url])
    expect([failed.code, failed.err]).toEqual([6, expect.stringContaining('it ended')])
  })

  test('to zero lets it sleep; --json and --wait=false answer what was accepted', async () => {
    await using gateway = await startFakeGateway()
    addFunction(gateway, 'a')
    const { out } = await cli(['scale', 'a', '0', '--json', '-g', gateway.url])
    expect(JSON.parse(out)).toEqual({ name: 'a', replicas: 0, availableReplicas: 0, state: 'idle' })
    expect((await cli(['scale', 'a', '2', '--wait=false', '-g', gateway.url])).out).toBe(
      'a  accepted  2 replicas\n',
    )
  })

  test('a function that is not there, and a number that is none, are errors', async () => {
    await using gateway = await startFakeGateway()
    const missing = await cli(['scale', 'none', '1', '-g', gateway.url])
    expect([missing.code, missing.err]).toEqual([1, expect.stringContaining('FUNCTION_NOT_FOUND')])
    for (const number of ['-1', 'two', '1.5'])
      expect((await cli(['scale', 'a', '-g', gateway.url, '--', number])).code).toBe(2)
  })
})

describe('logs', () => {
  const line = (name: string, second: number, text: string) => ({
    name,
    namespace: 'openfaas-fn',
    instance: 'r1',
    timestamp: `2026-01-31T09:30:0${second}Z`,
    text,
  })

  test('of several functions are merged in the order of their times', async () => {
    await using gateway = await startFakeGateway()
    gateway.logs.set('a', [line('a', 1, 'one'), line('a', 3, 'three')])
    gateway.logs.set('b', [line('b', 2, 'two')])
    const argv = ['logs', 'a', 'b', '--tail=false', '-g', gateway.url]
    expect((await cli([...argv, '--time-format', 'none'])).out).toBe('a one\nb two\na three\n')
    const keyvalue = await cli([...argv, '-o', 'keyvalue'])
    expect(keyvalue.out).toContain('timestamp="2026-01-31T09:30:01Z" name="a" text="one"\n')
    const json = await cli([...argv, '--json'])
    expect(
      json.out
        .trim()
        .split('\n')
        .map((text) => JSON.parse(text) as unknown),
    ).toHaveLength(3)
  })

  test('--lines counts those that --grep lets through, past ones only', async () => {
    await using gateway = await startFakeGateway()
    gateway.logs.set('a', [
      line('a', 1, 'error 1'),
      line('a', 2, 'error 2'),
      line('a', 3, 'error 3'),
      line('a', 4, 'fine'),
    ])
    const argv = ['logs', 'a', '--grep', 'error', '--lines', '2', '--time-format', 'none', '-g', gateway.url]
    expect((await cli([...argv, '--tail=false'])).out).toBe('error 2\nerror 3\n')
    gateway.intercept = (request) => {
      // The past is read before what comes later is followed.
      if (request.url?.includes('follow=true') === true)
        gateway.logs.set('a', [line('a', 3, 'error 3'), line('a', 5, 'error 5')])
      return false
    }
    const following = startCli(argv)
    await eventually(() => following.stdout.text.includes('error 5'))
    following.interrupt()
    await following.exit
    expect(following.stdout.text).toBe('error 2\nerror 3\nerror 5\n')
  })

  test('of a function that nobody knows are an error; of one that wrote nothing, or was removed, none', async () => {
    await using gateway = await startFakeGateway()
    addFunction(gateway, 'silent')
    gateway.logs.set('gone', [line('gone', 1, 'bye')])
    const at = ['--tail=false', '-g', gateway.url]
    const missing = await cli(['logs', 'nosuch', ...at])
    expect([missing.code, missing.err]).toEqual([1, expect.stringContaining('FUNCTION_NOT_FOUND')])
    expect(await cli(['logs', 'silent', ...at])).toMatchObject({ code: 0, out: '' })
    expect(await cli(['logs', 'gone', ...at])).toMatchObject({ code: 0 })
  })

  test('are asked for as faas-cli does', async () => {
    await using gateway = await startFakeGateway()
    await cli([
      'logs',
      'a',
      '--no-tail',
      '--lines',
      '5',
      '--since-time',
      '2026-01-31T09:30:00Z',
      '-g',
      gateway.url,
    ])
    expect(gateway.seen[0]?.line).toBe(
      'GET /system/logs?name=a&follow=false&since=2026-01-31T09%3A30%3A00.000Z&tail=5',
    )
  })

  test('are followed until Ctrl-C, which ends with 130', async () => {
    await using gateway = await startFakeGateway()
    gateway.logs.set('a', [line('a', 1, 'one')])
    const started = startCli(['logs', 'a', '-g', gateway.url])
    await eventually(() => started.stdout.text.includes('one'))
    started.interrupt()
    expect(await started.exit).toBe(130)
    expect(started.stderr.text).toBe('interrupted\n')
  })

  test('without names are those of all selected functions, each with its name', async () => {
    await using gateway = await startFakeGateway()
    for (const name of ['m-a', 'm-b', 'other']) {
      addFunction(gateway, name)
      gateway.logs.set(name, [line(name, 1, 'x')])
    }
    const { out } = await cli([
      'logs',
      '--filter',
      'm-*',
      '--tail=false',
      '--time-format',
      'none',
      '-g',
      gateway.url,
    ])
    expect(out).toBe('m-a x\nm-b x\n')
  })
})

describe('secret', () => {
  test('is created, changed, listed and removed, byte for byte', async () => {
    await using gateway = await startFakeGateway()
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'key')
    await writeFile(file, Buffer.from([32, 0, 255, 10]))
    const at = ['-g', gateway.url]
    expect((await cli(['secret', 'create', 'key', '--from-file', file, ...at])).code).toBe(0)
    // As faas-cli: the bytes of a file are the file's.
    expect(gateway.secrets.get('key')).toEqual(Buffer.from([32, 0, 255, 10]))
    const again = await cli(['secret', 'create', 'key', '--from-file', file, ...at])
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('SECRET_EXISTS')])
    await cli(['secret', 'create', 'key', '--from-file', file, '--trim', '--replace', ...at])
    expect(gateway.secrets.get('key')).toEqual(Buffer.from([0, 255]))
    await cli(['secret', 'update', 'key', ...at], { stdin: 'new value\n' })
    expect(gateway.secrets.get('key')?.toString()).toBe('new value')
    expect((await cli(['secret', 'list', ...at])).out).toBe('NAME  NAMESPACE\nkey   openfaas-fn\n')
    expect((await cli(['secret', 'rm', 'key', ...at])).code).toBe(0)
    expect(JSON.parse((await cli(['secret', 'ls', '--json', ...at])).out)).toEqual([])
  })

  test('of nothing is refused before the gateway is asked', async () => {
    const { code, err } = await cli(['secret', 'create', 'key'], { stdin: '\n' })
    expect([code, err]).toEqual([2, expect.stringContaining('is empty')])
  })
})

describe('remove', () => {
  test('goes on after a function that is not there, and fails at the end', async () => {
    await using gateway = await startFakeGateway()
    addFunction(gateway, 'a')
    addFunction(gateway, 'b')
    const { code, out, err } = await cli(['rm', 'a', 'none', 'b', '-g', gateway.url])
    expect([code, out]).toEqual([1, 'removed a\nremoved b\n'])
    expect(err).toContain('no function "none"')
    expect(gateway.functions.size).toBe(0)
  })
})

describe('version', () => {
  test('is of the program and of the gateway', async () => {
    await using gateway = await startFakeGateway()
    const { out } = await cli(['version', '-g', gateway.url])
    expect(out).toMatch(
      /^client +\d+\.\d+\.\d+ .*\ngateway +0\.9\.0 \(faas-docker 1\.2\.3 on docker x86_64\)/,
    )
    const json = await cli(['version', '--json', '-g', gateway.url])
    expect(JSON.parse(json.out)).toMatchObject({ gateway: { arch: 'x86_64' } })
  })

  test('without a gateway is the program alone, and no failure', async () => {
    const gateway = await startFakeGateway()
    await gateway[Symbol.asyncDispose]()
    const { code, out } = await cli(['version', '-g', gateway.url])
    expect([code, out]).toEqual([0, expect.stringContaining('none answers')])
    expect((await cli(['version', '--short-version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/)
  })
})

describe('the stack file of the folder', () => {
  const STACK = (gateway: string) =>
    `version: 1.0\nprovider:\n  name: openfaas\n  gateway: ${gateway}\nfunctions:\n  a:\n    image: fn/a:1\n`

  test('says the gateway', async () => {
    await using gateway = await startFakeGateway()
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'stack.yaml'), STACK(gateway.url))
    expect((await cli(['list'], { cwd: folder.path })).code).toBe(0)
    expect(gateway.seen).toHaveLength(1)
  })

  test('is passed over with a warning by commands that look, and stops commands that change', async () => {
    await using gateway = await startFakeGateway()
    await using folder = await temporaryFolder()
    addFunction(gateway, 'a')
    await writeFile(join(folder.path, 'stack.yaml'), 'functions: [')
    const setting = { cwd: folder.path, env: { OPENFAAS_URL: gateway.url } }
    const looked = await cli(['list', '-q'], setting)
    expect([looked.code, looked.out]).toEqual([0, 'a\n'])
    expect(looked.err).toContain('warning: the stack file is passed over')
    const changed = await cli(['remove', 'a'], setting)
    expect([changed.code, changed.err]).toEqual([2, expect.stringContaining('BAD_STACK')])
    expect(gateway.functions.size).toBe(1)
  })
})
