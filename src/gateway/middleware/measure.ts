import type { Middleware } from 'koa'
import type { Metrics } from '../metrics.ts'

/** Others are counted together: callers choose the word. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** Counts what is asked of `/system/…`, by route and not by path, so that callers cannot make series up. */
export function measure(
  metrics: Metrics,
  routeOf: (path: string, method: string) => string | RegExp | undefined,
): Middleware {
  return async function measureControl(ctx, next) {
    if (ctx.path.startsWith('/system/')) {
      const startedAt = performance.now()
      const route = String(routeOf(ctx.path, ctx.method) ?? 'unknown')
      const method = METHODS.has(ctx.method) ? ctx.method : 'OTHER'
      ctx.res.once('close', () =>
        metrics.asked(method, route, ctx.res.statusCode, (performance.now() - startedAt) / 1000),
      )
    }
    await next()
  }
}
