/** A function's own files, in so far as replicas can take new ones without a build of the image. */
export interface Code {
  /** Identifies the files: their paths, modes and contents. Equal hashes are equal code. */
  readonly hash: string
  /**
   * `swap`: into the running process (docs/runtime.md). `files`: into a replica before its process starts; what the
   * image's code has and this has not would stay there, so a file that goes takes a build.
   */
  readonly way: 'swap' | 'files'
  /** Where they are in the image, absolute, with `/`. */
  readonly folder: string
  /** By path relative to `folder`, with `/`. */
  readonly files: ReadonlyMap<string, CodeFile>
}

/** One file as it was when the code was looked at. */
export interface CodeFile {
  /** Hex SHA-256 of the content. */
  readonly hash: string
  /** Permission bits. */
  readonly mode: number
  /** Bytes. */
  readonly size: number
  /** Where it is on this machine, absolute: what errors and code frames name. */
  readonly source: string
  /** The content that `hash` names. FILE_NOT_READABLE, also when it was changed or removed meanwhile. */
  read(signal: AbortSignal): Promise<Uint8Array>
}

/** Code that the replicas of a revision run, where it may be newer than what is in their image. */
export interface RevisionCode {
  readonly wanted: Code
  /** Hash of the code in the revision's image: what a replica begins with. */
  readonly inImage: string
  /** Hash of everything else that the image was made of: images of equal frames differ by their code only. */
  readonly frame?: string
}

/** A place in somebody's source. */
export interface SourcePlace {
  /** As the developer knows it: relative to the stack file, or absolute. */
  readonly file: string
  /** From 1. */
  readonly line?: number
  /** From 1. */
  readonly column?: number
}
