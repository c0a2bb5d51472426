/** Closes what was opened, in reverse. (AsyncDisposableStack is not in Node 20.) */
export class Closers implements AsyncDisposable {
  readonly #closers: (() => unknown)[] = []

  /** Remembers to close `thing`, and hands it on. */
  use<T extends Disposable | AsyncDisposable>(thing: T): T {
    this.#closers.push(() =>
      Symbol.asyncDispose in thing ? thing[Symbol.asyncDispose]() : thing[Symbol.dispose](),
    )
    return thing
  }

  defer(close: () => unknown): void {
    this.#closers.push(close)
  }

  /** One failed close does not skip the others; the first failure is thrown at the end. */
  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = []
    for (const close of this.#closers.splice(0).reverse()) {
      try {
        await close()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length === 1) throw failures[0]
    if (failures.length > 1) throw new AggregateError(failures, 'several things could not be closed')
  }
}
