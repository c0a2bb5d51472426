import { request as httpRequest } from 'node:http'
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Duplex, Writable } from 'node:stream'
import type { InvocationRequest, ResponseSink } from '../core/invocation.ts'
import type { Lease } from '../core/provider.ts'
import { answerTimeout } from './failures.ts'

/** Heads of answers may be this long, as those of requests. */
export const MAX_HEADER_BYTES = 2 ** 20
const CONNECT_LIMIT_MS = 5000
/** How long a 100 is waited for before the body is sent anyhow: servers may ignore the question (RFC 9110, 10.1.1). */
const CONTINUE_LIMIT_MS = 1000

/**
 * One call over a node:http connection of its own: upgrades, heads that go ahead of their body, 100 Continue, trailers.
 * `onOver` is told once how it ended; `wasSent` is false when no replica can have seen anything of it.
 */
export class NodeExchange {
  readonly #lease: Lease
  readonly #request: InvocationRequest
  readonly #sink: ResponseSink
  readonly #limitMs: number
  readonly #onOver: (error: Error | undefined, wasSent: boolean) => void
  readonly #http: ClientRequest
  /** What follows the head once the replica has agreed to another protocol. */
  #tunnel: Duplex | undefined
  #body: AsyncIterator<Uint8Array> | undefined
  #limit: NodeJS.Timeout | undefined
  #hasBegunBody = false
  #isSent = false
  #isAnswered = false
  #isOver = false

