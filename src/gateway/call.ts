import { STATUS_CODES } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { asFaasError } from '../core/errors.ts'
import { formatRef } from '../core/function.ts'
import type { FunctionRef } from '../core/function.ts'
import type { InvocationSink, Staleness } from '../core/invocation.ts'
import type { Log } from '../core/log.ts'
import { failureText, INTERNAL_HEADER, INTERNAL_VALUE, STALE_HEADER, statusOf } from './failure.ts'
import { forwardedInformation, forwardedResponse, forwardedTrailers } from './forwarded-headers.ts'
import type { ForwardedRequest } from './forwarded-headers.ts'

/** The caller went away before the answer: as nginx writes it. Nobody sees it but the metrics. */
const CLIENT_GONE = 499
/** What a reason phrase may hold; others are replaced by the usual one. */
const REASON = /^[\t\x20-\x7e\x80-\xff]*$/

/** What a call's answer needs to know of it. */
export interface CallFacts {
  readonly ref: FunctionRef
  readonly forwarded: ForwardedRequest
  /** Aborted when the caller has gone. */
  readonly gone: AbortSignal
  /** `faasdock/VERSION` */
  readonly servedBy: string
  readonly log: Log
}

/** One call's answer on its way to the caller. */
export class Call implements InvocationSink {
  status = 0
  readonly #response: ServerResponse
  readonly #facts: CallFacts
  #stale: Staleness | undefined

  constructor(response: ServerResponse, facts: CallFacts) {
    this.#response = response
    this.#facts = facts
  }

  onStale(why: Staleness | undefined): void {
    this.#stale = why
  }

  onInformation(status: number, statusText: string, headers: readonly string[]): void {
    const response = this.#response
    if (status === 100) response.writeContinue()
    // The socket is another answer's while a caller that pipelines still waits for that one.
    else if (response.socket && response.req.httpVersionMinor > 0)
      response.socket.write(head(status, statusText, forwardedInformation(headers)), 'latin1')
  }

  onHead(status: number, statusText: string, headers: readonly string[], resume: () => void): void {
    const { forwarded, servedBy } = this.#facts
    const response = this.#response
    const reason = REASON.test(statusText) ? statusText : (STATUS_CODES[status] ?? '')
    const own = forwardedResponse(headers, status, forwarded, servedBy)
    if (this.#stale !== undefined) own.push(STALE_HEADER, this.#stale)
    response.writeHead(status, reason, own)
    this.status = status
    response.on('drain', resume)
    // What comes in one piece from the function leaves in one piece; a head without a body yet leaves by itself.
    response.cork()
    process.nextTick(flush, response)
  }

  onData(chunk: Uint8Array): boolean {
    return this.#response.write(chunk)
  }

  onEnd(trailers: readonly string[]): void {
    if (trailers.length > 0 && this.#facts.forwarded.takesTrailers)
      this.#response.addTrailers(forwardedTrailers(trailers))
    this.#response.end()
  }

  onFailure(error: unknown): number {
    const response = this.#response
    const { ref, forwarded, gone, servedBy, log } = this.#facts
    if (gone.aborted) {
      response.destroy()
      return CLIENT_GONE
    }
    const failure = asFaasError(error)
    const status = statusOf(failure)
    const { callId, madeCallId, startTime } = forwarded
    const line = `call of ${formatRef(ref)} failed: ${failure.message.split('\n')[0] ?? ''}`
    log[status >= 500 ? 'warn' : 'debug'](line, { code: failure.code, callId })
    if (response.headersSent) {
      // The answer had begun; cutting it off is the only way left to say that it is not whole.
      response.destroy()
      return this.status
    }
    const headers = ['Content-Type', 'text/plain; charset=utf-8', 'X-Content-Type-Options', 'nosniff']
    headers.push(INTERNAL_HEADER, INTERNAL_VALUE, 'X-Served-By', servedBy)
    // As OpenFaaS, which looks for the function before it begins anything (contract 2.6).
    if (failure.code !== 'FUNCTION_NOT_FOUND') {
      headers.push('X-Start-Time', startTime)
      if (madeCallId !== undefined) headers.push('X-Call-Id', madeCallId)
    }
    response.writeHead(status, headers).end(failureText(failure, callId))
    return status
  }
}

/** An upgrade's answer: a tunnel to the replica if that agrees (101), else an answer like any other, and the end. */
export class TunnelCall implements InvocationSink {
  readonly #call: Call
  readonly #response: ServerResponse
  readonly #socket: Socket
  readonly #facts: CallFacts
  #isOpen = false
  #stale: Staleness | undefined

  constructor(response: ServerResponse, socket: Socket, facts: CallFacts) {
    this.#call = new Call(response, facts)
    this.#response = response
    this.#socket = socket
    this.#facts = facts
  }

  get status(): number {
    return this.#isOpen ? 101 : this.#call.status
  }

  onStale(why: Staleness | undefined): void {
    this.#stale = why
    this.#call.onStale(why)
  }

  onInformation(status: number, statusText: string, headers: readonly string[]): void {
    this.#call.onInformation(status, statusText, headers)
  }

  onHead(status: number, statusText: string, headers: readonly string[], resume: () => void): void {
    // The server no longer looks after this connection: nobody else passes this on.
    this.#socket.on('drain', resume)
    if (status !== 101) {
      this.#call.onHead(status, statusText, headers, resume)
      return
    }
    const { forwarded, servedBy } = this.#facts
    this.#isOpen = true
    this.#response.detachSocket(this.#socket)
    const own = forwardedResponse(headers, status, forwarded, servedBy)
    if (this.#stale !== undefined) own.push(STALE_HEADER, this.#stale)
    own.push('Connection', 'Upgrade', 'Upgrade', valueOf(headers, 'upgrade') ?? '')
    this.#socket.write(head(status, statusText, own), 'latin1')
  }

  onData(chunk: Uint8Array): boolean {
    return this.#isOpen ? this.#socket.write(chunk) : this.#call.onData(chunk)
  }

  onEnd(trailers: readonly string[]): void {
    if (this.#isOpen) this.#socket.end()
    else this.#call.onEnd(trailers)
  }

  onFailure(error: unknown): number {
    if (!this.#isOpen) return this.#call.onFailure(error)
    this.#socket.destroy()
    return 101
  }
}

function flush(response: ServerResponse): void {
  if (!response.writableEnded) response.flushHeaders()
  response.uncork()
}

function head(status: number, statusText: string, headers: readonly string[]): string {
  const reason = REASON.test(statusText) ? statusText : ''
  let text = `HTTP/1.1 ${status} ${reason}\r\n`
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i] ?? ''}: ${headers[i + 1] ?? ''}\r\n`
  return `${text}\r\n`
}

function valueOf(headers: readonly string[], name: string): string | undefined {
  const index = headers.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === name)
  return index < 0 ? undefined : headers[index + 1]
}
