import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { until, untilPasses } from '../support/until.ts'
import { describeParity } from './support/platforms.ts'
import type { Answer } from './support/platforms.ts'

// Section 3 of the contract: what a caller of /async-function sees, what the function sees, what a callback sees.

interface Record {
  readonly state: string
  readonly attempts: number
}

interface Row {
  readonly title: string
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<{ [name: string]: string }>
  readonly status: number
  readonly body?: string | RegExp
}

/** `$` is a deployed function. */
const ROWS: readonly Row[] = [
  { title: 'a call', path: '/async-function/$', status: 202, body: '' },
  { title: 'with a namespace', path: '/async-function/$.openfaas-fn', status: 202, body: '' },
  { title: 'with a slash', path: '/async-function/$/', status: 202, body: '' },
  { title: 'with a path and a query', path: '/async-function/$/a/b?c=d', status: 202, body: '' },
  {
    title: 'an unknown function',
    path: '/async-function/no-such-function',
    status: 404,
    body: /no-such-function/,
  },
  { title: 'in a namespace where it is not', path: '/async-function/$.elsewhere', status: 404 },
  { title: 'an empty name', path: '/async-function/.openfaas-fn', status: 404 },
  { title: 'GET', method: 'GET', path: '/async-function/$', status: 405 },
  { title: 'PUT', method: 'PUT', path: '/async-function/$', status: 405 },
  { title: 'OPTIONS', method: 'OPTIONS', path: '/async-function/$', status: 405 },
  {
    title: 'a callback URL that is none',
    path: '/async-function/$',
    headers: { 'X-Callback-Url': '://' },
    status: 400,
  },
  {
    title: 'a callback by ftp',
    path: '/async-function/$',
    headers: { 'X-Callback-Url': 'ftp://a/b' },
    status: 400,
    body: /ftp/,
  },
  { title: 'a cancellation of nothing', method: 'DELETE', path: '/async-function/no-such-call', status: 404 },
]

