import type { RevisionCode } from '../core/code.ts'
import type { FunctionRef } from '../core/function.ts'
import { formatRef } from '../core/function.ts'
import type { Rung } from './rung.ts'

interface Entry {
  code: RevisionCode | undefined
  /** The code that the revision answered with. */
  good: RevisionCode | undefined
  /** What brings it; until it answers. */
  by: Rung | undefined
}

/**
 * Which code each revision is to run, where a dev loop knows it. In memory alone: the registry never sees code, and
 * whoever deploys a revision (a save, a scale-up, a crash, a retry, the way back to the last good one) finds it here.
 */
export class CodeBook {
  readonly #functions = new Map<string, Map<string, Entry>>()

  /** Undefined where replicas run what is in their image. */
  get(ref: FunctionRef, revision: string): RevisionCode | undefined {
    return this.#entry(ref, revision)?.code
  }

  /** The revision is to run this; `by`, or what was to be told of the same code before, is told when it does. */
  want(ref: FunctionRef, revision: string, code: RevisionCode | undefined, by?: Rung): void {
    const key = formatRef(ref)
    const revisions = this.#functions.get(key) ?? new Map<string, Entry>()
    const before = revisions.get(revision)
    const isSame = before?.code?.wanted.hash === code?.wanted.hash
    revisions.set(revision, { code, good: before?.good, by: by ?? (isSame ? before?.by : undefined) })
    this.#functions.set(key, revisions)
  }

  /** The same code, in an image of its own now: replicas need not be given it any more. */
  imaged(ref: FunctionRef, revision: string, code: RevisionCode): void {
    const entry = this.#entry(ref, revision)
    if (!entry) return
    const isGood = entry.good?.wanted.hash === code.wanted.hash
    entry.code = code
    if (isGood) entry.good = code
  }

  /**
   * The revision is so. `isProven`: it answers with its code, and others are needed no more. Gives what brought it, the
   * first time.
   */
  made(ref: FunctionRef, revision: string, isProven: boolean): Rung | undefined {
    const entry = this.#entry(ref, revision)
    if (!entry) return undefined
    const { by } = entry
    entry.by = undefined
    if (!isProven) return by
    entry.good = entry.code
    this.#functions.set(formatRef(ref), new Map([[revision, entry]]))
    return by
  }

  /** Back to the code that the revision answered with. False when there is none but what is wanted. */
  revert(ref: FunctionRef, revision: string): boolean {
    const entry = this.#entry(ref, revision)
    if (!entry?.good || entry.good.wanted.hash === entry.code?.wanted.hash) return false
    entry.code = entry.good
    entry.by = undefined
    return true
  }

  forget(ref: FunctionRef): void {
    this.#functions.delete(formatRef(ref))
  }

  #entry(ref: FunctionRef, revision: string): Entry | undefined {
    return this.#functions.get(formatRef(ref))?.get(revision)
  }
}
