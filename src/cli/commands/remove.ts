import { defineCommand } from '../command.ts'
import type { Context } from '../command.ts'
import { findGateway, gatewayFor } from '../gateway-for.ts'
import type { GatewayClient } from '../gateway-client.ts'
import { settle, reportFailures } from '../outcomes.ts'
import { readStackFor } from '../stack-for.ts'
import { wireNamespace } from '../wire.ts'

/** The named functions, or those of the stack file, leave the gateway. */
export const remove = defineCommand({
  args: '[names...]',
  details: 'Without names: the selected functions of the stack file.',
  examples: ['m-search', '-f mobile.yml', '-f mobile.yml --filter "m-*"'],
  async run(context, names) {
    const { client, wanted } = await select(context, names)
    const outcomes = []
    for (const { name, namespace } of wanted) {
      const outcome = await settle(name, context.signal, () => client.remove(name, namespace))
      if (outcome.ok) context.print.say(`removed ${name}`)
      outcomes.push(outcome)
    }
    if (context.print.json) context.print.value(outcomes.map(({ name, ok }) => ({ name, removed: ok })))
    return reportFailures(context, outcomes)
  },
})

interface Selection {
  readonly client: GatewayClient
  readonly wanted: readonly { readonly name: string; readonly namespace?: string | undefined }[]
}

async function select(context: Context, names: readonly string[]): Promise<Selection> {
  if (names.length > 0) {
    const client = await findGateway(context, { strict: true })
    return { client, wanted: names.map((name) => ({ name, namespace: context.flags.namespace })) }
  }
  const stack = await readStackFor(context, 'trust')
  const wanted = stack.functions.map(({ spec }) => ({
    name: spec.name,
    namespace: wireNamespace(spec, context.flags.namespace),
  }))
  return { client: await gatewayFor(context, stack), wanted }
}
