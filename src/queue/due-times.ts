/** Moments at which messages are due, soonest first. Setting a message again replaces its moment. */
export class DueTimes {
  readonly #due = new Map<number, number>()
  /** A binary heap; entries that are out of date are dropped when they come up. */
  readonly #heap: Entry[] = []

  get size(): number {
    return this.#due.size
  }

  set(message: number, at: number): void {
    this.#due.set(message, at)
    this.#heap.push({ at, message })
    for (let i = this.#heap.length - 1; i > 0;) {
      const parent = (i - 1) >> 1
      if (this.#at(parent) <= this.#at(i)) break
      this.#swap(parent, i)
      i = parent
    }
  }

  delete(message: number): void {
    this.#due.delete(message)
  }

  clear(): void {
    this.#due.clear()
    this.#heap.length = 0
  }

  /** The next moment; those before `forgetBefore` are forgotten. */
  soonest(forgetBefore: number): number | undefined {
    for (;;) {
      const [top] = this.#heap
      if (!top) return undefined
      if (this.#due.get(top.message) === top.at) {
        if (top.at >= forgetBefore) return top.at
        this.#due.delete(top.message)
      }
      this.#pop()
    }
  }

  #pop(): void {
    const last = this.#heap.pop()
    if (!last || this.#heap.length === 0) return
    this.#heap[0] = last
    for (let i = 0; ;) {
      let least = i
      for (const child of [2 * i + 1, 2 * i + 2])
        if (child < this.#heap.length && this.#at(child) < this.#at(least)) least = child
      if (least === i) return
      this.#swap(least, i)
      i = least
    }
  }

  #at(index: number): number {
    return (this.#heap[index] as Entry).at
  }

  #swap(a: number, b: number): void {
    const entry = this.#heap[a] as Entry
    this.#heap[a] = this.#heap[b] as Entry
    this.#heap[b] = entry
  }
}

interface Entry {
  readonly at: number
  readonly message: number
}
