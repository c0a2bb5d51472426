import { FaasError } from '../../core/errors.ts'
import { defineCommand, flag } from '../command.ts'
import type { Context } from '../command.ts'
import { complete, FILES } from '../completion.ts'
import type { LookUp } from '../completion.ts'
import { COMPLETION_SCRIPTS } from '../completion-scripts.ts'
import type { Shell } from '../completion-scripts.ts'
import { findGateway } from '../gateway-for.ts'

interface Flags {
  readonly shell?: string
  readonly words?: boolean
}

/** Nobody waits for a completion. Milliseconds. */
const LOOK_UP_MS = 1500

/** Completion of command lines, for the shell that is named. */
export const completion = defineCommand<Flags>({
  args: '[words...]',
  options: [
    flag('--shell <shell>', "the same, as faas-cli's users write it").choices(
      Object.keys(COMPLETION_SCRIPTS),
    ),
    flag('--words').hideHelp(),
  ],
  details:
    'Writes what the shell has to load: bash, zsh, fish or powershell. Commands, flags, their values, and the names of functions, secrets and namespaces at the gateway are completed.',
  examples: [
    'bash >> ~/.bashrc',
    'zsh > "${fpath[1]}/_faasdock"',
    'fish > ~/.config/fish/completions/faasdock.fish',
  ],
  async run(context, args, flags) {
    if (!flags.words) {
      context.print.line(COMPLETION_SCRIPTS[readShell(flags.shell ?? args[0], args.length)].trimEnd())
      return 0
    }
    const found = await complete(args, context.commands, lookUpAt(context))
    if (found === FILES) context.print.line(`:${FILES}`)
    else for (const { value, text } of found) context.print.line(`${value}\t${text}`)
    return 0
  },
})

function readShell(name: string | undefined, count: number): Shell {
  if (name !== undefined && Object.hasOwn(COMPLETION_SCRIPTS, name) && count <= 1) return name as Shell
  throw new FaasError('BAD_USAGE', {
    message:
      name === undefined
        ? 'completion needs the name of a shell'
        : `no completion for ${JSON.stringify(name)}`,
    remedy: `Write "faasdock completion SHELL", with one of ${Object.keys(COMPLETION_SCRIPTS).join(', ')}.`,
  })
}

/** At the gateway that the line names so far. */
function lookUpAt(context: Context): LookUp {
  return async (kind, said) => {
    const flags = {
      ...context.flags,
      gateway: said.get('--gateway'),
      yaml: said.get('--yaml'),
      token: said.get('--token'),
    }
    const signal = AbortSignal.any([context.signal, AbortSignal.timeout(LOOK_UP_MS)])
    // What goes wrong here would be written into somebody's command line.
    const quiet = { ...context.print, note: () => undefined }
    try {
      const client = await findGateway(
        { ...context, print: quiet, flags: defined(flags), signal },
        { strict: false },
      )
      const namespace = said.get('--namespace')
      if (kind === 'namespaces') return await client.listNamespaces()
      const found = kind === 'functions' ? await client.list(namespace) : await client.listSecrets(namespace)
      return found.map(({ name }) => name).sort()
    } catch {
      return []
    }
  }
}

function defined(flags: object): Context['flags'] {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined))
}
