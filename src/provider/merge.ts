/** Items kept for a slow reader; beyond that its sources wait, so that memory stays bounded. */
const MAX_WAITING = 1000

/**
 * Merges several sources as their items come. Sources may be added while it runs; it ends when it was closed and
 * all of them have ended. A source that fails ends the merge with its error.
 */
export class Merge<T> implements AsyncIterable<T> {
  readonly #items: T[] = []
  readonly #waitingForSpace: (() => void)[] = []
  #running = 0
  #isClosed = false
  #failure: { readonly error: unknown } | undefined
  #wake: (() => void) | undefined

  add(source: AsyncIterable<T>): void {
    this.#running++
    this.#take(source)
      .catch((error: unknown) => {
        this.#failure = { error }
      })
      .finally(() => {
        this.#running--
        this.#wake?.()
      })
  }

  /** No more sources will be added. */
  close(): void {
    this.#isClosed = true
    this.#wake?.()
  }

  async #take(source: AsyncIterable<T>): Promise<void> {
    for await (const item of source) {
      if (this.#items.length >= MAX_WAITING) {
        await new Promise<void>((resolve) => {
          this.#waitingForSpace.push(resolve)
        })
      }
      this.#items.push(item)
      this.#wake?.()
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const batch = this.#items.splice(0)
      for (const resume of this.#waitingForSpace.splice(0)) resume()
      yield* batch
      if (this.#items.length > 0) continue
      if (this.#failure) throw this.#failure.error
      if (this.#isClosed && this.#running === 0) return
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}
