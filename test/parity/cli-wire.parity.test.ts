import { createHmac } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cli, temporaryFolder } from '../support/cli.ts'
import { startFakeGateway } from '../support/fake-gateway.ts'
import type { FakeGateway } from '../support/fake-gateway.ts'

// The wire traces of faas-cli (contract 1.13): what each command sends, in which order, and what it makes of each status.
// `verbose=1` and the looks behind a deploy are ours: gateways ignore the one, and `--wait=false` leaves out the other.

/** One request: method and path with query, and the JSON of its body where it has one. */
type Sent = string | readonly [string, unknown]

interface Row {
  readonly argv: readonly string[]
  readonly sends: readonly Sent[]
  /** Functions that are there before. */
  readonly there?: readonly string[]
  readonly code?: number
}

const IMAGE = ['--image', 'fn/env:1', '--name', 'env']
const BARE = { service: 'env', image: 'fn/env:1', labels: {}, annotations: {} }
const NO_WAIT = '--wait=false'

const ROWS: Readonly<Record<string, Row>> = {
  'deploy of a new function': {
    argv: ['deploy', ...IMAGE, NO_WAIT],
    sends: [
      ['PUT /system/functions', BARE],
      ['POST /system/functions', BARE],
    ],
  },
  'deploy of a function that is there': {
    argv: ['deploy', ...IMAGE, NO_WAIT],
    there: ['env'],
    sends: [['PUT /system/functions', BARE]],
  },
  'deploy into a namespace': {
    argv: ['deploy', ...IMAGE, NO_WAIT, '-n', 'dev'],
    there: ['env'],
    sends: [['PUT /system/functions', { ...BARE, namespace: 'dev' }]],
  },
  'deploy with everything': {
    argv: [
      'deploy',
      ...IMAGE,
      NO_WAIT,
      ...['--env', 'A=b=c', '-l', 'l=1', '--annotation', 'topic=x,y', '--secret', 's', '--constraint', 'a=b'],
      ...['--readonly', '--fprocess', 'cat', '--cpu-limit', '100m', '--memory-request', '5Mi'],
    ],
    there: ['env'],
    sends: [
      [
        'PUT /system/functions',
        {
          ...BARE,
          envProcess: 'cat',
          envVars: { A: 'b=c' },
          constraints: ['a=b'],
          secrets: ['s'],
          labels: { l: '1' },
          annotations: { topic: 'x,y' },
          limits: { cpu: '100m' },
          requests: { memory: '5Mi' },
          readOnlyRootFilesystem: true,
        },
      ],
    ],
  },
  'deploy --replace --update=false': {
    argv: ['deploy', ...IMAGE, NO_WAIT, '--replace', '--update=false'],
    there: ['env'],
    sends: [
      ['DELETE /system/functions', { functionName: 'env' }],
      ['POST /system/functions', BARE],
    ],
  },
  'deploy --update=false': {
    argv: ['deploy', ...IMAGE, NO_WAIT, '--update=false'],
    sends: [['POST /system/functions', BARE]],
  },
  list: { argv: ['list'], sends: ['GET /system/functions?verbose=1'] },
  'list -n dev': { argv: ['list', '-n', 'dev'], sends: ['GET /system/functions?namespace=dev&verbose=1'] },
  describe: {
    argv: ['describe', 'env'],
    there: ['env'],
    sends: ['GET /system/function/env?usage=1&verbose=1', 'GET /system/functions?verbose=1'],
  },
  'describe -n dev': {
    argv: ['describe', 'env', '-n', 'dev'],
    there: ['env'],
    sends: [
      'GET /system/function/env?namespace=dev&usage=1&verbose=1',
      'GET /system/functions?namespace=dev&verbose=1',
    ],
  },
  remove: {
    argv: ['remove', 'env'],
    there: ['env'],
    sends: [['DELETE /system/functions', { functionName: 'env' }]],
  },
  'remove -n dev': {
    argv: ['rm', 'env', '-n', 'dev'],
    there: ['env'],
    sends: [['DELETE /system/functions', { functionName: 'env', namespace: 'dev' }]],
  },
  invoke: { argv: ['invoke', 'env'], there: ['env'], sends: ['POST /function/env.openfaas-fn'] },
  'invoke -a': { argv: ['invoke', '-a', 'env'], sends: ['POST /async-function/env.openfaas-fn'] },
  'invoke -n dev': { argv: ['invoke', 'env', '-n', 'dev'], sends: ['POST /function/env.dev'], code: 1 },
  'invoke with a query': {
    argv: ['invoke', 'env', '-m', 'GET', '--query', 'a=1', '--query', 'a=2 3'],
    there: ['env'],
    sends: ['GET /function/env.openfaas-fn?a=1&a=2+3'],
  },
  logs: {
    argv: ['logs', 'env', '--tail=false', '--lines', '5', '--since-time', '2026-01-31T09:30:00Z'],
    there: ['env'],
    // Nothing came: whether there is such a function at all is asked behind it.
    sends: [
      'GET /system/logs?name=env&follow=false&since=2026-01-31T09%3A30%3A00.000Z&tail=5',
      'GET /system/function/env?verbose=1',
    ],
  },
  'secret list': { argv: ['secret', 'list'], sends: ['GET /system/secrets'] },
  'secret list -n dev': {
    argv: ['secret', 'list', '-n', 'dev'],
    sends: ['GET /system/secrets?namespace=dev'],
  },
  'secret create': {
    argv: ['secret', 'create', 'key', '--from-literal', ' v '],
    sends: [['POST /system/secrets', { name: 'key', value: 'v', rawValue: 'dg==' }]],
  },
  'secret update': {
    argv: ['secret', 'update', 'key', '--from-literal', 'v', '-n', 'dev'],
    sends: [['PUT /system/secrets', { name: 'key', namespace: 'dev', value: 'v', rawValue: 'dg==' }]],
    code: 1,
  },
  'secret remove': {
    argv: ['secret', 'remove', 'key'],
    sends: [['DELETE /system/secrets', { name: 'key' }]],
    code: 1,
  },
  'namespace list': { argv: ['namespace', 'list'], sends: ['GET /system/namespaces'] },
  'namespace create': {
    argv: ['ns', 'create', 'dev', '--label', 'a=b', '--annotation', 'c=d'],
    sends: [
      [
        'POST /system/namespace/',
        { name: 'dev', labels: { a: 'b', openfaas: '1' }, annotations: { c: 'd', openfaas: '1' } },
      ],
    ],
  },
  'namespace get': { argv: ['namespace', 'get', 'dev'], sends: ['GET /system/namespace/dev'], code: 1 },
  'namespace update': {
    argv: ['namespace', 'update', 'dev'],
    sends: [
      [
        'PUT /system/namespace/dev',
        { name: 'dev', labels: { openfaas: '1' }, annotations: { openfaas: '1' } },
      ],
    ],
    code: 1,
  },
  'namespace remove': {
    argv: ['namespace', 'remove', 'dev'],
    sends: [['DELETE /system/namespace/dev', { name: 'dev', labels: { openfaas: '1' } }]],
    code: 1,
  },
  ready: { argv: ['ready'], sends: ['GET /healthz'] },
  'ready of a function': {
    argv: ['ready', 'env'],
    there: ['env'],
    sends: ['GET /system/function/env?usage=1&verbose=1'],
  },
  version: { argv: ['version'], sends: ['GET /system/info'] },
}

