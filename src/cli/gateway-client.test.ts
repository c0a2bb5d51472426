import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { eventually } from '../../test/support/cli.ts'
import { startFakeGateway } from '../../test/support/fake-gateway.ts'
import { GatewayClient } from './gateway-client.ts'
import { readText } from './http.ts'

const never = new AbortController().signal
const spec = { service: 'echo', image: 'fn/echo:1', labels: {}, annotations: {} }

function clientOf(address: string, extra: { token?: string; signal?: AbortSignal } = {}) {
  return new GatewayClient({ address, signal: never, ...extra })
}

test('deploy updates, and creates on 404 only', async () => {
  await using gateway = await startFakeGateway()
  const client = clientOf(gateway.url)
  expect(await client.deploy(spec)).toBe('created')
  expect(await client.deploy(spec)).toBe('updated')
  expect(gateway.seen.map(({ line }) => line)).toEqual([
    'PUT /system/functions',
    'POST /system/functions',
    'PUT /system/functions',
  ])
  gateway.intercept = (_request, response) => {
    response.writeHead(400).end('secret "key" does not exist')
    return true
  }
  await expect(client.deploy(spec)).rejects.toMatchObject({
    code: 'GATEWAY_REFUSED',
    message: expect.stringContaining('400: secret "key" does not exist') as string,
  })
})

test('what faasdock’s gateway refuses comes with its own code, words and remedy', async () => {
  await using gateway = await startFakeGateway()
  gateway.intercept = (_request, response) => {
    response
      .writeHead(400, { 'x-faasdock-code': 'SECRET_NOT_FOUND' })
      .end('echo asks for a secret\nthat is not there\nCreate it.\n')
    return true
  }
  await expect(clientOf(gateway.url).deploy(spec)).rejects.toMatchObject({
    code: 'SECRET_NOT_FOUND',
    message: 'echo asks for a secret\nthat is not there',
    remedy: 'Create it.',
  })
})

test('the namespace is sent where it was given and nowhere else', async () => {
  await using gateway = await startFakeGateway()
  gateway.functions.set('echo', { name: 'echo' })
  const client = clientOf(gateway.url)
  await client.list()
  await client.list('dev')
  await client.get('echo', 'dev', true).catch(() => undefined)
  await client.invoke({
    ref: { name: 'echo' },
    method: 'GET',
    async: false,
    path: '/a%2Fb',
    query: 'q=%E4',
    headers: {},
    body: new Uint8Array(),
  })
  expect(gateway.seen.map(({ line }) => line)).toEqual([
    'GET /system/functions?verbose=1',
    'GET /system/functions?namespace=dev&verbose=1',
    'GET /system/function/echo?namespace=dev&usage=1&verbose=1',
    'GET /function/echo.openfaas-fn/a%2Fb?q=%E4',
  ])
})

test('a request that nobody answers leaves nothing on the signal of the command', async () => {
  const gateway = await startFakeGateway()
  await gateway[Symbol.asyncDispose]()
  const { signal } = new AbortController()
  const client = new GatewayClient({ address: gateway.url, signal })
  await expect(client.list()).rejects.toMatchObject({ code: 'GATEWAY_UNREACHABLE' })
  expect(getEventListeners(signal, 'abort')).toEqual([])
})

test('unknown functions and secrets have codes of their own', async () => {
  await using gateway = await startFakeGateway()
  const client = clientOf(gateway.url)
  await expect(client.get('none')).rejects.toMatchObject({ code: 'FUNCTION_NOT_FOUND' })
  await expect(client.remove('none')).rejects.toMatchObject({ code: 'FUNCTION_NOT_FOUND' })
  await expect(client.removeSecret('none')).rejects.toMatchObject({ code: 'SECRET_NOT_FOUND' })
  await client.createSecret({ name: 'key', value: Buffer.from([0, 255]) })
  await expect(client.createSecret({ name: 'key', value: Buffer.from('x') })).rejects.toMatchObject({
    code: 'SECRET_EXISTS',
  })
  expect(gateway.secrets.get('key')).toEqual(Buffer.from([0, 255]))
})

test('of an unknown function it is said what was meant, or why there is nothing of it yet', async () => {
  await using gateway = await startFakeGateway()
  gateway.functions.set('hello', { name: 'hello' })
  const client = clientOf(gateway.url)
  const meant = { remedy: 'Did you mean hello? See what is deployed with "faasdock list".' }
  await expect(client.get('helo')).rejects.toMatchObject(meant)
  await expect(client.scale('helo', 1)).rejects.toMatchObject(meant)
  const problem = { code: 'BUILD_FAILED', message: 'npm failed\nat line 3', remedy: 'Fix it.', at: '' }
  gateway.intercept = ({ url }, response) => {
    if (url !== '/system/info') return false
    response.end(JSON.stringify({ undeployed: [{ name: 'broken', namespace: 'openfaas-fn', problem }] }))
    return true
  }
  await expect(client.get('broken')).rejects.toMatchObject({
    code: 'FUNCTION_NOT_FOUND',
    message: `function "broken" has never been deployed at ${gateway.url}: BUILD_FAILED: npm failed`,
    remedy: 'Fix it.',
  })
  await expect(client.get('broken', 'dev')).rejects.toMatchObject({
    message: expect.stringContaining('no function "broken" in namespace dev') as string,
  })
})

