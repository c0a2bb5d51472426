import { basename, dirname } from 'node:path'
import { differs } from './entry.ts'
import type { Entry } from './entry.ts'
import type { Following, Folders } from './folders.ts'
import { unattended } from './unattended.ts'

/**
 * Sees one path come, change and go, whether or not the folders that lead there exist; not what is below it. It listens
 * in the nearest folder that is there, and moves as folders come and go.
 */
export class Lookout implements Disposable {
  readonly #folders: Folders
  readonly #path: string
  readonly #onChange: (now: Entry | undefined) => void
  #following: Following | undefined
  #entry: Entry | undefined
  #settling: Promise<void> | undefined
  #isUnsettled = false
  #isOver = false

  constructor(folders: Folders, path: string, onChange: (now: Entry | undefined) => void) {
    this.#folders = folders
    this.#path = path
    this.#onChange = onChange
  }

  /** What is at the path. */
  get entry(): Entry | undefined {
    return this.#entry
  }

  /** Resolves once no change is missed any more. */
  async start(): Promise<void> {
    await this.#settle()
  }

  [Symbol.dispose](): void {
    this.#isOver = true
    this.#following?.[Symbol.dispose]()
  }

  /** As a question: it may have, during a wait. */
  #hasEnded(): boolean {
    return this.#isOver
  }

  #settle(): Promise<void> {
    this.#isUnsettled = true
    this.#settling ??= this.#work().finally(() => (this.#settling = undefined))
    return this.#settling
  }

  async #work(): Promise<void> {
    while (this.#isUnsettled && !this.#isOver) {
      this.#isUnsettled = false
      const old = this.#following
      const found = await this.#nearest()
      this.#following = found?.following
      old?.[Symbol.dispose]()
      if (this.#hasEnded()) this.#following?.[Symbol.dispose]()
      this.#entry = found?.isParent ? found.following.entries.get(basename(this.#path)) : undefined
    }
  }

  /** Follows the path's name in its folder, or the next step towards it in the nearest folder that is there. */
  async #nearest(): Promise<{ following: Following; isParent: boolean } | undefined> {
    const parent = dirname(this.#path)
    let [at, step] = [parent, basename(this.#path)]
    let missing: string | undefined
    for (;;) {
      const isParent = at === parent
      const name = step
      const following = await this.#folders
        .follow(
          at,
          { onEntry: (_name, now) => this.#onStep(isParent, now), onLost: () => this.#onLost() },
          name,
        )
        .catch(() => undefined)
      if (following) {
        // It came while we were on our way up; once, as there may be other reasons why it cannot be followed.
        if (isParent || missing === at || following.entries.get(name)?.kind !== 'folder')
          return { following, isParent }
        following[Symbol.dispose]()
        missing = at
        ;[at, step] = [parent, basename(this.#path)]
        continue
      }
      if (dirname(at) === at) return undefined
      step = basename(at)
      at = dirname(at)
    }
  }

  #onStep(isParent: boolean, now: Entry | undefined): void {
    if (this.#isOver) return
    if (!isParent) {
      this.#moved()
      return
    }
    this.#entry = now
    this.#onChange(now)
  }

  #onLost(): void {
    if (!this.#isOver) this.#moved()
  }

  #moved(): void {
    const before = this.#entry
    const settled = this.#settle().then(() => {
      if (!this.#isOver && differs(before, this.#entry)) this.#onChange(this.#entry)
    })
    unattended(settled)
  }
}
