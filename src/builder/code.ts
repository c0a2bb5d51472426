import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { posix } from 'node:path'
import type { Code, CodeFile } from '../core/code.ts'
import { FaasError } from '../core/errors.ts'
import type { ContextEntry, FileEntry } from './tree.ts'

/** More than this is put into no running process: it is what our runtimes take. Bytes. */
const MAX_CODE_BYTES = 64 * 2 ** 20

const NOTHING = Buffer.alloc(0)

/** What becomes of a file of the context that is in the image as it is, or in no image at all. */
interface Placed {
  /** Where it is in the image, relative to the code's folder; none for what no image has. */
  readonly at: readonly string[]
  /** A build looks at it too, or a process takes it only once: a change of it takes a build. */
  readonly isFixed?: boolean
}

/** Files that are put in before a start are root's, whatever the build makes of their owner: may a function read one? */
export function isReadableByAll({ mode }: FileEntry): boolean {
  return (mode & 0o004) !== 0
}

/** What of a build context is code, and where it goes. */
export interface CodeRules {
  readonly way: Code['way']
  /** In the image, absolute. */
  readonly folder: string
  /** Undefined for what a build makes something else of. */
  readonly place: (entry: FileEntry) => Placed | undefined
}

/** A build context, divided. */
export interface Divided {
  /** What makes the image, but for its code. */
  readonly frame: readonly ContextEntry[]
  readonly code?: Code
}

/** Divides a context into what replicas can be given without a build, and the rest. */
export function divide(
  entries: readonly ContextEntry[],
  fileHashes: ReadonlyMap<string, string>,
  rules: CodeRules | undefined,
): Divided {
  if (rules === undefined) return { frame: entries }
  const placed = new Map<string, FileEntry>()
  const left = new Set<string>()
  let bytes = 0
  let isAnyFree = false
  for (const entry of entries) {
    const found = entry.kind === 'file' ? rules.place(entry) : undefined
    if (found === undefined || entry.kind !== 'file') continue
    for (const path of found.at) placed.set(path, entry)
    if (found.at.length > 0) bytes += entry.stamp.size
    if (found.isFixed === true) continue
    isAnyFree ||= found.at.length > 0
    for (let at = entry.path; at !== '.' && !left.has(at); at = posix.dirname(at)) left.add(at)
  }
  if (!isAnyFree || bytes > MAX_CODE_BYTES) return { frame: entries }
  const frame = entries.filter(({ path }) => !left.has(path))
  const aside = [rules.folder, ...programs(placed, rules)].map(
    (path) => ({ kind: 'text', path: `../${path}`, mode: 0, content: NOTHING }) as const,
  )
  return { frame: [...frame, ...aside], code: codeOf(placed, fileHashes, rules) }
}

/**
 * A running process is given contents, and a file keeps its mode or is born without the right to be run. So which files
 * are programs belongs to the frame.
 */
function programs(placed: ReadonlyMap<string, FileEntry>, { way }: CodeRules): readonly string[] {
  if (way !== 'swap') return []
  return [...placed]
    .filter(([, { mode }]) => (mode & 0o111) !== 0)
    .map(([path]) => path)
    .sort()
}

function codeOf(
  placed: ReadonlyMap<string, FileEntry>,
  fileHashes: ReadonlyMap<string, string>,
  { way, folder }: CodeRules,
): Code {
  const files = new Map<string, CodeFile>()
  const all = createHash('sha256')
  for (const [path, entry] of [...placed].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))) {
    const hash = fileHashes.get(entry.path)
    if (hash === undefined) throw new Error(`${entry.path} was not hashed`)
    files.set(path, codeFile(entry, hash))
    all.update(`${JSON.stringify([path, entry.mode, hash])}\n`)
  }
  return { hash: all.digest('hex'), way, folder, files }
}

function codeFile({ file, mode, stamp }: FileEntry, hash: string): CodeFile {
  return { hash, mode, size: stamp.size, source: file, read: (signal) => readAsHashed(file, hash, signal) }
}

/** A file whose content is still what was hashed. FILE_NOT_READABLE otherwise: another save is on its way. */
async function readAsHashed(file: string, hash: string, signal: AbortSignal): Promise<Uint8Array> {
  signal.throwIfAborted()
  const content = await readFile(file, { signal }).catch((error: unknown) => {
    signal.throwIfAborted()
    throw notAsHashed(file, `cannot be read: ${(error as Error).message}`, error)
  })
  if (createHash('sha256').update(content).digest('hex') === hash) return content
  throw notAsHashed(file, 'was changed meanwhile')
}

function notAsHashed(file: string, what: string, cause?: unknown): FaasError {
  return new FaasError('FILE_NOT_READABLE', {
    message: `${file} should go into a function that runs but ${what}`,
    remedy:
      'Nothing, if you have just saved or removed it: the new state is taken next. Otherwise check its permissions.',
    cause,
  })
}
