import { dirname, join } from 'node:path'
import type { Entry } from './entry.ts'
import type { Folders } from './folders.ts'
import { IGNORE_FILE } from './ignore-file.ts'
import { wayOf } from './links.ts'
import { Lookout } from './lookout.ts'
import { Place } from './place.ts'
import type { Ground } from './place.ts'
import { unattended } from './unattended.ts'

export interface RootOptions {
  readonly folders: Folders
  readonly path: string
  readonly tell: (path: string, isGone: boolean) => void
  /** Makes the rules of what counts below it; asked again when its .dockerignore changed. Absent: everything counts. */
  readonly makeWanted?: () => (path: string, isFolder: boolean) => boolean
  readonly unreadable: (path: string) => void
  readonly tooMany: (path: string, most: number) => void
}

/** More are no function: a link that leads to all of a disk, or a home folder as the handler. */
const MOST_FOLDERS = 10_000

/** One path that somebody watches, there or not, and what is below it. */
export class Root implements Disposable {
  readonly #options: RootOptions
  #wanted: (path: string, isFolder: boolean) => boolean = () => true
  #lookouts: readonly Lookout[] = []
  #itself: Lookout | undefined
  #place: Place | undefined
  #isOver = false

  constructor(options: RootOptions) {
    this.#options = options
  }

  /** Resolves once no change is missed any more. Never rejects. */
  start(): Promise<void> {
    return this.#begin(false)
  }

  [Symbol.dispose](): void {
    this.#isOver = true
    this.#leave()
    this.#place?.close()
  }

  async #begin(isNews: boolean): Promise<void> {
    const { folders, path } = this.#options
    const former = this.#lookouts
    const itself = (this.#itself = new Lookout(folders, path, (now) => this.#onChange(now)))
    // Links on the way to it may be made to lead elsewhere; where it leads itself is its place's.
    const steps = wayOf(dirname(path)).links.map((link) => new Lookout(folders, link, () => this.#onMoved()))
    this.#lookouts = [itself, ...steps]
    await Promise.all(this.#lookouts.map((lookout) => lookout.start()))
    for (const lookout of former) lookout[Symbol.dispose]()
    if (isNews) this.#options.tell(path, itself.entry === undefined)
    if (this.#isOver || this.#itself !== itself) return
    await this.#watchBelow(itself.entry, isNews)
  }

  /** Anew, as the rules may have changed: beside the former one until it is done, so that nothing is missed. */
  async #watchBelow(entry: Entry | undefined, isNews: boolean): Promise<void> {
    const { path } = this.#options
    this.#wanted = this.#options.makeWanted?.() ?? (() => true)
    const former = this.#place
    const place = (this.#place = new Place(this.#ground(), path, path))
    await place.become(entry, isNews)
    former?.close()
  }

  #ground(): Ground {
    const { folders, path, tell, unreadable, tooMany } = this.#options
    let count = 0
    return {
      folders,
      tell: (one, isGone) => {
        tell(one, isGone)
        if (this.#options.makeWanted && one === join(path, IGNORE_FILE)) this.#onNewRules()
      },
      isWanted: (one, isFolder) => this.#wanted(one, isFolder),
      admit: (one) => {
        if (count >= MOST_FOLDERS) {
          tooMany(one, MOST_FOLDERS)
          return false
        }
        count++
        return true
      },
      leave: () => {
        count--
      },
      unreadable,
    }
  }

  #onChange(now: Entry | undefined): void {
    if (this.#isOver) return
    this.#options.tell(this.#options.path, now === undefined)
    if (this.#place) unattended(this.#place.become(now, true))
  }

  #onMoved(): void {
    if (this.#isOver) return
    this.#options.tell(this.#options.path, false)
    unattended(this.#begin(true))
  }

  #onNewRules(): void {
    if (!this.#isOver) unattended(this.#watchBelow(this.#itself?.entry, false))
  }

  #leave(): void {
    for (const lookout of this.#lookouts) lookout[Symbol.dispose]()
    this.#lookouts = []
  }
}
