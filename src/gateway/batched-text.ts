import { Readable } from 'node:stream'

/** Texts are sent together up to this many characters, and read ahead no further while the reader is slow. */
const BATCH_CHARACTERS = 64 * 1024

/**
 * Texts as a stream: each goes out in the turn in which it comes, together with what else comes in it, because a packet
 * for each of ten thousand lines a second is most of their cost. A slow reader makes the source wait. Closing the stream
 * ends the source.
 */
export function batchedText(texts: AsyncIterator<string, unknown>): Readable {
  return new BatchedText(texts)
}

class BatchedText extends Readable {
  readonly #texts: AsyncIterator<string, unknown>
  #pending = ''
  #flushIsDue = false
  #isFull = false
  #onSpace: (() => void) | undefined

  constructor(texts: AsyncIterator<string, unknown>) {
    super({ highWaterMark: BATCH_CHARACTERS })
    this.#texts = texts
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
    Promise.resolve(this.#texts.return?.()).then(end, end)
  }

  get #mustWait(): boolean {
    return this.#isFull && !this.destroyed
  }

  async #pump(): Promise<void> {
    for (;;) {
      const next = await this.#texts.next()
      if (this.destroyed) return
      if (next.done === true) break
      this.#pending += next.value
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
