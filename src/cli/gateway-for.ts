import { asFaasError } from '../core/errors.ts'
import type { Stack } from '../core/stack.ts'
import type { Context } from './command.ts'
import { DEFAULT_GATEWAY, resolveGateway } from './gateway-address.ts'
import { GatewayClient } from './gateway-client.ts'
import { authorizationOf, loginFor, loginsFile, readLogins } from './logins.ts'
import { runningDev, runningDevs } from './running-dev.ts'
import { readStackIfAny } from './stack-for.ts'

/**
 * A client for the gateway that the command means, with what lets it in: `--token`, else the credentials of the
 * address, else a login that was kept. BAD_USAGE, BAD_STACK, BAD_CONFIG for an address that is none.
 */
export async function gatewayFor(context: Context, stack?: Pick<Stack, 'gateway'>): Promise<GatewayClient> {
  const { flags, signal } = context
  const address = await meantAddress(context, stack)
  return new GatewayClient({
    address,
    token: flags.token,
    login: flags.token === undefined ? await keptLogin(context, address) : undefined,
    verifyTls: flags.tlsNoVerify !== true,
    others: () => runningDevs(context),
    signal,
  })
}

/** The address of the gateway that the command means. BAD_USAGE, BAD_STACK, BAD_CONFIG for one that is none. */
export function addressFor({ flags, io }: Context, stack?: Pick<Stack, 'gateway'>): string {
  return resolveGateway({ flag: flags.gateway, stack: stack?.gateway, env: io.env['OPENFAAS_URL'] })
}

/**
 * Where nobody names a gateway, the one that `dev` hosts for the stack file of this folder goes before the default:
 * another project's may be at the default, when its `dev` came first.
 */
async function meantAddress(context: Context, stack?: Pick<Stack, 'gateway'>): Promise<string> {
  const { flags, io } = context
  const address = addressFor(context, stack)
  const isNamed = address !== DEFAULT_GATEWAY || Boolean(flags.gateway ?? io.env['OPENFAAS_URL'])
  return isNamed ? address : ((await runningDev(context)) ?? address)
}

/** Logins that cannot be read stop nobody: most gateways on this machine ask for none. */
async function keptLogin({ io, print }: Context, address: string): Promise<string | undefined> {
  try {
    const login = loginFor(await readLogins(loginsFile(io)), address)
    return login && authorizationOf(login)
  } catch (error) {
    const { message, remedy } = asFaasError(error)
    print.note(`warning: ${message}\n→ ${remedy}`)
    return undefined
  }
}

/** A gateway, and the stack file that named it or could have. */
export interface FoundGateway {
  readonly client: GatewayClient
  readonly stack?: Stack | undefined
}

/**
 * The gateway for commands that need no stack file, only the address that it may hold. A stack file that was not asked
 * for and cannot be read is said and passed over when the command only looks: the developer may be in the middle of
 * writing it. `strict` commands change something, and must not do it at another gateway.
 */
export async function findGateway(context: Context, { strict }: { strict: boolean }): Promise<GatewayClient> {
  return isDecisive(context) ? gatewayFor(context) : (await findGatewayAndStack(context, { strict })).client
}

/** The same, for commands that also look up functions in the stack file. */
export async function findGatewayAndStack(
  context: Context,
  { strict }: { strict: boolean },
): Promise<FoundGateway> {
  const stack = await readStackIfAny(context).catch((error: unknown) => {
    if (context.flags.yaml !== undefined || (strict && !isDecisive(context))) throw error
    const [fact] = asFaasError(error).message.split('\n')
    context.print.note(`warning: the stack file is passed over: ${fact ?? ''}`)
    return undefined
  })
  return { client: await gatewayFor(context, stack), stack }
}

/** True when --gateway says an address that no stack file can outvote. */
function isDecisive({ flags: { gateway } }: Context): boolean {
  const other = 'http://stack'
  return gateway !== undefined && resolveGateway({ flag: gateway, stack: other }) !== other
}
