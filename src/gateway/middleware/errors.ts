import type { Middleware } from 'koa'
import { asFaasError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import { CODE_HEADER, failureText, INTERNAL_HEADER, INTERNAL_VALUE, statusOf } from '../failure.ts'

/** The only place where a control route's failure becomes an answer. */
export function errors(log: Log): Middleware {
  return async function answerErrors(ctx, next) {
    try {
      await next()
    } catch (error) {
      const failure = asFaasError(error)
      const status = statusOf(failure)
      if (status >= 500) log.error(`${ctx.method} ${ctx.path}: ${failure.message}`, { code: failure.code })
      ctx.status = status
      ctx.type = 'text/plain; charset=utf-8'
      ctx.set('X-Content-Type-Options', 'nosniff')
      ctx.set(INTERNAL_HEADER, INTERNAL_VALUE)
      ctx.set(CODE_HEADER, failure.code)
      ctx.body = failureText(failure)
    }
  }
}
