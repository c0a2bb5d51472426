import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { Revision } from '../../core/function.ts'
import { makeEngine } from '../../docker/client.ts'
import type { Engine } from '../../docker/client.ts'
import { DockerHost } from './docker-host.ts'

/** An engine whose containers have ended when it is asked where they are: as it says it, with no address. */
async function engineOfShortLives(): Promise<Engine> {
  const inspected = {
    Id: 'c1',
    State: { Running: false, ExitCode: 2, OOMKilled: false, Error: '' },
    NetworkSettings: { Networks: { net: { IPAddress: '' } }, Ports: {} },
  }
  const answers: Readonly<Record<string, object>> = {
    'GET /images/i1/json': { Config: { Env: [] } },
    'POST /containers/create': { Id: 'c1' },
    'POST /containers/c1/start': {},
    'GET /containers/c1/json': inspected,
  }
  const server = createServer(({ method, url = '' }, response) => {
    const answer = answers[`${method ?? ''} ${url.split('?')[0] ?? ''}`]
    response.writeHead(answer ? (url.endsWith('/create') ? 201 : 200) : 404, {
      'content-type': 'application/json',
    })
    response.end(JSON.stringify(answer ?? { message: 'No such container' }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => new Promise((resolve) => server.close(() => resolve())))
  return makeEngine({ host: '127.0.0.1', port: (server.address() as AddressInfo).port })
}

test('a replica that ends before anybody can ask where it is, is told as one that exited', async () => {
  const engine = await engineOfShortLives()
  const host = new DockerHost({
    engine,
    startTimeoutMs: 30_000,
    onStarted: () => undefined,
    keepLines: () => Promise.resolve(),
    remakeNetwork: () => Promise.resolve(),
    throttle: (work) => work(),
    context: () => ({
      instance: 'test',
      network: 'net',
      gatewayAddress: undefined,
      route: 'relay',
      publish: false,
      logDriver: 'local',
      fillSecrets: () => Promise.resolve(),
      putCode: () => Promise.resolve(),
      tokenOf: () => 'token',
    }),
  })
  const revision: Revision = {
    id: 'r1',
    imageId: 'i1',
    spec: { name: 'short', namespace: 'fn', image: 'short:1', labels: {}, annotations: {} },
    createdAt: '2026-01-01T00:00:00Z',
  }
  const { signal } = new AbortController()
  const replica = await host.start(revision, signal)
  await expect(host.ready(replica, revision, signal)).rejects.toMatchObject({
    code: 'REPLICA_EXITED',
    message: 'short.fn exited with code 2 before anybody asked it to',
  })
})
