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

/**
 * Puts files with exactly these bytes into a folder of a container, running or not, through the engine's own connection:
 * it may be on another machine. Replaces files of the same name. False when the container is gone.
 */
export async function putFiles(
  engine: Engine,
  container: string,
  folder: string,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<boolean> {
  if (files.size === 0) return true
  const tar = pack()
  for (const [name, bytes] of files) {
    tar.entry({ name, mode: MODE, uid: OWNER, gid: OWNER, mtime: new Date() }, Buffer.from(bytes))
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