function addFunction(gateway: FakeGateway, name: string): void {
  gateway.functions.set(name, {
    name,
    image: 'x',
    replicas: 1,
    availableReplicas: 1,
    labels: {},
    annotations: {},
  })
}

describe('each command sends what faas-cli sends', () => {
  test.each(Object.entries(ROWS))('%s', async (_name, { argv, sends, there = [], code = 0 }) => {
    await using gateway = await startFakeGateway()
    for (const name of there) addFunction(gateway, name)
    const ended = await cli([...argv, '-g', gateway.url])
    expect(ended.code, ended.err).toBe(code)
    const seen = gateway.seen.map(({ line, headers, body }) =>
      headers['content-type'] === 'application/json' ? [line, JSON.parse(body.toString()) as unknown] : line,
    )
    expect(seen).toEqual(sends)
  })

  test('logs are followed, with all their lines, unless told otherwise', async () => {
    await using gateway = await startFakeGateway()
    gateway.intercept = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' }).end()
      return true
    }
    await cli(['logs', 'env', '-g', gateway.url])
    const { searchParams } = new URL(gateway.seen[0]?.line.split(' ')[1] ?? '', gateway.url)
    expect(Object.fromEntries(searchParams)).toMatchObject({ name: 'env', follow: 'true', tail: '-1' })
    expect(searchParams.has('since')).toBe(false)
  })

  test('login asks with the credentials that it is given, and with nothing else', async () => {
    await using gateway = await startFakeGateway()
    await using home = await temporaryFolder()
    const setting = { env: { HOME: home.path }, stdin: 'pw\n' }
    expect((await cli(['login', '-u', 'me', '-s', '-g', gateway.url], setting)).code).toBe(0)
    expect(gateway.seen.map(({ line, headers }) => [line, headers.authorization])).toEqual([
      ['GET /system/functions', `Basic ${Buffer.from('me:pw').toString('base64')}`],
    ])
  })
})

