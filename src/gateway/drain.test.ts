import { Agent, createServer, get } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { drainServer } from './drain.ts'

async function listening(): Promise<{ server: Server; port: number; asked: Promise<ServerResponse> }> {
  let ask: (response: ServerResponse) => void
  const asked = new Promise<ServerResponse>((resolve) => (ask = resolve))
  const server = createServer((_request, response) => ask(response))
  // As long as in the gateway: longer than the test.
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, port: (server.address() as AddressInfo).port, asked }
}

function call(port: number, agent: Agent): Promise<IncomingMessage> {
  return new Promise((resolve, reject) =>
    get({ port, agent, host: '127.0.0.1' }, resolve).once('error', reject),
  )
}

test('a drain ends with the last answer, although its client would keep the connection', async () => {
  const { server, port, asked } = await listening()
  const agent = new Agent({ keepAlive: true })
  const answer = call(port, agent)
  const response = await asked
  let isDrained = false
  const drained = drainServer(server, 10_000).then(() => (isDrained = true))
  response.write('first ')
  const incoming = await answer
  expect(isDrained).toBe(false)
  const began = performance.now()
  response.end('last')
  expect(await text(incoming)).toBe('first last')
  await drained
  expect(performance.now() - began).toBeLessThan(5000)
  agent.destroy()
})

test('a drain does not wait longer than its limit', async () => {
  const { server, port, asked } = await listening()
  const agent = new Agent({ keepAlive: true })
  const answer = call(port, agent)
  await asked
  const failed = expect(answer).rejects.toThrow()
  await drainServer(server, 50)
  await failed
  agent.destroy()
})
