import { hasEnded } from '../core/call.ts'
import type { Attempt, CallRecord } from '../core/call.ts'
import type { Clock } from '../core/clock.ts'
import { asFaasError, FaasError } from '../core/errors.ts'
import { formatRef } from '../core/function.ts'
import type { FunctionRef } from '../core/function.ts'
import type { Log } from '../core/log.ts'
import type { Delivery, Queue } from '../core/queue.ts'
import { Answer } from './answer.ts'
import type { CallBook } from './call-book.ts'
import type { CallRules } from './call-rules.ts'
import type { Invoker } from './invoker.ts'
import { callKeyAt, laneOf, readCall, writeFollowing } from './queued-call.ts'
import type { DeadCall, QueuedCall } from './queued-call.ts'
import { waitBeforeRetry } from './retry-policy.ts'
import { SameLimit } from './same-limit.ts'

export interface QueueWorkerParts {
  readonly queue: Queue
  readonly invoker: Pick<Invoker, 'invoke'>
  readonly book: CallBook
  readonly rules: CallRules
  readonly callbacks: Callbacks
  readonly observer: CallObserver
  readonly clock: Clock
  readonly log: Log
  /** From 0 to 1: what jitter is made of. */
  readonly random: () => number
  /** From the first byte sent to the last received, milliseconds. */
  readonly callTimeoutMs: number
  /** Whether somebody debugs a function: its calls take as long as they take. */
  readonly isDebugged: (ref: FunctionRef) => boolean
  /** Answers that are larger are cut off for their callback. */
  readonly maxAnswerBytes: number
  /** Something is to be found in a lane. */
  readonly wake: (lane: string) => void
}

/** Where the outcome of a call goes. */
export interface Callbacks {
  /** Resolves once it is durable; it is posted later. */
  publish(call: QueuedCall, outcome: CallOutcome): Promise<void>
}

export interface CallOutcome {
  readonly status: number
  readonly seconds: number
  readonly attempts: number
  readonly maxAttempts: number
  /** The function's answer; absent when there was none. */
  readonly answer?: Answer
}

/** Told about async calls; must be quick. */
export interface CallObserver {
  submitted(queue: string): void
  /** One attempt has ended. */
  attempted(queue: string, outcome: 'succeeded' | 'failed' | 'retried' | 'dead' | 'cancelled'): void
}

/** What is said of a call that has not ended and is not in the queue. */
export const LOST =
  'it is not in the queue any more: the store of the queue was damaged or emptied, or faasdock was killed before it wrote down how it ended'
/** Why a call is aborted when its caller does not want it any more. */
const CANCELLED = new Error('the call was cancelled')
/** Why a call is aborted when the platform stops: it is made again by the next one. */
const STOPPED = new Error('the platform stops')
/** The last attempts are told; the first of hundreds would only make messages large. */
const HISTORY = 20
const PROBLEM_LENGTH = 500
const MAX_INLINE_ANSWER_BYTES = 512 * 1024
/**
 * After a queue that does not take what has to be written before a message may be let go of; and of an attempt whose
 * predecessor is being made.
 */
const TRY_AGAIN_MS = 1000

/** Makes queued calls: one delivery, one attempt. What comes of it is durable before the message is let go of. */
export class QueueWorker {
  readonly #parts: QueueWorkerParts
  readonly #running = new Map<string, Running>()
  /** Nobody listens to them any more, and nobody has aborted them: making one takes longer than all that it is used for. */
  readonly #free: AbortController[] = []
  /** Gives a call up when its time is over, unless somebody debugs its function then. */
  readonly #limits: SameLimit<Running>
  /** Messages of each lane that somebody is dealing with, to their last word. */
  readonly #busy = new Map<string, number>()
  /** Up to which position nothing of a lane is begun any more. */
  readonly #refused = new Map<string, { readonly upTo: number; readonly epoch: number }>()
  #isStopped = false

