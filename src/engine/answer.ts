import type { InvocationSink } from '../core/invocation.ts'
import type { BodyStore } from '../core/queue.ts'
import { asFaasError } from '../core/errors.ts'
import type { FaasError } from '../core/errors.ts'
import { BytePipe } from './byte-pipe.ts'

export interface AnswerOptions {
  /** Whether somebody wants the whole body of such an answer; otherwise only its beginning is kept. */
  readonly wantsBody: (status: number, headers: readonly string[]) => boolean
  readonly bodies: BodyStore
  /** Under which a body is stored that is too large to be kept in memory. */
  readonly name: string
  readonly maxInlineBytes: number
  /** What is longer is cut off here, and marked. */
  readonly maxBytes: number
}

/** What is kept of an answer to be shown. */
const EXCERPT_BYTES = 4096
/** On the way to the store. */
const PIPE_BYTES = 1024 * 1024

/** A function's answer to an async call: its status, its headers, and, where somebody wants it, its body. */
export class Answer implements InvocationSink {
  status = 0
  headers: readonly string[] = []
  /** Set when the platform, not the function, ended it. */
  failure: FaasError | undefined
  isTruncated = false
  /** Set when the body is in the store. */
  stored: { readonly name: string; readonly bytes: number } | undefined
  readonly #options: AnswerOptions
  #wanted = 0
  #pieces: Uint8Array[] = []
  #bytes = 0
  #resume: () => void = () => undefined
  #pipe: BytePipe | undefined
  #storing: Promise<number> | undefined

  constructor(options: AnswerOptions) {
    this.#options = options
  }

  onHead(status: number, _statusText: string, headers: readonly string[], resume: () => void): void {
    this.status = status
    this.headers = headers
    this.#resume = resume
    this.#wanted = this.#options.wantsBody(status, headers) ? this.#options.maxBytes : EXCERPT_BYTES
  }

  onData(chunk: Uint8Array): boolean {
    const room = this.#wanted - this.#bytes
    if (chunk.length > room) this.isTruncated = true
    const piece = chunk.length > room ? chunk.subarray(0, Math.max(0, room)) : chunk
    if (piece.length === 0) return true
    this.#bytes += piece.length
    if (this.#pipe) return this.#pipe.push(piece)
    this.#pieces.push(piece)
    if (this.#bytes <= this.#options.maxInlineBytes) return true
    return this.#store()
  }

  onEnd(): void {
    this.#pipe?.end()
  }

  onFailure(error: unknown): number {
    this.failure = asFaasError(error)
    this.#pipe?.end(this.failure)
    return this.failure.code === 'INVOCATION_TIMEOUT' ? 504 : 503
  }

  /** Whether there is something to wait for before it is known what it is. */
  get isStoring(): boolean {
    return this.#storing !== undefined
  }

  /** Resolves when all of the body is where it belongs. What cannot be stored is a failure of the platform. */
  async settled(): Promise<void> {
    if (!this.#storing) return
    try {
      this.stored = { name: this.#options.name, bytes: await this.#storing }
    } catch (error) {
      this.failure ??= asFaasError(error)
    }
  }

  /** What is in memory: all of it, unless it is stored. */
  get body(): Uint8Array {
    return this.stored ? new Uint8Array(0) : Buffer.concat(this.#pieces)
  }

  /** The beginning, as text. */
  get text(): string {
    return Buffer.concat(this.#pieces).subarray(0, EXCERPT_BYTES).toString('utf8')
  }

  header(name: string): string | undefined {
    for (let i = 0; i < this.headers.length; i += 2)
      if (this.headers[i]?.toLowerCase() === name) return this.headers[i + 1]
    return undefined
  }

  #store(): boolean {
    const pipe = new BytePipe(PIPE_BYTES, () => this.#resume())
    this.#pipe = pipe
    const more = this.#pieces.map((piece) => pipe.push(piece)).at(-1) ?? true
    this.#pieces = this.#pieces.slice(0, 1)
    this.#storing = this.#options.bodies.put(this.#options.name, pipe)
    this.#storing.catch(() => {
      // Nobody reads any more: what still comes is dropped.
      this.#wanted = this.#bytes
      this.#resume()
    })
    return more
  }
}
