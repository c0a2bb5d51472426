import type { IncomingMessage, ServerResponse } from 'node:http'
import Router from '@koa/router'
import Koa from 'koa'
import type { Log } from '../core/log.ts'
import type { Login } from '../core/login.ts'
import type { Registry } from '../core/registry.ts'
import type { AsyncCalls } from '../engine/async-calls.ts'
import type { Debugging } from '../engine/debugging.ts'
import type { InvocationLog } from '../engine/invocation-log.ts'
import type { Functions } from '../engine/functions.ts'
import type { Namespaces } from '../engine/namespaces.ts'
import type { SecretDelivery } from '../engine/secret-delivery.ts'
import { errors } from './middleware/errors.ts'
import { host } from './middleware/host.ts'
import { login } from './middleware/login.ts'
import { measure } from './middleware/measure.ts'
import { origin } from './middleware/origin.ts'
import { cleanPath, unmatched } from './middleware/paths.ts'
import { alertRoutes } from './routes/alerts.ts'
import { debugRoutes } from './routes/debug.ts'
import { functionRoutes } from './routes/functions.ts'
import { invocationRoutes } from './routes/invocations.ts'
import { namespaceRoutes } from './routes/namespaces.ts'
import { platformRoutes } from './routes/platform.ts'
import type { PlatformParts } from './routes/platform.ts'
import { queueRoutes } from './routes/queue.ts'
import { secretRoutes } from './routes/secrets.ts'
import { uiRoutes } from './routes/ui.ts'

export interface ControlParts extends PlatformParts {
  readonly functions: Functions
  readonly namespaces: Namespaces
  readonly calls: AsyncCalls
  /** Undefined when none are kept. */
  readonly invocations: InvocationLog | undefined
  readonly registry: Registry
  readonly secretDelivery: SecretDelivery
  readonly debugging: Debugging
  readonly log: Log
  /** Host names besides our own that may be used to call the control routes. */
  readonly allowedHosts: readonly string[]
  /** Origins of pages that may use the control routes besides our own. */
  readonly allowedOrigins: readonly string[]
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** Everything but calls of functions, for one listener: `asks` is the login that it asks for, if any. */
export function controlHandler(parts: ControlParts, asks: Login | undefined, stopping: AbortSignal): Handler {
  const { log } = parts
  const router = controlRouter(parts, stopping)
  const app = new Koa()
  app.use(measure(parts.metrics, (path, method) => router.match(path, method).pathAndMethod[0]?.path))
  app.use(errors(log))
  app.use(cleanPath)
  if (!asks) app.use(host(parts.allowedHosts))
  // Before the login: a browser asks whether it may ask without one.
  app.use(origin(parts.allowedOrigins))
  if (asks) app.use(login(asks))
  app.use(unmatched)
  app.use(router.routes())
  // A client that hangs up half-way is no event; everything else went through the errors middleware.
  app.on('error', (error: Error) => log.debug('a control answer was cut off', { error: error.message }))
  const callback = app.callback()
  return (request, response) => {
    if (!toPath(request)) {
      response.writeHead(400, { 'Content-Type': 'text/plain; charset=utf-8' }).end('400 bad request\n')
      return
    }
    callback(request, response).catch((error: unknown) => {
      log.error('a control route failed outside its middleware', { error: String(error) })
    })
  }
}

/**
 * Some clients ask by the whole address, whose host counts then (RFC 9112, 3.2.2): makes a path of it. False when there is
 * none: `*`, or something else that is nothing of ours.
 */
function toPath(request: IncomingMessage): boolean {
  const [, authority, rest = ''] = /^https?:\/\/([^/?#]*)(.*)$/i.exec(request.url ?? '') ?? []
  if (authority !== undefined) {
    request.url = rest.startsWith('/') ? rest : `/${rest}`
    request.headers.host = authority
  }
  return request.url?.startsWith('/') === true
}

/** Paths are what they are: `/System/Functions` is not `/system/functions`, which is behind a login. */
function controlRouter(parts: ControlParts, stopping: AbortSignal): Router {
  const router = new Router({ sensitive: true, strict: true })
  functionRoutes(router, parts.functions, parts.registry)
  secretRoutes(router, parts.registry, parts.secretDelivery)
  namespaceRoutes(router, parts.namespaces)
  alertRoutes(router, parts)
  platformRoutes(router, parts, stopping)
  queueRoutes(router, parts.calls, stopping)
  debugRoutes(router, parts.debugging)
  invocationRoutes(router, parts.invocations)
  uiRoutes(router, parts.version.release)
  return router
}
