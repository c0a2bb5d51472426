import { defineCommand } from '../command.ts'
import { findGateway } from '../gateway-for.ts'
import { namespaceOf, namespaceOptions } from '../namespace-flags.ts'
import type { NamespaceFlags } from '../namespace-flags.ts'

/** A new namespace. */
export const namespaceCreate = defineCommand<NamespaceFlags>({
  args: '<name>',
  options: namespaceOptions(),
  examples: ['dev', 'dev --label team=mobile --annotation owner=me'],
  async run(context, [name = ''], flags) {
    const namespace = namespaceOf(name, flags)
    const client = await findGateway(context, { strict: true })
    await client.createNamespace(namespace)
    if (context.print.json) context.print.value(namespace)
    context.print.say(`created namespace ${name}`)
    return 0
  },
})
