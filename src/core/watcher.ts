/** Tells when something below a set of paths changes. */
export interface Watcher extends AsyncDisposable {
  /**
   * Watches files and folders (recursively), existing or not. `onChange` gets absolute paths; a deletion counts.
   * Editor swap files, `.git`, `node_modules` and build output are never told. Resolves once changes are seen.
   */
  watch(paths: readonly string[], onChange: (path: string) => void): Promise<AsyncDisposable>
}