describe('an invocation', () => {
  test('has a text/plain body, says who calls, and shows the function no login', async () => {
    await using gateway = await startFakeGateway()
    addFunction(gateway, 'env')
    const address = gateway.url.replace('//', '//user:pw@')
    await cli(['invoke', 'env', '-g', address], { stdin: 'body' })
    await cli(['invoke', 'env', '-g', gateway.url, '--token', 't0k3n'], { stdin: 'body' })
    for (const { headers, body } of gateway.seen) {
      expect(headers).toMatchObject({
        'content-type': 'text/plain',
        'user-agent': expect.stringMatching(/^faasdock\//) as string,
      })
      expect(headers.authorization).toBeUndefined()
      expect(body.toString()).toBe('body')
    }
    expect(gateway.seen).toHaveLength(2)
  })

  test('is signed over its body', async () => {
    await using gateway = await startFakeGateway()
    addFunction(gateway, 'env')
    await cli(['invoke', 'env', '--sign', 'X-Sig', '--key', 'k', '-g', gateway.url], { stdin: 'body' })
    const signature = createHmac('sha256', 'k').update('body').digest('hex')
    expect(gateway.seen[0]?.headers['x-sig']).toBe(`sha256=${signature}`)
  })

  test('takes headers in both forms, and a content type by name before one among them', async () => {
    await using gateway = await startFakeGateway()
    addFunction(gateway, 'env')
    const headers = ['-H', 'X-A: b=c', '-H', 'X-U=http://x/y', '-H', 'Content-Type: text/css']
    await cli(['invoke', 'env', ...headers, '-g', gateway.url])
    await cli(['invoke', 'env', ...headers, '--content-type', 'application/json', '-g', gateway.url])
    expect(gateway.seen[0]?.headers).toMatchObject({
      'x-a': 'b=c',
      'x-u': 'http://x/y',
      'content-type': 'text/css',
    })
    expect(gateway.seen[1]?.headers['content-type']).toBe('application/json')
  })

  test('that is redirected fails, says where to, and is not sent again', async () => {
    await using gateway = await startFakeGateway()
    gateway.intercept = (_request, response) => {
      response.writeHead(302, { location: '/elsewhere' }).end('moved')
      return true
    }
    const { code, out, err } = await cli(['invoke', 'env', '-g', gateway.url])
    expect([code, out]).toEqual([1, ''])
    expect(err).toContain('302 and points to /elsewhere')
    expect(gateway.seen).toHaveLength(1)
  })

  test('with --auth has a token for the function, exchanged at the gateway', async () => {
    await using gateway = await startFakeGateway()
    addFunction(gateway, 'env')
    gateway.intercept = (request, response) => {
      if (request.url !== '/oauth/token') return false
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"access_token":"for-env"}')
      return true
    }
    const { code } = await cli(['invoke', 'env', '--auth', '-k', 'mine', '-g', gateway.url])
    expect(code).toBe(0)
    const form = new URLSearchParams(gateway.seen[0]?.body.toString())
    expect(Object.fromEntries(form)).toMatchObject({
      subject_token: 'mine',
      audience: 'openfaas-fn:env',
      scope: 'function',
    })
    expect(gateway.seen[1]?.headers.authorization).toBe('Bearer for-env')
    expect((await cli(['invoke', 'env', '--auth', '-g', gateway.url])).code).toBe(2)
  })

  test('that a watchdog refuses for want of such a token is sent again with one', async () => {
    await using gateway = await startFakeGateway()
    gateway.intercept = (request, response) => {
      if (request.url === '/oauth/token') response.end('{"access_token":"for-env"}')
      else if (request.headers.authorization === undefined)
        response.writeHead(401, { 'www-authenticate': 'Bearer realm="IAM function invoke"' }).end()
      else response.end('welcome')
      return true
    }
    const { code, out } = await cli(['invoke', 'env', '-k', 'mine', '-g', gateway.url], { stdin: 'body' })
    expect([code, out]).toEqual([0, 'welcome'])
    expect(
      gateway.seen.map(({ line, body }) => [line, line.includes('function') ? body.toString() : '']),
    ).toEqual([
      ['POST /function/env.openfaas-fn', 'body'],
      ['POST /oauth/token', ''],
      ['POST /function/env.openfaas-fn', 'body'],
    ])
  })
})

