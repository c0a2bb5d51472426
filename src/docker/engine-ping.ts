import { callEngine, readText } from './engine-http.ts'
import type { EngineAddress } from './engine-address.ts'

/** `missing`: nothing at that address. `denied`: this user may not. `not-docker`: something else answers there. */
export type PingOutcome = 'ok' | 'missing' | 'denied' | 'refused' | 'timeout' | 'not-docker'

export interface PingResult {
  readonly outcome: PingOutcome
  /** What was seen, for people: `API 1.41`, `no such file`. */
  readonly detail: string
}

const PING_LIMIT_MS = 2_000

/** Asks `GET /_ping` of an engine, within two seconds. Never throws. */
export async function pingEngine(
  address: EngineAddress,
  options: { readonly signal?: AbortSignal; readonly limitMs?: number } = {},
): Promise<PingResult> {
  // Connecting over ssh may ask for a passphrase and takes seconds; the first real request says if it works.
  if (address.protocol === 'ssh') return { outcome: 'ok', detail: 'over ssh, not asked yet' }
  const limitMs = options.limitMs ?? PING_LIMIT_MS
  const limit = AbortSignal.timeout(limitMs)
  const signal = options.signal ? AbortSignal.any([limit, options.signal]) : limit
  try {
    const answer = await callEngine(address, { path: '/_ping', signal })
    const body = await readText(answer.body)
    const apiVersion = answer.headers['api-version']
    if (answer.status !== 200 || apiVersion === undefined) {
      return { outcome: 'not-docker', detail: `answers ${answer.status} ${body.slice(0, 60).trim()}`.trim() }
    }
    if (answer.headers['ostype'] === 'windows') {
      return { outcome: 'not-docker', detail: 'runs Windows containers; switch it to Linux containers' }
    }
    const podman = answer.headers['libpod-api-version']
    return { outcome: 'ok', detail: `API ${String(apiVersion)}${podman === undefined ? '' : ', Podman'}` }
  } catch (error) {
    if (limit.aborted) return { outcome: 'timeout', detail: `no answer within ${limitMs / 1000} s` }
    return outcomeOf(error)
  }
}

/** What a failed connection means. */
export function outcomeOf(error: unknown): PingResult {
  const { code, message } = error as NodeJS.ErrnoException
  switch (code) {
    case 'ENOENT':
      return { outcome: 'missing', detail: 'no such file' }
    case 'ENOTDIR':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return { outcome: 'missing', detail: message }
    case 'EACCES':
    case 'EPERM':
      return { outcome: 'denied', detail: 'permission denied' }
    case 'ECONNREFUSED':
      return { outcome: 'refused', detail: 'connection refused: nothing listens there' }
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EHOSTDOWN':
      return { outcome: 'refused', detail: message }
    case 'ETIMEDOUT':
      return { outcome: 'timeout', detail: message }
    default:
      return { outcome: 'not-docker', detail: message }
  }
}
