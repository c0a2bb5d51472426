import { setTimeout as pause } from 'node:timers/promises'
import { asFaasError, FaasError } from '../../core/errors.ts'
import { defineCommand, flag, numberFlag } from '../command.ts'
import type { Context } from '../command.ts'
import type { GatewayClient } from '../gateway-client.ts'
import { findGateway } from '../gateway-for.ts'
import { formatSpan, parseDuration } from '../time-words.ts'

interface Flags {
  readonly attempts?: number
  readonly interval?: string
}

/** How long one look may take when the pause between two is shorter. Milliseconds. */
const LEAST_TIMEOUT = 5000

/** Waits until a gateway, or one of its functions, answers. */
export const ready = defineCommand<Flags>({
  args: '[name]',
  options: [
    numberFlag('--attempts <n>', 'how often to look (default: 60)', 1),
    flag('--interval <duration>', 'pause between two looks (default: 1s)'),
  ],
  details:
    'Without a name: until the gateway answers. With one: until a replica of the function is available. Exit code 4 when the gateway, 6 when the function is not ready in the end.',
  examples: ['', 'm-search', '--attempts 10 --interval 500ms -g https://gateway.local'],
  async run(context, [name], flags) {
    const attempts = flags.attempts ?? 60
    const interval = parseDuration(flags.interval ?? '1s', '--interval')
    const client = await findGateway(context, { strict: false })
    const look =
      name === undefined ? () => lookAtGateway(client, interval) : () => lookAtFunction(context, client, name)
    const what = name === undefined ? `the gateway at ${client.url}` : `function ${name}`
    let before = ''
    for (let attempt = 1; ; attempt++) {
      const reason = await look()
      if (reason === undefined) {
        if (context.print.json) context.print.value({ ready: true, attempts: attempt })
        context.print.say(`${what} is ready`)
        return 0
      }
      if (attempt >= attempts) throw notReady(what, reason, attempts * interval)
      if (reason.message !== before)
        context.print.note(`waiting for ${what}: ${reason.message.split('\n')[0] ?? ''}`)
      before = reason.message
      await pause(interval, undefined, { signal: context.signal }).catch((error: unknown) => {
        context.signal.throwIfAborted()
        throw asFaasError(error)
      })
    }
  },
})

/** Why the gateway is not ready; undefined when it is. */
async function lookAtGateway(client: GatewayClient, interval: number): Promise<FaasError | undefined> {
  try {
    const timeout = Math.max(interval, LEAST_TIMEOUT)
    if (await client.isHealthy(timeout)) return undefined
    return unready('GATEWAY_UNREACHABLE', 'it answers, but says that it is not healthy')
  } catch (error) {
    if (error instanceof FaasError && error.code === 'GATEWAY_UNREACHABLE') return error
    throw error
  }
}

/** Codes that may pass by themselves; a login that is refused does not. */
const PASSING: readonly string[] = ['GATEWAY_UNREACHABLE', 'FUNCTION_NOT_FOUND', 'STOPPING']

async function lookAtFunction(
  { flags }: Context,
  client: GatewayClient,
  name: string,
): Promise<FaasError | undefined> {
  try {
    const fn = await client.get(name, flags.namespace, true)
    if ((fn.availableReplicas ?? 0) > 0) return undefined
    if (fn.problem) return unready('FUNCTION_NOT_READY', `${fn.problem.code}: ${fn.problem.message}`)
    const idle = (fn.replicas ?? 0) === 0
    return unready(
      'FUNCTION_NOT_READY',
      idle ? 'it is scaled to zero until it is called' : 'no replica answers yet',
    )
  } catch (error) {
    if (error instanceof FaasError && PASSING.includes(error.code)) return error
    throw error
  }
}

function unready(code: 'GATEWAY_UNREACHABLE' | 'FUNCTION_NOT_READY', message: string): FaasError {
  return new FaasError(code, {
    message,
    remedy: 'See "faasdock status" and "faasdock logs", or wait longer with --attempts.',
  })
}

/** A function that is not there is one that is not ready: exit code 6, as of every other reason. */
function notReady(what: string, { code, message, remedy }: FaasError, waited: number): FaasError {
  return new FaasError(code === 'FUNCTION_NOT_FOUND' ? 'FUNCTION_NOT_READY' : code, {
    message: `${what} was not ready within ${formatSpan(waited / 1000)}: ${message}`,
    remedy,
  })
}
