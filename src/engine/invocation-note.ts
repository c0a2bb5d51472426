import type { FunctionRef } from '../core/function.ts'
import type { InvocationRequest, Staleness } from '../core/invocation.ts'
import type { InvocationRecord } from '../core/invocation-record.ts'
import { BodyStart } from './body-start.ts'

/** Names the invocation that this one repeats; functions see it. */
const REPLAY_HEADER = 'x-faasdock-replay-of'
const NO_HEADERS: readonly string[] = []
/** What a note takes besides its texts and bodies, about. Bytes. */
const OWN_BYTES = 512

/**
 * What is known of one invocation, as it came: nothing is parsed, redacted or copied before it is to be written. It leads
 * to texts and to pieces of bodies, and to nothing else: if it led to its connection or to other notes, one that has
 * grown old would keep all of those from being freed while they are young, which takes a third of a call's time.
 */
export class InvocationNote {
  readonly seq: number
  readonly ref: FunctionRef
  /** `name.namespace` */
  readonly name: string
  readonly requestBody: BodyStart
  readonly responseBody: BodyStart
  /** Its place among those that run. */
  place = 0
  /** About what it takes in memory besides the bodies, bytes; known when it has ended. */
  weight = 0
  status = 0
  headers: readonly string[] | undefined
  trailers: readonly string[] = NO_HEADERS
  problem: string | undefined
  stale: Staleness | undefined
  state: InvocationRecord['state'] = 'running'
  readonly #startedAt: number
  #endedAt = 0
  readonly #method: string
  readonly #path: string
  readonly #requestHeaders: readonly string[]
  #requestTrailers: readonly string[] = NO_HEADERS
  readonly #isQueued: boolean
  readonly #upgrade: string | undefined

  constructor(
    seq: number,
    ref: FunctionRef,
    name: string,
    request: InvocationRequest,
    maxBodyBytes: number,
    startedAt: number,
  ) {
    const { method, path, headers, body, isQueued, upgrade } = request
    this.seq = seq
    this.ref = ref
    this.name = name
    this.#startedAt = startedAt
    this.#method = method
    this.#path = path
    this.#requestHeaders = headers
    this.#isQueued = isQueued === true
    this.#upgrade = upgrade
    // What another protocol says is not ours to keep.
    const limit = upgrade === undefined ? maxBodyBytes : 0
    this.requestBody = new BodyStart(limit, body === null || body instanceof Uint8Array)
    this.responseBody = new BodyStart(limit, false)
  }

  /** Bytes of bodies that are held in memory. */
  get held(): number {
    return this.requestBody.kept + this.responseBody.kept
  }

  end(state: 'ended' | 'broken', at: number, requestTrailers: readonly string[]): void {
    this.state = state
    this.#endedAt = at
    this.#requestTrailers = requestTrailers
    const { headers = NO_HEADERS, trailers } = this
    const heads = [this.#requestHeaders, requestTrailers, headers, trailers]
    this.weight = OWN_BYTES + this.#path.length
    for (const texts of heads) for (const text of texts) this.weight += text.length
  }

  /** As it is by now, and with all that is secret. */
  record(): InvocationRecord {
    const replayOf = valueOf(this.#requestHeaders, REPLAY_HEADER)
    return {
      seq: this.seq,
      callId: valueOf(this.#requestHeaders, 'x-call-id') ?? '',
      ref: this.ref,
      startedAt: this.#startedAt,
      ...(this.state !== 'running' && { ms: this.#endedAt - this.#startedAt }),
      state: this.state,
      method: this.#method,
      path: this.#path,
      ...(this.#isQueued && { isQueued: true }),
      ...(this.#upgrade !== undefined && { upgrade: this.#upgrade }),
      ...(replayOf !== undefined && { replayOf }),
      ...(this.stale !== undefined && { stale: this.stale }),
      ...(this.problem !== undefined && { problem: this.problem.split('\n')[0] ?? '' }),
      request: this.requestBody.head(this.#requestHeaders, this.#requestTrailers),
      ...(this.headers && { response: this.responseBody.head(this.headers, this.trailers) }),
      status: this.status,
      redacted: [],
      requestBody: this.requestBody.start,
      responseBody: this.responseBody.start,
    }
  }
}

/** The last of that name: the gateway's own stands behind what a caller wrote. */
function valueOf(headers: readonly string[], name: string): string | undefined {
  for (let i = headers.length - 2; i >= 0; i -= 2)
    if (headers[i]?.toLowerCase() === name) return headers[i + 1]
  return undefined
}
