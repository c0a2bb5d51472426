import type { Context } from 'koa'
import type Router from '@koa/router'
import { z } from 'zod'
import { FaasError } from '../../core/errors.ts'
import type { FunctionRef } from '../../core/function.ts'
import type { Debugging, DebugState } from '../../engine/debugging.ts'
import { answerJson, readOptionalJson } from '../body.ts'
import { refOf } from './functions.ts'

const selection = z.object({
  functions: z.array(z.object({ name: z.string().min(1), namespace: z.string().min(1).nullish() })).nullish(),
})

/** `/system/debug`: ports for debuggers, a route of our own. The body names functions; without one it is about all. */
export function debugRoutes(router: Router, debugging: Debugging): void {
  router.get('/system/debug', async (ctx) => {
    answerJson(ctx, (await debugging.list()).map(write))
  })

  router.put('/system/debug', async (ctx) => {
    answerJson(ctx, (await debugging.on(await readRefs(ctx))).map(write))
  })

  router.delete('/system/debug', async (ctx) => {
    await debugging.off(await readRefs(ctx))
    answerJson(ctx, (await debugging.list()).map(write))
  })
}

async function readRefs(ctx: Context): Promise<readonly FunctionRef[] | undefined> {
  const body = await readOptionalJson(ctx)
  if (body === undefined) return undefined
  const result = selection.safeParse(body)
  if (result.success)
    return result.data.functions?.map(({ name, namespace }) => refOf(name, namespace ?? undefined))
  throw new FaasError('BAD_REQUEST', {
    message: 'the body does not name functions',
    remedy: 'Send {"functions": [{"name": "NAME", "namespace": "NAMESPACE"}]}, or nothing for all functions.',
  })
}

function write({ ref, language, folder, port, clients, lacks }: DebugState): Record<string, unknown> {
  const { name, namespace } = ref
  return { name, namespace, language, folder, host: '127.0.0.1', port, clients, ...(lacks && { lacks }) }
}
