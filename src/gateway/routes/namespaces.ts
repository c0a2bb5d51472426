import type { RouterContext } from '@koa/router'
import type Router from '@koa/router'
import { FaasError } from '../../core/errors.ts'
import type { Namespaces } from '../../engine/namespaces.ts'
import { answerEmpty, answerJson, readJson, readOptionalJson } from '../body.ts'
import { answerFailure } from '../middleware/errors.ts'
import { readNamespace } from '../wire.ts'

/** /system/namespaces, /system/namespace/NAME (contract 1.11). */
export function namespaceRoutes(router: Router, namespaces: Namespaces): void {
  router.get('/system/namespaces', (ctx) => answerJson(ctx, namespaces.list()))

  router.post(['/system/namespace/', '/system/namespace/:name'], async (ctx) => {
    const namespace = readNamespace(await readJson(ctx))
    if (ctx.params['name'] !== undefined) checkSame(namespace.name, ctx)
    namespaces.create(namespace)
    answerEmpty(ctx, 201)
  })

  router.get('/system/namespace/:name', (ctx) => named(ctx, (name) => answerJson(ctx, namespaces.get(name))))

  router.put('/system/namespace/:name', async (ctx) => {
    const namespace = readNamespace(await readJson(ctx))
    checkSame(namespace.name, ctx)
    named(ctx, () => {
      namespaces.update(namespace)
      answerEmpty(ctx, 202)
    })
  })

  router.delete('/system/namespace/:name', async (ctx) => {
    const body = await readOptionalJson(ctx)
    if (body !== undefined) checkSame(readNamespace(body).name, ctx)
    named(ctx, (name) => {
      namespaces.remove(name)
      answerEmpty(ctx, 202)
    })
  })
}

/** A namespace of the path that does not exist is 404; named in a body or a query it is a bad request. */
function named(ctx: RouterContext, work: (name: string) => void): void {
  try {
    work(ctx.params['name'] ?? '')
  } catch (error) {
    if (!(error instanceof FaasError) || error.code !== 'NAMESPACE_NOT_FOUND') throw error
    answerFailure(ctx, error, 404)
  }
}

function checkSame(name: string, ctx: RouterContext): void {
  const inPath = ctx.params['name']
  if (name === inPath) return
  throw new FaasError('BAD_REQUEST', {
    message: `name is ${JSON.stringify(name)} in the body and ${JSON.stringify(inPath)} in the path`,
    remedy: 'Give the same name in both.',
  })
}
