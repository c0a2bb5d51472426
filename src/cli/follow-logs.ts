import { setTimeout as wait } from 'node:timers/promises'
import { asFaasError } from '../core/errors.ts'
import { formatRef } from '../core/function.ts'
import type { FunctionRef } from '../core/function.ts'
import type { GatewayClient, LogRequest } from './gateway-client.ts'
import type { WireLog } from './wire.ts'

/** A gateway that is away is looked for this often. Milliseconds. */
const RETRY_MS = 500
/** A stream that ends that soon without a line is the answer of a gateway that does not follow. */
const NO_FOLLOW_MS = 1000
/** How far back is asked again after a break: lines of one moment may come in any order. */
const OVERLAP_MS = 2000
/** Of so many of the latest lines it is known that they were there. */
const REMEMBERED = 50_000

export interface FollowOptions {
  readonly signal: AbortSignal
  /** The gateway went away; it is waited for. */
  readonly onAway?: () => void
  readonly onBack?: () => void
}

/**
 * Follows the log of a function through breaks: of the connection, of the gateway's time limit, of the gateway itself.
 * Each line comes once. Rejects when the gateway cannot be reached at first, or refuses.
 */
export async function* followLogs(
  client: GatewayClient,
  request: LogRequest,
  { signal, onAway, onBack }: FollowOptions,
): AsyncGenerator<WireLog> {
  const seen = new SeenLogs((request.lines ?? 0) > 0)
  let isAway = false
  for (let isFirst = true; ; isFirst = false) {
    const began = performance.now()
    let lines = 0
    try {
      for await (const log of client.logs(seen.resume(request), signal)) {
        if (isAway) onBack?.()
        isAway = false
        lines++
        if (seen.isFresh(log)) yield log
      }
      if (isFirst && lines === 0 && performance.now() - began < NO_FOLLOW_MS) return
    } catch (error) {
      signal.throwIfAborted()
      const isGone = asFaasError(error).code === 'GATEWAY_UNREACHABLE' || isBroken(error)
      if (!isGone || (isFirst && lines === 0)) throw error
      if (!isAway) onAway?.()
      isAway = true
    }
    signal.throwIfAborted()
    await wait(RETRY_MS, undefined, { signal }).catch(() => signal.throwIfAborted())
  }
}

/** A connection that broke in the middle of an answer: what Node says then has a code, and no class of its own. */
function isBroken(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return typeof code === 'string' && /^E[A-Z]+$|^ERR_STREAM/.test(code)
}

/** Which lines were there already. */
class SeenLogs {
  readonly #isTail: boolean
  readonly #keys = new Set<string>()
  #latest: string | undefined
  #first: string | undefined

  /** `isTail`: older lines than the first one were not asked for. */
  constructor(isTail: boolean) {
    this.#isTail = isTail
  }

  /** The request for what comes after what was seen. */
  resume(request: LogRequest): LogRequest {
    const { lines: _lines, ...rest } = request
    if (this.#latest === undefined) return request
    const latest = Date.parse(this.#latest)
    return Number.isNaN(latest) ? request : { ...rest, since: new Date(latest - OVERLAP_MS) }
  }

  isFresh({ instance = '', timestamp, text }: WireLog): boolean {
    this.#first ??= timestamp
    if (this.#isTail && timestamp < this.#first) return false
    const key = `${timestamp} ${instance} ${text.length > 100 ? text.length : text}`
    if (this.#keys.has(key) && timestamp !== '') return false
    this.#keys.add(key)
    if (this.#keys.size > REMEMBERED) for (const oldest of this.#keys) if (this.#keys.delete(oldest)) break
    if (this.#latest === undefined || timestamp > this.#latest) this.#latest = timestamp
    return true
  }
}

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
