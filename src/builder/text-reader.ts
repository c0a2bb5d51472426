import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { FaasError } from '../core/errors.ts'
import type { FileEntry } from './tree.ts'

/** Texts that are remembered; the oldest are forgotten first. */
const MAX_REMEMBERED = 500

/** The text of a file whose content has `hash`. FILE_NOT_READABLE. */
export type ReadText = (entry: FileEntry, hash: string | undefined) => Promise<string>

/** Reads small files, each content once. */
export function makeTextReader(): ReadText {
  const known = new Map<string, string>()
  return async ({ file }, hash) => {
    const found = hash === undefined ? undefined : known.get(hash)
    if (found !== undefined) return found
    const content = await readFile(file).catch((error: unknown) => {
      throw new FaasError('FILE_NOT_READABLE', {
        message: `${file} cannot be read: ${(error as Error).message}`,
        remedy: 'Check its permissions.',
        cause: error,
      })
    })
    const text = content.toString('utf8')
    // Changed since it was hashed: the next look will meet it as it is then.
    if (createHash('sha256').update(content).digest('hex') !== hash) return text
    known.set(hash, text)
    const [oldest] = known.keys()
    if (known.size > MAX_REMEMBERED && oldest !== undefined) known.delete(oldest)
    return text
  }
}
