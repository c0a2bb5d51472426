/** Moments at which messages are due, soonest first. Setting a message again replaces its moment. */
export class DueTimes {
  readonly #due = new Map<number, number>()
  /** A binary heap of [moment, message]; entries that are out of date are dropped when they come up. */
  readonly #heap: (readonly [number, number])[] = []

  get size(): number {
    return this.#due.size
  }

  set(message: number, at: number): void {
    this.#due.set(message, at)
    const heap = this.#heap
    heap.push([at, message])
    for (let i = heap.length - 1; i > 0;) {
      const parent = (i - 1) >> 1
      if (heap[parent]![0] <= heap[i]![0]) break
      ;[heap[parent], heap[i]] = [heap[i]!, heap[parent]!]
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

  /** The next moment, and forgets those before `forgetBefore`. */
  soonest(forgetBefore: number): number | undefined {
    for (;;) {
      const top = this.#heap[0]
      if (!top) return undefined
      const [at, message] = top
      if (this.#due.get(message) === at) {
        if (at >= forgetBefore) return at
        this.#due.delete(message)
      }
      this.#pop()
    }
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (!last || heap.length === 0) return
    heap[0] = last
    for (let i = 0; ;) {
      const [left, right] = [2 * i + 1, 2 * i + 2]
      let least = i
      if (left < heap.length && heap[left]![0] < heap[least]![0]) least = left
      if (right < heap.length && heap[right]![0] < heap[least]![0]) least = right
      if (least === i) return
      ;[heap[least], heap[i]] = [heap[i]!, heap[least]!]
      i = least
    }
  }
}
