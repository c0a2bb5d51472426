import type Router from '@koa/router'
import { FaasError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import { handleAlerts } from '../../engine/alerts.ts'
import type { Functions } from '../../engine/functions.ts'
import { answerEmpty, readJson } from '../body.ts'
import { readAlerts } from '../wire.ts'

/** /system/alert: AlertManager's webhook (contract 4.2). Its bodies are OpenFaaS' own, word for word. */
export function alertRoutes(
  router: Router,
  parts: { readonly functions: Functions; readonly log: Log },
): void {
  router.post('/system/alert', async (ctx) => {
    const alerts = readAlerts(await readJson(ctx).catch(notJson))
    if (!alerts) {
      ctx.status = 400
      ctx.type = 'text/plain; charset=utf-8'
      ctx.body = 'Unable to parse alert, bad format.'
      return
    }
    const failures = handleAlerts(parts, alerts)
    for (const failure of failures) parts.log.error(`an alert could not be followed: ${failure}`)
    if (failures.length === 0) {
      answerEmpty(ctx, 200)
      return
    }
    ctx.status = 500
    ctx.type = 'text/plain; charset=utf-8'
    ctx.body = failures.map((failure, index) => `[${index}] ${failure}\n`).join('')
  })
}

/** A body that is no JSON is an alert that cannot be read; one that is too large stays what it is. */
function notJson(error: unknown): undefined {
  if (error instanceof FaasError && error.code === 'BAD_REQUEST') return undefined
  throw error
}
