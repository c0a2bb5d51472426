import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { FaasError } from '../../core/errors.ts'
import { defineCommand } from '../command.ts'
import { findGateway } from '../gateway-for.ts'
import { reportFailures, settle } from '../outcomes.ts'
import { warnPlainText } from '../plain-text.ts'
import { keepOrTrim, trimOptions } from '../secret-value.ts'

interface Flags {
  readonly trim?: boolean
}

/** Every file of a folder → a secret of its name, new or changed. */
export const secretApply = defineCommand<Flags>({
  args: '[folder]',
  options: trimOptions(),
  details:
    'Each file of the folder (default: .secrets) is a secret of its name; one that exists is changed in place, and functions that use it see the new value. Other secrets stay. Files whose names begin with a dot are left out.',
  examples: ['', 'secrets/dev -n dev', '--trim=false'],
  async run(context, [given], flags) {
    const { io, print } = context
    const folder = resolve(io.cwd, given ?? '.secrets')
    const names = await filesOf(folder)
    if (names.length === 0) print.note(`${folder} holds no files`)
    const client = await findGateway(context, { strict: true })
    warnPlainText(context, client.url)
    const { namespace } = context.flags
    const existing = new Set(
      names.length === 0 ? [] : (await client.listSecrets(namespace)).map(({ name }) => name),
    )
    const outcomes = []
    for (const name of names) {
      const outcome = await settle(name, context.signal, async () => {
        const value = keepOrTrim(
          await readFile(join(folder, name)),
          flags.trim === true,
          `${name} in ${folder}`,
        )
        const secret = { name: checkSecretName(name), namespace, value }
        return { name, done: await put(secret) }
      })
      if (outcome.ok) print.say(`${outcome.result.done} secret ${name}`)
      outcomes.push(outcome)
    }
    if (print.json) print.value(outcomes.flatMap((one) => (one.ok ? [one.result] : [])))
    return reportFailures(context, outcomes)

    async function put(secret: Parameters<typeof client.createSecret>[0]): Promise<'created' | 'changed'> {
      const isThere = existing.has(secret.name)
      await (isThere ? client.updateSecret(secret) : client.createSecret(secret))
      return isThere ? 'changed' : 'created'
    }
  },
})

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    const { code, message } = cause as NodeJS.ErrnoException
    throw new FaasError('FILE_NOT_READABLE', {
      message: `the folder of secrets ${folder} cannot be read: ${code === 'ENOENT' ? 'it does not exist' : message}`,
      remedy: 'Make it, with one file for each secret; or name another: faasdock secret apply FOLDER.',
      cause,
    })
  })
  return entries
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort()
}

/** A DNS-1123 subdomain (contract 1.10): said here, before anything of the file is sent. */
function checkSecretName(name: string): string {
  if (/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(name) && name.length <= 253)
    return name
  throw new FaasError('BAD_NAME', {
    message: `${JSON.stringify(name)} cannot be the name of a secret`,
    remedy: 'Rename the file: lower-case letters, digits, "-" and ".", with a letter or digit at both ends.',
  })
}
