import { readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import { useApp } from '../../test/support/use-app.ts'
import type { TestApp } from '../../test/support/use-app.ts'
import type { MemoryImage } from '../provider/memory/memory-provider.ts'

const echo: MemoryImage = { listener: () => (_request, response) => void response.end('echo') }

interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly text: string
}

/** Sends headers, methods and paths that fetch does not let one send. */
function send(
  url: string,
  path: string,
  {
    method = 'GET',
    headers = {},
    body = '',
  }: { method?: string; headers?: http.OutgoingHttpHeaders; body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, path, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
    })
    request.on('error', reject)
    request.end(body)
  })
}

const basic = (user: string, password: string): { authorization: string } => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
})

/** What was said to people since the start. */
function notices({ app }: TestApp): string[] {
  const said: string[] = []
  using _watch = app.events.watch((event) => {
    if (event.type === 'notice') said.push(event.message)
  }, 0)
  return said
}

/** As functions call it on an engine of another machine, which passes on to this one's loopback. */
const insideUrl = ({ provider }: TestApp): string => `http://127.0.0.1:${provider.gateway?.port ?? 0}`

describe('a gateway on the loopback', () => {
  test('asks functions for its login, where calls are open', async () => {
    await using platform = await useApp({ echo })
    await platform.deploy('a', 'echo')
    const headers = { host: 'gateway.openfaas:8080' }
    expect((await send(insideUrl(platform), '/function/a', { headers })).text).toBe('echo')
    expect((await send(insideUrl(platform), '/system/functions', { headers })).status).toBe(401)
    const password = readFileSync(join(platform.app.dataDir, 'basic-auth-password'), 'utf8')
    const login = { ...headers, ...basic('admin', password) }
    expect((await send(insideUrl(platform), '/system/functions', { headers: login })).status).toBe(200)
    await using open = await useApp({ echo }, { auth: false })
    expect((await send(insideUrl(open), '/system/functions', { headers })).status).toBe(200)
  })

  test('asks for no login, and ignores one that is stale or empty', async () => {
    await using platform = await useApp({ echo })
    for (const authorization of ['Bearer ', 'Bearer', 'Bearer stale', 'Basic b2xkOm9sZA==', 'nonsense'])
      expect((await send(platform.url, '/system/functions', { headers: { authorization } })).status).toBe(200)
    expect(platform.app.login).toBeUndefined()
    expect(notices(platform).join()).not.toContain('login')
  })

  test('asks when it is told to, for everything below its prefixes, with the words of OpenFaaS', async () => {
    await using platform = await useApp({ echo }, { auth: true })
    const { user, password } = platform.app.login ?? { user: '', password: '' }
    expect([user, password.length]).toEqual(['admin', 43])
    const guarded = [
      '/system/functions',
      '/system/nothing',
      '/system/',
      '/system',
      '/ui/',
      '/ui/nothing',
      '/metrics',
      '/system/namespace/x',
      '/system/alert',
    ]
    for (const path of guarded) {
      const { status, headers, text } = await send(platform.url, path)
      expect([path, status, headers['www-authenticate'], text]).toEqual([
        path,
        401,
        'Basic realm="Restricted"',
        'invalid credentials',
      ])
      expect(headers['content-type']).toBe('text/plain; charset=utf-8')
    }
    for (const [path, code] of [
      ['/healthz', 200],
      ['/', 307],
      ['/function/nobody', 404],
      ['/elsewhere', 404],
      // Names of paths are exact: what is written otherwise is no way around.
      ['/System/functions', 401],
      ['/%73ystem/functions', 404],
      ['//system/functions', 301],
    ] as const)
      expect([path, (await send(platform.url, path)).status]).toEqual([path, code])
    const asked = (headers: http.OutgoingHttpHeaders): Promise<Answer> =>
      send(platform.url, '/system/functions', { headers })
    expect((await asked(basic(user, password))).status).toBe(200)
    expect(
      (await asked({ authorization: basic(user, password).authorization.replace('Basic', 'basic') })).status,
    ).toBe(200)
    for (const wrong of [
      basic(user, `${password}x`),
      basic(user, ''),
      basic('', password),
      basic('root', password),
      basic(`${user}:`, password),
      { authorization: 'Basic' },
      { authorization: 'Basic !!!' },
      { authorization: `Basic ${Buffer.from('admin').toString('base64')}` },
      { authorization: `Bearer ${password}` },
      { authorization: 'Bearer ' },
    ])
      expect((await asked(wrong)).status).toBe(401)
  })

  test('says how to log in, and keeps the password to its file', async () => {
    await using platform = await useApp({ echo }, { auth: true })
    const file = join(platform.app.dataDir, 'basic-auth-password')
    const password = readFileSync(file, 'utf8')
    const said = notices(platform).join('\n')
    expect(said).toContain(
      `faasdock login --gateway ${platform.url} --username admin --password-stdin < ${file}`,
    )
    expect(said).toContain('faas-cli login')
    expect(said).not.toContain(password)
    expect(JSON.stringify(readFileSync(join(platform.app.dataDir, 'owner.json'), 'utf8'))).not.toContain(
      password,
    )
  })

  test('takes the login that is mounted', async () => {
    await using folder = await makeFolder()
    writeFileSync(join(folder.path, 'basic-auth-user'), 'me\n')
    writeFileSync(join(folder.path, 'basic-auth-password'), 'päss:word\n')
    await using platform = await useApp({ echo }, { auth: true, secretMountPath: folder.path })
    const headers = basic('me', 'päss:word')
    expect((await send(platform.url, '/system/info', { headers })).status).toBe(200)
  })

  test('answers by IPv6 too, where there is any', async (context) => {
    await using platform = await useApp({ echo })
    const answer = await send(`http://[::1]:${platform.port}`, '/healthz').catch(() => undefined)
    if (!answer) return context.skip()
    expect(answer.status).toBe(200)
  })
})

