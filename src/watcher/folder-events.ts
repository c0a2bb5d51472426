import { resolve, sep } from 'node:path'
import { FSWatcher } from 'chokidar'

/** A watch of one folder, without what is in its folders. */
export interface FolderEvents {
  close(): void
}

/** Why a folder cannot be watched; `code` is the operating system's (ENOSPC and EMFILE: a limit is reached). */
export class CannotWatch extends Error {
  readonly code: string | undefined

  constructor(cause: NodeJS.ErrnoException) {
    super(cause.message, { cause })
    this.code = cause.code
  }
}

/**
 * Tells every event of a folder the moment that it comes: the name of what changed in it, undefined when the system does
 * not say. Resolves once nothing is missed any more; rejects with CannotWatch.
 *
 * Of chokidar only the raw events are used, of each folder on its own. What it makes of them is late or lost: it looks at
 * a folder before it watches it, drops a second change within 50 ms and what happens to a name within 100 ms of its
 * removal, holds back removals for 100 ms, does not say which folder is watched since when, and takes a watch per file.
 */
export async function watchFolder(
  path: string,
  onEvent: (name: string | undefined, isRename: boolean) => void,
): Promise<FolderEvents> {
  // It takes every backslash for a separator.
  if (sep === '/' && path.includes('\\')) throw new CannotWatch(new Error('a backslash in the name'))
  const watcher = new FSWatcher({
    depth: 0,
    atomic: false,
    ignoreInitial: true,
    followSymlinks: true,
    // Files, and the folder above when this one is gone: it would watch them on its own.
    ignored: (one) => resolve(one) !== path,
  })
  let failure: NodeJS.ErrnoException | undefined
  watcher.on('error', (error) => {
    failure ??= error as NodeJS.ErrnoException
  })
  // By CHOKIDAR_USEPOLLING; it would see the folder, and not what changes in its files.
  if (watcher.options.usePolling) failure = new Error('chokidar was told to poll')
  watcher.on('raw', (event, name) => onEvent(name || undefined, event === 'rename'))
  const ready = new Promise<void>((done) => watcher.once('ready', done))
  watcher.add(path)
  await ready
  if (!failure)
    return {
      close: () => {
        watcher.close().catch(() => undefined)
      },
    }
  await watcher.close()
  throw new CannotWatch(failure)
}
