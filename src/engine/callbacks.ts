import type { CallbackSender } from '../core/callback.ts'
import type { Clock } from '../core/clock.ts'
import { asFaasError } from '../core/errors.ts'
import { formatRef } from '../core/function.ts'
import type { FunctionRef } from '../core/function.ts'
import type { Log } from '../core/log.ts'
import type { Delivery, Queue } from '../core/queue.ts'
import type { CallBook } from './call-book.ts'
import { callbackLane, callKeyAt, readCallback, writeHead } from './queued-call.ts'
import type { QueuedCall, QueuedCallback } from './queued-call.ts'
import type { CallOutcome, Callbacks } from './queue-worker.ts'

export interface CallbackWorkerParts {
  readonly queue: Queue
  readonly sender: CallbackSender
  readonly book: CallBook
  readonly clock: Clock
  readonly log: Log
  /** Where this gateway answers on this machine: `http://127.0.0.1:8080`. */
  readonly ownUrl: () => string
  readonly timeoutMs: number
  /** Adds a line to the log of a function. */
  readonly note: (ref: FunctionRef, words: string) => void
  readonly wake: (lane: string) => void
}

/** Posts that are tried when the target does not answer, or not well. */
const CALLBACK_ATTEMPTS = 6
const FIRST_WAIT_MS = 1000
const LONGEST_WAIT_MS = 30_000
const RETRIED = new Set([408, 425, 429, 500, 502, 503, 504])
const TRY_AGAIN_MS = 1000

/** As functions call the gateway (contract 10); outside of them these names lead nowhere. */
const GATEWAY_NAMES = new Set(['gateway', 'gateway.openfaas', 'gateway.openfaas.svc.cluster.local'])

/** Of the connection between us and the function; and of a body that is sent on in another way. */
const NOT_SENT_ON = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'content-length',
  'x-call-id',
  'x-function-name',
  'x-function-status',
  'x-duration-seconds',
  'x-start-time',
])

/** Posts the outcomes of calls. They are messages of their own: a target that hangs holds up no function and no other target. */
export class CallbackWorker implements Callbacks {
  readonly #parts: CallbackWorkerParts
  readonly #posting = new Set<AbortController>()
  #isStopped = false

  constructor(parts: CallbackWorkerParts) {
    this.#parts = parts
  }

  /** Gives up what is under way; it is posted again by whoever comes next. */
  stop(): void {
    this.#isStopped = true
    for (const posting of this.#posting) posting.abort(new Error('the platform stops'))
  }

  async publish(call: QueuedCall, outcome: CallOutcome): Promise<void> {
    const { queue, wake } = this.#parts
    const url = call.callback ?? ''
    const { id, ref, queuedAt } = call
    const stored = outcome.answer?.stored
    const callback: QueuedCallback = {
      id,
      ref,
      queuedAt,
      url,
      headers: callbackHeaders(call, outcome),
      attempts: 0,
      ...(stored && { stored: stored.name, storedBytes: stored.bytes }),
    }
    const lane = laneOfTarget(url)
    await queue.publish({
      lane,
      id: `callback/${callKeyAt(call)}`,
      head: writeHead(callback),
      body: outcome.answer?.body ?? new Uint8Array(0),
    })
    wake(lane)
  }

  /** Posts one; puts it back when it should be tried again. */
  async run(lane: string, delivery: Delivery): Promise<void> {
    const callback = readCallback(delivery.head)
    if (!callback) {
      this.#parts.log.error('a callback of the queue cannot be read, and is dropped')
      delivery.ack()
      return
    }
    const outcome = await this.#post(callback, delivery.body)
    if (outcome.problem !== undefined && this.#isStopped) {
      delivery.release(0)
      return
    }
    const attempts = callback.attempts + 1
    if (outcome.mayRetry && attempts < CALLBACK_ATTEMPTS) await this.#retry(lane, delivery, callback, outcome)
    else await this.#close(delivery, callback, outcome)
  }

  async #post(callback: QueuedCallback, inline: Uint8Array): Promise<PostOutcome> {
    const { queue, sender, clock, timeoutMs, ownUrl } = this.#parts
    const abort = new AbortController()
    this.#posting.add(abort)
    using _limit = clock.after(timeoutMs, () =>
      abort.abort(new Error(`no answer within ${timeoutMs / 1000} s`)),
    )
    try {
      const { url, host } = resolveTarget(callback.url, ownUrl())
      const body = callback.stored === undefined ? inline : await queue.bodies.open(callback.stored)
      const length = String(callback.storedBytes ?? inline.length)
      const headers = [
        ...callback.headers,
        'Content-Length',
        length,
        ...(host === undefined ? [] : ['Host', host]),
      ]
      const { status, location } = await sender.post({ url, headers, body }, abort.signal)
      if (status >= 300 && status < 400) {
        const problem = `it redirects${location === undefined ? '' : ` to ${location}`}; callbacks do not follow`
        return { status, problem, mayRetry: false }
      }
      return {
        status,
        mayRetry: RETRIED.has(status),
        ...(status >= 400 && { problem: `it answered ${status}` }),
      }
    } catch (error) {
      const failure = asFaasError(abort.signal.aborted ? abort.signal.reason : error)
      return { problem: failure.message, mayRetry: failure.code !== 'CALL_NOT_FOUND' }
    } finally {
      this.#posting.delete(abort)
    }
  }

