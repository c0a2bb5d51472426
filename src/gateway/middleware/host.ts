import { isIP } from 'node:net'
import type { Middleware } from 'koa'
import { FaasError } from '../../core/errors.ts'

/** The names by which functions and their neighbours call this gateway. */
const OWN_NAMES = new Set([
  // HTTP/1.0 need not say; browsers do.
  '',
  'localhost',
  'gateway',
  'gateway.openfaas',
  'gateway.openfaas.svc.cluster.local',
  'host.docker.internal',
])

/**
 * A page in the user's browser must not be able to deploy by a name that it makes resolve to the loopback (DNS
 * rebinding): Host must be a name of ours, or an address. Where a login is asked for the page has none, and the gateway
 * may be called by any name.
 */
export function host(allowed: readonly string[]): Middleware {
  const isOwn = (name: string): boolean =>
    OWN_NAMES.has(name) || name.endsWith('.localhost') || isIP(name) !== 0 || allowed.includes(name)
  return async function checkHost(ctx, next) {
    const given = ctx.get('host')
    if (!isOwn(hostName(given))) {
      throw new FaasError('FORBIDDEN_HOST', {
        message: `this gateway does not serve requests with Host ${JSON.stringify(given)}`,
        remedy: 'Call it by address or as localhost, or allow the name: --allowed-host NAME.',
      })
    }
    await next()
  }
}

function hostName(hostHeader: string): string {
  const withoutPort = hostHeader.replace(/:\d+$/, '')
  return withoutPort.replace(/^\[(.*)\]$/, '$1').toLowerCase()
}
