import http from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { soon } from '../../test/support/platform.ts'
import type { TestApp } from '../../test/support/use-app.ts'
import { useApp } from '../../test/support/use-app.ts'
import type { MemoryImage } from '../provider/memory/memory-provider.ts'

const echo: MemoryImage = {
  listener:
    ({ spec }, log) =>
    (request, response) => {
      log(`called ${request.url ?? ''}`)
      response.end(spec.envVars?.['WORD'] ?? 'echo')
    },
}

describe('the control routes', () => {
  let platform: TestApp
  beforeAll(async () => {
    platform = await useApp({ echo })
  })
  afterAll(() => platform[Symbol.asyncDispose]())

  const ask: TestApp['ask'] = (...args) => platform.ask(...args)

  async function expectStatus(
    [method, path, body]: readonly [string, string, unknown?],
    status: number,
    text?: RegExp,
  ): Promise<Response> {
    const response = await ask(method, path, body)
    const said = await response.text()
    expect([method, path, response.status, said]).toEqual([method, path, status, expect.any(String)])
    if (text) expect(said).toMatch(text)
    if (status >= 400 && text) {
      expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
      expect(response.headers.get('x-content-type-options')).toBe('nosniff')
      expect(response.headers.get('x-openfaas-internal')).toBe('faasdock-gateway')
    }
    return response
  }

  /** Sends headers that fetch does not let one set. */
  function status(method: string, path: string, headers: Record<string, string>): Promise<number> {
    return new Promise((resolve, reject) => {
      const request = http.request(platform.url + path, { method, headers }, (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      })
      request.on('error', reject)
      request.end()
    })
  }

  const ready = (name: string): Promise<void> =>
    soon(
      () => platform.app.functions.get({ name, namespace: 'openfaas-fn' })?.state === 'ready',
      `${name} getting ready`,
    )

  test('a function goes its whole way: deployed, listed, described, called, scaled, updated, removed', async () => {
    await expectStatus(
      ['POST', '/system/functions', { service: 'life', image: 'echo', labels: {}, annotations: {} }],
      202,
    )
    await ready('life')
    expect(await (await ask('GET', '/function/life')).text()).toBe('echo')

    const shown = (await (await ask('GET', '/system/function/life')).json()) as Record<string, unknown>
    expect(shown).toMatchObject({
      name: 'life',
      namespace: 'openfaas-fn',
      image: 'echo',
      labels: {},
      annotations: {},
      replicas: 1,
      availableReplicas: 1,
      invocationCount: 1,
    })
    expect(Number.isNaN(Date.parse(String(shown['createdAt'])))).toBe(false)
    for (const absent of [
      'envVars',
      'secrets',
      'limits',
      'requests',
      'envProcess',
      'constraints',
      'usage',
      'state',
    ])
      expect(shown).not.toHaveProperty(absent)
    expect(await (await ask('GET', '/system/functions')).json()).toEqual([shown])
    expect(await (await ask('GET', '/system/function/life.openfaas-fn?usage=1')).json()).toMatchObject({
      usage: { cpu: 0, totalMemoryBytes: 0 },
    })

    await expectStatus(['POST', '/system/scale-function/life', { serviceName: 'life', replicas: 0 }], 202)
    await soon(
      () => platform.app.functions.get({ name: 'life', namespace: 'openfaas-fn' })?.availableReplicas === 0,
    )
    expect(await (await ask('GET', '/function/life')).text()).toBe('echo')

    await expectStatus(
      ['PUT', '/system/functions', { service: 'life', image: 'echo', envVars: { WORD: 'new' } }],
      202,
    )
    await ready('life')
    expect(await (await ask('GET', '/function/life')).text()).toBe('new')
    await expectStatus(['DELETE', '/system/functions', { functionName: 'life' }], 202)
    await expectStatus(['GET', '/system/function/life'], 404)
    expect(await (await ask('GET', '/system/functions')).json()).toEqual([])
    await expectStatus(['GET', '/function/life'], 404)
  })

  test.each<[string, string, unknown, number, RegExp]>([
    ['POST', '/system/functions', undefined, 400, /no body/],
    ['POST', '/system/functions', '{"service":', 400, /not JSON/],
    ['POST', '/system/functions', [], 400, /body|object/i],
    ['POST', '/system/functions', { image: 'echo' }, 400, /service/],
    ['POST', '/system/functions', { service: 'x' }, 400, /image/],
    ['POST', '/system/functions', { service: 'x', image: 'echo', labels: { a: 1 } }, 400, /labels\.a/],
    [
      'POST',
      '/system/functions',
      { service: 'x', image: 'echo', limits: { memory: 5 } },
      400,
      /limits\.memory/,
    ],
    ['POST', '/system/functions', { service: 'x', image: 'echo', limits: { memory: 'lots' } }, 400, /"lots"/],
    ['POST', '/system/functions', { service: 'Bad_Name', image: 'echo' }, 400, /Bad_Name/],
    ['POST', '/system/functions', { service: 'x', image: 'echo', namespace: 'nowhere' }, 400, /nowhere/],
    ['POST', '/system/functions', { service: 'x', image: 'echo', secrets: ['gone'] }, 400, /gone/],
    ['PUT', '/system/functions', { service: 'nobody', image: 'echo' }, 404, /nobody/],
    ['DELETE', '/system/functions', { functionName: '' }, 400, /functionName/],
    ['DELETE', '/system/functions', { functionName: 'nobody' }, 404, /nobody/],
    ['POST', '/system/scale-function/nobody', { replicas: 1 }, 404, /nobody/],
    ['POST', '/system/scale-function/nobody', { replicas: -1 }, 400, /replicas/],
    ['POST', '/system/scale-function/nobody', { replicas: 1.5 }, 400, /replicas/],
    ['POST', '/system/scale-function/nobody', {}, 400, /replicas/],
    ['GET', '/system/functions?namespace=nowhere', undefined, 400, /namespace not valid/],
    ['POST', '/system/secrets', { name: '../x', value: 'x' }, 400, /\.\.\/x/],
    ['POST', '/system/secrets', { name: 'x', namespace: '../..', value: 'x' }, 400, /\.\.\/\.\./],
    ['GET', '/system/logs', undefined, 400, /name/],
  ])('%s %s with %j is refused with %d, naming what is wrong', async (method, path, body, code, text) => {
    await expectStatus([method, path, body], code, text)
    expect(platform.app.functions.list()).toEqual([])
  })

  test('a second deployment of one name is refused, and the first goes on', async () => {
    await platform.deploy('twice', 'echo', { envVars: { WORD: 'first' } })
    await expectStatus(
      ['POST', '/system/functions', { service: 'twice', image: 'echo' }],
      409,
      /already deployed/,
    )
    expect(await (await ask('GET', '/function/twice')).text()).toBe('first')
    await expectStatus(['DELETE', '/system/functions', { functionName: 'twice.openfaas-fn' }], 202)
  })

  test('what clients send for "nothing given" is nothing', async () => {
    const bare = {
      envProcess: '',
      envVars: {},
      secrets: [],
      constraints: null,
      limits: {},
      requests: null,
      namespace: '',
    }
    await expectStatus(
      ['POST', '/system/functions', { service: 'bare', image: 'echo', ...bare, unknown: 1 }],
      202,
    )
    expect(platform.app.functions.get({ name: 'bare', namespace: 'openfaas-fn' })?.spec).toEqual({
      name: 'bare',
      namespace: 'openfaas-fn',
      image: 'echo',
      labels: {},
      annotations: {},
    })
    await expectStatus(['DELETE', '/system/functions', { functionName: 'bare' }], 202)
  })

  test('secrets go in and never come out', async () => {
    await expectStatus(['POST', '/system/secrets', { name: 'key', value: 's3cret' }], 202)
    await expectStatus(['POST', '/system/secrets', { name: 'key', value: 'other' }], 409, /exists already/)
    await expectStatus(['PUT', '/system/secrets', { name: 'nobody', value: 'x' }], 404)
    const listed = await (await ask('GET', '/system/secrets')).text()
    expect(JSON.parse(listed)).toEqual([{ name: 'key', namespace: 'openfaas-fn' }])
    expect(listed).not.toContain('s3cret')
    await expectStatus(['GET', '/system/secrets?namespace=../../..'], 400, /namespace not valid/)
    await expectStatus(['DELETE', '/system/secrets', { name: 'key' }], 202)
    await expectStatus(['DELETE', '/system/secrets', { name: 'key' }], 404)
  })

  test('info, health, namespaces and metrics are what clients look for', async () => {
    const info = (await (await ask('GET', '/system/info')).json()) as Record<string, Record<string, unknown>>
    expect(info).toMatchObject({
      provider: {
        provider: 'faas-docker',
        orchestration: 'memory',
        version: { release: expect.stringMatching(/./) as string },
      },
      version: { release: expect.stringMatching(/^\d/) as string, sha: expect.stringMatching(/./) as string },
      arch: expect.stringMatching(/./) as string,
    })
    const health = await ask('GET', '/healthz')
    expect([health.status, await health.text()]).toEqual([200, ''])
    expect(await (await ask('GET', '/system/namespaces')).json()).toEqual(['openfaas-fn'])
    await platform.deploy('measured', 'echo')
    for (let n = 0; n < 3; n++) await (await ask('GET', '/function/measured')).text()
    await soon(
      () => platform.app.functions.get({ name: 'measured', namespace: 'openfaas-fn' })?.invocationCount === 3,
    )
    const metrics = await (await ask('GET', '/metrics')).text()
    expect(metrics).toContain('gateway_function_invocation_started{function_name="measured.openfaas-fn"} 3')
    expect(metrics).toContain(
      'gateway_function_invocation_total{function_name="measured.openfaas-fn",code="200"} 3',
    )
    expect(metrics).toContain(
      'gateway_functions_seconds_count{function_name="measured.openfaas-fn",code="200"} 3',
    )
    expect(metrics).toContain('gateway_service_count{function_name="measured.openfaas-fn"} 1')
    await expectStatus(['DELETE', '/system/functions', { functionName: 'measured' }], 202)
  })

  test('logs are lines of JSON, as many as asked for', async () => {
    await platform.deploy('talker', 'echo')
    for (const path of ['/one', '/two']) await (await ask('GET', `/function/talker${path}`)).text()
    const lines = (await (await ask('GET', '/system/logs?name=talker&tail=1')).text()).trim().split('\n')
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      {
        name: 'talker',
        namespace: 'openfaas-fn',
        text: 'called /two',
        instance: expect.any(String) as string,
      },
    ])
    expect((await ask('GET', '/system/logs?name=talker&tail=x')).status).toBe(422)
    expect((await ask('GET', '/system/logs?name=talker&since=x')).status).toBe(422)
    await expectStatus(['DELETE', '/system/functions', { functionName: 'talker' }], 202)
  })

  test('what is not there is 404, and a method that a route does not have is 405', async () => {
    for (const path of ['/nowhere', '/system/nothing']) expect((await ask('GET', path)).status).toBe(404)
    for (const [method, path] of [
      ['PATCH', '/system/functions'],
      ['GET', '/system/scale-function/x'],
      ['POST', '/system/info'],
    ] as const)
      expect([method, path, (await ask(method, path)).status]).toEqual([method, path, 405])
  })

  test.each([
    ['localhost', 200],
    ['127.0.0.1:8080', 200],
    ['[::1]:8080', 200],
    ['gateway.openfaas:8080', 200],
    ['my.localhost', 200],
    ['evil.example', 403],
    ['localhost.evil.example', 403],
    ['127.0.0.1.evil.example', 403],
  ])('a request for the host %j is answered with %d', async (host, code) => {
    expect(await status('GET', '/system/functions', { Host: host })).toBe(code)
  })

  test.each([
    ['http://evil.example', 403],
    ['null', 403],
    ['http://localhost.evil.example:8080', 403],
  ])('a page of %s may change nothing', async (origin, code) => {
    for (const [method, path] of [
      ['POST', '/system/functions'],
      ['DELETE', '/system/functions'],
      ['POST', '/system/secrets'],
    ] as const)
      expect(await status(method, path, { Origin: origin })).toBe(code)
  })

  test('our own page may', async () => {
    const { host } = new URL(platform.url)
    expect(await status('POST', '/system/functions', { Origin: `http://${host}`, Host: host })).toBe(400)
  })
})

test('a port that is taken is refused with what to do, and nothing stays locked', async () => {
  await using first = await useApp({ echo })
  await expect(useApp({ echo }, { port: first.port })).rejects.toMatchObject({
    code: 'PORT_TAKEN',
    message: expect.stringContaining(String(first.port)) as string,
  })
})

test('stopping lets a call in flight end, and refuses new ones', async () => {
  let finish: (() => void) | undefined
  const slow: MemoryImage = {
    listener: () => (_request, response) => {
      finish = () => response.end('late but whole')
    },
  }
  const platform = await useApp({ slow }, { drainTimeout: '5s' })
  await platform.deploy('slow', 'slow')
  const call = fetch(`${platform.url}/function/slow`).then((response) => response.text())
  await soon(() => finish !== undefined, 'the call at its replica')
  const stopped = platform[Symbol.asyncDispose]()
  finish?.()
  expect(await call).toBe('late but whole')
  await stopped
  await expect(fetch(`${platform.url}/healthz`)).rejects.toThrow()
})
