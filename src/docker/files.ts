import { pack } from 'tar-stream'
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
