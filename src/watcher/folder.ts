import { basename, join } from 'node:path'
import { differs, entryAt, entryBehind, entryIdBehind } from './entry.ts'
import type { Entry } from './entry.ts'
import { CannotWatch, watchFolder } from './folder-events.ts'
import type { FolderEvents } from './folder-events.ts'
import { lookInto } from './look.ts'
import { isNoise } from './noise.ts'

/** Told of one folder's content, or of one name in it. */
export interface FolderListener {
  /** Something happened to a name; `now` is undefined when nothing has it any more. Told too often rather than once too rarely. */
  onEntry(name: string, now: Entry | undefined): void
  /** The folder went away, or another one has its place: nothing more will be told. */
  onLost(): void
}

/** One folder of the disk, and what is in it; what is in its folders is theirs. Shared by everybody who watches it. */
export class Folder {
  readonly path: string
  /** Of the disk that it is on. Known once it is open. */
  device = 0
  /** On another machine's disk, or one that behaves like it. */
  isFar = false
  /** When something in it changed last, as `performance.now()`. */
  changedAt = -Infinity
  readonly #entries = new Map<string, Entry>()
  readonly #all = new Set<FolderListener>()
  readonly #named = new Map<string, Set<FolderListener>>()
  readonly #onHeard: () => void
  #id = ''
  #events: FolderEvents | undefined
  #isListed = false
  #listing: Promise<void> | undefined
  #isLost = false
  #isClosed = false
  #looking: Promise<number> | undefined
  /** Names of which something was heard while they were looked at: the look may be older. */
  #heard: Set<string> | undefined

  /** `onHeard`: an event came. */
  constructor(path: string, onHeard: () => void) {
    this.path = path
    this.#onHeard = onHeard
  }

  get hasEvents(): boolean {
    return this.#events !== undefined
  }

  get isLost(): boolean {
    return this.#isLost
  }

  get isUnused(): boolean {
    return this.#all.size === 0 && this.#named.size === 0
  }

  /** How many entries a look is at. */
  get size(): number {
    return this.#entries.size + 1
  }

  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries
  }

  /** Finds out which folder this is. Rejects as `stat`, or with ENOTDIR. */
  async identify(): Promise<void> {
    const found = await entryBehind(this.path)
    if (found.kind !== 'folder')
      throw Object.assign(new Error(`${this.path} is not a folder`), { code: 'ENOTDIR' })
    this.#id = found.id
    this.device = found.device
  }

  /** Whether events that come are those of the folder at its path, and not of one that was there before. */
  get isStale(): boolean {
    return this.hasEvents && entryIdBehind(this.path) !== this.#id
  }

  /** From now on events are heard. Rejects with CannotWatch. */
  async hear(): Promise<void> {
    if (this.#events) return
    this.#events = await watchFolder(this.path, (name, isRename) => this.#onEvent(name, isRename))
    // Nobody wanted it any more before it was there.
    if (this.#isClosed) this.close()
  }

  /** Adds a listener for everything in the folder, or for one name. Rejects when it cannot be listed. */
  async listen(listener: FolderListener, name?: string): Promise<Disposable> {
    if (name === undefined) {
      await (this.#listing ??= this.#list())
      if (this.#isLost) throw gone(this.path)
      this.#all.add(listener)
      return { [Symbol.dispose]: () => void this.#all.delete(listener) }
    }
    if (this.#isLost) throw gone(this.path)
    const group = this.#named.get(name) ?? new Set()
    this.#named.set(name, group.add(listener))
    this.#keep(name, entryAt(join(this.path, name)))
    return {
      [Symbol.dispose]: () => {
        group.delete(listener)
        if (group.size === 0) this.#named.delete(name)
      },
    }
  }

  /** Compares what is there with what was told, and tells the rest. Resolves with how much that was. */
  look(): Promise<number> {
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined))
    return this.#looking
  }

  /** For good. */
  close(): void {
    this.#isClosed = true
    this.hearNoMore()
  }

  hearNoMore(): void {
    this.#events?.close()
    this.#events = undefined
  }

  async #list(): Promise<void> {
    await this.#looking?.catch(() => undefined)
    this.#isListed = true
    try {
      await this.look()
    } catch (error) {
      this.#isListed = false
      this.#listing = undefined
      throw error
    }
  }

  async #look(): Promise<number> {
    const heard = (this.#heard = new Set<string>())
    try {
      const id = this.isFar ? (await entryBehind(this.path)).id : entryIdBehind(this.path)
      if (id !== this.#id && (id === undefined || this.hasEvents)) throw gone(this.path)
      const ofAll = this.#isListed ? (name: string): boolean => this.#isWanted(name) : undefined
      const found = await lookInto(this.path, { ofAll, alone: this.#named.keys() }, this.isFar)
      if (this.#isLost) return 0
      let changes = 0
      for (const name of new Set([...found.keys(), ...this.#entries.keys()])) {
        if (heard.has(name) || !differs(this.#entries.get(name), found.get(name))) continue
        changes++
        this.#keep(name, found.get(name))
        this.#tell(name)
      }
      return changes
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT' || code === 'ENOTDIR') this.lose()
      throw error
    } finally {
      this.#heard = undefined
    }
  }

  /** Says that it is gone; who wants to go on watches anew. */
  lose(): void {
    if (this.#isLost) return
    this.#isLost = true
    this.close()
    const listeners = [...this.#all, ...[...this.#named.values()].flatMap((group) => [...group])]
    for (const listener of listeners) listener.onLost()
  }

  #onEvent(name: string | undefined, isRename: boolean): void {
    if (this.#isLost) return
    this.#onHeard()
    if (name === undefined) {
      this.look().catch(() => undefined)
      return
    }
    // The folder's own events bear its own name, which something in it may bear, too.
    if (isRename && name === basename(this.path) && !this.#isStillHere(name)) {
      this.lose()
      return
    }
    if (!this.#isWanted(name)) return
    this.#heard?.add(name)
    const before = this.#entries.get(name)
    const now = entryAt(join(this.path, name))
    this.#keep(name, now)
    // The folder's own again. Of anything else that came and went who listens may have seen it by himself.
    if (!before && !now && name === basename(this.path)) return
    this.#tell(name)
  }

  #isStillHere(name: string): boolean {
    if (!this.#entries.has(name) && entryAt(join(this.path, name)) === undefined) return false
    return entryIdBehind(this.path) === this.#id
  }

  #isWanted(name: string): boolean {
    return this.#named.has(name) || (this.#isListed && !isNoise(name))
  }

  #keep(name: string, entry: Entry | undefined): void {
    if (entry) this.#entries.set(name, entry)
    else this.#entries.delete(name)
  }

  #tell(name: string): void {
    this.changedAt = performance.now()
    const now = this.#entries.get(name)
    // A name that somebody asked for on its own may be nothing to those who see all.
    if (!isNoise(name)) for (const listener of [...this.#all]) listener.onEntry(name, now)
    for (const listener of [...(this.#named.get(name) ?? [])]) listener.onEntry(name, now)
  }
}

/** Why `hear` or `listen` failed, as the operating system says it. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof CannotWatch ? error.code : (error as NodeJS.ErrnoException).code
}

function gone(path: string): Error {
  return Object.assign(new Error(`${path} is another folder now`), { code: 'ENOENT' })
}
