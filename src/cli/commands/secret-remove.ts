import { defineCommand } from '../command.ts'
import { findGateway } from '../gateway-for.ts'

/** A secret leaves the gateway. */
export const secretRemove = defineCommand({
  args: '<name>',
  examples: ['api-key'],
  async run(context, [name = '']) {
    const client = await findGateway(context, { strict: true })
    await client.removeSecret(name, context.flags.namespace)
    context.print.say(`removed secret ${name}`)
    return 0
  },
})
