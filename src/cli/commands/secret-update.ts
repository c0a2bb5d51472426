import { defineCommand } from '../command.ts'
import { findGateway } from '../gateway-for.ts'
import { warnPlainText } from '../plain-text.ts'
import { readSecretValue, secretOptions } from '../secret-value.ts'
import type { SecretFlags } from '../secret-value.ts'

/** Another value for a secret that exists. */
export const secretUpdate = defineCommand<SecretFlags>({
  args: '<name>',
  options: secretOptions(),
  examples: ['api-key --from-file key.txt'],
  async run(context, [name = ''], flags) {
    const value = await readSecretValue(context, flags)
    const client = await findGateway(context, { strict: true })
    warnPlainText(context, client.url)
    await client.updateSecret({ name, namespace: context.flags.namespace, value })
    context.print.say(`changed secret ${name}`)
    return 0
  },
})
