import type { Folder } from './folder.ts'
import { unattended } from './unattended.ts'

export interface RoundsOptions {
  /** Whom to visit; asked anew for each round. */
  readonly folders: () => readonly Folder[]
  readonly leastMs: number
  readonly mostMs: number
  /** How many times as long as a round took is rested after it: what bounds the CPU. */
  readonly rest: number
  /** Whether there will be a next round; by default while there is somebody to visit. */
  readonly isNeeded?: () => boolean
  /** A look found something that was not told before. */
  readonly onFound?: (folder: Folder) => void
  readonly onRound?: () => void
}

/** So many events in a row may be more than the kernel keeps (16,384); libuv does not say that some were lost. */
const MANY_EVENTS = 4000
/** After as many, milliseconds. */
const SOON_MS = 500

/** Looks into folders, one after the other, again and again; the more there are, the more rarely. */
export class Rounds implements Disposable {
  readonly #options: RoundsOptions
  #everyMs: number
  #timer: NodeJS.Timeout | undefined
  #isOnTheWay = false
  #isOver = false
  #heard = 0

  constructor(options: RoundsOptions) {
    this.#options = options
    this.#everyMs = options.leastMs
  }

  get everyMs(): number {
    return this.#everyMs
  }

  /** There is somebody to visit. */
  start(): void {
    if (!this.#timer && !this.#isOnTheWay) this.#next(this.#everyMs)
  }

  /** An event came. */
  hear(): void {
    if (++this.#heard === MANY_EVENTS && !this.#isOnTheWay) this.#next(SOON_MS)
  }

  [Symbol.dispose](): void {
    this.#isOver = true
    clearTimeout(this.#timer)
  }

  #next(ms: number): void {
    clearTimeout(this.#timer)
    if (this.#isOver) return
    this.#timer = setTimeout(() => unattended(this.#round()), ms)
    this.#timer.unref()
  }

  async #round(): Promise<void> {
    const { folders, leastMs, mostMs, rest, onFound, onRound, isNeeded } = this.#options
    this.#timer = undefined
    this.#isOnTheWay = true
    this.#heard = 0
    const startedAt = performance.now()
    const visited = folders()
    for (const folder of visited) {
      if (this.#isOver) return
      // Gone or not to be read just now: its listeners know, or will be told when it can be.
      const found = await folder.look().catch(() => 0)
      if (found > 0) onFound?.(folder)
    }
    this.#everyMs = Math.min(mostMs, Math.max(leastMs, rest * (performance.now() - startedAt)))
    onRound?.()
    this.#isOnTheWay = false
    if (isNeeded?.() ?? visited.length > 0) this.#next(this.#heard < MANY_EVENTS ? this.#everyMs : SOON_MS)
  }
}
