/** One file or folder that appeared, changed or went away. */
export interface FileChange {
  /** Absolute, as it is reached from the watched path: links are not resolved in it. */
  readonly path: string
  /** Nothing is there any more. A folder that goes is told as itself, without what was in it. */
  readonly isGone: boolean
}

export interface WatchOptions {
  /**
   * Those of the watched paths that are handler folders: what their own `.dockerignore` leaves out, and `build` and
   * `template` at their top, go into no image and are not watched.
   */
  readonly handlers?: readonly string[]
}

/** Tells when something below a set of paths changes. */
export interface Watcher extends AsyncDisposable {
  /**
   * Watches files and folders (recursively, through links; a link back to a folder that it is in is not followed).
   * A path need not exist, may come, go and come again, and may be a file one time and a folder the next.
   *
   * Resolves once changes are seen: what is on disk then is the truth, and every later change is told within moments,
   * rather twice than not at all, the first of several at once. What appears with a folder is told, too. Files are not
   * read. Editors' temporary files, version control, `node_modules`, caches and what `options` leave out are not watched,
   * unless they are themselves among `paths`.
   *
   * Never rejects for what is on disk: what cannot be seen does not keep the rest from being seen, and is said in the log.
   */
  watch(
    paths: readonly string[],
    onChange: (change: FileChange) => void,
    options?: WatchOptions,
  ): Promise<AsyncDisposable>
}