  constructor(parts: QueueWorkerParts) {
    this.#parts = parts
    const { clock, callTimeoutMs, isDebugged } = parts
    this.#limits = new SameLimit(clock, callTimeoutMs, (attempt) => {
      if (isDebugged(attempt.ref)) this.#limits.begin(attempt)
      else attempt.abort.abort(tookTooLong(callTimeoutMs))
    })
  }

  /** Aborts an attempt under way. False when there is none. */
  cancel(call: Pick<QueuedCall, 'ref' | 'id' | 'queuedAt'>): boolean {
    const running = this.#running.get(callKeyAt(call))
    running?.abort.abort(CANCELLED)
    return running !== undefined
  }

  isRunning(call: Pick<QueuedCall, 'ref' | 'id' | 'queuedAt'>): boolean {
    return this.#running.has(callKeyAt(call))
  }

  /** Begins nothing of a lane up to a position any more. False when something of it is under way, and goes on. */
  refuse(lane: string, upTo: number): boolean {
    this.#refused.set(lane, { upTo, epoch: this.#parts.queue.epoch })
    return (this.#busy.get(lane) ?? 0) === 0
  }

  isRefused(lane: string, position: number): boolean {
    const refused = this.#refused.get(lane)
    return refused?.epoch === this.#parts.queue.epoch && position <= refused.upTo
  }

  /** Gives up what is under way; its messages are delivered again to whoever comes next. */
  stop(): void {
    this.#isStopped = true
    for (const { abort } of this.#running.values()) abort.abort(STOPPED)
  }

  /** Deals with one message of a lane of calls. */
  async run(delivery: Delivery): Promise<void> {
    const call = readCall(delivery.head)
    if (!call) {
      await this.#bury(delivery)
      return
    }
    const known = this.#fateOf(call, delivery)
    if (known !== 'open') {
      if (known === 'over') delivery.ack()
      else this.#putBack(call, delivery)
      return
    }
    const lane = laneOf(call.ref)
    this.#busy.set(lane, (this.#busy.get(lane) ?? 0) + 1)
    try {
      const startedAt = this.#parts.clock.now()
      const record = this.#begin(call, delivery, startedAt)
      const answer = await this.#attempt(call, delivery)
      const seconds = (this.#parts.clock.now() - startedAt) / 1000
      await this.#finish({ call, delivery, record, answer, startedAt, seconds })
    } catch (error) {
      if (!this.#isStopped || asFaasError(error).code !== 'STOPPING') throw error
      // Its outcome is nowhere: it is as if it had not begun.
      delivery.release(0)
    } finally {
      const left = (this.#busy.get(lane) ?? 1) - 1
      if (left > 0) this.#busy.set(lane, left)
      else this.#busy.delete(lane)
    }
  }

  /** Whether there is anything left to do: a message may outlive what it asked for, by a crash or a cancellation. */
  #fateOf(call: QueuedCall, delivery: Delivery): 'over' | 'open' | 'later' {
    const { book } = this.#parts
    if (book.isCancelled(call)) return 'over'
    // Another delivery of the same call is under way: one of them was put there by a retry that was not heard of. The
    // attempt after the one that is made once more must stay: to JetStream a second message for it is a duplicate.
    const running = this.#running.get(callKeyAt(call))
    if (running) return call.attempts > running.attempts ? 'later' : 'over'
    if (this.#refused.size > 0 && this.isRefused(laneOf(call.ref), delivery.position)) return 'over'
    if (!delivery.mayHaveRun) return 'open'
    const record = book.get(call)
    // What was taken for lost and comes after all is made.
    if (record?.queuedAt !== call.queuedAt || record.problem === LOST) return 'open'
    return hasEnded(record.state) || record.attempts > call.attempts ? 'over' : 'open'
  }

  #putBack(call: QueuedCall, delivery: Delivery): void {
    delivery.release(TRY_AGAIN_MS)
    this.#parts.wake(laneOf(call.ref))
  }

  #begin(call: QueuedCall, delivery: Delivery, now: number): CallRecord {
    const { id, ref, path, queuedAt, attempts, history, callback, stored } = call
    const record: CallRecord = {
      id,
      ref,
      queue: this.#parts.rules.of(ref).queue,
      path,
      state: 'running',
      queuedAt,
      startedAt: history[0]?.at ?? now,
      attempts,
      history,
      position: delivery.position,
      ...(stored !== undefined && { stored }),
      ...(callback !== undefined && { callback: { url: callback, state: 'waiting', attempts: 0 } }),
    }
    this.#parts.book.note(record)
    return record
  }

  async #attempt(call: QueuedCall, delivery: Delivery): Promise<Answer> {
    const { queue, invoker, maxAnswerBytes, rules } = this.#parts
    const key = callKeyAt(call)
    const { retry } = rules.of(call.ref)
    const isLast = call.attempts + 1 >= retry.attempts
    const answer = new Answer({
      wantsBody: (status, headers) =>
        call.callback !== undefined && (isLast || !mayRetry(status, headers, retry.codes)),
      bodies: queue.bodies,
      name: `answer/${key}`,
      maxInlineBytes: Math.min(MAX_INLINE_ANSWER_BYTES, queue.maxMessageBytes / 2),
      maxBytes: maxAnswerBytes,
    })
    const abort = this.#free.pop() ?? new AbortController()
    const running = { ref: call.ref, attempts: call.attempts, abort }
    this.#running.set(key, running)
    this.#limits.begin(running)
    try {
      const body = call.stored === undefined ? delivery.body : await queue.bodies.open(call.stored)
      const length = String(call.storedBytes ?? delivery.body.length)
      const headers = [...call.headers, 'Content-Length', length]
      const request = { method: 'POST', path: call.path, headers, body, isQueued: true }
      await invoker.invoke(call.ref, request, answer, abort.signal)
    } catch (error) {
      answer.onFailure(error)
    }
    if (answer.isStoring) await answer.settled()
    this.#limits.end(running)
    this.#running.delete(key)
    if (abort.signal.aborted) answer.failure ??= asFaasError(abort.signal.reason)
    else this.#free.push(abort)
    return answer
  }

  async #finish(ended: EndedAttempt): Promise<void> {
    const { call, delivery, answer } = ended
    const { rules, observer, queue } = this.#parts
    const rule = rules.of(call.ref)
    const { failure } = answer
    const dropAnswer = (): Promise<void> =>
      answer.stored ? queue.bodies.remove(answer.stored.name).catch(() => undefined) : Promise.resolve()
    if (failure?.cause === STOPPED || failure?.code === 'STOPPING') {
      // Not the function's doing: it is as if it had not begun.
      await dropAnswer()
      this.#parts.book.note({ ...ended.record, state: 'queued' })
      delivery.release(0)
      return
    }
    if (failure?.cause === CANCELLED) {
      await dropAnswer()
      await this.#close(ended, 'cancelled')
      observer.attempted(rule.queue, 'cancelled')
      return
    }
    const status = failure ? statusOfFailure(failure) : answer.status
    const isGone = failure?.code === 'FUNCTION_NOT_FOUND'
    const isFailed = failure !== undefined || mayRetry(status, answer.headers, rule.retry.codes)
    const isLast = call.attempts + 1 >= rule.retry.attempts
    if (isFailed && !isGone && !isLast) {
      await dropAnswer()
      await this.#retry(ended, status)
      observer.attempted(rule.queue, 'retried')
      return
    }
    if (isFailed) await this.#letterFor(ended, status, isGone)
    if (call.callback !== undefined) await this.#callBack(ended, status, rule.retry.attempts)
    const state = isFailed ? 'dead' : status >= 400 ? 'failed' : 'succeeded'
    await this.#close(ended, state, status)
    observer.attempted(rule.queue, state)
  }

  /** The next attempt is a message of its own, so that what was tried already is told by it and by nobody's memory. */
  async #retry(ended: EndedAttempt, status: number): Promise<void> {
    const { call, delivery, record, answer } = ended
    const { queue, rules, clock, random, book, wake } = this.#parts
    const policy = rules.of(call.ref).retry
    const now = clock.now()
    const attempts = call.attempts + 1
    const retryAfter = answer.failure ? undefined : answer.header('retry-after')
    const dueAt = now + waitBeforeRetry(policy, { ended: attempts, status, retryAfter }, now, random)
    const history = withAttempt(call.history, ended, status)
    const next: QueuedCall = { ...call, attempts, history }
    const lane = laneOf(call.ref)
    book.expect(call)
    const { position } = await this.#durably(() =>
      queue.publish({
        lane,
        id: `${callKeyAt(call)}#${attempts}`,
        head: writeFollowing(next, queue.maxFollowingBytes - delivery.body.length),
        body: delivery.body,
        dueAt,
      }),
    )
    book.notePublished({
      ...record,
      ...lastOf(ended, status),
      state: 'waiting',
      attempts,
      history,
      dueAt,
      position,
    })
    book.unexpect(call)
    delivery.ack()
    wake(lane)
  }

  async #letterFor(ended: EndedAttempt, status: number, isGone: boolean): Promise<void> {
    const { call, delivery, answer } = ended
    const { queue } = this.#parts
    const attempts = call.attempts + 1
    const letter: DeadCall = {
      ...call,
      attempts,
      history: withAttempt(call.history, ended, status),
      reason: isGone
        ? `${formatRef(call.ref)} is not deployed any more`
        : `${attempts} ${attempts === 1 ? 'attempt' : 'attempts'} came to nothing`,
      diedAt: this.#parts.clock.now(),
      ...(!answer.failure && {
        answer: { status: answer.status, headers: answer.headers, text: answer.text },
      }),
    }
    ended.letter = await this.#durably(() =>
      queue.dead.put({
        lane: laneOf(call.ref),
        id: callKeyAt(call),
        head: writeFollowing(letter, queue.maxFollowingBytes - delivery.body.length),
        body: delivery.body,
      }),
    )
  }

  async #callBack(ended: EndedAttempt, status: number, maxAttempts: number): Promise<void> {
    const { call, answer, seconds } = ended
    const outcome: CallOutcome = {
      status,
      seconds,
      attempts: call.attempts + 1,
      maxAttempts,
      ...(!answer.failure && { answer }),
    }
    await this.#durably(() => this.#parts.callbacks.publish(call, outcome))
  }

  async #close(
    ended: EndedAttempt,
    state: 'succeeded' | 'failed' | 'dead' | 'cancelled',
    status?: number,
  ): Promise<void> {
    const { call, delivery } = ended
    const { book, clock, queue } = this.#parts
    book.note(closedRecord(ended, state, clock.now(), status))
    // A dead letter is tried again with its body.
    if (call.stored !== undefined && state !== 'dead')
      await queue.bodies.remove(call.stored).catch(() => undefined)
    delivery.ack()
  }

  /** What has to be written before a message may be let go of is tried until it is, or until we stop. */
  async #durably<T>(write: () => Promise<T>): Promise<T> {
    for (let said = false; ; said = true) {
      try {
        return await write()
      } catch (error) {
        const failure = asFaasError(error)
        if (failure.code === 'STOPPING' || failure.code === 'INTERNAL') throw failure
        if (this.#isStopped) throw stopping(failure)
        if (!said) this.#parts.log.warn(`the queue does not take the outcome of a call: ${failure.message}`)
        await new Promise((resolve) => setTimeout(resolve, TRY_AGAIN_MS))
      }
    }
  }

  /** A message that nobody can read is kept as well. */
  async #bury(delivery: Delivery): Promise<void> {
    const { queue, log } = this.#parts
    log.error('a message of the queue cannot be read; it is kept among the dead letters')
    const { head, body, position } = delivery
    await queue.dead.put({ lane: 'unreadable', id: `unreadable@${position}`, head, body })
    delivery.ack()
  }
}

