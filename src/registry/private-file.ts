import { closeSync, fchmodSync, openSync } from 'node:fs'

/**
 * The same path, of a file that only this user reads: made empty where there is none. For databases, which know the
 * variables of functions, in a folder that may be open to all; SQLite gives what it keeps beside one the same permissions.
 */
export function privateFile(file: string): string {
  const handle = openSync(file, 'a', 0o600)
  try {
    fchmodSync(handle, 0o600)
  } finally {
    closeSync(handle)
  }
  return file
}