test('credentials of the address become basic auth and are not shown again', async () => {
  await using gateway = await startFakeGateway()
  const client = clientOf(gateway.url.replace('//', '//admin:p%40ss@'))
  await client.list()
  expect(gateway.seen[0]?.headers.authorization).toBe(`Basic ${btoa('admin:p@ss')}`)
  expect(client.url).toBe(gateway.url)
  await clientOf(gateway.url, { token: 'abc' }).list()
  expect(gateway.seen[1]?.headers.authorization).toBe('Bearer abc')
})

test('where nobody listens the error names the address and how to start a gateway', async () => {
  const gateway = await startFakeGateway()
  await gateway[Symbol.asyncDispose]()
  await expect(clientOf(gateway.url).list()).rejects.toMatchObject({
    code: 'GATEWAY_UNREACHABLE',
    message: expect.stringContaining(gateway.url) as string,
    remedy: expect.stringContaining('faasdock dev') as string,
  })
})

test('what is no gateway is recognised', async () => {
  await using gateway = await startFakeGateway()
  gateway.intercept = (_request, response) => {
    response.end('<html>hello')
    return true
  }
  await expect(clientOf(gateway.url).list()).rejects.toThrow(
    /does not answer as an OpenFaaS gateway: "<html>/,
  )
})

test('a server that has no list of functions is no gateway', async () => {
  await using gateway = await startFakeGateway()
  gateway.intercept = (_request, response) => {
    response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"not found"}')
    return true
  }
  await expect(clientOf(gateway.url).list()).rejects.toMatchObject({
    code: 'GATEWAY_REFUSED',
    message: `what answers at ${gateway.url} is no OpenFaaS gateway (404, application/json)`,
  })
})

test('a page of a proxy before a gateway is told by its status', async () => {
  await using gateway = await startFakeGateway()
  gateway.intercept = (_request, response) => {
    response.writeHead(502, { 'content-type': 'text/html' }).end('<html>Bad Gateway')
    return true
  }
  await expect(clientOf(gateway.url).list()).rejects.toMatchObject({
    message: `the gateway at ${gateway.url} answered 502`,
  })
})

test('an invocation streams both ways and follows no redirect', async () => {
  await using gateway = await startFakeGateway()
  gateway.intercept = (_request, response, body) => {
    response.writeHead(302, { location: '/elsewhere' }).end(body)
    return true
  }
  async function* pieces() {
    for (const piece of ['a', 'b', 'c']) yield await Promise.resolve(Buffer.from(piece))
  }
  const answer = await clientOf(gateway.url).invoke({
    ref: { name: 'echo', namespace: 'dev' },
    method: 'POST',
    async: true,
    path: '',
    query: '',
    headers: { 'x-a': ['1', '2'] },
    body: pieces(),
  })
  expect(answer.status).toBe(302)
  expect(await readText(answer)).toBe('abc')
  expect(gateway.seen[0]).toMatchObject({ line: 'POST /async-function/echo.dev', headers: { 'x-a': '1, 2' } })
})

test('log lines come while the stream is open, and stopping ends it with the reason', async () => {
  await using gateway = await startFakeGateway()
  const line = { name: 'echo', timestamp: '2026-01-31T09:30:00Z', text: 'hello' }
  gateway.logs.set('echo', [line])
  const stop = new AbortController()
  const seen: unknown[] = []
  const reading = (async () => {
    const client = clientOf(gateway.url, { signal: stop.signal })
    for await (const log of client.logs({ name: 'echo', follow: true })) seen.push(log)
  })()
  await eventually(() => seen.length === 1)
  expect(seen).toEqual([line])
  stop.abort(new Error('enough'))
  await expect(reading).rejects.toThrow('enough')
})

test('a connection that breaks in the middle is the gateway gone, not a defect', async () => {
  await using gateway = await startFakeGateway()
  gateway.intercept = (request, response) => {
    response.write('[{"name":')
    setTimeout(() => request.socket.destroy(), 20)
    return true
  }
  await expect(clientOf(gateway.url).list()).rejects.toMatchObject({ code: 'GATEWAY_UNREACHABLE' })
})

test('events come as they happen, from the number on that was asked for', async () => {
  await using gateway = await startFakeGateway()
  gateway.intercept = (_request, response) => {
    response.write('{"type":"engine.lost","reason":"x","seq":8}\n{"type":"engine')
    response.end('.back","seq":9}\n')
    return true
  }
  const types: string[] = []
  for await (const event of clientOf(gateway.url).events(7)) types.push(`${event.seq} ${event.type}`)
  expect(types).toEqual(['8 engine.lost', '9 engine.back'])
  expect(gateway.seen[0]?.line).toBe('GET /system/events?since=7')
})

test('scaling names the function in path and body', async () => {
  await using gateway = await startFakeGateway()
  gateway.intercept = (_request, response) => {
    response.writeHead(202).end()
    return true
  }
  await clientOf(gateway.url).scale('echo', 0)
  expect(gateway.seen[0]?.line).toBe('POST /system/scale-function/echo')
  expect(JSON.parse(gateway.seen[0]?.body.toString() ?? '')).toEqual({ serviceName: 'echo', replicas: 0 })
})
