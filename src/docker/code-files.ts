import { posix } from 'node:path'
import { extract, pack } from 'tar-stream'
import { FaasError } from '../core/errors.ts'
import type { Engine } from './client.ts'
import { engineFailure } from './errors.ts'
import { Known } from './known.ts'

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
 * Who has the files of which folder of which image. To ask an engine takes as long as to put the files in, and what holds
 * of an image holds of all that were made like it.
 */
export class CodeOwners {
  readonly #known = new Known<Owner>()

  /** As a container that has not been started shows it; `like`: its image's id, or what all such images have in common. */
  async of(engine: Engine, container: string, like: string | undefined, folder: string): Promise<Owner> {
    const key = like === undefined ? undefined : `${like} ${folder}`
    return (await this.#known.of(key, () => ownerOf(engine, container, folder))) ?? ROOT
  }
}

const ROOT: Owner = { uid: 0, gid: 0 }

/**
 * Puts files into a container that has not been started, over those of its image and owned as `ownerOfFolder` says those
 * are, through the engine's own connection: it may be on another machine. ENGINE_FAILED.
 */
export async function putCode(
  engine: Engine,
  container: string,
  { folder, files }: CodeFiles,
  ownerOfFolder: (folder: string) => Promise<Owner>,
): Promise<void> {
  if (files.size === 0) return
  const doing = `put code into ${folder} of container ${container.slice(0, 12)}`
  try {
    const owner = await ownerOfFolder(folder)
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

/** Who has the files of a folder: the first one's owner, else the folder's; undefined where there is no such folder. */
async function ownerOf(engine: Engine, container: string, folder: string): Promise<Owner | undefined> {
  const archive = await engine
    .getContainer(container)
    .getArchive({ path: folder })
    .catch(() => undefined)
  if (!archive) return undefined
  const tar = extract()
  archive.pipe(tar)
  let found: Owner | undefined
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
