import { Client } from 'undici'
import type { Dispatcher } from 'undici'

/** One connection of a pool, which knows whether it has carried a call before. */
export class CountingClient extends Client {
  #calls = 0

  constructor(origin: string | URL, options: Client.Options) {
    super(origin, options)
    this.on('connect', () => (this.#calls = 0))
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    // Calls are given to a connection here, and written to it later.
    ;(handler as { client?: CountingClient }).client = this
    return super.dispatch(options, handler)
  }

  /** For a call that is written now: whether another one was before it on this connection. */
  take(): boolean {
    return this.#calls++ > 0
  }
}