describeParity('async calls', (platform) => {
  const ask = (...args: Parameters<ReturnType<typeof platform>['ask']>): Promise<Answer> =>
    platform().ask(...args)
  const ended = (id: string): Promise<Record> =>
    until(async () => {
      const found = await ask('GET', `/system/calls/${id}`)
      const record = found.status === 200 ? found.json<Record>() : undefined
      return record && ['succeeded', 'failed', 'dead', 'cancelled'].includes(record.state) && record
    })

  let deployed: Promise<string> | undefined
  const known = (): Promise<string> => (deployed ??= platform().deploy())

  for (const { title, method = 'POST', path, headers, status, body } of ROWS)
    test(`3.1 ${title} → ${status}`, async () => {
      const name = await known()
      const answer = await ask(
        method,
        path.replaceAll('$', name),
        method === 'POST' ? 'x' : undefined,
        headers,
      )
      expect(answer.status, answer.body).toBe(status)
      if (typeof body === 'string') expect(answer.body).toBe(body)
      if (body instanceof RegExp) expect(answer.body).toMatch(body)
    })

  test('3.1 X-Call-Id comes back only when the gateway made it up, X-Start-Time always', async () => {
    const path = `/async-function/${await known()}`
    const made = await ask('POST', path, 'x')
    const given = await ask('POST', path, 'x', { 'X-Call-Id': 'given-by-the-caller' })
    expect(made.headers['x-call-id']).toMatch(/^[0-9a-f-]{36}$/)
    expect(given.headers).not.toHaveProperty('x-call-id')
    for (const { headers } of [made, given]) expect(headers['x-start-time']).toMatch(/^\d{19}$/)
  })

  test('3.1 a call id that comes twice is one call', async () => {
    const name = await platform().deploy()
    const headers = { 'X-Call-Id': `twice-${name}` }
    for (const body of ['first', 'second'])
      expect((await ask('POST', `/async-function/${name}`, body, headers)).status).toBe(202)
    await ended(headers['X-Call-Id'])
    await ask('POST', `/async-function/${name}`, 'third', { 'X-Call-Id': `last-${name}` })
    await ended(`last-${name}`)
    expect((await ask('GET', `/system/function/${name}`)).json()).toMatchObject({ invocationCount: 2 })
  })

  test('3.2 and 3.3 the function gets a POST with path, query, headers and body; the callback its answer', async () => {
    const name = await known()
    await using target = await openTarget()
    const id = `call-${name}`
    const sent = await ask('POST', `/async-function/${name}/a%2Fb?c=d%20e`, '{"a":1}', {
      'X-Call-Id': id,
      'X-Callback-Url': `${target.url}/back?to=me`,
      'Content-Type': 'application/json',
      'X-Mine': 'yes',
    })
    expect(sent.status).toBe(202)
    await untilPasses(() => expect(target.got).toHaveLength(1))
    const [callback] = target.got
    expect(callback).toMatchObject({ method: 'POST', url: '/back?to=me' })
    expect(callback?.headers).toMatchObject({
      'x-call-id': id,
      'x-function-name': name,
      'x-function-status': '200',
      'x-duration-seconds': expect.stringMatching(/^\d+\.\d{6}$/) as string,
      'content-type': 'application/json',
    })
    expect(callback?.headers['x-start-time']).toMatch(/^\d{19}/)
    const seen = JSON.parse(callback?.body ?? '') as {
      method: string
      path: string
      body: string
      headers: string[]
    }
    expect(seen).toMatchObject({ method: 'POST', path: '/a%2Fb?c=d%20e', body: '{"a":1}' })
    const value = (header: string): string | undefined =>
      seen.headers.find((_, i) => seen.headers[i - 1]?.toLowerCase() === header && i % 2 === 1)
    expect(value('x-call-id')).toBe(id)
    expect(value('x-mine')).toBe('yes')
    expect(value('x-callback-url')).toBe(`${target.url}/back?to=me`)
    expect(await ended(id)).toMatchObject({ state: 'succeeded', attempts: 1 })
  })

  test('3.4 what fails is tried as often as its annotation says, then its last answer is called back', async () => {
    const name = await platform().deploy({
      annotations: { 'com.openfaas.retry.attempts': '2', 'com.openfaas.retry.min_wait': '10ms' },
    })
    await using target = await openTarget()
    const id = `failing-${name}`
    const headers = { 'X-Call-Id': id, 'X-Callback-Url': target.url }
    await ask('POST', `/async-function/${name}/status?code=500`, 'x', headers)
    expect(await ended(id)).toMatchObject({ state: 'dead', attempts: 2 })
    await untilPasses(() => expect(target.got).toHaveLength(1))
    expect(target.got[0]?.headers).toMatchObject({ 'x-function-status': '500' })
    expect(target.got[0]?.body).toBe('as you wish')
  })

  test('3.4 a status that is not in the list of codes is not tried again', async () => {
    const name = await known()
    const id = `refused-${name}`
    await ask('POST', `/async-function/${name}/status?code=418`, 'x', { 'X-Call-Id': id })
    expect(await ended(id)).toMatchObject({ state: 'failed', attempts: 1 })
  })

  test('3.4 a call that waits can be cancelled', async () => {
    const name = await platform().deploy({
      annotations: { 'com.openfaas.retry.min_wait': '1h', 'com.openfaas.retry.max_wait': '1h' },
    })
    const id = `cancelled-${name}`
    await ask('POST', `/async-function/${name}/status?code=503`, 'x', { 'X-Call-Id': id })
    await untilPasses(async () =>
      expect((await ask('GET', `/system/calls/${id}`)).json()).toMatchObject({ attempts: 1 }),
    )
    expect((await ask('DELETE', `/async-function/${id}`)).status).toBe(202)
    expect(await ended(id)).toMatchObject({ state: 'cancelled' })
  })

  test('3.3 a callback to another async function chains', async () => {
    const [first, second] = [await platform().deploy(), await platform().deploy()]
    const id = `chain-${first}`
    const headers = {
      'X-Call-Id': id,
      'X-Callback-Url': `http://gateway.openfaas:8080/async-function/${second}`,
    }
    expect((await ask('POST', `/async-function/${first}`, 'x', headers)).status).toBe(202)
    await untilPasses(async () =>
      expect((await ask('GET', `/system/function/${second}`)).json()).toMatchObject({ invocationCount: 1 }),
    )
  })

  test('4.2 a function that sleeps is woken by its calls', async () => {
    const name = await platform().deploy()
    await ask('POST', `/system/scale-function/${name}`, { serviceName: name, replicas: 0 })
    const id = `waking-${name}`
    await ask('POST', `/async-function/${name}`, 'x', { 'X-Call-Id': id })
    expect(await ended(id)).toMatchObject({ state: 'succeeded', attempts: 1 })
  })
})

interface Callback {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: string
}

/** A server that takes callbacks down. */
async function openTarget(): Promise<{ url: string; got: Callback[] } & AsyncDisposable> {
  const got: Callback[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method, url, headers } = request
      got.push({ method, url, headers, body: Buffer.concat(chunks).toString() })
      response.end()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    got,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
