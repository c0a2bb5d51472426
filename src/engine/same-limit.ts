import type { Clock } from '../core/clock.ts'

interface Batch<Member> {
  readonly begunAt: number
  readonly members: Set<Member>
  readonly timer: Disposable
}

/**
 * The same limit of time for many. Those that begin in one millisecond share a timer: one for each would be set and
 * cleared for every call of a busy queue, and hardly ever run out.
 */
export class SameLimit<Member extends object> {
  readonly #clock: Clock
  readonly #ms: number
  readonly #onOver: (member: Member) => void
  readonly #batches = new Map<Member, Batch<Member>>()
  #newest: Batch<Member> | undefined

  /** `ms`: what each is given. `onOver` is told of each that has not ended then; it may begin it again. */
  constructor(clock: Clock, ms: number, onOver: (member: Member) => void) {
    this.#clock = clock
    this.#ms = ms
    this.#onOver = onOver
  }

  begin(member: Member): void {
    const begunAt = this.#clock.now()
    let batch = this.#newest
    if (batch?.begunAt !== begunAt || batch.members.size === 0) {
      const members = new Set<Member>()
      const timer = this.#clock.after(this.#ms, () => this.#runOut(members))
      this.#newest = batch = { begunAt, members, timer }
    }
    batch.members.add(member)
    this.#batches.set(member, batch)
  }

  end(member: Member): void {
    const batch = this.#batches.get(member)
    if (!batch) return
    this.#batches.delete(member)
    batch.members.delete(member)
    if (batch.members.size === 0) batch.timer[Symbol.dispose]()
  }

  #runOut(members: Set<Member>): void {
    const over = [...members]
    members.clear()
    for (const member of over) {
      this.#batches.delete(member)
      this.#onOver(member)
    }
  }
}