  constructor(
    lease: Lease,
    request: InvocationRequest,
    sink: ResponseSink,
    limitMs: number,
    onOver: (error: Error | undefined, wasSent: boolean) => void,
  ) {
    this.#lease = lease
    this.#request = request
    this.#sink = sink
    this.#limitMs = limitMs
    this.#onOver = onOver
    const { hostname, port, host } = new URL(lease.origin)
    this.#http = httpRequest({
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: Number(port === '' ? 80 : port),
      method: request.method,
      path: request.path,
      headers: framed(request, host),
      maxHeaderSize: MAX_HEADER_BYTES,
      agent: false,
      // One end of a tunnel may have said all while the other still speaks.
      ...(request.upgrade !== undefined && { allowHalfOpen: true }),
    })
  }

  start(): void {
    const http = this.#http
    this.#waitAtMost(CONNECT_LIMIT_MS, () =>
      Object.assign(new Error('no connection within 5 s'), { code: 'UND_ERR_CONNECT_TIMEOUT' }),
    )
    http.once('socket', (socket) =>
      socket.once('connect', () => {
        this.#isSent = true
        clearTimeout(this.#limit)
        this.#sendBody()
      }),
    )
    http.on('information', ({ statusCode, statusMessage, rawHeaders }) => {
      if (this.#isOver) return
      this.#guard(() => this.#sink.onInformation?.(statusCode, statusMessage, rawHeaders))
      if (statusCode === 100) this.#beginBody()
    })
    http.once('response', (response) => this.#onResponse(response))
    // Without a listener, an answer that nobody asked for ends the connection.
    if (this.#request.upgrade !== undefined)
      http.once('upgrade', (response, socket, head) => this.#onUpgrade(response, socket, head))
    http.on('error', (error) => this.destroy(error))
    http.once('close', () => {
      if (!this.#isAnswered) this.destroy(new Error('other side closed'))
    })
    http.flushHeaders()
  }

  /** Gives the call up. */
  destroy(error: Error): void {
    if (!this.#isOver) this.#end(error)
  }

  #end(error?: Error): void {
    this.#isOver = true
    clearTimeout(this.#limit)
    // A reader of the body who is told nothing would wait for its next piece for ever.
    this.#body?.return?.().catch(() => undefined)
    if (error || !this.#http.writableFinished) {
      this.#http.destroy()
      this.#tunnel?.destroy()
    }
    this.#onOver(error, this.#isSent)
  }

  #onResponse(response: IncomingMessage): void {
    this.#isAnswered = true
    clearTimeout(this.#limit)
    const { statusCode = 0, statusMessage = '', rawHeaders } = response
    response.on('error', (error) => this.destroy(error))
    response.once('close', () => this.destroy(new Error('other side closed')))
    this.#guard(() => {
      this.#sink.onHead(statusCode, statusMessage, rawHeaders, () => void response.resume())
      this.#passOn(response)
      response.once('end', () => {
        if (this.#isOver) return
        this.#sink.onEnd(response.rawTrailers)
        this.#end()
      })
    })
  }

  #onUpgrade(response: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#isAnswered = true
    this.#tunnel = socket
    clearTimeout(this.#limit)
    const { statusCode = 0, statusMessage = '', rawHeaders } = response
    let hasEnded = false
    socket.on('error', (error) => this.destroy(error))
    socket.once('end', () => {
      hasEnded = true
      if (!this.#isOver) this.#sink.onEnd([])
    })
    socket.once('close', () => {
      if (hasEnded && !this.#isOver) this.#end()
      else this.destroy(new Error('other side closed'))
    })
    this.#guard(() => {
      this.#sink.onHead(statusCode, statusMessage, rawHeaders, () => void socket.resume())
      if (head.length > 0) socket.unshift(head)
      this.#passOn(socket)
      this.#pump(socket).then(
        () => socket.end(),
        (error: unknown) => this.destroy(error as Error),
      )
    })
  }

  #passOn(from: IncomingMessage | Duplex): void {
    from.on('data', (chunk: Buffer) => {
      if (!this.#isOver && !this.#sink.onData(chunk)) from.pause()
    })
  }

  #sendBody(): void {
    const { body, upgrade, expectsContinue } = this.#request
    if (body === null || upgrade !== undefined) {
      this.#http.end()
      this.#waitForAnswer()
    } else if (expectsContinue === true) {
      this.#waitAtMost(CONTINUE_LIMIT_MS, () => {
        this.#sink.onInformation?.(100, 'Continue', [])
        this.#beginBody()
        return undefined
      })
    } else this.#beginBody()
  }

  #beginBody(): void {
    const { trailers } = this.#request
    if (this.#hasBegunBody || this.#isOver || this.#isAnswered) return
    this.#hasBegunBody = true
    clearTimeout(this.#limit)
    this.#pump(this.#http).then(
      () => {
        if (this.#isOver) return
        const last = trailers?.() ?? []
        if (last.length > 0) this.#http.addTrailers(pairs(last))
        this.#http.end()
        this.#waitForAnswer()
      },
      (error: unknown) => this.destroy(error as Error),
    )
  }

  async #pump(to: Writable): Promise<void> {
    const { body } = this.#request
    if (body === null) return
    if (body instanceof Uint8Array) {
      to.write(body)
      return
    }
    this.#body = body[Symbol.asyncIterator]()
    for (;;) {
      const piece = await this.#body.next()
      if (piece.done === true || this.#isOver) return
      if (to.write(piece.value)) continue
      this.#waitForAnswer()
      await drained(to)
      if (!this.#isAnswered) clearTimeout(this.#limit)
    }
  }

  /** It is the replica's turn. */
  #waitForAnswer(): void {
    if (this.#isAnswered) return
    this.#waitAtMost(this.#limitMs, () => {
      if (this.#lease.isDebugged !== true) return answerTimeout(this.#limitMs)
      this.#waitForAnswer()
      return undefined
    })
  }

  #waitAtMost(ms: number, then: () => Error | undefined): void {
    clearTimeout(this.#limit)
    if (this.#isOver) return
    this.#limit = setTimeout(() => {
      const error = then()
      if (error) this.destroy(error)
    }, ms)
  }

  /** What a sink throws is this call's failure, not the program's. */
  #guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.destroy(error as Error)
    }
  }
}

/** The head as it goes out: what is said of the connection, and how the body is framed, is this connection's own. */
function framed({ headers, body, upgrade }: InvocationRequest, host: string): string[] {
  const all = ['Host', host, ...headers]
  if (upgrade !== undefined) {
    all.push('Connection', 'Upgrade', 'Upgrade', upgrade)
    return all
  }
  all.push('Connection', 'close')
  if (body === null) return all
  const length = headers.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'content-length')
  if (length < 0) all.push('Transfer-Encoding', 'chunked')
  return all
}

function pairs(flat: readonly string[]): [string, string][] {
  return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i] ?? '', flat[2 * i + 1] ?? ''])
}

function drained(to: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      to.off('drain', done).off('close', done)
      resolve()
    }
    to.on('drain', done).on('close', done)
    if (to.destroyed) done()
  })
}
