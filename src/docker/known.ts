/** Far more images than anybody works with at once. */
const LIMIT = 500

/** What was found out about things that never change, such as an image by its id: the newest of it. */
export class Known<T extends object> {
  readonly #found = new Map<string, T>()

  /**
   * What is known of `key`, else what `find` finds. Nothing is kept of what has no key, was not found, or could not be
   * looked up.
   */
  async of(key: string | undefined, find: () => Promise<T | undefined>): Promise<T | undefined> {
    const known = key === undefined ? undefined : this.#found.get(key)
    if (known) return known
    const found = await find()
    if (key === undefined || !found) return found
    this.#found.set(key, found)
    const [oldest] = this.#found.keys()
    if (this.#found.size > LIMIT && oldest !== undefined) this.#found.delete(oldest)
    return found
  }
}
