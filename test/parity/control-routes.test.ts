import { expect, test } from 'vitest'
import { untilPasses } from '../support/until.ts'
import { BARE, describeParity } from './support/platforms.ts'
import type { Answer } from './support/platforms.ts'

// What gateway-api.test.ts has no row for: every wrong method and path, namespaces wherever they may be named, the page.

describeParity('the control routes', (platform) => {
  const ask = (method: string, path: string, body?: unknown): Promise<Answer> =>
    platform().ask(method, path, body)

  const mark = { labels: { openfaas: '1' }, annotations: { openfaas: '1' } }
  const createNamespace = async (): Promise<string> => {
    const name = platform().name()
    expect((await ask('POST', '/system/namespace/', { name, ...mark })).status).toBe(201)
    return name
  }

  // 1.1
  test.each([
    ['PATCH', '/system/functions'],
    ['OPTIONS', '/system/functions'],
    ['POST', '/system/function/x'],
    ['GET', '/system/scale-function/x'],
    ['POST', '/system/info'],
    ['PATCH', '/system/secrets'],
    ['POST', '/system/logs'],
    ['POST', '/system/namespaces'],
    ['GET', '/system/namespace/'],
    ['PATCH', '/system/namespace/x'],
    ['GET', '/system/alert'],
    ['POST', '/healthz'],
    ['POST', '/ui/'],
    ['DELETE', '/ui/page.js'],
    ['POST', '/'],
    ['POST', '/metrics'],
    ['PROPFIND', '/system/functions'],
  ])('%s %s is 405 without a body', async (method, path) => {
    const { status, body } = await ask(method, path)
    expect([status, body]).toEqual([405, ''])
  })

  test.each([
    '/nowhere',
    '/system',
    '/system/',
    '/system/telemetry',
    '/system/functions/',
    '/System/functions',
    '/function',
    '/ui/nothing',
    '/healthz/x',
  ])('%s is 404, in the words of Go’s router', async (path) => {
    const { status, body, headers } = await ask('GET', path)
    expect([status, body, headers['content-type'], headers['x-content-type-options']]).toEqual([
      404,
      '404 page not found\n',
      'text/plain; charset=utf-8',
      'nosniff',
    ])
  })

  test.each([
    ['//system/functions', '/system/functions'],
    ['/system//functions?namespace=a//b', '/system/functions?namespace=a//b'],
    ['/x/../system/info', '/system/info'],
    ['/system/./info', '/system/info'],
    ['/system/info/..', '/system'],
    ['/../../etc/passwd', '/etc/passwd'],
    ['//\\evil.example/..//', '/'],
    ['/.//\\evil.example', '/%5Cevil.example'],
  ])('%s is 301 to %s', async (path, location) => {
    const { status, headers } = await ask('GET', path)
    expect([status, headers.location]).toEqual([301, location])
  })

  test('errors are plain text with a newline at the end, and JSON is called so', async () => {
    const failed = await ask('PUT', '/system/functions', { service: 'nobody', image: 'x' })
    expect(failed.status).toBe(404)
    expect(failed.body.endsWith('\n')).toBe(true)
    expect(failed.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'x-content-type-options': 'nosniff',
      'x-openfaas-internal': expect.any(String) as string,
    })
    for (const path of ['/system/functions', '/system/info', '/system/secrets', '/system/namespaces'])
      expect((await ask('GET', path)).headers['content-type']).toBe('application/json')
  })

  // 1.4 to 1.8
  test('unknown fields and parameters are passed over', async () => {
    const service = platform().name()
    const extra = { network: 'func_functions', registryAuth: 'eA==', whatever: [1] }
    const body = { service, image: platform().image, ...BARE, ...extra }
    expect((await ask('POST', '/system/functions?x=y', body)).status).toBe(202)
    expect((await ask('GET', `/system/function/${service}?x=y`)).status).toBe(200)
    expect((await ask('DELETE', '/system/functions', { functionName: service })).status).toBe(202)
  })

  test('scaling takes the name from the path, needs none in the body, and is not bound by labels', async () => {
    const service = await platform().deploy({ labels: { 'com.openfaas.scale.max': '2' } })
    expect((await ask('POST', `/system/scale-function/${service}`, { replicas: 3 })).status).toBe(202)
    const shown = (await ask('GET', `/system/function/${service}`)).json<{ replicas: number }>()
    expect(shown.replicas).toBe(3)
    const other = { serviceName: 'somebody-else', replicas: 1 }
    expect((await ask('POST', `/system/scale-function/${service}.openfaas-fn`, other)).status).toBe(202)
    expect((await ask('GET', `/system/function/${service}`)).json()).toMatchObject({ replicas: 1 })
    expect((await ask('POST', '/system/scale-function/nobody', { replicas: 1 })).status).toBe(404)
  })

  test('the use of a function is measured when it is asked for, and quickly', async () => {
    const service = await platform().deploy()
    const startedAt = performance.now()
    const { usage } = (await ask('GET', `/system/function/${service}?usage=1`)).json<{
      usage: Record<string, number>
    }>()
    expect(performance.now() - startedAt).toBeLessThan(5000)
    expect(usage).toEqual({
      cpu: expect.any(Number) as number,
      totalMemoryBytes: expect.any(Number) as number,
    })
    expect((await ask('GET', `/system/function/${service}`)).json()).not.toHaveProperty('usage')
  })

  // 1.10
  test('secrets: created, refused, listed without values, changed, deleted', async () => {
    const name = platform().name()
    expect((await ask('POST', '/system/secrets', { name, value: 'first' })).status).toBe(202)
    expect((await ask('POST', '/system/secrets', { name, value: 'second' })).status).toBe(409)
    expect((await ask('PUT', '/system/secrets', { name, rawValue: 'c2Vjb25k' })).status).toBe(202)
    const listed = await ask('GET', '/system/secrets')
    expect(listed.json()).toContainEqual({ name, namespace: 'openfaas-fn' })
    expect(listed.body).not.toMatch(/first|second|c2Vjb25k/)
    expect((await ask('DELETE', '/system/secrets', { name })).status).toBe(202)
    for (const method of ['PUT', 'DELETE']) {
      const gone = await ask(method, '/system/secrets', { name, value: 'x' })
      expect([gone.status, gone.body]).toEqual([404, expect.stringContaining(`no secret "${name}"`)])
    }
    for (const bad of ['', 'a/b', '../x', 'A', 'a..b', '.'])
      expect([bad, (await ask('POST', '/system/secrets', { name: bad, value: 'x' })).status]).toEqual([
        bad,
        400,
      ])
  })

  // 1.11
  test.each([
    [{ labels: { openfaas: '1' } }, /name/],
    [{ name: '', labels: { openfaas: '1' } }, /name/],
    [{ name: 'unmarked' }, /openfaas/],
    [{ name: 'unmarked', labels: { openfaas: '0' } }, /openfaas/],
    [{ name: 'Bad_Name', ...mark }, /Bad_Name/],
    [{ name: '../x', ...mark }, /\.\.\/x/],
    [{ name: 'x', labels: { openfaas: 1 } }, /labels\.openfaas/],
  ])('a namespace %j is refused', async (body, text) => {
    const answer = await ask('POST', '/system/namespace/', body)
    expect([answer.status, answer.body]).toEqual([400, expect.stringMatching(text)])
  })

  test('functions and secrets live in their namespace, whether it comes in the body, the query or the name', async () => {
    const namespace = await createNamespace()
    const service = await platform().deploy({ namespace, envVars: { WORD: 'there' } })
    expect((await ask('GET', `/system/function/${service}`)).status).toBe(404)
    for (const path of [
      `/system/function/${service}?namespace=${namespace}`,
      `/system/function/${service}.${namespace}`,
    ])
      expect((await ask('GET', path)).json()).toMatchObject({ name: service, namespace })
    expect((await ask('GET', `/system/functions?namespace=${namespace}`)).json()).toMatchObject([
      { name: service },
    ])
    expect((await ask('GET', '/system/functions')).body).not.toContain(service)
    expect((await ask('GET', `/function/${service}.${namespace}`)).json()).toMatchObject({ word: 'there' })
    expect((await ask('GET', `/function/${service}`)).status).toBe(404)

    const secret = platform().name()
    expect((await ask('POST', '/system/secrets', { name: secret, namespace, value: 'x' })).status).toBe(202)
    expect((await ask('GET', `/system/secrets?namespace=${namespace}`)).json()).toEqual([
      { name: secret, namespace },
    ])
    expect((await ask('GET', '/system/secrets')).body).not.toContain(secret)
    expect((await ask('DELETE', '/system/secrets', { name: secret })).status).toBe(404)
    expect((await ask('DELETE', `/system/secrets?namespace=${namespace}`, { name: secret })).status).toBe(202)

    const scaled = await ask('POST', `/system/scale-function/${service}?namespace=${namespace}`, {
      replicas: 2,
    })
    expect(scaled.status).toBe(202)
    // The body wins.
    const wrong = `/system/functions?namespace=openfaas-fn`
    expect((await ask('DELETE', wrong, { functionName: service, namespace })).status).toBe(202)
    expect(
      (await ask('DELETE', `/system/functions?namespace=${namespace}`, { functionName: service })).status,
    ).toBe(404)
  })

  test('what names a namespace that nobody created is refused', async () => {
    const namespace = 'nobodys'
    for (const [method, path, body] of [
      ['POST', '/system/functions', { service: 'x', image: platform().image, namespace }],
      ['POST', '/system/secrets', { name: 'x', value: 'x', namespace }],
      ['GET', `/system/functions?namespace=${namespace}`],
      ['GET', `/system/secrets?namespace=${namespace}`],
    ] as const) {
      const answer = await ask(method, path, body)
      expect([path, answer.status, answer.body]).toEqual([
        path,
        400,
        expect.stringContaining('namespace not valid'),
      ])
    }
    expect((await ask('GET', `/system/function/x?namespace=${namespace}`)).status).toBe(404)
  })

  test('a namespace takes its functions and secrets along', async () => {
    const namespace = await createNamespace()
    const service = await platform().deploy({ namespace })
    await ask('POST', '/system/secrets', { name: 'key', namespace, value: 'x' })
    expect((await ask('DELETE', `/system/namespace/${namespace}`)).status).toBe(202)
    expect((await ask('GET', `/function/${service}.${namespace}`)).status).toBe(404)
    expect((await ask('POST', '/system/namespace/', { name: namespace, ...mark })).status).toBe(201)
    expect((await ask('GET', `/system/functions?namespace=${namespace}`)).json()).toEqual([])
    expect((await ask('GET', `/system/secrets?namespace=${namespace}`)).json()).toEqual([])
  })

  // 4.2
  test.each([
    ['nonsense'],
    ['[]'],
    ['"x"'],
    ['{"alerts":{}}'],
    ['{"alerts":[{"labels":{"function_name":1}}]}'],
    [''],
  ])('an alert %j is refused with the words of OpenFaaS', async (body) => {
    const answer = await ask('POST', '/system/alert', body)
    expect([answer.status, answer.body]).toEqual([400, 'Unable to parse alert, bad format.'])
  })

  test('an alert about nothing is fine', async () => {
    const unknown = [{ status: 'firing', labels: { function_name: 'nobody.openfaas-fn' } }]
    for (const body of [{}, { alerts: [] }, { alerts: null }, { alerts: [{}] }, { alerts: unknown }])
      expect((await ask('POST', '/system/alert', body)).status).toBe(200)
  })

  // 1.2, 1.11
  test('the root leads to a page of its own, which asks nobody else for anything', async () => {
    const root = await ask('GET', '/')
    expect([root.status, root.headers.location]).toEqual([307, '/ui/'])
    const page = await ask('GET', '/ui/')
    expect(page.headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'access-control-allow-headers': 'Content-Type',
      'access-control-allow-methods': 'GET',
      'access-control-allow-origin': 'raw.githubusercontent.com',
      'content-security-policy': expect.stringMatching(
        /default-src 'none'.*frame-ancestors 'none'/,
      ) as string,
    })
    expect(page.body).not.toMatch(/https?:\/\/(?!127)/)
    for (const [, file = ''] of page.body.matchAll(/(?:src|href)="(page\.\w+)"/g)) {
      const found = await ask('GET', `/ui/${file}`)
      expect([file, found.status]).toEqual([file, 200])
      expect(found.headers['content-type']).toMatch(file.endsWith('.js') ? /^text\/javascript/ : /^text\/css/)
    }
  })

  // 1.4: an image that cannot be had
  test('a deploy that comes to nothing is answered at once, and its reason is where one looks for it', async () => {
    const service = platform().name()
    const image = 'nowhere.invalid/faasdock-test/missing:1'
    const startedAt = performance.now()
    expect((await ask('POST', '/system/functions', { service, image, ...BARE })).status).toBe(202)
    expect(performance.now() - startedAt).toBeLessThan(5000)
    await untilPasses(async () => {
      const shown = (await ask('GET', `/system/function/${service}?verbose=1`)).json()
      expect(shown).toMatchObject({
        availableReplicas: 0,
        state: 'failing',
        problem: { code: 'IMAGE_NOT_FOUND', message: expect.stringContaining(image) as string },
      })
      expect((await ask('GET', '/system/functions?verbose=1')).body).toContain('IMAGE_NOT_FOUND')
    })
    const called = await ask('GET', `/function/${service}`)
    expect([called.status, called.body]).toEqual([503, expect.stringContaining(image)])
    await ask('DELETE', '/system/functions', { functionName: service })
  })
})
