import http from 'node:http'
import { expect, test } from 'vitest'
import { useApp } from '../../test/support/use-app.ts'

const images = {
  hello: { listener: () => (_request: unknown, response: http.ServerResponse) => void response.end('hello') },
  /** Answers before it has read the body, and never reads it. */
  early: {
    listener: () => (request: http.IncomingMessage, response: http.ServerResponse) => {
      if (request.method === 'GET') response.end('next')
      else response.writeHead(413).end('too large')
    },
  },
}

function send(agent: http.Agent, url: string, method: string, body?: Buffer): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { agent, method }, (response) => {
      response.resume()
      response.once('end', () => resolve(response.statusCode))
    })
    request.once('error', reject)
    request.end(body)
  })
}

test('an answer before the end of the body leaves the connection to the next call', async () => {
  await using platform = await useApp(images)
  await platform.deploy('early', 'early')
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const url = `${platform.url}/function/early`
  try {
    expect(await send(agent, url, 'POST', Buffer.alloc(30 * 2 ** 20))).toBe(413)
    expect(await send(agent, url, 'GET')).toBe(200)
  } finally {
    agent.destroy()
  }
})

test('callers who invent names are answered, and leave nothing behind in the metrics', async () => {
  await using platform = await useApp(images)
  await platform.deploy('hello', 'hello')
  for (let i = 0; i < 50; i++) expect((await fetch(`${platform.url}/function/no-${i}`)).status).toBe(404)
  expect((await fetch(`${platform.url}/function/hello`)).status).toBe(200)
  const metrics = await (await fetch(`${platform.url}/metrics`)).text()
  expect(metrics).toContain(
    'gateway_function_invocation_total{function_name="hello.openfaas-fn",code="200"} 1',
  )
  expect(metrics).not.toContain('no-')
})

test('a function that is removed takes its series with it', async () => {
  await using platform = await useApp(images)
  await platform.deploy('hello', 'hello')
  await fetch(`${platform.url}/function/hello`)
  await platform.ask('DELETE', '/system/functions', { functionName: 'hello' })
  expect(await (await fetch(`${platform.url}/metrics`)).text()).not.toContain('hello')
})

test('somebody who follows the events does not hold up a stop', async () => {
  await using platform = await useApp(images, { drainTimeout: '1h' })
  const events = await fetch(`${platform.url}/system/events`)
  const ended = events.text()
  await platform.app.stop({ removeFunctions: true })
  expect(await ended).toBeDefined()
})

test.each([1001, 1_000_000_000])(
  'a wish for %d replicas is refused, and nothing is written down',
  async (replicas) => {
    await using platform = await useApp(images)
    await platform.deploy('hello', 'hello')
    const answer = await platform.ask('POST', '/system/scale-function/hello', { replicas })
    expect(answer.status).toBe(400)
    expect(await answer.text()).toContain('from 0 to 1000')
    expect(platform.app.functions.get({ name: 'hello', namespace: 'openfaas-fn' })?.replicas).toBe(1)
  },
)

test('functions say their name in the label that clients look for', async () => {
  await using platform = await useApp(images)
  await platform.deploy('hello', 'hello', { labels: { mine: 'x' } })
  const [one] = (await (await platform.ask('GET', '/system/functions')).json()) as { labels: unknown }[]
  expect(one?.labels).toEqual({ mine: 'x', faas_function: 'hello' })
})
