/** The newest of what was put in, at most `capacity` of them. Whoever puts in one too many takes the oldest out first. */
export class Ring<T> {
  /** How many there are. */
  length = 0
  readonly #slots: (T | undefined)[]
  #oldest = 0

  constructor(capacity: number) {
    this.#slots = new Array<T | undefined>(capacity).fill(undefined)
  }

  get isFull(): boolean {
    return this.length === this.#slots.length
  }

  push(one: T): void {
    this.#slots[(this.#oldest + this.length) % this.#slots.length] = one
    this.length++
  }

  takeOldest(): T | undefined {
    if (this.length === 0) return undefined
    const one = this.#slots[this.#oldest]
    this.#slots[this.#oldest] = undefined
    this.#oldest = (this.#oldest + 1) % this.#slots.length
    this.length--
    return one
  }
}
