import { resolve } from 'node:path'
import type { Log } from '../core/log.ts'
import { silentLog } from '../core/log.ts'
import type { FileChange, Watcher, WatchOptions } from '../core/watcher.ts'
import { Folders } from './folders.ts'
import type { FoldersOptions, WatchMode } from './folders.ts'
import { wantedBelow } from './ignore-file.ts'
import type { ParseIgnoreFile } from './ignore-file.ts'
import { Root } from './root.ts'
import { Telling } from './telling.ts'

export interface WatcherOptions extends Partial<Pick<FoldersOptions, 'silentMountOf'>> {
  /** How changes are noticed; by default `auto`. */
  readonly mode?: WatchMode
  /** Where it is said what cannot be watched, and why. */
  readonly log?: Log
  /** Docker's rules; without them no `.dockerignore` is respected. */
  readonly parseIgnoreFile?: ParseIgnoreFile
}

/** Files and folders on this machine's disks, by chokidar's events where they arrive, else by looking. */
export class ChokidarWatcher implements Watcher {
  readonly #folders: Folders
  readonly #log: Log
  readonly #parse: ParseIgnoreFile | undefined
  readonly #open = new Set<AsyncDisposable>()
  /** What was said already. */
  readonly #told = new Set<string>()

  constructor({ mode = 'auto', log = silentLog, parseIgnoreFile, silentMountOf }: WatcherOptions = {}) {
    this.#log = log
    this.#parse = parseIgnoreFile
    this.#folders = new Folders({ mode, log, ...(silentMountOf && { silentMountOf }) })
  }

  /** How many folders there are, and how they are seen. */
  get counts(): Folders['counts'] {
    return this.#folders.counts
  }

  async watch(
    paths: readonly string[],
    onChange: (change: FileChange) => void,
    { handlers = [] }: WatchOptions = {},
  ): Promise<AsyncDisposable> {
    const telling = new Telling(onChange)
    const parse = this.#parse
    const roots = [...new Set(paths.map((path) => resolve(path)))].map(
      (path) =>
        new Root({
          folders: this.#folders,
          path,
          tell: (one, isGone) => telling.tell(one, isGone),
          ...(parse && handlers.includes(path) && { makeWanted: () => wantedBelow(path, parse) }),
          unreadable: (one) => this.#sayUnreadable(one),
          tooMany: (_one, most) => this.#sayTooMany(path, most),
        }),
    )
    const watch = {
      [Symbol.asyncDispose]: () => {
        this.#open.delete(watch)
        telling[Symbol.dispose]()
        for (const root of roots) root[Symbol.dispose]()
        return Promise.resolve()
      },
    }
    this.#open.add(watch)
    await Promise.all(roots.map((root) => root.start()))
    return watch
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#open].map((watch) => watch[Symbol.asyncDispose]()))
    this.#folders[Symbol.dispose]()
  }

  #sayUnreadable(path: string): void {
    this.#once(
      `${path} cannot be read, so changes in it are not seen: give yourself the right to (chmod u+rx), or leave it out with the handler folder’s .dockerignore`,
    )
  }

  #sayTooMany(path: string, most: number): void {
    this.#once(
      `${path} has more than ${most} folders: changes in the others are not seen. Leave out what is no source with a .dockerignore there`,
    )
  }

  #once(text: string): void {
    if (this.#told.has(text)) return
    this.#told.add(text)
    this.#log.warn(text)
  }
}
