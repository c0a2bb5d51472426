import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** What becomes of a header on its way. */
type Kind =
  | 'drop'
  | 'pass'
  | 'call-id'
  | 'start-time'
  | 'served-by'
  | 'type'
  | 'length'
  | 'host'
  | 'for'
  | 'agent'
  | 'trailer'

/**
 * Not passed on to functions (contract 2.2), and those that the connection to the replica has of its own. Headers that
 * `Connection:` names go through: OpenFaaS has this list and no other, and a caller who could name headers to be removed
 * could remove X-Forwarded-For. `Trailer` is dropped as there; the trailers themselves are carried.
 */
const OF_REQUESTS: Readonly<Record<string, Kind>> = {
  connection: 'drop',
  'proxy-connection': 'drop',
  'keep-alive': 'drop',
  'proxy-authenticate': 'drop',
  'proxy-authorization': 'drop',
  te: 'drop',
  trailer: 'drop',
  'transfer-encoding': 'drop',
  upgrade: 'drop',
  host: 'drop',
  // Goes along where it means something: see `expectsContinue`.
  expect: 'drop',
  'x-call-id': 'call-id',
  'content-type': 'type',
  'x-forwarded-host': 'host',
  'x-forwarded-for': 'for',
  'user-agent': 'agent',
}

const OF_RESPONSES: Readonly<Record<string, Kind>> = {
  connection: 'drop',
  'proxy-connection': 'drop',
  'keep-alive': 'drop',
  'transfer-encoding': 'drop',
  upgrade: 'drop',
  'proxy-authenticate': 'drop',
  trailer: 'trailer',
  'content-type': 'type',
  'content-length': 'length',
  'x-call-id': 'call-id',
  'x-start-time': 'start-time',
  'x-served-by': 'served-by',
}

/** Fields that frame a message, or belong to its head, say nothing at its end (RFC 9110, 6.5.1). */
const NOT_IN_TRAILERS = new Set([
  ...Object.keys(OF_REQUESTS),
  'content-length',
  'content-encoding',
  'set-cookie',
])

export interface ForwardedRequest {
  readonly headers: string[]
  /** Set when the caller sent none: only then it is on the answer too (contract 0, item 15). */
  readonly madeCallId: string | undefined
  readonly callId: string
  /** Nanoseconds since the epoch. */
  readonly startTime: string
  readonly contentType: string | undefined
  /** Whether an answer in chunks may end with trailers. */
  readonly takesTrailers: boolean
}

/**
 * The headers a function sees: the caller's as they came, minus hop-by-hop, plus the gateway's (contract 2.2). A header
 * without a value counts as absent where the gateway would fill it in. `authority` is that of an absolute target.
 */
export function forwardedRequest(
  request: IncomingMessage,
  userAgent: string,
  authority = request.headers.host,
): ForwardedRequest {
  const raw = request.rawHeaders
  const headers: string[] = []
  let callId: string | undefined
  let contentType: string | undefined
  let [hasForwardedHost, hasForwardedFor, hasUserAgent] = [false, false, false]
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    const value = raw[i + 1] as string
    const kind = kindOf(name, OF_REQUESTS, knownInRequests)
    if (kind !== 'pass') {
      if (kind === 'drop') continue
      if (kind === 'type') contentType ??= value
      else if (kind === 'agent') hasUserAgent = true
      else if (value === '') continue
      else if (kind === 'call-id') callId ??= value
      else if (kind === 'host') hasForwardedHost = true
      else hasForwardedFor = true
    }
    headers.push(name, value)
  }
  const startTime = nanosecondsNow()
  const madeCallId = callId === undefined ? randomUUID() : undefined
  if (madeCallId !== undefined) headers.push('X-Call-Id', madeCallId)
  headers.push('X-Start-Time', startTime)
  if (!hasForwardedHost && authority !== undefined) headers.push('X-Forwarded-Host', authority)
  if (!hasForwardedFor) headers.push('X-Forwarded-For', remoteAddress(request))
  if (!hasUserAgent) headers.push('User-Agent', userAgent)
  const takesTrailers = request.method !== 'HEAD' && request.httpVersionMinor > 0
  return { headers, madeCallId, callId: callId ?? madeCallId ?? '', startTime, contentType, takesTrailers }
}

