import { extract, pack } from 'tar-stream'
import { FaasError } from '../core/errors.ts'
import type { Engine } from './client.ts'
import { engineFailure, isMissing } from './errors.ts'

/**
 * Owner of the files: nobody that a function runs as, so that no function can change them. Below 65536, which is as far
 * as the ids of an engine with user namespaces reach.
 */
const OWNER = 64_257
/** Readable by any user, because functions run as any; writable by none. */
const MODE = 0o444

/** Where a file is written before it has its name. Programs that read such folders skip it: Kubernetes has one of that name. */
const ASIDE = '..data'

/**
 * Puts files with exactly these bytes into a folder of a container, running or not, through the engine's own connection:
 * it may be on another machine. Replaces files of the same name; who reads meanwhile sees the old file, the new one or, for
 * a moment, none. False when the container is gone.
 */
export async function putFiles(
  engine: Engine,
  container: string,
  folder: string,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<boolean> {
  if (files.size === 0) return true
  const tar = pack()
  const owned = { uid: OWNER, gid: OWNER, mtime: new Date() }
  tar.entry({ name: ASIDE, type: 'directory', mode: 0o755, ...owned })
  for (const [name, bytes] of files) {
    // An engine that unpacks makes a file and then fills it, which readers would see. A hard link is there at once.
    const aside = `${ASIDE}/${name}`
    tar.entry({ name: aside, mode: MODE, ...owned }, Buffer.from(bytes))
    tar.entry({ name, type: 'link', linkname: aside, mode: MODE, ...owned })
  }
  tar.finalize()
  try {
    await engine.getContainer(container).putArchive(tar as unknown as NodeJS.ReadableStream, { path: folder })
    return true
  } catch (error) {
    if (isMissing(error)) return false
    const failure = engineFailure(error, `put files into ${folder} of container ${container.slice(0, 12)}`)
    // Without the cause: whatever the client library keeps there may hold what was sent.
    throw new FaasError(failure.code, { message: failure.message, remedy: failure.remedy })
  }
}

/** The text of a small file of a container, running or not; undefined when it has none there. */
export async function readContainerFile(
  engine: Engine,
  container: string,
  path: string,
): Promise<string | undefined> {
  try {
    const tar = extract()
    const archive = await engine.getContainer(container).getArchive({ path })
    archive.once('error', (error: Error) => tar.destroy(error)).pipe(tar)
    for await (const entry of tar) {
      const chunks: Buffer[] = []
      for await (const chunk of entry) chunks.push(chunk as Buffer)
      return Buffer.concat(chunks).toString('utf8')
    }
    return undefined
  } catch (error) {
    if (isMissing(error)) return undefined
    throw engineFailure(error, `read ${path} of container ${container.slice(0, 12)}`)
  }
}
