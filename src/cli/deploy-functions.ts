import { FaasError } from '../core/errors.ts'
import { DEFAULT_NAMESPACE, shortRef } from '../core/function.ts'
import type { FunctionSpec } from '../core/function.ts'
import type { Context } from './command.ts'
import type { GatewayClient } from './gateway-client.ts'
import { settle } from './outcomes.ts'
import type { Outcome } from './outcomes.ts'
import { mapLimited } from './pool.ts'
import type { Progress } from './progress.ts'
import { waitReady } from './wait-ready.ts'
import { stateOf, toDeployment, wireNamespace } from './wire.ts'

export interface DeployWish {
  /** `replace`: remove first. `create`: fail when it is there already. */
  readonly how: 'update' | 'replace' | 'create'
  readonly wait: boolean
  /** Milliseconds to wait for a function to answer. */
  readonly limit: number
}

export interface Deployed {
  readonly url: string
  readonly state: string
}

/** How many deployments are under way at once: the gateway starts a container for each. */
const AT_ONCE = 4

/** Deploys every spec; a failure stops no other. Rejects only when the command is stopped. */
export function deployFunctions(
  { signal, flags }: Context,
  client: GatewayClient,
  specs: readonly FunctionSpec[],
  wish: DeployWish,
  progress: Progress,
): Promise<Outcome<Deployed>[]> {
  return mapLimited(specs, AT_ONCE, async (spec) => {
    progress.start(spec.name, 'starting')
    const outcome = await settle(spec.name, signal, () =>
      deployOne(client, spec, wish, flags.namespace, signal),
    )
    if (outcome.ok) progress.done(spec.name, `${outcome.result.state}  ${outcome.result.url}`)
    else progress.failed(spec.name)
    return outcome
  })
}

async function deployOne(
  client: GatewayClient,
  spec: FunctionSpec,
  { how, wait, limit }: DeployWish,
  namespaceFlag: string | undefined,
  signal: AbortSignal,
): Promise<Deployed> {
  const { name } = spec
  const namespace = wireNamespace(spec, namespaceFlag)
  if (how === 'replace') await client.remove(name, namespace).catch(ignoreMissing)
  await client.deploy(toDeployment(spec, namespaceFlag), how === 'update' ? 'update' : 'create')
  const url = functionUrl(client.url, spec)
  if (!wait) return { url, state: 'accepted' }
  return { url, state: stateOf(await waitReady(client, { name, namespace, limit, signal })) }
}

/** Where a function is called. */
export function functionUrl(
  gateway: string,
  { name, namespace }: { name: string; namespace?: string | undefined },
): string {
  return `${gateway}/function/${shortRef({ name, namespace: namespace ?? DEFAULT_NAMESPACE })}`
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof FaasError && error.code === 'FUNCTION_NOT_FOUND')) throw error
}
