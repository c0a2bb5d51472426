import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A project's `.secrets` folder: each file is a secret, its bytes the value. An absent folder has none. */
export async function readSecretFolder(folder: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const files = entries.filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
  return new Map(
    await Promise.all(files.map(async ({ name }) => [name, await readFile(join(folder, name))] as const)),
  )
}
