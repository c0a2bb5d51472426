import type { Stack } from '../core/stack.ts'
import type { Context } from './command.ts'

/** `check` for commands that build: handler folders and what else they need must be there. */
type Paths = 'check' | 'trust'

/**
 * The stack that the command means, with the functions that its flags select. Rejects with BAD_STACK,
 * FILE_NOT_READABLE, or BAD_USAGE when there is no stack file or nothing is selected.
 */
export async function readStackFor(context: Context, paths: Paths): Promise<Stack> {
  const { findStackFile } = await import('../stack/stack-location.ts')
  const { yaml, filter, regex } = context.flags
  return read(context, yaml ?? (await findStackFile(context.io.cwd)), paths, { filter, regex })
}

/** The whole stack, for commands that can do without: undefined when no file was named and none is there. */
export async function readStackIfAny(context: Context): Promise<Stack | undefined> {
  const { findStackFile } = await import('../stack/stack-location.ts')
  const file = context.flags.yaml ?? (await findStackFile(context.io.cwd).catch(() => undefined))
  return file === undefined ? undefined : read(context, file, 'trust', {})
}

async function read(
  { io, flags }: Context,
  file: string,
  paths: Paths,
  selection: { filter?: string | undefined; regex?: string | undefined },
): Promise<Stack> {
  const { readStack } = await import('../stack/read-stack.ts')
  const { namespace, envsubst } = flags
  return readStack(file, {
    cwd: io.cwd,
    env: io.env,
    substitute: envsubst !== false,
    namespace,
    paths,
    ...selection,
  })
}
