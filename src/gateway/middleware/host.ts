import { isIP } from 'node:net'
import type { Middleware } from 'koa'
import { FaasError } from '../../core/errors.ts'

/** The names by which functions and their neighbours call this gateway. */
const OWN_NAMES = new Set([
  'localhost',
  'gateway',
  'gateway.openfaas',
  'gateway.openfaas.svc.cluster.local',
  'host.docker.internal',
])

/**
 * A page in the user's browser must not be able to deploy: not by a name that it makes resolve to the loopback (DNS
 * rebinding; so Host must be a name of ours or an address), and not from its own origin.
 */
export function host(allowed: readonly string[]): Middleware {
  const isOwn = (name: string): boolean =>
    OWN_NAMES.has(name) || name.endsWith('.localhost') || isIP(name) !== 0 || allowed.includes(name)
  return async function checkHost(ctx, next) {
    const name = hostName(ctx.get('host'))
    if (!isOwn(name)) throw forbidden('Host', ctx.get('host'))
    const origin = ctx.get('origin')
    if (
      origin !== '' &&
      ctx.method !== 'GET' &&
      ctx.method !== 'HEAD' &&
      !isSameHost(origin, ctx.get('host'))
    )
      throw forbidden('Origin', origin)
    await next()
  }
}

function hostName(hostHeader: string): string {
  const withoutPort = hostHeader.replace(/:\d+$/, '')
  return withoutPort.replace(/^\[(.*)\]$/, '$1').toLowerCase()
}

function isSameHost(origin: string, hostHeader: string): boolean {
  return URL.canParse(origin) && new URL(origin).host === hostHeader.toLowerCase()
}

function forbidden(header: string, value: string): FaasError {
  return new FaasError('FORBIDDEN_HOST', {
    message: `this gateway does not serve requests with ${header} ${JSON.stringify(value)}`,
    remedy: 'Call it by address or as localhost, or allow the name with --allowed-host.',
  })
}
