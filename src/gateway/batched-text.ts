import { Readable } from 'node:stream'

/** Texts are sent together up to this many characters, and read ahead no further while the reader is slow. */
const BATCH_CHARACTERS = 64 * 1024

/**
 * Items as a stream of texts: each goes out in the turn in which it comes, together with what else comes in it, because a packet
 * for each of ten thousand lines a second is most of their cost. A slow reader makes the source wait. Closing the stream
 * ends the source.
 */
export function batchedText<T>(items: AsyncIterator<T, unknown>, write: (item: T) => string): Readable {
  return new BatchedText(items, write)
}

class BatchedText<T> extends Readable {
  readonly #items: AsyncIterator<T, unknown>
  readonly #write: (item: T) => string
  #pending = ''
  #flushIsDue = false
  #isFull = false
  #onSpace: (() => void) | undefined

  constructor(items: AsyncIterator<T, unknown>, write: (item: T) => string) {
    super({ highWaterMark: BATCH_CHARACTERS })
    this.#items = items
    this.#write = write
    this.#pump().catch((error: unknown) =>
      this.destroy(error instanceof Error ? error : new Error(String(error))),
    )
  }

  override _read(): void {
    this.#isFull = false
    this.#onSpace?.()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#onSpace?.()
    const end = (): void => done(error)
    Promise.resolve(this.#items.return?.()).then(end, end)
  }

  get #mustWait(): boolean {
    return this.#isFull && !this.destroyed
  }

  async #pump(): Promise<void> {
    for (;;) {
      const next = await this.#items.next()
      if (this.destroyed) return
      if (next.done === true) break
      this.#pending += this.#write(next.value)
      if (this.#pending.length >= BATCH_CHARACTERS) this.#flush()
      else this.#flushSoon()
      while (this.#mustWait)
        await new Promise<void>((resolve) => {
          this.#onSpace = resolve
        })
    }
    this.#flush()
    this.push(null)
  }

  #flushSoon(): void {
    if (this.#flushIsDue) return
    this.#flushIsDue = true
    setImmediate(() => this.#flush())
  }

  #flush(): void {
    this.#flushIsDue = false
    if (this.#pending === '' || this.destroyed) return
    this.#isFull = !this.push(this.#pending)
    this.#pending = ''
  }
}
