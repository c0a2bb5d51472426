import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import Router from '@koa/router'
import Koa from 'koa'
import { FaasError } from '../core/errors.ts'
import { DEFAULT_NAMESPACE } from '../core/function.ts'
import type { Log } from '../core/log.ts'
import type { Functions } from '../engine/functions.ts'
import type { Invoker } from '../engine/invoker.ts'
import { DataPlane } from './data-plane.ts'
import { drainServer } from './drain.ts'
import { errors } from './middleware/errors.ts'
import { host } from './middleware/host.ts'
import { functionRoutes } from './routes/functions.ts'
import { platformRoutes } from './routes/platform.ts'
import type { PlatformParts } from './routes/platform.ts'
import { secretRoutes } from './routes/secrets.ts'

export interface GatewayParts extends PlatformParts {
  readonly functions: Functions
  readonly invoker: Invoker
  readonly log: Log
  /** Host names besides our own that may be used to call the control routes. */
  readonly allowedHosts: readonly string[]
}

export interface Listening {
  readonly host: string
  readonly port: number
}

/** Request headers may be this long (contract 1.1). */
const MAX_HEADER_BYTES = 2 ** 20
/** Longer than any client keeps a connection, so that it is the client who closes it. */
const KEEP_ALIVE_MS = 75_000

/** The HTTP door: `/function/…` goes straight to the data plane, everything else to Koa. May listen on several addresses. */
export class Gateway implements AsyncDisposable {
  readonly #servers: Server[] = []
  readonly #stopping = new AbortController()
  readonly #handle: (request: IncomingMessage, response: ServerResponse) => void

  constructor(parts: GatewayParts) {
    const dataPlane = new DataPlane({
      invoker: parts.invoker,
      defaultNamespace: DEFAULT_NAMESPACE,
      servedBy: `faasdock/${parts.version.release}`,
      log: parts.log,
    })
    const control = controlRoutes(parts, this.#stopping.signal)
    this.#handle = (request, response) => {
      if (!dataPlane.handle(request, response)) control(request, response)
    }
  }

  /** PORT_TAKEN when the port is in use on that address. Port 0 takes a free one. */
  async listen(address: string, port: number): Promise<Listening> {
    const server = createServer(
      { maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: KEEP_ALIVE_MS },
      this.#handle,
    )
    // How long a call may take is the function's matter, and a body may be sent as slowly as it is read.
    server.requestTimeout = 0
    server.timeout = 0
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: Error & { code?: string }) => reject(listenFailure(error, address, port)))
      server.listen(port, address, () => resolve())
    })
    this.#servers.push(server)
    return { host: address, port: (server.address() as AddressInfo).port }
  }

  /** Refuses new connections, lets calls in flight end for up to `limitMs`, then closes everything. */
  async drain(limitMs: number): Promise<void> {
    // Events and followed logs never end by themselves; nobody should wait for them.
    this.#stopping.abort()
    await Promise.allSettled(this.#servers.splice(0).map((server) => drainServer(server, limitMs)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0)
  }
}

function controlRoutes(
  parts: GatewayParts,
  stopping: AbortSignal,
): (request: IncomingMessage, response: ServerResponse) => void {
  const app = new Koa()
  const router = new Router()
  functionRoutes(router, parts.functions, parts.registry)
  secretRoutes(router, parts.registry)
  platformRoutes(router, parts, stopping)
  app.use(errors(parts.log))
  app.use(unmatched)
  app.use(host(parts.allowedHosts))
  app.use(router.routes())
  app.use(router.allowedMethods())
  // A client that hangs up half-way is no event; everything else went through the errors middleware.
  app.on('error', (error: Error) => parts.log.debug('a control answer was cut off', { error: error.message }))
  const callback = app.callback()
  return (request, response) => {
    callback(request, response).catch((error: unknown) => {
      parts.log.error('a control route failed outside its middleware', { error: String(error) })
    })
  }
}

/** Unknown paths and methods are answered as Go's router does (contract 1.1). */
async function unmatched(ctx: Koa.Context, next: Koa.Next): Promise<void> {
  await next()
  if (ctx.status === 405 || ctx.status === 501) ctx.body = ''
  if (ctx.status !== 404 || ctx.body !== undefined) return
  ctx.status = 404
  ctx.type = 'text/plain; charset=utf-8'
  ctx.body = '404 page not found\n'
}

function listenFailure(error: Error & { code?: string }, address: string, port: number): FaasError {
  if (error.code === 'EADDRINUSE') {
    return new FaasError('PORT_TAKEN', {
      message: `port ${port} on ${address} is in use`,
      remedy: 'Stop what uses it (`faasdock doctor` names it), or choose another with --port.',
      cause: error,
    })
  }
  if (error.code === 'EACCES') {
    return new FaasError('PORT_TAKEN', {
      message: `port ${port} on ${address} may not be used by this user`,
      remedy: 'Choose a port from 1024 up with --port.',
      cause: error,
    })
  }
  return new FaasError('BAD_CONFIG', {
    message: `cannot listen on ${address}:${port}: ${error.message}`,
    remedy: 'Give an address of this machine with --host, e.g. 127.0.0.1.',
    cause: error,
  })
}
