import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** Not passed on to functions (contract 2.2), and those that the connection to the replica has of its own. */
const DROPPED_FROM_REQUEST = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'expect',
])

const DROPPED_FROM_RESPONSE = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'transfer-encoding',
  'trailer',
  'upgrade',
  'proxy-authenticate',
])

export interface ForwardedRequest {
  readonly headers: string[]
  /** Set when the caller sent none: only then it is on the answer too (contract 0, item 15). */
  readonly madeCallId: string | undefined
  readonly callId: string
  /** Nanoseconds since the epoch. */
  readonly startTime: string
  readonly contentType: string | undefined
}

/** The headers a function sees: the caller's as they came, minus hop-by-hop, plus the gateway's (contract 2.2). */
export function forwardedRequest(request: IncomingMessage, userAgent: string): ForwardedRequest {
  const raw = request.rawHeaders
  const headers: string[] = []
  let callId: string | undefined
  let contentType: string | undefined
  let [hasForwardedHost, hasForwardedFor, hasUserAgent] = [false, false, false]
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    const value = raw[i + 1] as string
    const lower = name.toLowerCase()
    if (DROPPED_FROM_REQUEST.has(lower)) continue
    switch (lower) {
      case 'x-call-id':
        callId = value
        break
      case 'content-type':
        contentType = value
        break
      case 'x-forwarded-host':
        hasForwardedHost = true
        break
      case 'x-forwarded-for':
        hasForwardedFor = true
        break
      case 'user-agent':
        hasUserAgent = true
        break
    }
    headers.push(name, value)
  }
  const startTime = nanosecondsNow()
  const madeCallId = callId === undefined ? randomUUID() : undefined
  if (madeCallId !== undefined) headers.push('X-Call-Id', madeCallId)
  headers.push('X-Start-Time', startTime)
  if (!hasForwardedHost && request.headers.host !== undefined)
    headers.push('X-Forwarded-Host', request.headers.host)
  if (!hasForwardedFor) headers.push('X-Forwarded-For', remoteAddress(request))
  if (!hasUserAgent) headers.push('User-Agent', userAgent)
  return { headers, madeCallId, callId: callId ?? madeCallId ?? '', startTime, contentType }
}

/** The headers a caller sees: the function's, minus hop-by-hop, plus the gateway's. */
export function forwardedResponse(
  raw: readonly string[],
  status: number,
  request: ForwardedRequest,
  servedBy: string,
): string[] {
  const headers: string[] = []
  let hasContentType = false
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    const lower = name.toLowerCase()
    if (DROPPED_FROM_RESPONSE.has(lower)) continue
    if (lower === 'content-type') hasContentType = true
    headers.push(name, raw[i + 1] as string)
  }
  if (!hasContentType && status !== 204 && status !== 304)
    headers.push('Content-Type', request.contentType ?? 'text/plain')
  if (request.madeCallId !== undefined) headers.push('X-Call-Id', request.madeCallId)
  headers.push('X-Start-Time', request.startTime, 'X-Served-By', servedBy)
  return headers
}

/** Milliseconds have too few digits for this header, and doubles too few for nanoseconds: put together as text. */
function nanosecondsNow(): string {
  const now = performance.timeOrigin + performance.now()
  const milliseconds = Math.floor(now)
  const rest = Math.floor((now - milliseconds) * 1e6)
  return `${milliseconds}${rest.toString().padStart(6, '0')}`
}

/** With the port, as OpenFaaS has it; IPv6 in brackets. */
function remoteAddress({ socket }: IncomingMessage): string {
  const address = socket.remoteAddress ?? ''
  const port = socket.remotePort ?? 0
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
