import type Router from '@koa/router'
import { DEFAULT_NAMESPACE, parseRef } from '../../core/function.ts'
import type { FunctionRef } from '../../core/function.ts'
import type { Registry } from '../../core/registry.ts'
import { noNamespace } from '../../engine/functions.ts'
import type { Functions } from '../../engine/functions.ts'
import { answerEmpty, answerJson, queryValue, readJson } from '../body.ts'
import { readDeletion, readDeployment, readScaling, writeStatus } from '../wire.ts'

/** /system/functions, /system/function/NAME, /system/scale-function/NAME (contract 1.4 to 1.8). */
export function functionRoutes(router: Router, functions: Functions, registry: Registry): void {
  router.get('/system/functions', (ctx) => {
    const namespace = queryValue(ctx, 'namespace') ?? DEFAULT_NAMESPACE
    if (!registry.namespaces.get(namespace)) throw noNamespace(namespace, registry)
    const verbose = queryValue(ctx, 'verbose') === '1'
    answerJson(
      ctx,
      functions.list(namespace).map((status) => writeStatus(status, verbose)),
    )
  })

  router.post('/system/functions', async (ctx) => {
    functions.deploy(readDeployment(await readJson(ctx)))
    answerEmpty(ctx, 202)
  })

  router.put('/system/functions', async (ctx) => {
    functions.update(readDeployment(await readJson(ctx)))
    answerEmpty(ctx, 202)
  })

  router.delete('/system/functions', async (ctx) => {
    const { name, namespace } = readDeletion(await readJson(ctx))
    functions.remove(refOf(name, namespace ?? queryValue(ctx, 'namespace')))
    answerEmpty(ctx, 202)
  })

  router.get('/system/function/:name', async (ctx) => {
    const ref = refOf(ctx.params['name'] ?? '', queryValue(ctx, 'namespace'))
    const status = functions.get(ref)
    if (!status) {
      answerEmpty(ctx, 404)
      return
    }
    const usage = queryValue(ctx, 'usage') === '1' ? await functions.usage(ref) : undefined
    answerJson(ctx, writeStatus(status, queryValue(ctx, 'verbose') === '1', usage))
  })

  router.post('/system/scale-function/:name', async (ctx) => {
    const { replicas, namespace } = readScaling(await readJson(ctx, 'Error unmarshalling request body'))
    functions.scale(refOf(ctx.params['name'] ?? '', namespace ?? queryValue(ctx, 'namespace')), replicas)
    answerEmpty(ctx, 202)
  })
}

/** A name in a path or body may carry its namespace: `name.namespace`. One that is given apart wins, and says the same. */
export function refOf(name: string, namespace: string | undefined): FunctionRef {
  if (namespace === undefined) return parseRef(name)
  return { name: name.endsWith(`.${namespace}`) ? name.slice(0, -namespace.length - 1) : name, namespace }
}
