import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

/** An OpenFaaS gateway in memory, as far as a command line sees one (contract 1 and 9.1). Functions echo. */
export interface FakeGateway extends AsyncDisposable {
  readonly url: string
  /** What was asked, in order: `PUT /system/functions`. */
  readonly seen: SeenRequest[]
  readonly functions: Map<string, Record<string, unknown>>
  readonly secrets: Map<string, Buffer>
  /** Namespaces beside the default one, as they were sent. */
  readonly namespaces: Map<string, Record<string, unknown>>
  /** Lines that `/system/logs` answers, by function. */
  readonly logs: Map<string, Record<string, unknown>[]>
  /** Answers instead of the usual, when it gives true. */
  intercept?: (request: IncomingMessage, response: ServerResponse, body: Buffer) => boolean
}

interface SeenRequest {
  readonly line: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

type Route = (call: {
  gateway: FakeGateway
  url: URL
  name: string
  request: IncomingMessage
  response: ServerResponse
  body: Buffer
}) => void

export async function startFakeGateway(): Promise<FakeGateway> {
  const server = createServer((request, response) => {
    const take = (body: Buffer): void => {
      gateway.seen.push({
        line: `${request.method ?? ''} ${request.url ?? ''}`,
        headers: request.headers,
        body,
      })
      if (!gateway.intercept?.(request, response, body)) answer(gateway, request, response, body)
    }
    buffer(request)
      .then(take)
      .catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const gateway: FakeGateway = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen: [],
    functions: new Map(),
    secrets: new Map(),
    namespaces: new Map(),
    logs: new Map(),
    [Symbol.asyncDispose]: () => close(server),
  }
  return gateway
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

function answer(
  gateway: FakeGateway,
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
): void {
  const url = new URL(request.url ?? '/', 'http://gateway')
  const [, first = '', second = '', name = ''] = url.pathname.split('/')
  const invoked = first === 'function' || first === 'async-function'
  const route = invoked ? ROUTES[first] : ROUTES[`${request.method ?? ''} ${first}/${second}`]
  if (!route) end(response, 404, '404 page not found')
  else route({ gateway, url, name: invoked ? second : name, request, response, body })
}

const ROUTES: Readonly<Record<string, Route>> = {
  'GET system/functions': ({ gateway, response }) => json(response, [...gateway.functions.values()]),
  'GET system/function': ({ gateway, response, name }) => {
    const found = gateway.functions.get(name)
    if (found) json(response, found)
    else end(response, 404, '')
  },
  'PUT system/functions': ({ gateway, response, body }) => {
    const deployment = parse(body)
    const isThere = gateway.functions.has(String(deployment['service']))
    if (isThere) put(gateway, deployment)
    end(response, isThere ? 202 : 404, isThere ? '' : 'no such function')
  },
  'POST system/functions': ({ gateway, response, body }) => {
    put(gateway, parse(body))
    end(response, 202, '')
  },
  'DELETE system/functions': ({ gateway, response, body }) => {
    const gone = gateway.functions.delete(String(parse(body)['functionName']))
    end(response, gone ? 202 : 404, gone ? '' : 'no such function')
  },
  'POST system/scale-function': ({ gateway, response, name, body }) => {
    const found = gateway.functions.get(name)
    const { replicas } = parse(body)
    // At once, as far as a caller sees it.
    if (found) gateway.functions.set(name, { ...found, replicas, availableReplicas: replicas })
    end(response, found ? 202 : 404, '')
  },
  'GET system/info': ({ response }) =>
    json(response, {
      provider: {
        provider: 'faas-docker',
        orchestration: 'docker',
        version: { release: '1.2.3', sha: 'abc' },
      },
      version: { release: '0.9.0', sha: 'def' },
      arch: 'x86_64',
    }),
  'GET healthz/': ({ response }) => end(response, 200, ''),
  'GET system/namespaces': ({ gateway, response }) =>
    json(response, ['openfaas-fn', ...gateway.namespaces.keys()]),
  'GET system/namespace': ({ gateway, response, name }) => {
    const found = gateway.namespaces.get(name)
    if (found) json(response, found)
    else end(response, 404, '')
  },
  'POST system/namespace': ({ gateway, response, body }) => {
    const name = String(parse(body)['name'])
    const isThere = gateway.namespaces.has(name)
    if (!isThere) gateway.namespaces.set(name, parse(body))
    end(response, isThere ? 409 : 201, '')
  },
  'PUT system/namespace': ({ gateway, response, name, body }) => {
    const isThere = gateway.namespaces.has(name)
    if (isThere) gateway.namespaces.set(name, parse(body))
    end(response, isThere ? 202 : 404, '')
  },
  'DELETE system/namespace': ({ gateway, response, name }) =>
    end(response, gateway.namespaces.delete(name) ? 202 : 404, ''),
  'GET system/secrets': ({ gateway, response }) =>
    json(
      response,
      [...gateway.secrets.keys()].map((name) => ({ name, namespace: 'openfaas-fn' })),
    ),
  'POST system/secrets': ({ gateway, response, body }) => {
    const secret = parse(body)
    const isThere = gateway.secrets.has(String(secret['name']))
    if (!isThere) putSecret(gateway, secret)
    end(response, isThere ? 409 : 202, '')
  },
  'PUT system/secrets': ({ gateway, response, body }) => {
    const secret = parse(body)
    const isThere = gateway.secrets.has(String(secret['name']))
    if (isThere) putSecret(gateway, secret)
    end(response, isThere ? 202 : 404, '')
  },
  'DELETE system/secrets': ({ gateway, response, body }) => {
    end(response, gateway.secrets.delete(String(parse(body)['name'])) ? 202 : 404, '')
  },
  'GET system/logs': ({ gateway, response, url }) => {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    const name = url.searchParams.get('name') ?? ''
    for (const line of gateway.logs.get(name) ?? []) response.write(`${JSON.stringify(line)}\n`)
    // A followed log goes on until one side has enough.
    if (url.searchParams.get('follow') !== 'true') response.end()
  },
  function: ({ gateway, name, response, request, body }) => {
    const bare = name.replace(/\.openfaas-fn$/, '')
    response.writeHead(gateway.functions.has(bare) ? 200 : 404, {
      'content-type': request.headers['content-type'] ?? 'text/plain',
    })
    response.end(body)
  },
  'async-function': ({ response }) => response.writeHead(202, { 'x-call-id': '3f2c' }).end(),
}

function put(gateway: FakeGateway, { service, ...rest }: Record<string, unknown>): void {
  const name = String(service)
  gateway.functions.set(name, {
    name,
    namespace: 'openfaas-fn',
    invocationCount: 0,
    replicas: 1,
    availableReplicas: 1,
    createdAt: '2026-01-31T09:30:00Z',
    state: 'ready',
    ...rest,
  })
}

function putSecret(gateway: FakeGateway, { name, rawValue }: Record<string, unknown>): void {
  gateway.secrets.set(String(name), Buffer.from(String(rawValue), 'base64'))
}

function parse(body: Buffer): Record<string, unknown> {
  return JSON.parse(body.toString()) as Record<string, unknown>
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}

function end(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain' })
  response.end(text)
}
