import { defineCommand } from '../command.ts'
import { findGateway } from '../gateway-for.ts'
import { namespaceOf, namespaceOptions } from '../namespace-flags.ts'
import type { NamespaceFlags } from '../namespace-flags.ts'

/** Other labels and annotations for a namespace. */
export const namespaceUpdate = defineCommand<NamespaceFlags>({
  args: '<name>',
  options: namespaceOptions(),
  details: 'Replaces all labels and annotations: what is not given is taken away.',
  examples: ['dev --label team=mobile'],
  async run(context, [name = ''], flags) {
    const namespace = namespaceOf(name, flags)
    const client = await findGateway(context, { strict: true })
    await client.updateNamespace(namespace)
    if (context.print.json) context.print.value(namespace)
    context.print.say(`changed namespace ${name}`)
    return 0
  },
})
