import { once } from 'node:events'
import { connect } from 'node:net'
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { until } from '../../test/support/until.ts'
import { useApp } from '../../test/support/use-app.ts'
import type { MemoryImage } from '../provider/memory/memory-provider.ts'

const answering: MemoryImage = { listener: () => (_request, response) => void response.end('ok') }
const images = {
  node: { ...answering, debugger: { language: 'node', folder: '/app', connect: () => new PassThrough() } },
  go: answering,
} as const

interface Port {
  readonly name: string
  readonly port: number
  readonly clients: number
}

test('ports are given, listed and taken away, and what goes in by one reaches the function’s debugger', async () => {
  await using used = await useApp(images)
  await used.deploy('a', 'node')
  await used.deploy('b', 'go')
  expect(await (await used.ask('GET', '/system/debug')).json()).toEqual([])
  const given = (await (await used.ask('PUT', '/system/debug')).json()) as Port[]
  expect(given).toEqual([
    {
      name: 'a',
      namespace: 'openfaas-fn',
      language: 'node',
      folder: '/app',
      host: '127.0.0.1',
      port: expect.any(Number) as number,
      clients: 0,
    },
  ])
  const client = connect(given[0]?.port ?? 0, '127.0.0.1')
  client.write('hello')
  const [echo] = (await once(client, 'data')) as [Buffer]
  expect(echo.toString()).toBe('hello')
  const [listed] = (await (await used.ask('GET', '/system/debug')).json()) as Port[]
  expect(listed?.clients).toBe(1)
  const closed = once(client, 'close')
  expect(await (await used.ask('DELETE', '/system/debug', { functions: [{ name: 'a' }] })).json()).toEqual([])
  await closed
  const [again] = (await (
    await used.ask('PUT', '/system/debug', { functions: [{ name: 'a' }] })
  ).json()) as Port[]
  expect(again?.port).toBe(given[0]?.port)
})

test('calls have no time limit while a debugger is connected, and one again afterwards', async () => {
  const held = { pass: (): void => undefined }
  const slow = {
    ...images.node,
    listener: () => (_request: unknown, response: { end(text: string): void }) =>
      void (held.pass = () => response.end('late')),
  }
  const silent: MemoryImage = { listener: () => () => undefined }
  await using used = await useApp({ slow, silent }, { upstreamTimeout: '200ms' })
  await used.deploy('a', 'slow')
  await used.deploy('b', 'silent')
  const [given] = (await (
    await used.ask('PUT', '/system/debug', { functions: [{ name: 'a' }] })
  ).json()) as Port[]
  const client = connect(given?.port ?? 0, '127.0.0.1')
  client.write('x')
  await once(client, 'data')
  const call = fetch(`${used.url}/function/a`)
  // Nobody debugs that one: twice, because what measures time does so only now and then.
  for (const _ of [1, 2]) expect((await fetch(`${used.url}/function/b`)).status).toBe(504)
  held.pass()
  expect(await (await call).text()).toBe('late')
  client.destroy()
  await until(
    async () => ((await (await used.ask('GET', '/system/debug')).json()) as Port[])[0]?.clients === 0,
  )
  expect((await fetch(`${used.url}/function/a`)).status).toBe(504)
})

test.each([
  ['{"functions": "a"}', 400],
  ['[', 400],
  ['{"functions": [{"name": "nobody"}]}', 404],
  ['{"functions": [{"name": "b"}]}', 409],
])('a request that says %s is answered by %i', async (body, status) => {
  await using used = await useApp(images)
  await used.deploy('b', 'go')
  const answer = await used.ask('PUT', '/system/debug', body)
  expect(answer.status).toBe(status)
})

test('a gateway that other machines reach gives no ports', async () => {
  await using used = await useApp(images, { host: '0.0.0.0', auth: 'false' })
  await used.deploy('a', 'node')
  const answer = await used.ask('PUT', '/system/debug')
  expect(answer.status).toBe(409)
  expect(answer.headers.get('X-Faasdock-Code')).toBe('DEBUGGER_UNAVAILABLE')
})
