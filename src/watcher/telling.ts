import type { FileChange } from '../core/watcher.ts'

/** How long a path rests after it was told, milliseconds. A checkout makes some four events of each file. */
const REST_MS = 5

/** Tells the first change of a path at once, and those that follow it within a moment together, as the last of them. */
export class Telling implements Disposable {
  readonly #onChange: (change: FileChange) => void
  /** Paths that were told just now, and what happened to them since. */
  readonly #recent = new Map<string, FileChange | undefined>()
  #timer: NodeJS.Timeout | undefined
  #isOver = false

  constructor(onChange: (change: FileChange) => void) {
    this.#onChange = onChange
  }

  tell(path: string, isGone: boolean): void {
    if (this.#isOver) return
    if (this.#recent.has(path)) {
      this.#recent.set(path, { path, isGone })
      return
    }
    this.#recent.set(path, undefined)
    this.#timer ??= this.#later()
    this.#onChange({ path, isGone })
  }

  [Symbol.dispose](): void {
    this.#isOver = true
    clearTimeout(this.#timer)
  }

  #later(): NodeJS.Timeout {
    return setTimeout(() => this.#flush(), REST_MS).unref()
  }

  #flush(): void {
    this.#timer = undefined
    const recent = [...this.#recent]
    this.#recent.clear()
    for (const [, change] of recent) if (change) this.tell(change.path, change.isGone)
  }
}
