/**
 * The last so many numbers that were added, and up to as many again before them. They are forgotten many at once: a `Set`
 * that loses its oldest for each new one is searched from its start every time, past all that it has lost.
 */
export class Recent {
  readonly #limit: number
  #newer = new Set<number>()
  #older = new Set<number>()

  constructor(limit: number) {
    this.#limit = limit
  }

  add(number: number): void {
    this.#newer.add(number)
    if (this.#newer.size < this.#limit) return
    this.#older = this.#newer
    this.#newer = new Set()
  }

  clear(): void {
    this.#newer.clear()
    this.#older.clear()
  }

  has(number: number): boolean {
    return this.#newer.has(number) || this.#older.has(number)
  }
}
