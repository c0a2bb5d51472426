/** One file or folder that appeared, changed or went away. */
export interface FileChange {
  /** Absolute. */
  readonly path: string
  readonly isGone: boolean
}

/** Tells when something below a set of paths changes. */
export interface Watcher extends AsyncDisposable {
  /**
   * Watches files and folders (recursively), existing or not. A deletion is a change.
   * Editor swap files, `.git`, `node_modules` and build output are never told. Resolves once changes are seen.
   */
  watch(paths: readonly string[], onChange: (change: FileChange) => void): Promise<AsyncDisposable>
}
