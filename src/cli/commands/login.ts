import { text } from 'node:stream/consumers'
import { FaasError } from '../../core/errors.ts'
import { defineCommand, flag } from '../command.ts'
import type { Context } from '../command.ts'
import { addressFor } from '../gateway-for.ts'
import { GatewayClient } from '../gateway-client.ts'
import { authorizationOf, loginsFile, saveLogin } from '../logins.ts'
import { warnPlainText } from '../plain-text.ts'
import { refuseTogether } from '../spec-flags.ts'
import { parseDuration } from '../time-words.ts'

interface Flags {
  readonly username?: string
  readonly password?: string
  readonly passwordStdin?: boolean
  readonly timeout?: string
}

/** Credentials, tried at the gateway and kept where faas-cli keeps its own. */
export const login = defineCommand<Flags>({
  options: [
    flag('-u, --username <name>', 'name of the user (default: admin)'),
    flag('-p, --password <password>', 'the password (seen by others in the list of processes)'),
    flag('-s, --password-stdin', 'read the password from standard input'),
    flag('--timeout <duration>', 'how long the gateway may take to answer (default: 5s)'),
  ],
  details:
    'Logins are kept in ~/.openfaas/config.yml, or in the folder that OPENFAAS_CONFIG names, readable by you alone. faas-cli keeps its own there too: each finds what the other has kept.',
  examples: ['-s < password.txt', '-u admin -s -g https://gateway.local < password.txt', '-u me -p secret'],
  async run(context, _args, flags) {
    const { io, print, signal } = context
    const user = flags.username ?? 'admin'
    if (user === '' || user.includes(':')) throw badUser(user)
    const timeout = parseDuration(flags.timeout ?? '5s', '--timeout')
    const password = await readPassword(context, flags)
    const address = withoutCredentials(addressFor(context))
    warnPlainText(context, address)
    const entry = {
      gateway: address,
      auth: 'basic',
      token: Buffer.from(`${user}:${password}`).toString('base64'),
    }
    const client = new GatewayClient({ address, verifyTls: context.flags.tlsNoVerify !== true, signal })
    if (!(await client.letsIn(authorizationOf(entry), timeout))) {
      throw new FaasError('GATEWAY_REFUSED', {
        message: `the gateway at ${address} does not accept this password for user ${JSON.stringify(user)}`,
        remedy: 'Check both. faasdock says at its start where its own password is.',
      })
    }
    const file = loginsFile(io)
    await saveLogin(file, entry)
    if (print.json) print.value({ gateway: address, user, file })
    print.say(`logged in to ${address} as ${user}; kept in ${file}`)
    return 0
  },
})

async function readPassword({ io, print }: Context, { password, passwordStdin }: Flags): Promise<string> {
  refuseTogether({ '--password': password !== undefined, '--password-stdin': passwordStdin })
  if (password !== undefined)
    print.note('warning: a password on the command line is seen by others; --password-stdin is not')
  const read = (password ?? (passwordStdin === true ? await text(io.stdin) : '')).trim()
  if (read !== '') return read
  throw new FaasError('BAD_USAGE', {
    message: 'login needs a password, and got none',
    remedy: 'Give it on standard input: faasdock login --password-stdin < FILE.',
  })
}

function badUser(user: string): FaasError {
  return new FaasError('BAD_USAGE', {
    message: `--username ${JSON.stringify(user)} cannot be the name of a user`,
    remedy: 'Give one that is not empty and has no colon.',
  })
}

/** A login is for an address; credentials in it would be a second answer to the same question. */
function withoutCredentials(address: string): string {
  return address.replace(/\/\/[^/]*@/, '//')
}
