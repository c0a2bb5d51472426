import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { OWNER_FILE, parseOwner } from '../core/data-owner.ts'
import type { Context } from './command.ts'

/**
 * Where the gateway of the `dev` is that runs with the stack file of this command; undefined when none does. The file
 * itself is not read: it may be in the middle of being written. A `dev` with a `--data` of its own is not found.
 */
export async function runningDev({ flags, io }: Pick<Context, 'flags' | 'io'>): Promise<string | undefined> {
  const { findStackFile, STACK_FILES } = await import('../stack/stack-location.ts')
  const file = flags.yaml ?? (await findStackFile(io.cwd).catch(() => undefined))
  const { dataDirOf } = await import('../config.ts')
  // A dev goes on when its file is gone, as it is for a moment in a checkout.
  for (const name of file === undefined ? STACK_FILES : [file]) {
    const folder = dataDirOf(io.cwd, name, io.env['FAASDOCK_DATA'] || undefined)
    const url = await gatewayIn(folder)
    if (url !== undefined) return url
  }
  return undefined
}

/** Where the gateways of all `dev` of this user are that run with a data folder in its usual place. */
export async function runningDevs({ io }: Pick<Context, 'io'>): Promise<readonly string[]> {
  const { dataDirOf } = await import('../config.ts')
  const all = dirname(dataDirOf(io.cwd, 'stack.yml', undefined))
  const folders = await readdir(all).catch(() => [])
  const found = await Promise.all(folders.map((folder) => gatewayIn(join(all, folder))))
  return found.filter((url) => url !== undefined)
}

/** Where the gateway is of whoever holds a data folder and lives. */
async function gatewayIn(folder: string): Promise<string | undefined> {
  const owner = parseOwner(await readFile(join(folder, OWNER_FILE), 'utf8').catch(() => ''))
  return owner && isAlive(owner.pid) ? owner.url : undefined
}

/** A holder that was killed leaves its file behind. The lock itself would tell for certain, but costs loading SQLite. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Somebody else's process is one, too.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
