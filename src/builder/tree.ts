import { posix } from 'node:path'
import { FaasError } from '../core/errors.ts'

/** What tells that a file is the one that was read before, without reading it again. */
export interface FileStamp {
  readonly size: number
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
  readonly ino: bigint
}

interface Place {
  /** Relative to the context, with `/`. The context's own folder is not an entry. */
  readonly path: string
  /** Permission bits. */
  readonly mode: number
}

type FolderEntry = Place & { readonly kind: 'folder' }
/** A file on disk: `file` is absolute. */
export type FileEntry = Place & { readonly kind: 'file'; readonly file: string; readonly stamp: FileStamp }
/** A file that is on no disk. */
export type TextEntry = Place & { readonly kind: 'text'; readonly content: Buffer }
export type ContextEntry = FolderEntry | FileEntry | TextEntry

/** Mode of folders that hold a copied file and did not exist before, as faas-cli makes them. */
const PARENT_MODE = 0o755

/** A folder that is described instead of written: what a build sends to the engine. Later files replace earlier ones. */
export class ContextTree {
  readonly #entries = new Map<string, ContextEntry>()

  get(path: string): ContextEntry | undefined {
    return this.#entries.get(path)
  }

  /** Every entry, a folder before what is in it, in one order on every machine. */
  list(): readonly ContextEntry[] {
    return [...this.#entries.values()].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
  }

  /** Makes a folder, and the missing ones above it, with `mode`. One that exists keeps its own. */
  addFolder(path: string, mode: number): void {
    if (path === '' || path === '.') return
    const present = this.#entries.get(path)
    if (present?.kind === 'folder') return
    if (present) throw inTheWay(path)
    this.addFolder(posix.dirname(path), mode)
    this.#entries.set(path, { kind: 'folder', path, mode })
  }

  addFile(entry: FileEntry | TextEntry): void {
    if (this.#entries.get(entry.path)?.kind === 'folder') throw inTheWay(entry.path)
    this.addFolder(posix.dirname(entry.path), PARENT_MODE)
    this.#entries.set(entry.path, entry)
  }

  /** Keeps what `keep` wants, and the folders that lead there. */
  retain(keep: (path: string) => boolean): void {
    const kept = new Set<string>()
    for (const path of this.#entries.keys()) {
      if (!keep(path)) continue
      for (let at = path; at !== '.'; at = posix.dirname(at)) kept.add(at)
    }
    for (const path of [...this.#entries.keys()]) if (!kept.has(path)) this.#entries.delete(path)
  }
}

function inTheWay(path: string): FaasError {
  return new FaasError('BUILD_FAILED', {
    message: `${path} is a folder in one of template, handler and copies, and a file in another`,
    remedy: 'Rename one of them.',
  })
}
