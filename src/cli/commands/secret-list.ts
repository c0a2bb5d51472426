import { defineCommand } from '../command.ts'
import { findGateway } from '../gateway-for.ts'
import { tableLines } from '../table.ts'

/** Names of secrets. Values are never shown. */
export const secretList = defineCommand({
  examples: ['', '-n dev --json'],
  async run(context) {
    const { print } = context
    const client = await findGateway(context, { strict: false })
    const secrets = await client.listSecrets(context.flags.namespace)
    if (print.json) print.value(secrets)
    else if (secrets.length === 0)
      print.note(`no secrets at ${client.url}; create one with "faasdock secret create"`)
    else
      for (const line of tableLines(
        ['NAME', 'NAMESPACE'],
        secrets.map((one) => [one.name, one.namespace ?? '']),
      ))
        print.line(line)
    return 0
  },
})
