import { FaasError } from '../core/errors.ts'
import type { Context } from './command.ts'
import type { GatewayClient } from './gateway-client.ts'
import type { WireInvocation, WireInvocations } from './wire-invocations.ts'

/** The invocation of an id or of its beginning, or the last one, of `name` if given. INVOCATION_NOT_FOUND. */
export async function readInvocation(
  { flags }: Pick<Context, 'flags'>,
  client: GatewayClient,
  id: string,
  name?: string,
): Promise<WireInvocation> {
  const path = `/system/invocations/${encodeURIComponent(id)}`
  const query = { function: name, namespace: name && flags.namespace }
  try {
    return (await client.read(path, query)) as WireInvocation
  } catch (error) {
    throw await withSuggestion(error, client, id)
  }
}

/** Who names a function where an id is asked for means the last invocation of it. */
async function withSuggestion(error: unknown, client: GatewayClient, id: string): Promise<unknown> {
  if (!(error instanceof FaasError) || error.code !== 'INVOCATION_NOT_FOUND' || id === 'last') return error
  const listed = (await client
    .read('/system/invocations', { function: id, limit: '1' })
    .catch(() => undefined)) as WireInvocations | undefined
  if (!listed?.invocations.length) return error
  return new FaasError('INVOCATION_NOT_FOUND', {
    message: error.message,
    remedy: `${id} is a function: "last --function ${id}" means its last invocation, and "faasdock invocations ${id}" lists them.`,
  })
}
