import { setTimeout as wait } from 'node:timers/promises'
import pLimit from 'p-limit'
import type { Log } from '../core/log.ts'
import type { Entry } from './entry.ts'
import { silentMountOf } from './file-systems.ts'
import type { SilentMount } from './file-systems.ts'
import { codeOf, Folder } from './folder.ts'
import type { FolderListener } from './folder.ts'
import { isLimit, limitText } from './limits.ts'
import { Rounds } from './rounds.ts'
import { unattended } from './unattended.ts'

/** `auto`: events, and looks where they do not arrive. `events`: looks only where a folder cannot be watched. `poll`: looks only. */
export type WatchMode = 'auto' | 'events' | 'poll'

export interface FoldersOptions {
  readonly mode: WatchMode
  readonly log: Log
  /** What a path lies on; for tests. */
  readonly silentMountOf?: (path: string) => Promise<SilentMount | undefined>
}

/** A listener of a folder, and what is in the folder now. */
export interface Following extends Disposable {
  readonly entries: ReadonlyMap<string, Entry>
}

/** What is known of one disk. */
interface Disk {
  readonly silent: SilentMount | undefined
  /** An event came from there: they arrive. */
  hasTold: boolean
  /** Changes were found of which no event told. */
  isFoundSilent: boolean
}

interface Opened {
  readonly folder: Folder
  readonly opened: Promise<void>
  /** How many follow it, or are about to. */
  followers: number
}

/** Folders opened at once: each of them takes memory meanwhile. */
const OPENED_AT_ONCE = 8
/** After the last folder that could not be watched, milliseconds: one sentence for all of them. */
const TOLD_AFTER_MS = 200
/** So long after a change a folder is looked at more often than others: who saves there saves again. Milliseconds. */
const HOT_MS = 10 * 60_000
/** How long an event may take after the change that it tells of, milliseconds. */
const GRACE_MS = 500
/** A folder that is another one each time that it is looked at is left to its next event. */
const MOST_TRIES = 5

/** All folders that are watched, each once, whoever asks for it; and how each of them is seen. */
export class Folders implements Disposable {
  readonly #options: FoldersOptions
  readonly #open = new Map<string, Opened>()
  readonly #turns = pLimit(OPENED_AT_ONCE)
  /** Under way, by path; settles once the folder is watched or will not be. */
  readonly #opening = new Map<string, Promise<unknown>>()
  readonly #disks = new Map<number, Promise<Disk>>()
  readonly #known = new Map<number, Disk>()
  /** Those that no event tells of, and why. */
  readonly #unheard = new Map<Folder, string>()
  readonly #told = new Set<string>()
  #tellLimits: NodeJS.Timeout | undefined
  #isOver = false
  readonly #hot: Rounds
  readonly #quick: Rounds
  readonly #slow: Rounds

