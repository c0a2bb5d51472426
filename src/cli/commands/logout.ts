import { FaasError } from '../../core/errors.ts'
import { defineCommand } from '../command.ts'
import { addressFor } from '../gateway-for.ts'
import { loginsFile, removeLogin } from '../logins.ts'

/** A login that was kept is forgotten. */
export const logout = defineCommand({
  details: 'Forgets what "faasdock login" or "faas-cli login" kept for this gateway.',
  examples: ['', '-g https://gateway.local'],
  async run(context) {
    const address = addressFor(context)
    const file = loginsFile(context.io)
    if (!(await removeLogin(file, address))) {
      throw new FaasError('BAD_USAGE', {
        message: `${file} holds no login for ${address}`,
        remedy: 'Name the gateway with --gateway as you did when you logged in.',
      })
    }
    if (context.print.json) context.print.value({ gateway: address, file })
    context.print.say(`logged out of ${address}`)
    return 0
  },
})
