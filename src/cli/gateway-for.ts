import { asFaasError } from '../core/errors.ts'
import type { Stack } from '../core/stack.ts'
import type { Context } from './command.ts'
import { resolveGateway } from './gateway-address.ts'
import { GatewayClient } from './gateway-client.ts'
import { readStackIfAny } from './stack-for.ts'

/** A client for the gateway that the command means. BAD_USAGE, BAD_STACK, BAD_CONFIG for an address that is none. */
export function gatewayFor({ flags, io, signal }: Context, stack?: Pick<Stack, 'gateway'>): GatewayClient {
  return new GatewayClient({
    address: resolveGateway({ flag: flags.gateway, stack: stack?.gateway, env: io.env['OPENFAAS_URL'] }),
    token: flags.token,
    verifyTls: flags.tlsNoVerify !== true,
    signal,
  })
}

/**
 * The same for commands that need no stack file, only the address that it may hold. A stack file that was not asked
 * for and cannot be read is said and passed over when the command only looks: the developer may be in the middle of
 * writing it. `strict` commands change something, and must not do it at another gateway.
 */
export async function findGateway(context: Context, { strict }: { strict: boolean }): Promise<GatewayClient> {
  if (context.flags.gateway !== undefined) return gatewayFor(context)
  try {
    return gatewayFor(context, await readStackIfAny(context))
  } catch (error) {
    if (strict || context.flags.yaml !== undefined) throw error
    const [fact] = asFaasError(error).message.split('\n')
    context.print.note(`warning: the stack file is passed over: ${fact ?? ''}`)
    return gatewayFor(context)
  }
}
