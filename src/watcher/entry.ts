import { lstat, lstatSync, stat, statSync } from 'node:fs'
import type { Stats } from 'node:fs'

/** What is at a path, as far as it can be known without reading it. */
export interface Entry {
  readonly kind: 'file' | 'folder' | 'link' | 'other'
  /** One folder or file, and not another one that took its name. Numbers of files are used again: hence the time. */
  readonly id: string
  readonly size: number
  readonly mtimeMs: number
  readonly ctimeMs: number
}

/** Listed, but not to be looked at. */
const UNKNOWN: Entry = { kind: 'other', id: '', size: 0, mtimeMs: 0, ctimeMs: 0 }

/** What is at `path` now; undefined when nothing is. For disks of this machine: it does not come back before it knows. */
export function entryAt(path: string): Entry | undefined {
  try {
    const found = lstatSync(path, { throwIfNoEntry: false })
    return found && entryOf(found)
  } catch (error) {
    return entryWithout(error)
  }
}

/** The same, for disks that may be slow. */
export function entryLater(path: string): Promise<Entry | undefined> {
  return new Promise((resolve) => {
    lstat(path, (error, found) => resolve(error ? entryWithout(error) : entryOf(found)))
  })
}

/** What a path leads to, through links. Rejects as `stat`. */
export function entryBehind(path: string): Promise<Entry & { readonly device: number }> {
  return new Promise((resolve, reject) => {
    stat(path, (error, found) => {
      if (error) reject(error)
      else resolve({ ...entryOf(found), device: found.dev })
    })
  })
}

/** The `id` of what a path leads to, through links, now. */
export function entryIdBehind(path: string): string | undefined {
  try {
    const found = statSync(path, { throwIfNoEntry: false })
    return found && entryOf(found).id
  } catch {
    return undefined
  }
}

/** Whether it changed, or is another one. */
export function differs(one: Entry | undefined, other: Entry | undefined): boolean {
  if (!one || !other) return one !== other
  return (
    one.id !== other.id ||
    one.size !== other.size ||
    one.mtimeMs !== other.mtimeMs ||
    one.ctimeMs !== other.ctimeMs ||
    one.kind !== other.kind
  )
}

function entryOf(found: Stats): Entry {
  const { size, mtimeMs, ctimeMs, birthtimeMs, ino, dev } = found
  const id = `${dev}:${ino}:${birthtimeMs}`
  // A folder's size and times say what came and went in it, which it tells itself.
  if (found.isDirectory()) return { kind: 'folder', id, size: found.mode, mtimeMs: 0, ctimeMs: 0 }
  const kind = found.isSymbolicLink() ? 'link' : found.isFile() ? 'file' : 'other'
  return { kind, id, size, mtimeMs, ctimeMs }
}

function entryWithout(error: unknown): Entry | undefined {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'ENOTDIR' ? undefined : UNKNOWN
}
