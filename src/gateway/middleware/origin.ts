import type { Context, Middleware } from 'koa'
import { FaasError } from '../../core/errors.ts'

const METHODS = 'GET, POST, PUT, DELETE'
/** How long a browser may remember that it may ask, seconds. */
const REMEMBERED_S = 600

/**
 * Pages of other sites may neither change nor read anything, whether the browser sends their origin along or only says
 * that the request comes from elsewhere. What is no browser (curl, the CLI, connectors) says neither, and a link that a
 * person follows is no request of the page that it stands on. `allowed` origins may do everything.
 */
export function origin(allowed: readonly string[]): Middleware {
  return async function checkOrigin(ctx, next) {
    const from = ctx.get('origin')
    ctx.vary('Origin')
    if (from !== '' && allowed.includes(from.toLowerCase())) {
      ctx.set('Access-Control-Allow-Origin', from)
      ctx.set('Access-Control-Allow-Credentials', 'true')
      if (ctx.method === 'OPTIONS' && ctx.get('access-control-request-method') !== '') {
        answerPreflight(ctx)
        return
      }
    } else if (from === '' ? isForeignFetch(ctx) : !isSameHost(from, ctx.get('host'))) {
      throw new FaasError('FORBIDDEN_HOST', {
        message: `this gateway does not serve pages of ${from === '' ? 'other sites' : `Origin ${JSON.stringify(from)}`}`,
        remedy:
          'Call it from no page (curl, faas-cli), or allow the page: --allowed-origin http://localhost:3000.',
      })
    }
    await next()
  }
}

function answerPreflight(ctx: Context): void {
  ctx.status = 204
  ctx.set('Access-Control-Allow-Methods', METHODS)
  ctx.set('Access-Control-Allow-Headers', ctx.get('access-control-request-headers') || 'Content-Type')
  ctx.set('Access-Control-Max-Age', String(REMEMBERED_S))
}

/** What a page embeds or loads without an origin (`<img>`, `<script>`, `<form>` that gets): only browsers say so. */
function isForeignFetch(ctx: Context): boolean {
  const site = ctx.get('sec-fetch-site')
  if (site === '' || site === 'same-origin' || site === 'none') return false
  const isLink = ctx.get('sec-fetch-mode') === 'navigate' && ctx.get('sec-fetch-dest') === 'document'
  return !(isLink && (ctx.method === 'GET' || ctx.method === 'HEAD'))
}

function isSameHost(from: string, hostHeader: string): boolean {
  return URL.canParse(from) && new URL(from).host === hostHeader.toLowerCase()
}
