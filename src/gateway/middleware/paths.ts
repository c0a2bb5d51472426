import { posix } from 'node:path'
import type { Context, Middleware, Next } from 'koa'

/** A doubled slash or a dot segment is answered with the way to the cleaned path, as Go's router does (contract 1.1). */
export const cleanPath: Middleware = async function cleanPath(ctx, next) {
  const clean = cleaned(ctx.path)
  if (clean === ctx.path) {
    await next()
    return
  }
  ctx.status = 301
  // A browser reads a backslash as a slash, and two of them as the start of another host.
  ctx.set('Location', clean.replaceAll('\\', '%5C') + ctx.search)
  ctx.body = ''
}

function cleaned(path: string): string {
  if (!/\/\/|\/\.{1,2}(\/|$)/.test(path)) return path
  const clean = posix.normalize(path)
  return clean.startsWith('/') ? clean : `/${clean}`
}

/**
 * Unknown paths are 404, and methods that a known path does not have 405 without a body, as Go's router answers.
 * Outermost of those that route: `ctx.matched` is what the router found for the path.
 */
export async function unmatched(ctx: Context, next: Next): Promise<void> {
  await next()
  if (ctx.status !== 404 || ctx.body !== undefined) return
  const known = (ctx as Context & { matched?: readonly { methods: readonly string[] }[] }).matched ?? []
  const methods = new Set(known.flatMap((route) => route.methods))
  ctx.type = 'text/plain; charset=utf-8'
  // A route that has the method and answers nothing says that what was asked for is not there.
  if (methods.size === 0 || methods.has(ctx.method)) {
    ctx.status = 404
    ctx.body = '404 page not found\n'
    return
  }
  ctx.status = 405
  ctx.set('Allow', [...methods].join(', '))
  ctx.body = ''
}
