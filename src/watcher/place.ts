import { join } from 'node:path'
import { entryAt } from './entry.ts'
import type { Entry } from './entry.ts'
import { codeOf } from './folder.ts'
import type { Following, Folders } from './folders.ts'
import { realPathOf, wayOf } from './links.ts'
import { Lookout } from './lookout.ts'
import { isBuildOutput, isNoise } from './noise.ts'
import { unattended } from './unattended.ts'

/** What every place of one watched path shares. */
export interface Ground {
  readonly folders: Folders
  /** Something happened to a path, as the one who asked would write it. */
  tell(path: string, isGone: boolean): void
  /** False for what cannot change anything: a file is not told, a folder is not even looked into. */
  isWanted(path: string, isFolder: boolean): boolean
  /** A folder is about to be watched; false when there are too many. */
  admit(path: string): boolean
  leave(): void
  unreadable(path: string): void
}

interface Wanted {
  readonly entry: Entry | undefined
  /** What is in it is told, too: it was not there before. */
  readonly isNews: boolean
  /** Also when it looks as before. */
  readonly isForced: boolean
}

/** A folder, or a link, below a watched path or that path itself: what is in it is watched, and places below it. */
export class Place {
  readonly #ground: Ground
  /** As it is told. */
  readonly #path: string
  /** Where it is, without links on the way to it. */
  readonly #own: string
  readonly #above: Place | undefined
  readonly #below = new Map<string, Place>()
  /** What it is, without links: differs from `#own` for a link. */
  #real: string | undefined
  #id = ''
  #following: Following | undefined
  #lookouts: readonly Lookout[] = []
  #wanted: Wanted | undefined
  #working: Promise<void> | undefined
  #isClosed = false

  constructor(ground: Ground, path: string, own: string, above?: Place) {
    this.#ground = ground
    this.#path = path
    this.#own = own
    this.#above = above
  }

