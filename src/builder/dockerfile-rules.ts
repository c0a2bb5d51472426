import { posix } from 'node:path'
import { isReadableByAll } from './code.ts'
import type { CodeRules } from './code.ts'
import type { Args } from './dockerfile.ts'
import { followFiles } from './image-files.ts'
import type { ReadText } from './text-reader.ts'
import type { ContextEntry, FileEntry } from './tree.ts'

export interface DockerfileRuled {
  readonly dockerfile: string
  readonly args: Args
  readonly entries: readonly ContextEntry[]
  readonly fileHashes: ReadonlyMap<string, string>
  /** Relative to the context; `''` is all of it. */
  readonly handlerFolder: string
}

/** Files of the context that are the build's own, wherever they are copied. */
const NEVER: ReadonlySet<string> = new Set(['Dockerfile', '.dockerignore'])

/**
 * What of a context is code where only the Dockerfile can tell: files of the handler that are copied into the image and
 * that nothing else depends on. Undefined where there are none.
 */
export async function dockerfileRules(
  { dockerfile, args, entries, fileHashes, handlerFolder }: DockerfileRuled,
  readText: ReadText,
): Promise<CodeRules | undefined> {
  const files = new Map(entries.flatMap((entry) => (entry.kind === 'file' ? [[entry.path, entry]] : [])))
  const followed = await followFiles(dockerfile, args, {
    paths: [...files.keys()],
    text: async (path) => {
      const entry = files.get(path)
      return entry && readText(entry, fileHashes.get(path))
    },
  })
  if (followed === undefined) return undefined
  const isCode = (entry: FileEntry): boolean =>
    (handlerFolder === '' || entry.path.startsWith(`${handlerFolder}/`)) &&
    !NEVER.has(entry.path) &&
    !followed.read.has(entry.path) &&
    isReadableByAll(entry)
  const places = new Map<string, string[]>()
  const targets = new Set<string>()
  for (const [at, { path, target }] of followed.files) {
    const entry = files.get(path)
    if (entry === undefined || !isCode(entry)) continue
    places.set(path, [...(places.get(path) ?? []), at])
    targets.add(target)
  }
  if (places.size === 0) return undefined
  const folder = commonFolder([...targets])
  return {
    way: 'files',
    folder,
    place: (entry) =>
      isCode(entry)
        ? { at: (places.get(entry.path) ?? []).map((at) => posix.relative(folder, at)) }
        : undefined,
  }
}

function commonFolder(folders: readonly string[]): string {
  const [first = '/', ...others] = folders
  let common = first
  for (const folder of others) {
    while (common !== '/' && folder !== common && !folder.startsWith(`${common}/`))
      common = posix.dirname(common)
  }
  return common
}
