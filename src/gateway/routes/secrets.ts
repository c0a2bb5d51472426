import type { RouterContext } from '@koa/router'
import type Router from '@koa/router'
import { FaasError } from '../../core/errors.ts'
import { DEFAULT_NAMESPACE } from '../../core/function.ts'
import type { Registry } from '../../core/registry.ts'
import { noNamespace } from '../../engine/functions.ts'
import type { SecretDelivery } from '../../engine/secret-delivery.ts'
import { answerEmpty, answerJson, queryValue, readJson } from '../body.ts'
import { answerFailure } from '../middleware/errors.ts'
import { readSecret, readSecretName } from '../wire.ts'

/**
 * /system/secrets (contract 1.10). Values go in and never come out. A value is answered for once the replicas that have
 * the secret have it, so that a call right after sees it.
 */
export function secretRoutes(router: Router, registry: Registry, delivery: SecretDelivery): void {
  const { secrets, namespaces } = registry

  /** The namespace of the body, else of the query, else the default. NAMESPACE_NOT_FOUND. */
  function namespaceOf(ctx: RouterContext, given?: string): string {
    const namespace = given ?? queryValue(ctx, 'namespace') ?? DEFAULT_NAMESPACE
    if (!namespaces.get(namespace)) throw noNamespace(namespace, registry)
    return namespace
  }

  router.get('/system/secrets', (ctx) => {
    const namespace = namespaceOf(ctx)
    answerJson(
      ctx,
      secrets.list(namespace).map((name) => ({ name, namespace })),
    )
  })

  router.post('/system/secrets', async (ctx) => {
    const { name, namespace: given, value } = readSecret(await readJson(ctx))
    const namespace = namespaceOf(ctx, given)
    if (secrets.has(namespace, name)) {
      throw new FaasError('SECRET_EXISTS', {
        message: `the secret ${JSON.stringify(name)} exists already in ${namespace}`,
        remedy: `Change it: faasdock secret update ${name}.`,
      })
    }
    secrets.put(namespace, name, value)
    await delivery.settled(namespace, name)
    answerEmpty(ctx, 202)
  })

  router.put('/system/secrets', async (ctx) => {
    const { name, namespace: given, value } = readSecret(await readJson(ctx))
    const namespace = namespaceOf(ctx, given)
    if (!secrets.has(namespace, name)) {
      answerFailure(ctx, noSecret(name, namespace), 404)
      return
    }
    secrets.put(namespace, name, value)
    await delivery.settled(namespace, name)
    answerEmpty(ctx, 202)
  })

  router.delete('/system/secrets', async (ctx) => {
    const { name, namespace: given } = readSecretName(await readJson(ctx))
    const namespace = namespaceOf(ctx, given)
    if (secrets.delete(namespace, name)) answerEmpty(ctx, 202)
    else answerFailure(ctx, noSecret(name, namespace), 404)
  })
}

function noSecret(name: string, namespace: string): FaasError {
  return new FaasError('SECRET_NOT_FOUND', {
    message: `there is no secret ${JSON.stringify(name)} in ${namespace}`,
    remedy: 'See which exist with GET /system/secrets.',
  })
}
