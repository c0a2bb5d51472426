import { FaasError } from '../../core/errors.ts'
import { parseRef } from '../../core/function.ts'
import { defineCommand, flag } from '../command.ts'
import { findGatewayAndStack } from '../gateway-for.ts'
import { parseDuration } from '../time-words.ts'
import { waitReady } from '../wait-ready.ts'
import { stateOf, wireNamespace } from '../wire.ts'

interface Flags {
  readonly wait?: boolean
  readonly timeout?: string
}

/** Another number of replicas of one function, until it is deployed or scaled again. */
export const scale = defineCommand<Flags>({
  args: '<name> <replicas>',
  options: [
    flag('--wait', 'wait until so many replicas answer (default: true; --wait=false does not)'),
    flag('--no-wait').hideHelp(),
    flag('--timeout <duration>', 'how long to wait (default: 2m)'),
  ],
  details:
    'At 0 the function sleeps until it is called. How many replicas a deploy begins with, and a call wakes, is its label com.openfaas.scale.min (default: 1); alerts scale up to com.openfaas.scale.max (default: 20).',
  examples: ['m-search 3', 'm-search 0 --wait=false'],
  async run(context, [given = '', number = ''], flags) {
    const { print, signal } = context
    const replicas = replicasOf(number)
    const limit = parseDuration(flags.timeout ?? '2m', '--timeout')
    const { client, stack } = await findGatewayAndStack(context, { strict: true })
    const known = stack?.functions.find(({ spec }) => spec.name === given)?.spec
    const { name, namespace } = given.includes('.')
      ? parseRef(given)
      : { name: given, namespace: wireNamespace(known ?? {}, context.flags.namespace) }
    const isWaited = flags.wait !== false
    // A bad save is no reason not to scale what answers.
    const problem = isWaited ? (await client.get(name, namespace)).problem : undefined
    await client.scale(name, replicas, namespace)
    const fn = isWaited
      ? await waitReady(client, { name, namespace, replicas, known: problem, limit, signal })
      : undefined
    const state = fn ? stateOf(fn) : 'accepted'
    if (print.json) print.value({ name, replicas, availableReplicas: fn?.availableReplicas, state })
    print.say(`${name}  ${state}  ${replicas} ${replicas === 1 ? 'replica' : 'replicas'}`)
    return 0
  },
})

function replicasOf(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text)
  throw new FaasError('BAD_USAGE', {
    message: `${JSON.stringify(text)} is not a number of replicas`,
    remedy: 'Give a whole number: 0 lets the function sleep until it is called.',
  })
}
