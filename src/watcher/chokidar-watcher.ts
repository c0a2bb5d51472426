import { watch } from 'chokidar'
import type { FSWatcher } from 'chokidar'
import type { FileChange, Watcher } from '../core/watcher.ts'

/** Folders that hold nothing that was written by hand. */
const IGNORED_FOLDERS = new Set(['.git', 'node_modules', '__pycache__', '.venv', '.pytest_cache', '.tox'])
/** What editors put beside a file while they save it. */
const EDITOR_FILE =
  /(~|\.sw[a-z]|\.tmp|\.bak|___jb_(tmp|old)___)$|^(\.#|#|4913$|\.goutputstream-)|^\.DS_Store$/

/** Files and folders on this machine's disks. */
export class ChokidarWatcher implements Watcher {
  readonly #open = new Set<FSWatcher>()

  async watch(paths: readonly string[], onChange: (change: FileChange) => void): Promise<AsyncDisposable> {
    const roots = new Set(paths)
    const watcher = watch([...paths], {
      ignoreInitial: true,
      ignored: (path) => !roots.has(path) && isNoise(path),
      // A loop of symlinks would be followed for ever; builds follow links themselves.
      followSymlinks: false,
    })
    this.#open.add(watcher)
    watcher.on('all', (event, path) =>
      onChange({ path, isGone: event === 'unlink' || event === 'unlinkDir' }),
    )
    // One folder that cannot be watched must not end the watching of the others.
    watcher.on('error', () => undefined)
    await new Promise<void>((resolve) => watcher.once('ready', resolve))
    return {
      [Symbol.asyncDispose]: async () => {
        this.#open.delete(watcher)
        await watcher.close()
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#open].map((watcher) => watcher.close()))
    this.#open.clear()
  }
}

function isNoise(path: string): boolean {
  const name = path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1)
  return IGNORED_FOLDERS.has(name) || EDITOR_FILE.test(name)
}
