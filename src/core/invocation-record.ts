import type { FunctionRef } from './function.ts'
import type { Staleness } from './invocation.ts'

/** What is kept of an invocation, but for the bodies. Times are milliseconds since the epoch. */
export interface InvocationHead {
  /** Counts up over all invocations; the order in which they began. */
  readonly seq: number
  /** Of the call that it was made for. Callers choose it, and several invocations may have the same one. */
  readonly callId: string
  readonly ref: FunctionRef
  readonly startedAt: number
  /** From the call to the end of its answer; absent while it runs. */
  readonly ms?: number
  /** `broken`: one of both sides went away before the answer was whole. */
  readonly state: 'running' | 'ended' | 'broken'
  readonly method: string
  /** Path and query as the function saw them. */
  readonly path: string
  /** Made by the queue. */
  readonly isQueued?: boolean
  /** The protocol that was asked for; of those only the heads are kept. */
  readonly upgrade?: string
  /** Id of the invocation that this one repeats. */
  readonly replayOf?: string
  /** It was answered by older code than what was saved. */
  readonly stale?: Staleness
  /** Why it broke off, or what the platform answered instead of the function. */
  readonly problem?: string
  readonly request: MessageHead
  /** Absent until it begins, and where the platform answered. */
  readonly response?: MessageHead
  /** What the caller saw; 0 before. */
  readonly status: number
  readonly redacted: readonly Redaction[]
}

/** Headers as on the wire: name, value, name, value … */
export interface MessageHead {
  readonly headers: readonly string[]
  readonly trailers?: readonly string[]
  /** Of the whole body. */
  readonly bodyBytes: number
  /** Only its beginning is kept. */
  readonly isCut?: boolean
}

/** One place where something secret stood. */
export interface Redaction {
  readonly message: 'request' | 'response'
  readonly part: 'path' | 'query' | 'header' | 'body'
  /** Of the header or of the parameter. */
  readonly name?: string
}

export interface InvocationRecord extends InvocationHead {
  readonly requestBody: Uint8Array
  readonly responseBody: Uint8Array
}

/** A kept invocation under the name that commands call it by: its call id, with `~2` … where that came again. */
export type Named<T> = T & { readonly id: string }

/** How much is kept. */
export interface InvocationBounds {
  readonly perFunction: number
  readonly bytesPerFunction: number
  readonly bytes: number
}

/** The last invocations of each function. A view for developers: what is lost of it is lost. */
export interface InvocationStore {
  /** Greater than every `seq` that is there. */
  readonly nextSeq: number
  /** Creates or replaces by `seq`, all at once, and forgets what is beyond the bounds. */
  write(records: readonly InvocationRecord[], bounds: InvocationBounds): void
  /** Newest first. */
  list(query: { readonly ref?: FunctionRef; readonly limit: number }): readonly Named<InvocationHead>[]
  get(seq: number): Named<InvocationRecord> | undefined
  /** Those whose id begins with `start`: sequence number and id, oldest first. */
  beginningWith(start: string): readonly { readonly seq: number; readonly id: string }[]
  /** The newest that repeats no other. */
  last(ref?: FunctionRef): number | undefined
  /** Puts `change` of each record in its place; undefined leaves it. What was there before is gone from the disk. */
  rewrite(change: (record: InvocationRecord) => InvocationRecord | undefined): void
  /** How many were forgotten. */
  forget(ref?: FunctionRef): number
}
