import { readdirSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as breathe } from 'node:timers/promises'
import pLimit from 'p-limit'
import { entryAt, entryLater } from './entry.ts'
import type { Entry } from './entry.ts'

/** What is looked at before the rest of the program gets its turn: about a millisecond. */
const SLICE = 200
/** Of a far disk: more would keep the threads that all files and names of the program go through. */
const FAR_AT_ONCE = 2

/**
 * What is in a folder, of the names that are wanted. A disk of this machine is asked directly, which takes a quarter of
 * the CPU; a far one may take its time. Rejects as `readdir`.
 */
export async function lookInto(
  folder: string,
  names: { readonly ofAll: ((name: string) => boolean) | undefined; readonly alone: Iterable<string> },
  isFar: boolean,
): Promise<ReadonlyMap<string, Entry>> {
  const { ofAll, alone } = names
  const list = ofAll ? (isFar ? await readdir(folder) : readdirSync(folder)).filter(ofAll) : []
  const all = [...new Set([...list, ...alone])]
  const found = new Map<string, Entry>()
  const keep = (name: string, entry: Entry | undefined): void => {
    if (entry) found.set(name, entry)
  }
  if (isFar) {
    await pLimit(FAR_AT_ONCE).map(all, async (name) => keep(name, await entryLater(join(folder, name))))
    return found
  }
  for (const [index, name] of all.entries()) {
    if (index % SLICE === SLICE - 1) await breathe()
    keep(name, entryAt(join(folder, name)))
  }
  return found
}
