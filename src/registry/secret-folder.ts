import type { Dirent } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * A project's `.secrets` folder: each file, or link to one, is a secret, its bytes the value. An absent folder has none. What
 * cannot be read is told to `warn`, and keeps nobody from the others.
 */
export async function readSecretFolder(
  folder: string,
  warn: (message: string) => void,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const tell = (path: string, error: unknown): void =>
    warn(
      `${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)}): what was read of it before stays; check its permissions`,
    )
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (!isGone(error)) tell(folder, error)
    return []
  })
  const read = async (entry: Dirent): Promise<readonly [string, Uint8Array] | undefined> => {
    const path = join(folder, entry.name)
    try {
      return (await stat(path)).isFile() ? [entry.name, await readFile(path)] : undefined
    } catch (error) {
      // A file may have been removed since; a link that leads nowhere is a mistake.
      if (entry.isSymbolicLink() || !isGone(error)) tell(path, error)
      return undefined
    }
  }
  const found = await Promise.all(entries.filter(({ name }) => !name.startsWith('.')).map(read))
  return new Map(found.filter((secret) => secret !== undefined))
}

function isGone(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}
