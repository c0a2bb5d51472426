/** The last so many numbers that were added. */
export class Recent {
  readonly #limit: number
  readonly #numbers = new Set<number>()

  constructor(limit: number) {
    this.#limit = limit
  }

  add(number: number): void {
    this.#numbers.add(number)
    if (this.#numbers.size <= this.#limit) return
    for (const oldest of this.#numbers) {
      this.#numbers.delete(oldest)
      return
    }
  }

  has(number: number): boolean {
    return this.#numbers.has(number)
  }
}