describe('a gateway that others reach', () => {
  test('asks for a login, and is called by any name then', async () => {
    await using platform = await useApp({ echo }, { host: '0.0.0.0' })
    const url = `http://127.0.0.1:${platform.port}`
    expect((await send(url, '/system/functions')).status).toBe(401)
    const { user, password } = platform.app.login ?? { user: '', password: '' }
    const headers = { ...basic(user, password), host: 'faas.example' }
    expect((await send(url, '/system/functions', { headers })).status).toBe(200)
    await platform.deploy('open', 'echo')
    expect((await send(url, '/function/open')).text).toBe('echo')
  })

  test('asks nobody when it is told not to, and says what that means', async () => {
    await using platform = await useApp({ echo }, { host: '0.0.0.0', auth: false })
    expect((await send(`http://127.0.0.1:${platform.port}`, '/system/functions')).status).toBe(200)
    expect(notices(platform).join()).toMatch(/anyone who reaches .* may deploy/)
  })
})

describe('a web page', () => {
  const paths = [
    ['GET', '/system/functions'],
    ['GET', '/system/secrets'],
    ['POST', '/system/functions'],
    ['PUT', '/system/functions'],
    ['DELETE', '/system/functions'],
    ['POST', '/system/secrets'],
    ['POST', '/system/alert'],
    ['POST', '/system/scale-function/x'],
    ['POST', '/system/namespace/'],
    ['OPTIONS', '/system/functions'],
    ['GET', '/metrics'],
  ] as const

  test.each([
    ['of another site', { origin: 'http://evil.example' }],
    ['of a name that only looks like ours', { origin: 'http://localhost.evil.example:8080' }],
    ['of another port of this machine', { origin: 'http://localhost:3000' }],
    ['in a sandbox', { origin: 'null' }],
    [
      'that embeds us',
      { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' },
    ],
    [
      'that frames us',
      { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' },
    ],
    [
      'of a neighbour',
      { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' },
    ],
  ])('%s may neither change nor read', async (_what, headers) => {
    await using platform = await useApp({ echo })
    for (const [method, path] of paths) {
      const answer = await send(platform.url, path, { method, headers })
      expect([method, path, answer.status]).toEqual([method, path, 403])
      expect(answer.text).toContain('--allowed-origin')
      expect(answer.headers['access-control-allow-origin']).toBeUndefined()
    }
  })

  test('of ours may, and so may what is no page, and a person who follows a link', async () => {
    await using platform = await useApp({ echo })
    const { host } = new URL(platform.url)
    for (const headers of [
      { origin: `http://${host}`, 'sec-fetch-site': 'same-origin' },
      { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' },
      { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' },
      { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
      {},
    ])
      expect((await send(platform.url, '/system/functions', { headers })).status).toBe(200)
    // A form of another site that posts is a link to no person.
    const form = {
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
    }
    expect((await send(platform.url, '/system/functions', { method: 'POST', headers: form })).status).toBe(
      403,
    )
  })

  test('that is allowed may everything, and is told so beforehand', async () => {
    const origin = 'http://localhost:3000'
    await using platform = await useApp({ echo }, { allowedOrigin: origin, auth: true })
    const { user, password } = platform.app.login ?? { user: '', password: '' }
    const preflight = await send(platform.url, '/system/functions', {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'DELETE',
        'access-control-request-headers': 'authorization',
      },
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-headers': 'authorization',
      'access-control-allow-methods': expect.stringContaining('DELETE') as string,
    })
    const headers = { origin, ...basic(user, password) }
    const answer = await send(platform.url, '/system/functions', { headers })
    expect([answer.status, answer.headers['access-control-allow-origin'], answer.headers.vary]).toEqual([
      200,
      origin,
      'Origin',
    ])
    expect(
      (await send(platform.url, '/system/functions', { headers: { origin: 'http://evil.example' } })).status,
    ).toBe(403)
  })

  test('in the whole address counts, and no less than in Host', async () => {
    await using platform = await useApp({ echo })
    const ask = (path: string): Promise<Answer> =>
      send(platform.url, path, { headers: { host: 'localhost' } })
    expect((await ask('http://localhost:8080/system/functions?x=y')).status).toBe(200)
    expect((await ask('http://127.0.0.1')).status).toBe(307)
    expect((await ask('http://evil.example/system/functions')).status).toBe(403)
    expect((await ask('*')).status).toBe(400)
    await using asking = await useApp({ echo }, { auth: true })
    expect((await send(asking.url, 'http://localhost/system/functions')).status).toBe(401)
  })

  test('by a name that is made to lead here is refused with what to do', async () => {
    await using platform = await useApp({ echo }, { allowedHost: 'dev.box' })
    const evil = await send(platform.url, '/system/functions', { headers: { host: 'evil.example:8080' } })
    expect([evil.status, evil.text]).toEqual([403, expect.stringContaining('--allowed-host')])
    expect(
      (await send(platform.url, '/system/functions', { headers: { host: 'dev.box:8080' } })).status,
    ).toBe(200)
  })
})

describe('metrics', () => {
  test('have a port of their own, open, with a health of its own', async () => {
    await using free = await freePort()
    await free.close()
    await using _platform = await useApp({ echo }, { metricsPort: free.port, auth: true })
    const url = `http://127.0.0.1:${free.port}`
    expect((await send(url, '/metrics')).text).toContain('# TYPE gateway_service_count gauge')
    expect(await send(url, '/healthz')).toMatchObject({ status: 200, text: 'OK' })
    expect((await send(url, '/healthz', { method: 'POST' })).status).toBe(405)
    expect((await send(url, '/healthz', { method: 'HEAD' })).status).toBe(405)
    expect((await send(url, '/metrics', { method: 'POST' })).status).toBe(405)
    for (const path of ['/', '/system/functions', '/function/x'])
      expect((await send(url, path)).status).toBe(404)
  })

  test('on a port that is taken: asked for, it is an error that names the program; otherwise the next one will do', async () => {
    await using taken = await freePort()
    await expect(useApp({ echo }, { metricsPort: taken.port })).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      message: expect.stringContaining(`port ${taken.port} on 127.0.0.1 is in use`) as string,
      remedy: expect.stringContaining('--metrics-port') as string,
    })
    // The default, by the environment of nobody.
    await using one = await useApp({ echo }, { metricsPort: undefined as never })
    await using two = await useApp({ echo }, { metricsPort: undefined as never })
    const ports = [one, two].map((platform) => metricsPortOf(platform))
    expect(ports[1]).not.toBe(ports[0])
    for (const port of ports)
      expect((await send(`http://127.0.0.1:${port ?? 8082}`, '/metrics')).status).toBe(200)
  })

  test('on any port, which is said, or on none', async () => {
    await using any = await useApp({ echo }, { metricsPort: 0 })
    const said = notices(any).find((line) => line.startsWith('metrics are on '))
    expect((await send(said?.split(' ').at(-1)?.replace('/metrics', '') ?? '', '/metrics')).status).toBe(200)
    await using none = await useApp({ echo }, { metricsPort: 'off' })
    expect(notices(none).join()).not.toContain('metrics')
  })

  test.runIf(process.platform === 'linux')('a taken port of the gateway names who has it', async () => {
    await using taken = await freePort()
    await expect(useApp({ echo }, { port: taken.port })).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      message: expect.stringMatching(
        new RegExp(`port ${taken.port} on 127.0.0.1 is in use by process ${process.pid} \\(`),
      ) as string,
    })
  })

  test('say what OpenFaaS’s say, and nothing of what callers make up', async () => {
    await using platform = await useApp({ echo })
    const labels = {
      'com.openfaas.scale.min': '2',
      'com.openfaas.scale.target': '7',
      'com.openfaas.scale.type': 'capacity',
    }
    await platform.deploy('measured', 'echo', { labels })
    for (let n = 0; n < 3; n++) await (await platform.ask('GET', '/function/measured')).text()
    for (let n = 0; n < 5; n++) {
      await (await platform.ask('GET', `/system/function/made-up-${n}`)).text()
      await (await platform.ask('GET', `/system/made/up/${n}`)).text()
      await (await platform.ask('GET', `/function/made-up-${n}`)).text()
      await send(platform.url, '/system/functions', { method: 'PROPFIND' })
    }
    const text = await (await platform.ask('GET', '/metrics')).text()
    const name = 'function_name="measured.openfaas-fn"'
    for (const line of [
      `gateway_function_invocation_started{${name}} 3`,
      `gateway_function_invocation_total{${name},code="200"} 3`,
      `gateway_functions_seconds_count{${name},code="200"} 3`,
      `gateway_functions_seconds_bucket{le="0.005",${name},code="200"}`,
      `gateway_functions_seconds_bucket{le="10",${name},code="200"} 3`,
      `gateway_function_invocation_inflight{${name}} 0`,
      `gateway_service_count{${name}} 2`,
      `gateway_service_ready_count{${name}} 2`,
      `gateway_service_min{${name}} 2`,
      `gateway_service_target_load{${name},scaling_type="capacity"} 7`,
      'http_requests_total{method="GET",path="/system/function/:name",status="404"} 5',
      'http_requests_total{method="GET",path="unknown",status="404"} 5',
      'http_requests_total{method="OTHER",path="unknown",status="405"} 5',
      'http_request_duration_seconds_count{method="GET",path="unknown",status="404"} 5',
      'provider_http_requests_total{code="404",method="GET",path="/system/function/:name"} 5',
      'provider_http_request_duration_seconds_count{code="404",method="GET",path="unknown"} 5',
    ])
      expect(text).toContain(line)
    expect(text).not.toContain('made')
    await platform.ask('DELETE', '/system/functions', { functionName: 'measured' })
    expect(await (await platform.ask('GET', '/metrics')).text()).not.toContain('measured')
  })
})

function metricsPortOf(platform: TestApp): number | undefined {
  const moved = notices(platform).find((line) => line.includes('metrics are on'))
  return moved === undefined ? undefined : Number(moved.split(' ').at(-1))
}

/** A port that something listens on until it is closed. */
async function freePort(): Promise<{ port: number; close(): Promise<void> } & AsyncDisposable> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const close = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()))
  return { port: (server.address() as AddressInfo).port, close, [Symbol.asyncDispose]: close }
}
