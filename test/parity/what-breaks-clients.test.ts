import { expect, test } from 'vitest'
import { until, untilPasses } from '../support/until.ts'
import { BARE, describeParity } from './support/platforms.ts'

// Section 0 of the contract: what breaks clients first. One test for each of its numbered items.

interface Status {
  readonly name: string
  readonly image: string
  readonly replicas?: number
  readonly availableReplicas?: number
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

describeParity('what breaks clients first', (platform, kind) => {
  const ask: ReturnType<typeof platform>['ask'] = (...args) => platform().ask(...args)
  const bare = (service = platform().name(), more: object = {}): Record<string, unknown> => ({
    service,
    image: platform().image,
    ...BARE,
    ...more,
  })
  const single = async (name: string): Promise<Status> =>
    (await ask('GET', `/system/function/${name}`)).json()

  test('1: PUT of a missing function is 404, the POST that follows 202, and none of them 201', async () => {
    const body = bare()
    const put = await ask('PUT', '/system/functions', body)
    const post = await ask('POST', '/system/functions', body)
    const again = await ask('PUT', '/system/functions', body)
    expect([put.status, post.status, again.status]).toEqual([404, 202, 202])
  })

  test('2: a duplicate POST is an error', async () => {
    const service = await platform().deploy()
    const duplicate = await ask('POST', '/system/functions', bare(service))
    expect(duplicate.status).toBeGreaterThanOrEqual(400)
    expect(duplicate.status).toBeLessThan(500)
  })

  test('3: deleting a secret or a function answers 202, never 204', async () => {
    const name = platform().name()
    await ask('POST', '/system/secrets', { name, value: 'x' })
    const secret = await ask('DELETE', '/system/secrets', { name })
    const fn = await ask('DELETE', '/system/functions', { functionName: await platform().deploy() })
    expect([secret.status, fn.status]).toEqual([202, 202])
  })

  test('4: creating a secret that exists is 409', async () => {
    const name = platform().name()
    const first = await ask('POST', '/system/secrets', { name, value: 'x' })
    const second = await ask('POST', '/system/secrets', { name, value: 'y' })
    expect([first.status, second.status]).toEqual([202, 409])
  })

  test('5: a deploy is answered while its function is still on its way', async () => {
    const body = bare(undefined, { envVars: { FLAVOR: 'late:60000' } })
    const { status, body: text } = await ask('POST', '/system/functions', body)
    expect([status, text]).toEqual([202, ''])
    expect(await single(String(body['service']))).toMatchObject({ name: body['service'] })
    await ask('DELETE', '/system/functions', { functionName: body['service'] })
  })

  test('6: a function is in the list and by itself at once, with its wanted replicas', async () => {
    const body = bare(undefined, { labels: { 'com.openfaas.scale.min': '2' } })
    const name = String(body['service'])
    await ask('POST', '/system/functions', body)
    const list = (await ask('GET', '/system/functions')).json<Status[]>()
    expect(list.find((fn) => fn.name === name)).toMatchObject({ replicas: 2 })
    expect(await single(name)).toMatchObject({ replicas: 2 })
    await untilPasses(async () => expect(await single(name)).toMatchObject({ availableReplicas: 2 }))
  })

  test('7: labels and annotations are objects, even when nobody gave any', async () => {
    const service = platform().name()
    await ask('POST', '/system/functions', { service, image: platform().image })
    const list = (await ask('GET', '/system/functions')).json<Status[]>()
    for (const fn of [await single(service), list.find(({ name }) => name === service)]) {
      expect(fn?.labels).toBeTypeOf('object')
      expect(fn?.labels).not.toBeNull()
      expect(fn?.annotations).toEqual({})
    }
  })

  test('8: what the deployer did not give is absent', async () => {
    const status = await single(await platform().deploy())
    for (const field of ['envVars', 'limits', 'requests', 'constraints', 'secrets', 'envProcess'])
      expect(status).not.toHaveProperty(field)
    expect(status).not.toHaveProperty('readOnlyRootFilesystem')
  })

  test('9: the image is echoed as it was sent', async () => {
    const body = bare(undefined, { image: 'docker.io/functions/alpine:latest' })
    await ask('POST', '/system/functions', body)
    expect((await single(String(body['service']))).image).toBe('docker.io/functions/alpine:latest')
    await ask('DELETE', '/system/functions', { functionName: body['service'] })
  })

  test('10: quantities are echoed as they were sent, even below what an engine takes', async () => {
    const limits = { memory: '5Mi', cpu: '100m' }
    const requests = { memory: '4Mi', cpu: '10m' }
    const body = bare(undefined, { limits, requests })
    expect((await ask('POST', '/system/functions', body)).status).toBe(202)
    expect(await single(String(body['service']))).toMatchObject({ limits, requests })
    await ask('DELETE', '/system/functions', { functionName: body['service'] })
  })

  test('11: each function carries the label faas_function', async () => {
    const service = await platform().deploy({ labels: { mine: 'yes' } })
    expect((await single(service)).labels).toEqual({ mine: 'yes', faas_function: service })
  })

  test('12: the namespace of an invocation is what follows the last dot', async () => {
    const service = await platform().deploy()
    const [plain, dotted] = [
      await ask('GET', `/function/${service}`),
      await ask('GET', `/function/${service}.openfaas-fn`),
    ]
    const elsewhere = await ask('GET', `/function/${service}.openfaas-fn.other`)
    expect([plain.status, dotted.status, elsewhere.status]).toEqual([200, 200, 404])
  })

  test('13: an empty name is 404', async () => {
    expect((await ask('POST', '/function/.openfaas-fn', 'x')).status).toBe(404)
  })

  test('14: a redirect goes back to the caller', async () => {
    const service = await platform().deploy()
    const { status, headers } = await ask('GET', `/function/${service}/redirect`)
    expect([status, headers.location]).toEqual([302, '/elsewhere'])
  })

  test('15: X-Call-Id comes back only when the gateway made it up, X-Start-Time always', async () => {
    const service = await platform().deploy()
    const before = BigInt(Date.now()) * 1_000_000n
    const made = await ask('GET', `/function/${service}`)
    const given = await ask('GET', `/function/${service}`, undefined, { 'X-Call-Id': 'mine' })
    expect(made.headers['x-call-id']).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    )
    expect(given.headers).not.toHaveProperty('x-call-id')
    for (const { headers } of [made, given])
      expect(BigInt(String(headers['x-start-time'])) - before).toBeLessThan(60_000_000_000n)
  })

  test('16: info has every nested field', async () => {
    const text = expect.stringMatching(/.+/) as string
    expect((await ask('GET', '/system/info')).json()).toMatchObject({
      provider: { provider: text, orchestration: text, version: { release: text, sha: text } },
      version: { release: text, sha: text, commit_message: text },
      arch: text,
    })
  })

  test('17: logs that are not followed end, are one JSON a line, and need neither since nor tail', async () => {
    const service = await platform().deploy()
    await ask('GET', `/function/${service}/print?text=one`)
    await untilPasses(async () => {
      const { status, body } = await ask('GET', `/system/logs?name=${service}&follow=false`)
      expect(status).toBe(200)
      const lines = body
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, string>)
      expect(lines).toContainEqual({
        name: service,
        namespace: 'openfaas-fn',
        instance: expect.any(String) as string,
        timestamp: expect.stringMatching(
          /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/,
        ) as string,
        text: 'one',
      })
    })
  })

