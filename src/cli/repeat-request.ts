import { bodyOf } from './wire-invocations.ts'
import type { WireInvocation } from './wire-invocations.ts'

/** A kept request, as it can be sent again. */
export interface RepeatRequest {
  readonly method: string
  /** Behind the function's name, as on the wire: path and query. */
  readonly target: string
  readonly headers: readonly (readonly [string, string])[]
  /** Undefined when there was none. */
  readonly body: Buffer | undefined
  /** What stood there was secret, and is not sent: headers are left out, the rest says REDACTED. */
  readonly missing: readonly Missing[]
  /** The body is not whole. */
  readonly isCut: boolean
}

export interface Missing {
  readonly part: 'header' | 'query' | 'path' | 'body'
  readonly name?: string
}

/** What to send instead of what is kept. Header names in lower case. */
export interface Instead {
  readonly headers?: Readonly<Record<string, readonly string[]>>
  readonly query?: readonly (readonly [string, string])[]
  readonly body?: Buffer | undefined
}

/** Of this call, or set anew by whoever sends. */
const NOT_AGAIN = new Set(['x-call-id', 'x-start-time', 'content-length', 'expect', 'x-faasdock-replay-of'])

/** The request as its caller made it, without what the gateway added. */
export function repeatRequest(kept: WireInvocation, instead: Instead = {}): RepeatRequest {
  const { request, redacted } = kept
  const places: readonly Missing[] = redacted
    .filter(({ message }) => message === 'request')
    .map(({ part, name }) => ({ part, ...(name !== undefined && { name }) }))
  const lost = new Set(
    places.flatMap(({ part, name }) => (part === 'header' && name !== undefined ? [name.toLowerCase()] : [])),
  )
  const given = instead.headers ?? {}
  const headers: [string, string][] = callersHeaders(request.headers).filter(([name]) => {
    const lower = name.toLowerCase()
    return !lost.has(lower) && !Object.hasOwn(given, lower)
  })
  for (const [name, values] of Object.entries(given)) for (const value of values) headers.push([name, value])
  const names = new Set(instead.query?.map(([name]) => name))
  const missing = places.filter(({ part, name = '' }) => {
    if (part === 'header') return !Object.hasOwn(given, name.toLowerCase()) && !isGateways(name)
    if (part === 'query') return !names.has(name)
    return part !== 'body' || instead.body === undefined
  })
  const isEmpty = request.bodyBytes === 0
  return {
    method: kept.method,
    target: withQuery(kept.path, instead.query ?? []),
    headers,
    body: instead.body ?? (isEmpty ? undefined : bodyOf(request)),
    missing,
    isCut: instead.body === undefined && request.truncated === true,
  }
}

function isGateways(name: string): boolean {
  return NOT_AGAIN.has(name.toLowerCase())
}

/**
 * The gateway adds its own headers behind the caller's, X-Start-Time first. Of them only the name that the gateway was
 * called by is sent again: functions build links with it.
 */
function callersHeaders(headers: WireInvocation['request']['headers']): [string, string][] {
  const end = headers.findLastIndex(([name]) => name.toLowerCase() === 'x-start-time')
  const own = end < 0 ? headers : headers.slice(0, end)
  const host = end < 0 ? [] : headers.slice(end).filter(([name]) => name.toLowerCase() === 'x-forwarded-host')
  return [...own, ...host].filter(([name]) => !isGateways(name)).map(([name, value]) => [name, value])
}

/** Parameters keep their place. */
function withQuery(path: string, given: readonly (readonly [string, string])[]): string {
  if (given.length === 0) return path
  const at = path.indexOf('?')
  const rest = new Map<string, string[]>()
  for (const [name, value] of given) rest.set(name, [...(rest.get(name) ?? []), value])
  const pairs =
    at < 0
      ? []
      : path
          .slice(at + 1)
          .split('&')
          .filter(Boolean)
  const kept = pairs.flatMap((pair) => {
    const [name] = [...new URLSearchParams(pair).keys()]
    const values = name === undefined ? undefined : rest.get(name)
    if (name === undefined || !values) return given.some(([known]) => known === name) ? [] : [pair]
    rest.delete(name)
    return values.map((value) => written(name, value))
  })
  for (const [name, values] of rest) kept.push(...values.map((value) => written(name, value)))
  return `${at < 0 ? path : path.slice(0, at)}?${kept.join('&')}`
}

function written(name: string, value: string): string {
  return new URLSearchParams([[name, value]]).toString()
}
