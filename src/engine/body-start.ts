import type { MessageHead } from '../core/invocation-record.ts'

const NOTHING = new Uint8Array()
/** So many pieces are made one: an event stream writes a few bytes at a time. */
const MOST_PIECES = 64

/** The beginning of a body, as it goes by. Nothing is copied but many small pieces. */
export class BodyStart {
  bytes = 0
  kept = 0
  /** It has come to its end. */
  isWhole: boolean
  readonly #limit: number
  /** Most bodies come in one piece. */
  #first: Uint8Array | undefined
  #others: Uint8Array[] | undefined

  constructor(limit: number, isWhole: boolean) {
    this.#limit = limit
    this.isWhole = isWhole
  }

  /** How many of its bytes are kept. */
  add(piece: Uint8Array, room: number): number {
    // What is left out is left out from there on.
    const open = this.kept === this.bytes ? Math.min(this.#limit - this.kept, room) : 0
    this.bytes += piece.length
    if (open <= 0 || piece.length === 0) return 0
    const start = piece.length > open ? piece.subarray(0, open) : piece
    this.kept += start.length
    if (this.#first === undefined) this.#first = start
    else if ((this.#others ??= []).push(start) >= MOST_PIECES) this.#join()
    return start.length
  }

  get start(): Uint8Array {
    this.#join()
    return this.#first ?? NOTHING
  }

  head(headers: readonly string[], trailers: readonly string[]): MessageHead {
    return {
      headers,
      ...(trailers.length > 0 && { trailers }),
      bodyBytes: this.bytes,
      ...((this.kept < this.bytes || !this.isWhole) && { isCut: true }),
    }
  }

  #join(): void {
    if (this.#first === undefined || this.#others === undefined) return
    this.#first = Buffer.concat([this.#first, ...this.#others])
    this.#others = undefined
  }
}
