import type { Context, Middleware } from 'koa'
import { asFaasError } from '../../core/errors.ts'
import type { FaasError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import { CODE_HEADER, failureText, INTERNAL_HEADER, INTERNAL_VALUE, statusOf } from '../failure.ts'

/** The only place where a control route's failure becomes an answer. */
export function errors(log: Log): Middleware {
  return async function answerErrors(ctx, next) {
    ctx.set('X-Content-Type-Options', 'nosniff')
    try {
      await next()
    } catch (error) {
      const failure = asFaasError(error)
      if (statusOf(failure) >= 500)
        log.error(`${ctx.method} ${ctx.path}: ${failure.message}`, { code: failure.code })
      answerFailure(ctx, failure)
    }
  }
}

/** The failure as plain text. `status`: where a route means something else by it than most do. */
export function answerFailure(ctx: Context, failure: FaasError, status = statusOf(failure)): void {
  ctx.status = status
  ctx.type = 'text/plain; charset=utf-8'
  ctx.set(INTERNAL_HEADER, INTERNAL_VALUE)
  ctx.set(CODE_HEADER, failure.code)
  ctx.body = failureText(failure)
}
