import { formatRef } from '../core/function.ts'
import type { FunctionRef } from '../core/function.ts'
import type { GatewayClient } from './gateway-client.ts'
import type { WireLog } from './wire.ts'

/** The logs of functions as they come and go: one stream for each, opened once and again after it broke. */
export class LogFollower implements Disposable {
  readonly #client: GatewayClient
  readonly #onLine: (ref: FunctionRef, log: WireLog) => void
  readonly #open = new Map<string, AbortController>()

  constructor(client: GatewayClient, onLine: (ref: FunctionRef, log: WireLog) => void) {
    this.#client = client
    this.#onLine = onLine
  }

  /** Follows a function from `since` on; nothing happens when it is followed already. */
  follow(ref: FunctionRef, since: Date): void {
    const key = formatRef(ref)
    if (this.#open.has(key)) return
    const stop = new AbortController()
    this.#open.set(key, stop)
    this.#read(ref, since, stop.signal)
      // A stream ends with its function, with the gateway, or with us. The next time it is ready it is followed again.
      .catch(() => undefined)
      .finally(() => {
        if (this.#open.get(key) === stop) this.#open.delete(key)
      })
      .catch(() => undefined)
  }

  [Symbol.dispose](): void {
    for (const stop of this.#open.values()) stop.abort()
    this.#open.clear()
  }

  async #read(ref: FunctionRef, since: Date, signal: AbortSignal): Promise<void> {
    const request = { ...ref, since, follow: true }
    for await (const log of this.#client.logs(request, signal)) this.#onLine(ref, log)
  }
}