  async #retry(
    lane: string,
    delivery: Delivery,
    callback: QueuedCallback,
    outcome: PostOutcome,
  ): Promise<void> {
    const { queue, clock, wake, log } = this.#parts
    const attempts = callback.attempts + 1
    const waitMs = Math.min(FIRST_WAIT_MS * 2 ** (attempts - 1), LONGEST_WAIT_MS)
    this.#note(callback, 'waiting', outcome)
    try {
      await queue.publish({
        lane,
        id: `callback/${callKeyAt(callback)}#${attempts}`,
        head: writeHead({ ...callback, attempts }),
        body: delivery.body,
        dueAt: clock.now() + waitMs,
      })
      delivery.ack()
    } catch (error) {
      log.warn(`a callback could not be put back into the queue: ${asFaasError(error).message}`)
      delivery.release(Math.max(waitMs, TRY_AGAIN_MS))
    }
    wake(lane)
  }

  async #close(delivery: Delivery, callback: QueuedCallback, outcome: PostOutcome): Promise<void> {
    const { queue, log, note } = this.#parts
    const { id, ref, url } = callback
    const attempts = callback.attempts + 1
    const isDelivered = outcome.problem === undefined
    this.#note(callback, isDelivered ? 'delivered' : 'failed', outcome)
    const result = isDelivered ? `answered ${outcome.status ?? 0}` : `failed: ${outcome.problem ?? ''}`
    const words = `callback of call ${id} to ${withoutSecrets(url)} ${result}`
    // Where its developer looks first.
    note(ref, words)
    if (!isDelivered) log.warn(words, { callId: id, function: formatRef(ref), attempts })
    if (callback.stored !== undefined) await queue.bodies.remove(callback.stored).catch(() => undefined)
    delivery.ack()
  }

  #note(callback: QueuedCallback, state: 'waiting' | 'delivered' | 'failed', outcome: PostOutcome): void {
    const { book } = this.#parts
    const record = book.get(callback)
    if (record?.queuedAt !== callback.queuedAt) return
    const { status, problem } = outcome
    book.note({
      ...record,
      callback: {
        url: callback.url,
        state,
        attempts: callback.attempts + 1,
        ...(status !== undefined && { status }),
        ...(problem !== undefined && { problem }),
      },
    })
  }
}

interface PostOutcome {
  readonly status?: number
  readonly problem?: string
  readonly mayRetry: boolean
}

/** Why a URL cannot be called back; undefined when it can. */
export function callbackProblem(text: string): string | undefined {
  if (!URL.canParse(text)) return 'it is not an absolute URL'
  const { protocol, hostname } = new URL(text)
  if (protocol !== 'http:' && protocol !== 'https:') return `its scheme is ${protocol.slice(0, -1)}`
  return hostname === '' ? 'it has no host' : undefined
}

/** Where a callback really goes. The gateway's own names mean this one, whatever port it has. */
function resolveTarget(text: string, ownUrl: string): { url: string; host?: string } {
  const url = new URL(text)
  if (!GATEWAY_NAMES.has(url.hostname)) return { url: text }
  const own = new URL(ownUrl)
  return { url: `${own.origin}${url.pathname}${url.search}`, host: url.host }
}

/** One lane a target: by scheme, host and port, in letters that a lane may have. */
function laneOfTarget(text: string): string {
  const origin = URL.canParse(text) ? new URL(text).origin : text
  const letters = origin.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')
  // Different targets may come out alike: they then wait for each other, and nothing else.
  return callbackLane(letters.slice(0, 100) || 'none')
}

function callbackHeaders(call: QueuedCall, outcome: CallOutcome): string[] {
  const { status, seconds, attempts, maxAttempts, answer } = outcome
  const headers: string[] = []
  const answered = answer?.headers ?? []
  for (let i = 0; i < answered.length; i += 2) {
    const name = answered[i] ?? ''
    if (!NOT_SENT_ON.has(name.toLowerCase())) headers.push(name, answered[i + 1] ?? '')
  }
  const startTime = headerOf(call.headers, 'x-start-time')
  headers.push(
    'X-Call-Id',
    call.id,
    'X-Duration-Seconds',
    seconds.toFixed(6),
    'X-Function-Name',
    call.invokedAs,
    'X-Function-Status',
    String(status),
  )
  if (startTime !== undefined) headers.push('X-Start-Time', startTime)
  if (attempts > 1) headers.push('X-Retry', String(attempts - 1), 'X-Retry-Max', String(maxAttempts - 1))
  if (answer?.isTruncated) headers.push('X-Faasdock-Truncated', 'true')
  return headers
}

function headerOf(headers: readonly string[], name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) if (headers[i]?.toLowerCase() === name) return headers[i + 1]
  return undefined
}

/** Queries hold tokens, and who logs in is nobody's business. */
function withoutSecrets(url: string): string {
  return withoutLogin(url.split('?')[0] ?? url)
}

/** A URL as it may be shown. */
export function withoutLogin(url: string): string {
  return url.replace(/^([a-z]+:\/\/)[^/?#]*@/i, '$1')
}