describe('what a status means', () => {
  const DEPLOY = ['deploy', ...IMAGE, NO_WAIT]
  const CREATE = ['secret', 'create', 'key', '--from-literal', 'v']

  test.each([
    ['deploy', DEPLOY, 200, 0, ''],
    ['deploy', DEPLOY, 202, 0, ''],
    ['deploy', DEPLOY, 201, 1, 'answered 201'],
    ['deploy', DEPLOY, 204, 1, 'answered 204'],
    ['deploy', DEPLOY, 400, 1, 'answered 400: some words'],
    ['deploy', DEPLOY, 401, 1, 'faasdock login'],
    ['deploy', DEPLOY, 500, 1, 'answered 500: some words'],
    ['function delete', ['remove', 'env'], 200, 0, ''],
    ['function delete', ['remove', 'env'], 202, 0, ''],
    ['function delete', ['remove', 'env'], 204, 1, 'answered 204'],
    ['function delete', ['remove', 'env'], 404, 1, 'no function "env"'],
    ['function delete', ['remove', 'env'], 401, 1, 'faas-cli login'],
    ['secret create', CREATE, 200, 0, ''],
    ['secret create', CREATE, 201, 0, ''],
    ['secret create', CREATE, 202, 0, ''],
    ['secret create', CREATE, 409, 1, 'exists already'],
    ['secret create', CREATE, 500, 1, 'answered 500'],
    ['secret delete', ['secret', 'remove', 'key'], 200, 0, ''],
    ['secret delete', ['secret', 'remove', 'key'], 202, 0, ''],
    ['secret delete', ['secret', 'remove', 'key'], 204, 1, 'answered 204'],
    ['secret delete', ['secret', 'remove', 'key'], 404, 1, 'does not exist'],
    ['namespace create', ['namespace', 'create', 'dev'], 201, 0, ''],
    ['namespace create', ['namespace', 'create', 'dev'], 409, 1, 'exists already'],
    ['namespace get', ['namespace', 'get', 'dev'], 404, 1, 'no namespace "dev"'],
    ['namespace get', ['namespace', 'get', 'dev'], 501, 1, 'answered 501'],
    ['list', ['list'], 401, 1, 'faasdock login'],
    ['describe', ['describe', 'env'], 404, 1, 'no function "env"'],
    ['login', ['login', '-p', 'pw'], 401, 1, 'does not accept this password'],
    ['login', ['login', '-p', 'pw'], 500, 1, 'answered 500'],
    ['ready', ['ready', '--attempts', '2', '--interval', '1ms'], 503, 4, 'not healthy'],
  ] as const)('to %s (%j): %d ends with %d', async (_what, argv, status, code, words) => {
    await using gateway = await startFakeGateway()
    await using home = await temporaryFolder()
    gateway.intercept = (_request, response) => {
      // A 204 has no body.
      response.writeHead(status).end(status === 204 ? '' : 'some words')
      return true
    }
    const ended = await cli([...argv, '-g', gateway.url], { env: { HOME: home.path } })
    expect(ended.code, ended.err).toBe(code)
    expect(ended.err).toContain(words)
  })

  test('a deploy goes from PUT to POST on 404, and on nothing else', async () => {
    for (const [status, requests] of [
      [404, 2],
      [400, 1],
      [409, 1],
      [500, 1],
    ] as const) {
      await using gateway = await startFakeGateway()
      gateway.intercept = ({ method }, response) => {
        response.writeHead(method === 'PUT' ? status : 202).end()
        return true
      }
      await cli([...DEPLOY, '-g', gateway.url])
      expect([status, gateway.seen.length]).toEqual([status, requests])
    }
  })
})