  constructor(options: FoldersOptions) {
    this.#options = options
    const all = (): Folder[] => [...this.#open.values()].map(({ folder }) => folder)
    const polled = (): Folder[] => all().filter((folder) => this.#isPolled(folder))
    this.#hot = new Rounds({
      folders: () => {
        const since = performance.now() - HOT_MS
        return polled().filter(({ changedAt }) => changedAt > since)
      },
      isNeeded: () => this.counts.polled > 0,
      leastMs: 300,
      mostMs: 10_000,
      rest: 25,
    })
    this.#quick = new Rounds({ folders: polled, leastMs: 300, mostMs: 10_000, rest: 60 })
    this.#slow = new Rounds({
      folders: () => (options.mode === 'auto' ? all().filter((folder) => !this.#isPolled(folder)) : []),
      leastMs: 5000,
      mostMs: 60_000,
      rest: 1200,
      isNeeded: () => this.#open.size > 0,
      onRound: () => unattended(this.#hearAgain()),
      onFound: (folder) => unattended(this.#onFoundUntold(folder)),
    })
  }

  /** How many there are, and how they are seen. */
  get counts(): { readonly folders: number; readonly watched: number; readonly polled: number } {
    const all = [...this.#open.values()].map(({ folder }) => folder)
    return {
      folders: all.length,
      watched: all.filter(({ hasEvents }) => hasEvents).length,
      polled: all.filter((folder) => this.#isPolled(folder)).length,
    }
  }

  /** How often folders without events are looked at, milliseconds. */
  get lookEveryMs(): number {
    return this.#quick.everyMs
  }

  /** Whether a folder is known by its number, which one on another machine's disk may change at any time. */
  isKnownByNumber(path: string): boolean {
    const known = this.#open.get(path)
    return known !== undefined && !this.#isPolled(known.folder)
  }

  /**
   * Listens to a folder, or to one name in it. What happens after it resolved is told; what is there then is in `entries`.
   * Rejects as the system says: ENOENT, ENOTDIR, EACCES for a folder that cannot be listed.
   */
  async follow(path: string, listener: FolderListener, name?: string): Promise<Following> {
    for (let tries = 1; ; tries++) {
      const place = this.#obtain(path)
      place.followers++
      try {
        await place.opened
        const stop = await place.folder.listen(listener, name)
        return this.#following(place, stop)
      } catch (error) {
        this.#letGo(place)
        // Another one has its place: that one, then.
        if (!place.folder.isLost || tries === MOST_TRIES) throw error
      }
    }
  }

  #following(place: Opened, stop: Disposable): Following {
    const { folder } = place
    let isOver = false
    return {
      entries: folder.entries,
      [Symbol.dispose]: () => {
        if (isOver) return
        isOver = true
        stop[Symbol.dispose]()
        this.#letGo(place)
      },
    }
  }

  [Symbol.dispose](): void {
    this.#isOver = true
    clearTimeout(this.#tellLimits)
    this.#hot[Symbol.dispose]()
    this.#quick[Symbol.dispose]()
    this.#slow[Symbol.dispose]()
    for (const { folder } of this.#open.values()) folder.close()
    this.#open.clear()
  }

  #obtain(path: string): Opened {
    const known = this.#open.get(path)
    if (known?.folder.isStale) known.folder.lose()
    if (known && !known.folder.isLost) return known
    const folder: Folder = new Folder(path, () => this.#onHeard(folder))
    const opened = this.#turns(() => this.#openFolder(folder))
    const made: Opened = { folder, opened, followers: 0 }
    // Who waits for it is told; nobody may be.
    made.opened.catch(() => undefined)
    this.#open.set(path, made)
    return made
  }

  #letGo(place: Opened): void {
    const { folder } = place
    if (--place.followers > 0) return
    // Another one may be there by now, under the same path.
    if (this.#open.get(folder.path) === place) this.#open.delete(folder.path)
    this.#unheard.delete(folder)
    folder.close()
  }

  async #openFolder(folder: Folder): Promise<void> {
    // chokidar gives a second watch of a path the events of the first, which may be those of a folder that was there.
    const former = this.#opening.get(folder.path)
    const opened = Promise.resolve(former).then(() => this.#identify(folder))
    const settled = opened.catch(() => undefined)
    this.#opening.set(folder.path, settled)
    const disk = await opened.finally(() => {
      if (this.#opening.get(folder.path) === settled) this.#opening.delete(folder.path)
    })
    if (disk.silent && this.#options.mode === 'auto') this.#tellSilent(folder, disk.silent)
    if (this.#isPolled(folder)) this.#startLooking()
    this.#slow.start()
  }

  /** Finds out which folder it is, and hears that one's events. */
  async #identify(folder: Folder): Promise<Disk> {
    for (let tries = 1; ; tries++) {
      await folder.identify()
      const disk = await this.#diskOf(folder)
      folder.isFar = disk.silent !== undefined
      if (this.#options.mode === 'poll') this.#unheard.set(folder, 'poll')
      else await this.#hear(folder)
      if (!folder.isStale || tries === MOST_TRIES) return disk
      folder.hearNoMore()
    }
  }

  #startLooking(): void {
    this.#quick.start()
    this.#hot.start()
  }

  async #hear(folder: Folder): Promise<void> {
    try {
      await folder.hear()
      this.#unheard.delete(folder)
    } catch (error) {
      const code = codeOf(error)
      if (code === 'ENOENT' || code === 'ENOTDIR') throw error
      this.#unheard.set(folder, code ?? 'unknown')
      if (isLimit(code)) this.#tellLimit()
      // Whether it may be read at all is found out by listing it.
      else if (code !== 'EACCES' && code !== 'EPERM') this.#tellUnwatchable(folder, error as Error)
    }
  }

  #isPolled(folder: Folder): boolean {
    if (this.#unheard.has(folder)) return true
    const disk = this.#known.get(folder.device)
    return (
      this.#options.mode === 'auto' && disk !== undefined && (disk.silent !== undefined || disk.isFoundSilent)
    )
  }

  async #diskOf({ device, path }: Folder): Promise<Disk> {
    let disk = this.#disks.get(device)
    if (!disk) {
      const look = this.#options.silentMountOf ?? silentMountOf
      disk = look(path)
        .catch(() => undefined)
        .then((silent) => ({ silent, hasTold: false, isFoundSilent: false }))
      this.#disks.set(device, disk)
    }
    const known = await disk
    this.#known.set(device, known)
    return known
  }

  #onHeard(folder: Folder): void {
    const disk = this.#known.get(folder.device)
    if (disk) disk.hasTold = true
    this.#slow.hear()
  }

  /** A slow look found what no event told of. One that was lost is no reason to look for ever: one that never comes is. */
  async #onFoundUntold(folder: Folder): Promise<void> {
    const disk = this.#known.get(folder.device)
    // The event may be on its way.
    await wait(GRACE_MS, undefined, { ref: false })
    if (!disk || disk.hasTold || disk.isFoundSilent || this.#isOver) return
    disk.isFoundSilent = true
    this.#startLooking()
    this.#options.log.warn(
      `changes of ${folder.path} are not told by the system (found by looking): from now on every file there is looked at. ` +
        'FAASDOCK_WATCH_MODE=events switches that off',
    )
  }

  /** A limit may have been raised meanwhile. */
  async #hearAgain(): Promise<void> {
    const limited = [...this.#unheard].filter(([, code]) => isLimit(code)).map(([folder]) => folder)
    const [first] = limited
    if (!first) return
    await first.hear().catch(() => undefined)
    if (!first.hasEvents) return
    for (const folder of limited) await this.#hear(folder).catch(() => undefined)
    if ([...this.#unheard.values()].some(isLimit)) return
    this.#told.delete('limit')
    this.#options.log.info('all folders are watched again: the limit was raised')
  }

  #tellSilent(folder: Folder, { type, mountPoint }: SilentMount): void {
    const place = mountPoint ?? folder.path
    this.#once(`silent ${place}`, () =>
      this.#options.log.warn(
        `${place} (${type}) does not tell what others change in it: files of the project there are looked at ` +
          `every ${seconds(this.#quick.everyMs)}, more rarely when they are many. ` +
          'A project on a disk of this machine is seen at once; FAASDOCK_WATCH_MODE=events switches looking off',
      ),
    )
  }

  #tellUnwatchable(folder: Folder, { message }: Error): void {
    this.#once(`unwatchable ${folder.device}`, () =>
      this.#options.log.warn(
        `${folder.path} cannot be watched (${message}): it is looked at every ${seconds(this.#quick.everyMs)} instead`,
      ),
    )
  }

  /** Counted when the last of them was tried. */
  #tellLimit(): void {
    if (this.#told.has('limit')) return
    clearTimeout(this.#tellLimits)
    this.#tellLimits = setTimeout(() => {
      const codes = [...this.#unheard.values()].filter(isLimit)
      const [code] = codes
      if (code === undefined || this.#told.has('limit')) return
      this.#told.add('limit')
      unattended(
        limitText(code, this.#open.size).then((text) =>
          this.#options.log.warn(
            `${codes.length} of ${this.#open.size} folders cannot be watched and are looked at every ` +
              `${seconds(this.#quick.everyMs)} instead: ${text}`,
          ),
        ),
      )
    }, TOLD_AFTER_MS)
    this.#tellLimits.unref()
  }

  #once(what: string, tell: () => void): void {
    if (this.#told.has(what)) return
    this.#told.add(what)
    tell()
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
