/** A file's content and its permission bits. */
export interface ReadFile {
  readonly content: Uint8Array
  readonly mode: number
}

/** New code on its way into a replica that runs, as docs/runtime.md has it. */
export interface CodeChange {
  /** Of the code that the replica runs afterwards. */
  readonly hash: string
  /** Of the code that the change applies to; null: `files` is everything there is. */
  readonly from: string | null
  /** By path relative to the code's folder. */
  readonly files: ReadonlyMap<string, ReadFile>
  readonly deleted: readonly string[]
}

/** Code that is put into a replica before its process starts. */
export interface CodeOverlay {
  readonly hash: string
  /** Absolute. */
  readonly folder: string
  /** What differs from the image. What the image has and the code has not stays. */
  readonly files: ReadonlyMap<string, ReadFile>
}

/** What became of a change that was given to a replica. */
export type LoadOutcome =
  | { readonly type: 'loaded' }
  /** It runs something else than the change applies to. */
  | { readonly type: 'elsewhere'; readonly hash: string }
  /** The code does not load; what ran before runs on. */
  | { readonly type: 'failed'; readonly failure: LoadFailure }
  /** This replica cannot take it; what ran before runs on. */
  | { readonly type: 'refused'; readonly reason: string }
  /** The connection broke: nobody knows what it runs, if it runs. */
  | { readonly type: 'lost'; readonly reason: string }
  /** No answer within the limit: it will give none any more. */
  | { readonly type: 'silent'; readonly reason: string }

/** Why code does not load, in the words of its language. */
export interface LoadFailure {
  readonly message: string
  /** Relative to the code's folder. */
  readonly file?: string
  readonly line?: number
  readonly column?: number
}