interface Running {
  readonly ref: FunctionRef
  /** That had ended when this one began. */
  readonly attempts: number
  readonly abort: AbortController
}

interface EndedAttempt {
  readonly call: QueuedCall
  readonly delivery: Delivery
  readonly record: CallRecord
  readonly answer: Answer
  readonly startedAt: number
  readonly seconds: number
  /** Position of its dead letter. */
  letter?: number
}

/**
 * As a call stands when it has ended. Property by property: it is made for every call, and copies by `...` that leave
 * something out, or put something in, took a tenth of what a whole call takes.
 */
function closedRecord(
  ended: EndedAttempt,
  state: CallRecord['state'],
  endedAt: number,
  status?: number,
): CallRecord {
  const { call, record, letter, answer } = ended
  const hasAnswer = status !== undefined
  const closed: Draft<CallRecord> = {
    id: record.id,
    ref: record.ref,
    queue: record.queue,
    path: record.path,
    state,
    queuedAt: record.queuedAt,
    startedAt: record.startedAt ?? ended.startedAt,
    endedAt,
    attempts: hasAnswer ? call.attempts + 1 : record.attempts,
    history: hasAnswer ? withAttempt(call.history, ended, status) : record.history,
  }
  if (hasAnswer) closed.status = status
  if (hasAnswer && answer.failure) closed.problem = firstLine(answer.failure)
  if (record.callback) closed.callback = record.callback
  if (letter !== undefined) closed.position = letter
  return closed
}

