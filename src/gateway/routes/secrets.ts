import type Router from '@koa/router'
import { FaasError } from '../../core/errors.ts'
import { DEFAULT_NAMESPACE } from '../../core/function.ts'
import type { Registry } from '../../core/registry.ts'
import { queryValue, readJson } from '../body.ts'
import { readSecret } from '../wire.ts'

/** /system/secrets (contract 1.10). Values go in and never come out. */
export function secretRoutes(router: Router, { secrets }: Registry): void {
  router.get('/system/secrets', (ctx) => {
    const namespace = queryValue(ctx, 'namespace') ?? DEFAULT_NAMESPACE
    ctx.body = secrets.list(namespace).map((name) => ({ name, namespace }))
  })

  router.post('/system/secrets', async (ctx) => {
    const { name, namespace, value } = readSecret(await readJson(ctx))
    if (secrets.has(namespace, name)) {
      throw new FaasError('SECRET_EXISTS', {
        message: `the secret ${JSON.stringify(name)} exists already in ${namespace}`,
        remedy: `Change it: faasdock secret update ${name}.`,
      })
    }
    secrets.put(namespace, name, value)
    ctx.status = 202
    ctx.body = ''
  })

  router.put('/system/secrets', async (ctx) => {
    const { name, namespace, value } = readSecret(await readJson(ctx))
    if (secrets.has(namespace, name)) secrets.put(namespace, name, value)
    ctx.status = secrets.has(namespace, name) ? 202 : 404
    ctx.body = ctx.status === 404 ? unknown(name, namespace) : ''
  })

  router.delete('/system/secrets', async (ctx) => {
    const { name, namespace } = readSecret(await readJson(ctx))
    const wanted = queryValue(ctx, 'namespace') ?? namespace
    ctx.status = secrets.delete(wanted, name) ? 202 : 404
    ctx.body = ctx.status === 404 ? unknown(name, wanted) : ''
  })
}

function unknown(name: string, namespace: string): string {
  return `there is no secret ${JSON.stringify(name)} in ${namespace}\n`
}
