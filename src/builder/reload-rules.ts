import { posix } from 'node:path'
import { isReadableByAll } from './code.ts'
import type { CodeRules } from './code.ts'
import { makeMatcher } from './dockerignore.ts'
import { npmReads } from './npm-manifests.ts'
import type { Reload } from './template-yml.ts'
import type { ReadText } from './text-reader.ts'
import type { ContextEntry, FileEntry } from './tree.ts'

/**
 * What of a context is code where the template says so itself; undefined where a build makes more of it than the template
 * knows. `handlerFolder` is relative to the context.
 */
export async function reloadRules(
  entries: readonly ContextEntry[],
  fileHashes: ReadonlyMap<string, string>,
  reload: Reload,
  handlerFolder: string,
  readText: ReadText,
): Promise<CodeRules | undefined> {
  const files = new Map<string, FileEntry>()
  for (const entry of entries) {
    const path = posix.relative(handlerFolder, entry.path)
    if (entry.kind === 'file' && path !== '' && !path.startsWith('../')) files.set(path, entry)
  }
  const npm =
    reload.dependencies === 'npm'
      ? await npmReads([...files.keys()], (path) => readManifest(path))
      : undefined
  // Code that is given as a whole would remove what scripts have made, and nobody knows what that is.
  if (npm?.runsScripts === true) return undefined
  const takesBuild = makeMatcher(reload.build)
  const isKept = makeMatcher(reload.kept)
  const isAbsent = makeMatcher(reload.absent)
  return {
    way: reload.way,
    folder: reload.folder,
    place: (entry) => {
      const path = posix.relative(handlerFolder, entry.path)
      if (path.startsWith('../') || isKept(path)) return undefined
      if (reload.way === 'files' && !isReadableByAll(entry)) return undefined
      if (isAbsent(path) || npm?.replaces(path) === true || isDroppedSample(path)) return { at: [] }
      // npm's are no sources, and its settings, which may hold a token, are not in the image.
      if (npm !== undefined && (path === '.npmrc' || path.split('/').includes('node_modules')))
        return undefined
      return { at: [path], isFixed: takesBuild(path) || npm?.reads(path) === true }
    },
  }

  /** Also where the developer has the very same one, as a build cannot tell that from the template's. */
  function isDroppedSample(path: string): boolean {
    const { sample } = reload
    return (
      sample?.file === path &&
      sample.unless.some((other) => files.has(other)) &&
      fileHashes.get(posix.join(handlerFolder, path)) === fileHashes.get(sample.like)
    )
  }

  async function readManifest(path: string): Promise<object | null | undefined> {
    const entry = files.get(path)
    if (entry === undefined) return undefined
    try {
      const found: unknown = JSON.parse(await readText(entry, fileHashes.get(entry.path)))
      return typeof found === 'object' ? found : null
    } catch {
      return null
    }
  }
}