type Draft<T> = { -readonly [Key in keyof T]: T[Key] }

function mayRetry(status: number, headers: readonly string[], codes: ReadonlySet<number>): boolean {
  return codes.has(status) || (status >= 400 && saysInternal(headers))
}

/** The platform, or the function's watchdog, failed; not the function (contract 2.6). */
function saysInternal(headers: readonly string[]): boolean {
  for (let i = 0; i < headers.length; i += 2)
    if (headers[i]?.toLowerCase() === 'x-openfaas-internal') return true
  return false
}

/** As the caller of a function that cannot be reached, or does not answer, is told (contract 3.3). */
function statusOfFailure({ code }: FaasError): number {
  if (code === 'INVOCATION_TIMEOUT') return 504
  return code === 'FUNCTION_NOT_FOUND' ? 404 : 503
}

function lastOf({ answer }: EndedAttempt, status: number): Pick<CallRecord, 'status' | 'problem'> {
  return { status, ...(answer.failure && { problem: firstLine(answer.failure) }) }
}

function withAttempt(history: readonly Attempt[], ended: EndedAttempt, status: number): Attempt[] {
  const { startedAt: at, seconds, answer } = ended
  const attempt: Attempt = answer.failure
    ? { at, seconds, status, problem: firstLine(answer.failure) }
    : { at, seconds, status }
  return history.length === 0 ? [attempt] : [...history.slice(1 - HISTORY), attempt]
}

function firstLine({ message }: FaasError): string {
  return (message.split('\n')[0] ?? '').slice(0, PROBLEM_LENGTH)
}

function stopping(cause: FaasError): FaasError {
  return new FaasError('STOPPING', {
    message: 'faasdock is shutting down, and the queue does not take the outcome of a call',
    remedy: 'It is made again at the next start.',
    cause,
  })
}

function tookTooLong(ms: number): FaasError {
  return new FaasError('INVOCATION_TIMEOUT', {
    message: `the function did not end its answer within ${ms / 1000} s (upstream_timeout)`,
    remedy: 'Make it quicker, or raise upstream_timeout of the gateway.',
  })
}