  /** Watches what `entry` is; of several wishes the last one counts. Resolves once nothing is missed any more. Never rejects. */
  become(entry: Entry | undefined, isNews: boolean, isForced = false): Promise<void> {
    const before = this.#wanted
    this.#wanted = {
      entry,
      isNews: isNews || before?.isNews === true,
      isForced: isForced || before?.isForced === true,
    }
    this.#working ??= this.#work().finally(() => (this.#working = undefined))
    return this.#working
  }

  close(): void {
    this.#isClosed = true
    this.#empty()
    for (const lookout of this.#lookouts) lookout[Symbol.dispose]()
    this.#lookouts = []
  }

  /** As a question: it may have, during a wait. */
  #hasClosed(): boolean {
    return this.#isClosed
  }

  async #work(): Promise<void> {
    for (;;) {
      const wanted = this.#wanted
      if (!wanted || this.#isClosed) return
      this.#wanted = undefined
      await this.#make(wanted)
    }
  }

  async #make({ entry, isNews, isForced }: Wanted): Promise<void> {
    const { folders } = this.#ground
    if (entry?.kind === 'folder') {
      const isSame = entry.id === this.#id || !folders.isKnownByNumber(this.#real ?? this.#own)
      if (this.#following && isSame && !isForced) return
      this.#leaveWay()
      this.#id = entry.id
      // Below the first place there are no links on the way: they are places of their own.
      await this.#enter(this.#above ? this.#own : (realPathOf(this.#own) ?? this.#own), isNews)
      return
    }
    if (entry?.kind === 'link') {
      await this.#followLink(isNews)
      return
    }
    this.#leaveWay()
    this.#empty()
  }

  /** Where it leads may change, and what is there, without a word about the link itself. */
  async #followLink(isNews: boolean): Promise<void> {
    const { folders } = this.#ground
    const { links, end } = wayOf(this.#own)
    const steps = [...links.filter((link) => link !== this.#own), ...(end === undefined ? [] : [end])]
    // The former ones look until the new ones do.
    const former = this.#lookouts
    this.#lookouts = steps.map((step) => new Lookout(folders, step, (now) => this.#onStep(now)))
    await Promise.all(this.#lookouts.map((lookout) => lookout.start()))
    for (const lookout of former) lookout[Symbol.dispose]()
    if (this.#isClosed) this.#leaveWay()
    const real = realPathOf(this.#own)
    // Once more: what it led to may have changed before it was looked at.
    if (isNews && !this.#isClosed) this.#ground.tell(this.#path, real === undefined)
    // A link to a folder that it is in would be followed for ever.
    if (real === undefined || this.#isWithin(real)) this.#empty()
    else await this.#enter(real, isNews)
  }

  #onStep(now: Entry | undefined): void {
    if (this.#isClosed) return
    this.#ground.tell(this.#path, now === undefined)
    this.recheck()
  }

  /** Looks what it is now, and tells what is new there. */
  recheck(): void {
    unattended(this.become(entryAt(this.#own), true, true))
  }

  #isWithin(real: string): boolean {
    for (let place = this.#above; place; place = place.#above) if (place.#real === real) return true
    return false
  }

  async #enter(real: string, isNews: boolean): Promise<void> {
    const { folders } = this.#ground
    this.#empty()
    if (this.#isClosed || !this.#ground.admit(this.#path)) return
    this.#real = real
    let following: Following | undefined
    const state = { isLost: false }
    const listener = {
      onEntry: (name: string, now: Entry | undefined) => {
        if (following && this.#following === following) this.#onEntry(name, now)
      },
      onLost: () => {
        state.isLost = true
        if (following && this.#following === following) this.recheck()
      },
    }
    try {
      following = await folders.follow(real, listener)
    } catch (error) {
      this.#empty()
      this.#ground.leave()
      const code = codeOf(error)
      if (code === 'EACCES' || code === 'EPERM') this.#ground.unreadable(this.#path)
      return
    }
    const isPrograms = this.#above !== undefined && isBuildOutput(following.entries)
    if (this.#hasClosed() || isPrograms) {
      following[Symbol.dispose]()
      this.#ground.leave()
      return
    }
    this.#following = following
    if (state.isLost) this.recheck()
    // Once more: something of it may have gone before it was watched.
    if (isNews) this.#ground.tell(this.#path, false)
    const below: Promise<void>[] = []
    for (const [name, entry] of following.entries) {
      if (isNoise(name)) continue
      const path = join(this.#path, name)
      if (!this.#ground.isWanted(path, entry.kind === 'folder')) continue
      if (isNews) this.#ground.tell(path, false)
      const place = this.#placeFor(name, entry)
      if (place) below.push(place.become(entry, isNews))
    }
    await Promise.all(below)
  }

  #onEntry(name: string, now: Entry | undefined): void {
    if (this.#above !== undefined && now && isBuildOutput(new Set([name]))) {
      this.#empty()
      return
    }
    const path = join(this.#path, name)
    if (!this.#ground.isWanted(path, now?.kind === 'folder')) return
    this.#ground.tell(path, now === undefined)
    const place = this.#placeFor(name, now)
    if (place) unattended(place.become(now, true))
  }

  /** A file needs no place: its folder sees it. */
  #placeFor(name: string, entry: Entry | undefined): Place | undefined {
    const known = this.#below.get(name)
    if (entry?.kind === 'folder' || entry?.kind === 'link') {
      const place =
        known ?? new Place(this.#ground, join(this.#path, name), join(this.#real ?? this.#own, name), this)
      this.#below.set(name, place)
      return place
    }
    known?.close()
    this.#below.delete(name)
    return undefined
  }

  #leaveWay(): void {
    for (const lookout of this.#lookouts) lookout[Symbol.dispose]()
    this.#lookouts = []
  }

  #empty(): void {
    if (this.#following) {
      this.#following[Symbol.dispose]()
      this.#following = undefined
      this.#ground.leave()
    }
    this.#real = undefined
    for (const place of this.#below.values()) place.close()
    this.#below.clear()
  }
}
