import { posix } from 'node:path'
import { extract, pack } from 'tar-stream'
import { FaasError } from '../core/errors.ts'
import type { Engine } from './client.ts'
import { engineFailure } from './errors.ts'

/** Files that go over those of an image. */
export interface CodeFiles {
  /** Absolute. */
  readonly folder: string
  /** By path relative to `folder`, with `/`. */
  readonly files: ReadonlyMap<string, { readonly content: Uint8Array; readonly mode: number }>
}

interface Owner {
  readonly uid: number
  readonly gid: number
}

/** In what order an engine lists a folder is its own matter: a file of the code is most likely among the first. */
const MAX_ENTRIES = 50

/**
 * Puts files into a container that has not been started, over those of its image and owned as those are, through the
 * engine's own connection: it may be on another machine. ENGINE_FAILED.
 */
export async function putCode(
  engine: Engine,
  container: string,
  { folder, files }: CodeFiles,
): Promise<void> {
  if (files.size === 0) return
  const doing = `put code into ${folder} of container ${container.slice(0, 12)}`
  try {
    const owner = await ownerOf(engine, container, folder)
    const tar = pack()
    const owned = { ...owner, mtime: new Date() }
    const folders = new Set<string>()
    for (const path of files.keys())
      for (let at = posix.dirname(path); at !== '.'; at = posix.dirname(at)) folders.add(at)
    // A folder comes before what is in it.
    for (const name of [...folders].sort())
      tar.entry({ name: name, type: 'directory', mode: 0o755, ...owned })
    for (const [name, { content, mode }] of files) {
      // Whoever wrote it may have kept it to himself; the function runs as somebody else.
      tar.entry({ name, mode: mode | 0o444, ...owned }, Buffer.from(content))
    }
    tar.finalize()
    await engine.getContainer(container).putArchive(tar as unknown as NodeJS.ReadableStream, { path: folder })
  } catch (error) {
    const failure = engineFailure(error, doing)
    // Without the cause: whatever the client library keeps there may hold what was sent.
    throw new FaasError(failure.code, { message: failure.message, remedy: failure.remedy })
  }
}

/** Who has the files of a folder: the first one's owner, else the folder's; root where there is no such folder. */
async function ownerOf(engine: Engine, container: string, folder: string): Promise<Owner> {
  const archive = await engine
    .getContainer(container)
    .getArchive({ path: folder })
    .catch(() => undefined)
  if (!archive) return { uid: 0, gid: 0 }
  const tar = extract()
  archive.pipe(tar)
  let found: Owner = { uid: 0, gid: 0 }
  let seen = 0
  try {
    for await (const entry of tar) {
      const { type, uid, gid } = entry.header
      if (seen++ === 0 || type === 'file') found = { uid, gid }
      if (type === 'file' || seen >= MAX_ENTRIES) break
      entry.resume()
    }
  } finally {
    ;(archive as unknown as { destroy: () => void }).destroy()
  }
  return found
}
