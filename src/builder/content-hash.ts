import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import pLimit from 'p-limit'
import { FaasError } from '../core/errors.ts'
import { untilAborted } from './turns.ts'
import type { ContextEntry, FileEntry, FileStamp } from './tree.ts'

/** Files read at once: enough to keep a disk busy, few enough to keep memory and descriptors free. */
const FILES_AT_ONCE = 8
/** Remembered files; the oldest are forgotten first. */
const MAX_REMEMBERED = 200_000
/**
 * A file changed this recently may change again within the same tick of its file system's clock: not remembered. Clocks
 * that tell parts of a second tick at least a hundred times in one; others (FAT, some network mounts) every two seconds.
 */
const SETTLED_MS = { fine: 50, coarse: 2000 } as const
/** A file from this size on is read to its end for whoever asks next, though whoever asked has left. Bytes. */
const LARGE_BYTES = 8 * 2 ** 20
/** For so long nobody has to ask. */
const PATIENCE_MS = 3000

/** Hex SHA-256 of files, remembered between builds by path, size, times and inode. */
export class FileHashes {
  readonly #known = new Map<string, { readonly stamp: FileStamp; readonly hash: string }>()
  readonly #limit = pLimit(FILES_AT_ONCE)
  /** Large files that are being read. */
  readonly #reading = new Map<string, Reading>()
  #reads = 0

  /** How many files were really read so far. */
  get reads(): number {
    return this.#reads
  }

  /** Streams the file unless it is known: memory does not grow with its size. */
  async of(entry: FileEntry, signal?: AbortSignal): Promise<string> {
    const known = this.#known.get(entry.file)
    if (known && isSame(known.stamp, entry.stamp)) return known.hash
    return entry.stamp.size < LARGE_BYTES ? this.#read(entry, signal) : this.#readShared(entry, signal)
  }

  /** A save ends what the one before it began: reading gigabytes must not begin anew each time. */
  async #readShared(entry: FileEntry, signal?: AbortSignal): Promise<string> {
    signal?.throwIfAborted()
    let reading = this.#reading.get(entry.file)
    if (!reading || reading.abort.signal.aborted || !isSame(reading.stamp, entry.stamp)) {
      const abort = new AbortController()
      const begun: Reading = { stamp: entry.stamp, hash: this.#read(entry, abort.signal), abort, waiting: 0 }
      const end = (): void => {
        if (this.#reading.get(entry.file) === begun) this.#reading.delete(entry.file)
      }
      begun.hash.then(end, end)
      this.#reading.set(entry.file, begun)
      reading = begun
    }
    const shared = reading
    shared.waiting++
    try {
      return await (signal ? untilAborted(shared.hash, signal) : shared.hash)
    } finally {
      shared.waiting--
      setTimeout(() => {
        if (shared.waiting === 0) shared.abort.abort()
      }, PATIENCE_MS).unref()
    }
  }

  #read(entry: FileEntry, signal?: AbortSignal): Promise<string> {
    return this.#limit(async () => {
      signal?.throwIfAborted()
      this.#reads++
      const began = Date.now()
      const hash = await hashFile(entry, signal)
      this.#remember(entry, hash, began)
      return hash
    })
  }

  #remember({ file, stamp }: FileEntry, hash: string, began: number): void {
    this.#known.delete(file)
    const isFine = stamp.mtimeNs % 1_000_000_000n !== 0n
    const settled = isFine ? SETTLED_MS.fine : SETTLED_MS.coarse
    if (Number(stamp.mtimeNs / 1_000_000n) > began - settled) return
    this.#known.set(file, { stamp, hash })
    const [oldest] = this.#known.keys()
    if (this.#known.size > MAX_REMEMBERED && oldest !== undefined) this.#known.delete(oldest)
  }
}

interface Reading {
  readonly stamp: FileStamp
  readonly hash: Promise<string>
  readonly abort: AbortController
  waiting: number
}

async function hashFile(entry: FileEntry, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  try {
    for await (const chunk of createReadStream(entry.file)) {
      signal?.throwIfAborted()
      hash.update(chunk as Buffer)
    }
  } catch (error) {
    signal?.throwIfAborted()
    throw new FaasError('FILE_NOT_READABLE', {
      message: `${entry.file} should go into a build but cannot be read: ${(error as Error).message}`,
      remedy: 'Check its permissions, or leave it out with the handler folder’s .dockerignore.',
      cause: error,
    })
  }
  return hash.digest('hex')
}

function isSame(a: FileStamp, b: FileStamp): boolean {
  return a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs && a.ino === b.ino
}

/** The hash of every file's content, by its path in the context. */
export async function hashFiles(
  entries: readonly ContextEntry[],
  hashes: FileHashes,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const pairs = await Promise.all(
    entries.map(async (entry) => {
      if (entry.kind === 'folder') return undefined
      const hash = entry.kind === 'file' ? await hashes.of(entry, signal) : sha256(entry.content)
      return [entry.path, hash] as const
    }),
  )
  return new Map(pairs.filter((pair) => pair !== undefined))
}

/** What else than files decides what an image is. */
export interface Ingredients {
  readonly lang: string
  readonly buildArgs: Readonly<Record<string, string>>
  /** Base image → the engine's id of it, or undefined when the engine does not have it. */
  readonly bases: ReadonlyMap<string, string | undefined>
  /** Ids, not contents: a changed secret alone does not rebuild, as with Docker's own cache. */
  readonly secrets: readonly string[]
}

/** Changes of this shape change every hash, and with them rebuild every image once. */
const FORMAT = 'faasdock-content-1'

/** Hex SHA-256 over paths, modes, contents and `ingredients`. Times and owners do not count. */
export function contentHash(
  entries: readonly ContextEntry[],
  fileHashes: ReadonlyMap<string, string>,
  ingredients: Ingredients,
): string {
  const hash = createHash('sha256').update(`${FORMAT}\n`)
  // JSON keeps every field's end unmistakable, whatever characters a path or a value has.
  const add = (...fields: readonly (string | number | null)[]): void =>
    void hash.update(`${JSON.stringify(fields)}\n`)
  add('lang', ingredients.lang)
  for (const [name, value] of sorted(Object.entries(ingredients.buildArgs))) add('arg', name, value)
  for (const [image, id] of sorted([...ingredients.bases])) add('base', image, id ?? null)
  for (const id of [...ingredients.secrets].sort()) add('secret', id)
  for (const { kind, path, mode } of entries) {
    add(kind === 'folder' ? 'folder' : 'file', path, mode, fileHashes.get(path) ?? null)
  }
  return hash.digest('hex')
}

function sorted<T>(pairs: readonly (readonly [string, T])[]): readonly (readonly [string, T])[] {
  return [...pairs].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}
