import { defineCommand } from '../command.ts'
import { findGateway } from '../gateway-for.ts'

/** Names of namespaces. */
export const namespaceList = defineCommand({
  examples: ['', '--json'],
  async run(context) {
    const client = await findGateway(context, { strict: false })
    const names = await client.listNamespaces()
    if (context.print.json) context.print.value(names)
    else for (const name of names) context.print.line(name)
    return 0
  },
})
