import { FaasError } from '../core/errors.ts'
import type { GatewayClient } from './gateway-client.ts'
import type { WireCall } from './wire-calls.ts'

/** Of so many newest calls one is found by the beginning of its id: as many as the gateway lists. */
const LOOKED_THROUGH = 10_000

/** The call of an id, or of a beginning that no other id has. CALL_NOT_FOUND. */
export async function findCall(client: GatewayClient, id: string): Promise<WireCall> {
  try {
    return (await client.read(`/system/calls/${encodeURIComponent(id)}`)) as WireCall
  } catch (error) {
    if (!(error instanceof FaasError) || error.code !== 'CALL_NOT_FOUND') throw error
    const newest = (await client.read('/system/calls', { limit: String(LOOKED_THROUGH) })) as WireCall[]
    const found = newest.filter((call) => call.id.startsWith(id))
    const ids = [...new Set(found.map((call) => call.id))]
    const [first] = found
    if (!first) throw error
    if (ids.length === 1) return first
    throw new FaasError('CALL_NOT_FOUND', {
      message: `${ids.length} calls begin with ${JSON.stringify(id)}: ${ids.slice(0, 5).join(', ')}${ids.length > 5 ? ' …' : ''}`,
      remedy: 'Give more of the id.',
    })
  }
}
