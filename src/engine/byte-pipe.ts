/** Pushed in on one side, read on the other as fast as the reader likes; `push` says when to pause. */
export class BytePipe implements AsyncIterable<Uint8Array> {
  readonly #limit: number
  readonly #onRoom: () => void
  #pieces: Uint8Array[] = []
  #bytes = 0
  #isEnded = false
  #error: Error | undefined
  #wake: (() => void) | undefined

  /** `onRoom` is called when less than `limit` bytes wait, after a push that asked for a pause. */
  constructor(limit: number, onRoom: () => void) {
    this.#limit = limit
    this.#onRoom = onRoom
  }

  /** False asks for a pause. */
  push(piece: Uint8Array): boolean {
    this.#pieces.push(piece)
    this.#bytes += piece.length
    this.#wake?.()
    return this.#bytes < this.#limit
  }

  end(error?: Error): void {
    this.#isEnded = true
    this.#error ??= error
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      for (const piece of this.#pieces.splice(0)) {
        yield piece
        this.#bytes -= piece.length
      }
      if (this.#pieces.length > 0) continue
      if (this.#error) throw this.#error
      if (this.#isEnded) return
      // First the waiting: more, and the end, may come before `onRoom` returns.
      const woken = new Promise<void>((resolve) => (this.#wake = resolve))
      this.#onRoom()
      await woken
    }
  }
}
