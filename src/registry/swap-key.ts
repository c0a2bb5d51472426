import { randomBytes } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FaasError } from '../core/errors.ts'

const FILE = 'swap-key'
const KEY_BYTES = 32

/**
 * The key that the tokens of running functions are made with: made the first time, for its owner's eyes alone, and kept, so
 * that functions that outlive a run know the next one. DATA_BROKEN.
 */
export function swapKey(dataDir: string): Uint8Array {
  const file = join(dataDir, FILE)
  try {
    const kept = readKey(file)
    if (kept) return kept
    const key = randomBytes(KEY_BYTES)
    // A crash leaves the whole file or none.
    writeFileSync(`${file}~new`, key, { mode: 0o600, flush: true })
    renameSync(`${file}~new`, file)
    return key
  } catch (cause) {
    throw new FaasError('DATA_BROKEN', {
      message: `${file} cannot be read or written: ${cause instanceof Error ? cause.message : String(cause)}`,
      remedy: 'Make the data directory readable and writable for this user; the file may be removed.',
      cause,
    })
  }
}

/** Undefined when there is none, or none that is long enough to be one. */
function readKey(file: string): Uint8Array | undefined {
  try {
    const key = readFileSync(file)
    return key.length === KEY_BYTES ? key : undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
