import { FaasError } from '../../core/errors.ts'
import { defineCommand, flag } from '../command.ts'
import { findGateway } from '../gateway-for.ts'
import { warnPlainText } from '../plain-text.ts'
import { readSecretValue, secretOptions } from '../secret-value.ts'
import type { SecretFlags } from '../secret-value.ts'

interface Flags extends SecretFlags {
  readonly replace?: boolean
}

/** A new secret; with `--replace` also a changed one. */
export const secretCreate = defineCommand<Flags>({
  args: '<name>',
  options: [...secretOptions(), flag('--replace', 'change the secret when it exists')],
  examples: ['api-key --from-file key.txt', 'api-key < key.txt', 'api-key --from-literal dev --replace'],
  async run(context, [name = ''], flags) {
    const value = await readSecretValue(context, flags)
    const client = await findGateway(context, { strict: true })
    warnPlainText(context, client.url)
    const secret = { name, namespace: context.flags.namespace, value }
    try {
      await client.createSecret(secret)
      context.print.say(`created secret ${name}`)
    } catch (error) {
      if (!flags.replace || !(error instanceof FaasError && error.code === 'SECRET_EXISTS')) throw error
      await client.updateSecret(secret)
      context.print.say(`changed secret ${name}`)
    }
    return 0
  },
})