describe('which gateway is asked', () => {
  const stack = (gateway: string): string =>
    `version: 1.0\nprovider:\n  name: openfaas\n  gateway: ${gateway}\nfunctions:\n  a:\n    image: fn/a:1\n    namespace: dev\n`

  test('a stack file that says the default leaves it to OPENFAAS_URL', async () => {
    await using gateway = await startFakeGateway()
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'stack.yaml'), stack('http://127.0.0.1:8080/'))
    const { code } = await cli(['list'], { cwd: folder.path, env: { OPENFAAS_URL: `${gateway.url}/` } })
    expect([code, gateway.seen.length]).toEqual([0, 1])
  })

  test('a stack file goes before OPENFAAS_URL, and its namespaces are meant', async () => {
    await using gateway = await startFakeGateway()
    gateway.functions.set('a', { name: 'a', image: 'a:1' })
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'stack.yaml'), stack(gateway.url))
    const setting = { cwd: folder.path, env: { OPENFAAS_URL: 'http://127.0.0.1:9' } }
    await cli(['invoke', 'a', '-m', 'GET'], setting)
    await cli(['describe', 'a'], setting)
    await cli(['remove'], setting)
    expect(gateway.seen.map(({ line }) => line)).toEqual([
      'GET /function/a.dev',
      'GET /system/function/a?namespace=dev&usage=1&verbose=1',
      'GET /system/functions?namespace=dev&verbose=1',
      'DELETE /system/functions',
    ])
    expect(JSON.parse(gateway.seen[3]?.body.toString() ?? '')).toEqual({
      functionName: 'a',
      namespace: 'dev',
    })
  })

  test('-f may be an address', async () => {
    await using gateway = await startFakeGateway()
    gateway.intercept = (request, response) => {
      if (request.url !== '/mobile.yml') return false
      response.end(stack(gateway.url))
      return true
    }
    const { code, err } = await cli(['deploy', NO_WAIT, '-f', `${gateway.url}/mobile.yml`])
    expect([code, err]).toEqual([0, ''])
    expect(gateway.seen.map(({ line }) => line)).toEqual([
      'GET /mobile.yml',
      'PUT /system/functions',
      'POST /system/functions',
    ])
  })
})
