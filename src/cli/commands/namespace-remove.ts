import { defineCommand } from '../command.ts'
import { findGateway } from '../gateway-for.ts'

/** A namespace, with what is in it, leaves the gateway. */
export const namespaceRemove = defineCommand({
  args: '<name>',
  details: 'Removes the functions and secrets in it too. The default namespace stays.',
  examples: ['dev'],
  async run(context, [name = '']) {
    const client = await findGateway(context, { strict: true })
    await client.removeNamespace(name)
    if (context.print.json) context.print.value({ name, removed: true })
    context.print.say(`removed namespace ${name}`)
    return 0
  },
})