/**
 * The headers a caller sees: the function's, minus hop-by-hop, plus the gateway's. Where a function sets one of the
 * gateway's own, as those do that send back what they got, its value is the only one.
 */
export function forwardedResponse(
  raw: readonly string[],
  status: number,
  request: ForwardedRequest,
  servedBy: string,
): string[] {
  const headers: string[] = []
  let trailer: string | undefined
  let [hasType, hasLength, hasCallId, hasStartTime, hasServedBy] = [false, false, false, false, false]
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    const value = raw[i + 1] as string
    const kind = kindOf(name, OF_RESPONSES, knownInResponses)
    if (kind !== 'pass') {
      if (kind === 'drop') continue
      if (kind === 'trailer') {
        trailer = trailer === undefined ? value : `${trailer}, ${value}`
        continue
      }
      if (kind === 'type') {
        if (value === '') continue
        hasType = true
      } else if (kind === 'length') hasLength = true
      else if (kind === 'call-id') hasCallId = true
      else if (kind === 'start-time') hasStartTime = true
      else hasServedBy = true
    }
    headers.push(name, value)
  }
  // 304 says what is not sent again; OpenFaaS has a type on 204 too.
  if (!hasType && status !== 304 && status !== 101)
    headers.push('Content-Type', request.contentType ?? 'text/plain')
  // What is announced must be able to come: only the end of a body in chunks has room for it.
  if (trailer !== undefined && !hasLength && request.takesTrailers && hasBody(status))
    headers.push('Trailer', trailer)
  if (request.madeCallId !== undefined && !hasCallId) headers.push('X-Call-Id', request.madeCallId)
  if (!hasStartTime) headers.push('X-Start-Time', request.startTime)
  if (!hasServedBy) headers.push('X-Served-By', servedBy)
  return headers
}

/** The trailers that may go on: pairs, without those that only a head may have. */
export function forwardedTrailers(raw: readonly string[]): [string, string][] {
  const trailers: [string, string][] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? ''
    if (!NOT_IN_TRAILERS.has(name.toLowerCase())) trailers.push([name, raw[i + 1] ?? ''])
  }
  return trailers
}

/** The headers of an answer before the answer, minus hop-by-hop. */
export function forwardedInformation(raw: readonly string[]): string[] {
  return raw.filter((_text, i) => {
    const name = raw[i - (i % 2)] ?? ''
    return kindOf(name, OF_RESPONSES, knownInResponses) !== 'drop'
  })
}

/** Names as they were written, so that most need no lower-casing. Bounded, because others choose them. */
const knownInRequests = new Map<string, Kind>()
const knownInResponses = new Map<string, Kind>()
const MAX_KNOWN = 1000

function kindOf(name: string, kinds: Readonly<Record<string, Kind>>, known: Map<string, Kind>): Kind {
  const found = known.get(name)
  if (found !== undefined) return found
  const lower = name.toLowerCase()
  const kind = Object.hasOwn(kinds, lower) ? (kinds[lower] as Kind) : 'pass'
  if (known.size >= MAX_KNOWN) known.clear()
  known.set(name, kind)
  return kind
}

function hasBody(status: number): boolean {
  return status >= 200 && status !== 204 && status !== 304
}

/** Milliseconds have too few digits for this header, and doubles too few for nanoseconds: put together as text. */
function nanosecondsNow(): string {
  const now = performance.timeOrigin + performance.now()
  const milliseconds = Math.floor(now)
  const rest = Math.floor((now - milliseconds) * 1e6)
  return `${milliseconds}${rest.toString().padStart(6, '0')}`
}

/** With the port, as OpenFaaS has it; IPv6 in brackets, and IPv4 as such where it comes through an IPv6 socket. */
function remoteAddress({ socket }: IncomingMessage): string {
  const address = (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '')
  const port = socket.remotePort ?? 0
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