  test('18: scaled to zero is seen at once, and the next call wakes the function', async () => {
    const service = await platform().deploy()
    const scaled = await ask('POST', `/system/scale-function/${service}`, {
      serviceName: service,
      replicas: 0,
    })
    expect(scaled.status).toBe(202)
    expect((await single(service)).replicas ?? 0).toBe(0)
    expect((await ask('GET', `/function/${service}`)).status).toBe(200)
  })

  test('19: a call in flight ends in peace when its function is replaced', async () => {
    const service = await platform().deploy({ envVars: { WORD: 'old' } })
    const call = ask('GET', `/function/${service}/wait?ms=1500`)
    await ask('PUT', '/system/functions', bare(service, { envVars: { WORD: 'new' } }))
    await until(
      async () => (await ask('GET', `/function/${service}`)).json<{ word: string }>().word === 'new',
    )
    expect(await call).toMatchObject({ status: 200, body: 'waited' })
  })

  test.runIf(kind === 'docker')('20: of a secret sent twice, the untrimmed rawValue wins', async () => {
    const name = platform().name()
    const exact = Buffer.from(' two\nlines\n')
    await ask('POST', '/system/secrets', { name, value: 'two\nlines', rawValue: exact.toString('base64') })
    const service = await platform().deploy({ secrets: [name] })
    const { body } = await ask('GET', `/function/${service}/secret?name=${name}`)
    expect(Buffer.from(body, 'base64')).toEqual(exact)
  })

  test('21: no call fails between the start of a function and its first answer', async () => {
    const body = bare(undefined, { envVars: { FLAVOR: 'late:700' } })
    await ask('POST', '/system/functions', body)
    const calls = Array.from({ length: 10 }, () => ask('GET', `/function/${String(body['service'])}`))
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual(Array(10).fill(200))
  })

  test.runIf(kind === 'docker')('22: a function whose process ends is started again', async () => {
    const service = await platform().deploy()
    expect((await ask('GET', `/function/${service}/crash`)).status).toBe(502)
    expect((await ask('GET', `/function/${service}`)).status).toBe(200)
  })
})
