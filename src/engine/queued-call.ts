import type { Attempt } from '../core/call.ts'
import type { FunctionRef } from '../core/function.ts'
import { formatRef } from '../core/function.ts'

/** An async call as it stands in the queue: all that is needed to make it, whoever accepted it. */
export interface QueuedCall {
  readonly id: string
  readonly ref: FunctionRef
  /** The function's name as the caller wrote it. */
  readonly invokedAs: string
  /** Path and query as the function sees them. */
  readonly path: string
  /** Name, value, name, value …; without a length, which is the body's matter. */
  readonly headers: readonly string[]
  readonly callback?: string
  /** Milliseconds since the epoch. With the id and the function, it tells one call from a later one of the same id. */
  readonly queuedAt: number
  /** Attempts that have ended. The message says it, so that a delivery after a crash eats none. */
  readonly attempts: number
  readonly history: readonly Attempt[]
  /** Name of the body where it is too large for the message. */
  readonly stored?: string
  readonly storedBytes?: number
}

/** A call that will not be tried again, with the last that its function said. */
export interface DeadCall extends QueuedCall {
  readonly reason: string
  readonly diedAt: number
  readonly answer?: LastAnswer
}

interface LastAnswer {
  readonly status: number
  readonly headers: readonly string[]
  /** The beginning of the body, as text. */
  readonly text: string
}

/** The outcome of a call on its way to whoever wants to know. */
export interface QueuedCallback {
  readonly id: string
  readonly ref: FunctionRef
  readonly queuedAt: number
  readonly url: string
  /** Name, value, name, value … */
  readonly headers: readonly string[]
  readonly attempts: number
  readonly stored?: string
  readonly storedBytes?: number
}

const VERSION = 1
const CALL_LANE = 'call.'
const CALLBACK_LANE = 'callback.'

export function writeHead(value: QueuedCall | DeadCall | QueuedCallback): string {
  return JSON.stringify({ v: VERSION, ...value })
}

/**
 * The head of what follows from a call, in so many bytes: where what became of it does not fit beside its body, the
 * answer's text, its headers and all attempts but the last go, in this order. The record keeps what it can.
 */
export function writeFollowing(call: QueuedCall | DeadCall, maxBytes: number): string {
  const { answer } = call as Partial<DeadCall>
  const lesser: (() => QueuedCall | DeadCall)[] = [
    () => call,
    () => ({ ...call, ...(answer && { answer: { ...answer, text: '' } }) }),
    () => ({ ...call, ...(answer && { answer: { ...answer, text: '', headers: [] } }) }),
  ]
  for (const make of lesser) {
    const head = writeHead(make())
    if (Buffer.byteLength(head) <= maxBytes) return head
  }
  const least = answer && { answer: { status: answer.status, headers: [], text: '' } }
  return writeHead({ ...call, ...least, history: call.history.slice(-1) })
}

/** Undefined, as for the two below, when it is not of a kind that this faasdock writes. */
export function readCall(head: string): QueuedCall | undefined {
  return readHead(head) as QueuedCall | undefined
}

export function readDeadCall(head: string): DeadCall | undefined {
  return readHead(head) as DeadCall | undefined
}

export function readCallback(head: string): QueuedCallback | undefined {
  return readHead(head) as QueuedCallback | undefined
}

function readHead(head: string): unknown {
  try {
    // With its version, which whoever writes it again writes the same: a copy without it would cost as much as the reading.
    const value = JSON.parse(head) as { readonly v?: unknown }
    return value.v === VERSION ? value : undefined
  } catch {
    return undefined
  }
}

/** Calls of different functions never wait for each other: a lane each. */
export function laneOf({ namespace, name }: FunctionRef): string {
  return `${CALL_LANE}${namespace}.${name}`
}

/** The function of a lane of calls; undefined for other lanes. */
export function refOfLane(lane: string): FunctionRef | undefined {
  if (!lane.startsWith(CALL_LANE)) return undefined
  const [namespace = '', name = ''] = lane.slice(CALL_LANE.length).split('.')
  return { name, namespace }
}

/** Callbacks of one target, which one that hangs does not hold up those of others. */
export function callbackLane(target: string): string {
  return `${CALLBACK_LANE}${target}`
}

export function isCallbackLane(lane: string): boolean {
  return lane.startsWith(CALLBACK_LANE)
}

/** Tells calls apart within this program. */
export function callKey({ ref, id }: Pick<QueuedCall, 'ref' | 'id'>): string {
  return `${formatRef(ref)}/${id}`
}

/** Tells a call from a later one of the same id, too. */
export function callKeyAt(call: Pick<QueuedCall, 'ref' | 'id' | 'queuedAt'>): string {
  return `${callKey(call)}@${call.queuedAt}`
}
