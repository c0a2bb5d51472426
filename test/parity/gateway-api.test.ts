import { expect, test } from 'vitest'
import { BARE, describeParity } from './support/platforms.ts'
import type { Answer } from './support/platforms.ts'

// Section 1 of the contract as tables: request → status, headers, body. `$` in a path or a body is a deployed function.

interface Row {
  readonly title: string
  readonly request: readonly [method: string, path: string, body?: unknown]
  readonly status: number
  readonly body?: string | RegExp
  readonly headers?: Readonly<Record<string, string | RegExp>>
}

const text = 'text/plain; charset=utf-8'
const missing = 'no-such-function'

const TABLES: Readonly<Record<string, readonly Row[]>> = {
  '1.1 common rules': [
    {
      title: 'an unknown path',
      request: ['GET', '/nowhere'],
      status: 404,
      body: '404 page not found\n',
      headers: { 'content-type': text, 'x-content-type-options': 'nosniff' },
    },
    {
      title: 'an unknown path below /system',
      request: ['GET', '/system/nothing'],
      status: 404,
      body: '404 page not found\n',
    },
    { title: 'a method that a path has not', request: ['PATCH', '/system/functions'], status: 405, body: '' },
    { title: 'the same for scale', request: ['GET', '/system/scale-function/$'], status: 405, body: '' },
    { title: 'the same for info', request: ['POST', '/system/info'], status: 405, body: '' },
    { title: 'the same for the alert', request: ['GET', '/system/alert'], status: 405, body: '' },
    {
      title: 'a doubled slash',
      request: ['GET', '//system//info'],
      status: 301,
      headers: { location: '/system/info' },
    },
    {
      title: 'a dot segment',
      request: ['GET', '/system/./x/../info?a=b'],
      status: 301,
      headers: { location: '/system/info?a=b' },
    },
    {
      title: 'unknown query parameters',
      request: ['GET', '/system/functions?what=ever'],
      status: 200,
      body: /^\[/,
    },
  ],
  '1.4 deploy': [
    { title: 'no JSON', request: ['POST', '/system/functions', '{"service":'], status: 400, body: /JSON/ },
    { title: 'no body', request: ['POST', '/system/functions', ''], status: 400 },
    { title: 'a list', request: ['POST', '/system/functions', '[]'], status: 400 },
    {
      title: 'no service',
      request: ['POST', '/system/functions', { image: 'x' }],
      status: 400,
      body: /service/,
    },
    {
      title: 'no image',
      request: ['POST', '/system/functions', { service: 'x' }],
      status: 400,
      body: /image/,
    },
    {
      title: 'a name in capitals',
      request: ['POST', '/system/functions', { service: 'Abc', image: 'x' }],
      status: 400,
      body: /Abc/,
    },
    {
      title: 'a name with a dot',
      request: ['POST', '/system/functions', { service: 'a.b', image: 'x' }],
      status: 400,
      body: /a\.b/,
    },
    {
      title: 'a name that climbs',
      request: ['POST', '/system/functions', { service: '../x', image: 'x' }],
      status: 400,
    },
    {
      title: '64 characters',
      request: ['POST', '/system/functions', { service: 'a'.repeat(64), image: 'x' }],
      status: 400,
    },
    {
      title: 'labels that are no map',
      request: ['POST', '/system/functions', { service: 'x', image: 'x', labels: ['a'] }],
      status: 400,
      body: /labels/,
    },
    {
      title: 'a replica count for a label',
      request: ['POST', '/system/functions', { service: 'x', image: 'x', labels: { a: 1 } }],
      status: 400,
      body: /labels/,
    },
    {
      title: 'an unknown namespace',
      request: ['POST', '/system/functions', { service: 'x', image: 'x', namespace: 'nowhere' }],
      status: 400,
      body: /nowhere/,
    },
    {
      title: 'an unknown secret',
      request: ['POST', '/system/functions', { service: 'x', image: 'x', secrets: ['nobody-made-it'] }],
      status: 400,
      body: /nobody-made-it/,
    },
    {
      title: 'a quantity that is none',
      request: ['POST', '/system/functions', { service: 'x', image: 'x', limits: { memory: 'much' } }],
      status: 400,
      body: /much/,
    },
    {
      title: 'what is deployed already',
      request: ['POST', '/system/functions', { service: '$', image: 'x', ...BARE }],
      status: 409,
      body: /\$/,
    },
  ],
  '1.5 update': [
    {
      title: 'an unknown function',
      request: ['PUT', '/system/functions', { service: missing, image: 'x', ...BARE }],
      status: 404,
      body: /./,
    },
    { title: 'no JSON', request: ['PUT', '/system/functions', 'x'], status: 400 },
    {
      title: 'no image',
      request: ['PUT', '/system/functions', { service: '$' }],
      status: 400,
      body: /image/,
    },
  ],
  '1.6 delete': [
    {
      title: 'an unknown function',
      request: ['DELETE', '/system/functions', { functionName: missing }],
      status: 404,
      body: /./,
    },
    { title: 'an empty name', request: ['DELETE', '/system/functions', { functionName: '' }], status: 400 },
    { title: 'no name', request: ['DELETE', '/system/functions', {}], status: 400 },
    {
      title: 'a known name in a namespace where it is not',
      request: ['DELETE', '/system/functions', { functionName: '$', namespace: 'nowhere' }],
      status: 404,
    },
    {
      title: 'the same, namespace in the query',
      request: ['DELETE', '/system/functions?namespace=nowhere', { functionName: '$' }],
      status: 404,
    },
  ],
  '1.7 list and single': [
    {
      title: 'the list',
      request: ['GET', '/system/functions'],
      status: 200,
      headers: { 'content-type': /^application\/json/ },
    },
    {
      title: 'the list of an unknown namespace',
      request: ['GET', '/system/functions?namespace=nowhere'],
      status: 400,
      body: /namespace not valid/,
    },
    { title: 'one', request: ['GET', '/system/function/$'], status: 200, body: /"name":"\$"/ },
    {
      title: 'one, as name.namespace',
      request: ['GET', '/system/function/$.openfaas-fn'],
      status: 200,
      body: /"name":"\$"/,
    },
    {
      title: 'one, with its namespace in the query',
      request: ['GET', '/system/function/$?namespace=openfaas-fn'],
      status: 200,
      body: /"namespace":"openfaas-fn"/,
    },
    {
      title: 'one with its use',
      request: ['GET', '/system/function/$?usage=1'],
      status: 200,
      body: /"usage":\{"cpu":[\d.]+,"totalMemoryBytes":\d+\}/,
    },
    { title: 'an unknown one', request: ['GET', `/system/function/${missing}`], status: 404, body: '' },
  ],
  '1.8 scale': [
    {
      title: 'by the path alone',
      request: ['POST', '/system/scale-function/$', { replicas: 1 }],
      status: 202,
      body: '',
    },
    {
      title: 'by path and body',
      request: ['POST', '/system/scale-function/$', { serviceName: '$', replicas: 1 }],
      status: 202,
      body: '',
    },
    {
      title: 'no JSON',
      request: ['POST', '/system/scale-function/$', 'x'],
      status: 400,
      body: /^Error unmarshalling request body/,
    },
    {
      title: 'a word for a number',
      request: ['POST', '/system/scale-function/$', { replicas: 'two' }],
      status: 400,
      body: /replicas/,
    },
    {
      title: 'fewer than none',
      request: ['POST', '/system/scale-function/$', { replicas: -1 }],
      status: 400,
      body: /replicas/,
    },
    {
      title: 'an unknown function',
      request: ['POST', `/system/scale-function/${missing}`, { serviceName: missing, replicas: 1 }],
      status: 404,
    },
  ],
  '1.10 secrets': [
    { title: 'the list', request: ['GET', '/system/secrets'], status: 200, body: /^\[/ },
    {
      title: 'a new one without a value',
      request: ['POST', '/system/secrets', { name: 'novalue' }],
      status: 400,
      body: /novalue.*"value"/s,
    },
    {
      title: 'a change whose value is mistyped',
      request: ['PUT', '/system/secrets', { name: 'novalue', vaule: 'x' }],
      status: 400,
    },
    {
      title: 'base64 in lines, as the base64 program writes it',
      request: ['PUT', '/system/secrets', { name: 'nobody-made-it', rawValue: 'dg==\n' }],
      status: 404,
    },
    { title: 'no name', request: ['POST', '/system/secrets', { value: 'x' }], status: 400, body: /name/ },
    {
      title: 'a name that climbs',
      request: ['POST', '/system/secrets', { name: '../x', value: 'x' }],
      status: 400,
    },
    {
      title: 'a name in capitals',
      request: ['POST', '/system/secrets', { name: 'Secret', value: 'x' }],
      status: 400,
    },
    {
      title: 'a rawValue that is not base64',
      request: ['POST', '/system/secrets', { name: 'raw', rawValue: '%%%' }],
      status: 400,
      body: /rawValue/,
    },
    {
      title: 'an unknown namespace',
      request: ['POST', '/system/secrets', { name: 'x', value: 'x', namespace: 'nowhere' }],
      status: 400,
      body: /nowhere/,
    },
    {
      title: 'an update of nothing',
      request: ['PUT', '/system/secrets', { name: 'nothing', value: 'x' }],
      status: 404,
    },
    {
      title: 'a removal of nothing',
      request: ['DELETE', '/system/secrets', { name: 'nothing' }],
      status: 404,
    },
  ],
  '1.11 namespaces': [
    { title: 'the list', request: ['GET', '/system/namespaces'], status: 200, body: /"openfaas-fn"/ },
    { title: 'an unknown one', request: ['GET', '/system/namespace/nowhere'], status: 404 },
    {
      title: 'no name',
      request: ['POST', '/system/namespace/', { annotations: { openfaas: '1' } }],
      status: 400,
    },
    { title: 'no mark', request: ['POST', '/system/namespace/', { name: 'unmarked' }], status: 400 },
    {
      title: 'one that exists',
      request: ['POST', '/system/namespace/', { name: 'openfaas-fn', labels: { openfaas: '1' } }],
      status: 409,
    },
    {
      title: 'an update of nothing',
      request: ['PUT', '/system/namespace/nowhere', { name: 'nowhere', labels: { openfaas: '1' } }],
      status: 404,
    },
    {
      title: 'a removal of nothing',
      request: ['DELETE', '/system/namespace/nowhere', { name: 'nowhere', labels: { openfaas: '1' } }],
      status: 404,
    },
    {
      title: 'a removal of the default',
      request: [
        'DELETE',
        '/system/namespace/openfaas-fn',
        { name: 'openfaas-fn', labels: { openfaas: '1' } },
      ],
      status: 400,
    },
  ],
  '1.11 page, health, telemetry': [
    { title: 'the root', request: ['GET', '/'], status: 307, headers: { location: '/ui/' } },
    {
      title: 'the page',
      request: ['GET', '/ui/'],
      status: 200,
      headers: {
        'content-type': /^text\/html/,
        'access-control-allow-methods': 'GET',
        'access-control-allow-headers': 'Content-Type',
        'access-control-allow-origin': 'raw.githubusercontent.com',
      },
    },
    { title: 'a POST to the page', request: ['POST', '/ui/'], status: 405, body: '' },
    { title: 'health', request: ['GET', '/healthz'], status: 200, body: '' },
    { title: 'telemetry', request: ['GET', '/system/telemetry'], status: 404 },
  ],
  '4.2 alert': [
    {
      title: 'a function that nobody knows',
      request: [
        'POST',
        '/system/alert',
        {
          status: 'firing',
          receiver: 'scale-up',
          alerts: [
            {
              status: 'firing',
              labels: { alertname: 'APIHighInvocationRate', function_name: `${missing}.openfaas-fn` },
            },
          ],
        },
      ],
      status: 200,
    },
    {
      title: 'no JSON',
      request: ['POST', '/system/alert', 'x'],
      status: 400,
      body: /^Unable to parse alert, bad format\./,
    },
  ],
  '9.1 logs': [
    {
      title: 'no lines',
      request: ['GET', `/system/logs?name=$&follow=false&since=2099-01-01T00:00:00Z`],
      status: 200,
      body: '',
    },
    {
      title: 'a tail that is none',
      request: ['GET', '/system/logs?name=$&tail=few'],
      status: 422,
      body: /could not parse the log request/,
    },
    {
      title: 'a since that is none',
      request: ['GET', '/system/logs?name=$&since=yesterday'],
      status: 422,
      body: /could not parse the log request/,
    },
  ],
}

describeParity('the gateway API', (platform) => {
  let deployed: Promise<string> | undefined
  const known = (): Promise<string> => (deployed ??= platform().deploy())

  for (const [section, rows] of Object.entries(TABLES))
    for (const row of rows)
      test(`${section}: ${row.title} → ${row.status}`, async () => {
        const name = await known()
        const put = (value: string): string => value.replaceAll('$', name)
        const [method, path, body] = row.request
        const sent = body === undefined || typeof body === 'string' ? body : put(JSON.stringify(body))
        const answer = await platform().ask(method, put(path), sent)
        expect(answer.status, answer.body).toBe(row.status)
        if (typeof row.body === 'string') expect(answer.body).toBe(row.body)
        if (row.body instanceof RegExp)
          expect(answer.body).toMatch(new RegExp(row.body.source.replaceAll('\\$', name)))
        for (const [header, value] of Object.entries(row.headers ?? {})) {
          if (typeof value === 'string') expect(answer.headers[header]).toBe(value)
          else expect(answer.headers[header]).toMatch(value)
        }
      })

  const ask = (...args: Parameters<ReturnType<typeof platform>['ask']>): Promise<Answer> =>
    platform().ask(...args)

  test('1.3 each field of a deployment comes back under its name, and fprocess is not among envVars', async () => {
    const given = {
      envProcess: 'node /f.cjs',
      envVars: { WORD: 'a=b=c' },
      labels: { a: '1' },
      annotations: { topic: 'x,y' },
      limits: { memory: '128Mi', cpu: '500m', 'nvidia.com/gpu': '1' },
      requests: { memory: '64Mi', cpu: '0.1' },
      readOnlyRootFilesystem: true,
    }
    const name = await platform().deploy(given)
    const status = (await ask('GET', `/system/function/${name}`)).json<Record<string, unknown>>()
    expect(status).toMatchObject({ name, ...given, namespace: 'openfaas-fn', image: platform().image })
    expect(status['envVars']).toEqual({ WORD: 'a=b=c' })
    expect(status['createdAt']).toMatch(/^\d{4}-\d\d-\d\dT/)
    expect((await ask('GET', `/function/${name}`)).json()).toMatchObject({
      word: 'a=b=c',
      fprocess: 'node /f.cjs',
    })
  })

  test('1.5 an update replaces everything: what it leaves out is gone', async () => {
    const name = await platform().deploy({ envVars: { WORD: 'old' }, annotations: { a: 'b' } })
    await ask('PUT', '/system/functions', { service: name, image: platform().image, ...BARE })
    const status = (await ask('GET', `/system/function/${name}`)).json<Record<string, unknown>>()
    expect(status).not.toHaveProperty('envVars')
    expect(status['annotations']).toEqual({})
  })

  test('1.7 calls are counted at once, in the list and by itself', async () => {
    const name = await platform().deploy()
    for (let i = 0; i < 3; i++) await ask('GET', `/function/${name}`)
    const list = (await ask('GET', '/system/functions')).json<{ name: string; invocationCount: number }[]>()
    expect(list.find((fn) => fn.name === name)?.invocationCount).toBe(3)
    expect((await ask('GET', `/system/function/${name}`)).json()).toMatchObject({ invocationCount: 3 })
  })

  test('1.10 a secret is listed by name and namespace, and its value nowhere', async () => {
    const name = platform().name()
    await ask('POST', '/system/secrets', { name, value: 'do-not-tell' })
    const { body } = await ask('GET', '/system/secrets?namespace=openfaas-fn')
    expect(JSON.parse(body)).toContainEqual({ name, namespace: 'openfaas-fn' })
    expect(body).not.toContain('do-not-tell')
    expect((await ask('PUT', '/system/secrets', { name, value: 'other' })).status).toBe(202)
    expect((await ask('DELETE', '/system/secrets?namespace=openfaas-fn', { name })).status).toBe(202)
  })

  test('1.11 a namespace lives from its creation to its removal, with what is in it', async () => {
    const name = platform().name()
    const mark = { openfaas: '1' }
    const path = `/system/namespace/${name}`
    const created = await ask('POST', '/system/namespace/', {
      name,
      labels: mark,
      annotations: { ...mark, a: 'b' },
    })
    expect(created.status).toBe(201)
    expect((await ask('GET', path)).json()).toEqual({ name, labels: mark, annotations: { ...mark, a: 'b' } })
    expect((await ask('GET', '/system/namespaces')).json()).toContain(name)
    const fn = await platform().deploy({ namespace: name })
    expect((await ask('GET', `/function/${fn}.${name}`)).status).toBe(200)
    expect((await ask('GET', `/function/${fn}`)).status).toBe(404)
    expect((await ask('GET', `/system/functions?namespace=${name}`)).json()).toHaveLength(1)
    expect((await ask('PUT', path, { name: 'other', labels: mark, annotations: mark })).status).toBe(400)
    expect((await ask('PUT', path, { name, labels: mark, annotations: mark })).status).toBe(202)
    expect((await ask('GET', path)).json()).toEqual({ name, labels: mark, annotations: mark })
    expect((await ask('DELETE', path, { name, labels: mark, annotations: mark })).status).toBe(202)
    expect((await ask('GET', path)).status).toBe(404)
    expect((await ask('GET', `/function/${fn}.${name}`)).status).toBe(404)
  })

  test('4.2 an alert scales by steps of max and factor, and back to the minimum', async () => {
    const name = await platform().deploy({
      labels: { 'com.openfaas.scale.max': '4', 'com.openfaas.scale.factor': '50' },
    })
    const alert = (status: string): Promise<Answer> =>
      ask('POST', '/system/alert', {
        status,
        receiver: 'scale-up',
        alerts: [
          { status, labels: { alertname: 'APIHighInvocationRate', function_name: `${name}.openfaas-fn` } },
        ],
      })
    const replicas = async (): Promise<number> =>
      (await ask('GET', `/system/function/${name}`)).json<{ replicas: number }>().replicas
    const seen: number[] = []
    for (const status of ['firing', 'firing', 'resolved']) {
      expect((await alert(status)).status).toBe(200)
      seen.push(await replicas())
    }
    expect(seen).toEqual([3, 4, 1])
  })
})
