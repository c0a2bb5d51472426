/** A kept invocation, as the gateway tells of it. Times are RFC 3339. */
export interface WireInvocationHead {
  readonly id: string
  readonly callId: string
  readonly name: string
  readonly namespace: string
  readonly startedAt: string
  readonly state: 'running' | 'ended' | 'broken'
  readonly method: string
  readonly path: string
  readonly status?: number
  readonly ms?: number
  readonly requestBytes: number
  readonly responseBytes: number
  readonly queued?: boolean
  readonly upgrade?: string
  readonly replayOf?: string
  readonly problem?: string
  readonly stale?: string
}

export interface WireInvocation extends WireInvocationHead {
  readonly redacted: readonly {
    readonly message: 'request' | 'response'
    readonly part: 'path' | 'query' | 'header' | 'body'
    readonly name?: string
  }[]
  readonly request: WireMessage
  readonly response?: WireMessage
}

export interface WireMessage {
  readonly headers: readonly (readonly [string, string])[]
  readonly trailers?: readonly (readonly [string, string])[]
  readonly bodyBytes: number
  /** Only the beginning of the body is kept. */
  readonly truncated?: boolean
  readonly text?: string
  readonly base64?: string
}

export interface WireInvocations {
  readonly recording: boolean
  readonly invocations: readonly WireInvocationHead[]
}

/** What is kept of the body. */
export function bodyOf({ text, base64 = '' }: WireMessage): Buffer {
  return text === undefined ? Buffer.from(base64, 'base64') : Buffer.from(text)
}

/** Enough of an id to be told from others at a glance: of a UUID its first part. */
export function shortId(id: string): string {
  return id.replace(/^([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/i, '$1')
}
