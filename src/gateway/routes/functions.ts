import type { RouterContext } from '@koa/router'
import type Router from '@koa/router'
import { DEFAULT_NAMESPACE, parseRef } from '../../core/function.ts'
import type { FunctionRef } from '../../core/function.ts'
import { FaasError } from '../../core/errors.ts'
import type { Registry } from '../../core/registry.ts'
import type { Functions } from '../../engine/functions.ts'
import { queryValue, readJson } from '../body.ts'
import { readDeletion, readDeployment, readScaling, writeStatus } from '../wire.ts'

/** /system/functions, /system/function/NAME, /system/scale-function/NAME (contract 1.4 to 1.8). */
export function functionRoutes(router: Router, functions: Functions, registry: Registry): void {
  router.get('/system/functions', (ctx) => {
    const namespace = queryValue(ctx, 'namespace') ?? DEFAULT_NAMESPACE
    if (!registry.namespaces.get(namespace)) throw noNamespace(namespace)
    const verbose = queryValue(ctx, 'verbose') === '1'
    ctx.body = functions.list(namespace).map((status) => writeStatus(status, verbose))
  })

  router.post('/system/functions', async (ctx) => {
    functions.deploy(readDeployment(await readJson(ctx)))
    accepted(ctx)
  })

  router.put('/system/functions', async (ctx) => {
    functions.update(readDeployment(await readJson(ctx)))
    accepted(ctx)
  })

  router.delete('/system/functions', async (ctx) => {
    const { name, namespace } = readDeletion(await readJson(ctx))
    functions.remove(refOf(name, namespace ?? queryValue(ctx, 'namespace')))
    accepted(ctx)
  })

  router.get('/system/function/:name', async (ctx) => {
    const ref = refOf(ctx.params['name'] ?? '', queryValue(ctx, 'namespace'))
    const status = functions.get(ref)
    if (!status) {
      ctx.status = 404
      ctx.body = ''
      return
    }
    const usage = queryValue(ctx, 'usage') === '1' ? await functions.usage(ref) : undefined
    ctx.body = writeStatus(status, queryValue(ctx, 'verbose') === '1', usage)
  })

  router.post('/system/scale-function/:name', async (ctx) => {
    const { replicas, namespace } = readScaling(await readJson(ctx))
    functions.scale(refOf(ctx.params['name'] ?? '', namespace ?? queryValue(ctx, 'namespace')), replicas)
    accepted(ctx)
  })
}

/** A name in a path or body may carry its namespace: `name.namespace`. One that is given apart wins. */
export function refOf(name: string, namespace: string | undefined): FunctionRef {
  return namespace === undefined ? parseRef(name) : { name: name.split('.')[0] ?? name, namespace }
}

function noNamespace(namespace: string): FaasError {
  return new FaasError('NAMESPACE_NOT_FOUND', {
    message: `namespace not valid: there is no ${JSON.stringify(namespace)}`,
    remedy: 'See GET /system/namespaces.',
  })
}

/** 202 with an empty body: what faas-cli takes for success (contract 0, item 1). */
function accepted(ctx: RouterContext): void {
  ctx.status = 202
  ctx.body = ''
}
