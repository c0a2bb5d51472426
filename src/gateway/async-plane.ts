import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { asFaasError, FaasError } from '../core/errors.ts'
import { formatRef, parseRef } from '../core/function.ts'
import type { FunctionRef } from '../core/function.ts'
import type { Log } from '../core/log.ts'
import type { AsyncCalls } from '../engine/async-calls.ts'
import { CODE_HEADER, failureText, INTERNAL_HEADER, INTERNAL_VALUE, statusOf } from './failure.ts'
import { forwardedRequest } from './forwarded-headers.ts'
import type { ForwardedRequest } from './forwarded-headers.ts'

export interface AsyncPlaneOptions {
  readonly calls: AsyncCalls
  readonly defaultNamespace: string
  /** `faasdock/VERSION` */
  readonly servedBy: string
  readonly log: Log
}

const PREFIX = '/async-function/'
const REPLACED = new Set(['content-length', 'user-agent'])
/** What the router lets through as a name (contract 1.1). */
const NAME = /^[-a-zA-Z_0-9.]+$/

/** `/async-function/…`: take the call in, make it durable, say 202 (contract 3.1). Beside Koa, as the data plane is. */
export class AsyncPlane {
  readonly #options: AsyncPlaneOptions

  constructor(options: AsyncPlaneOptions) {
    this.#options = options
  }

  /** True when the request was for the queue. */
  handle(request: IncomingMessage, response: ServerResponse): boolean {
    const url = request.url ?? ''
    if (!url.startsWith(PREFIX)) return false
    let end = PREFIX.length
    while (end < url.length && url[end] !== '/' && url[end] !== '?') end++
    const name = url.slice(PREFIX.length, end)
    if (request.method === 'DELETE') this.#cancel(name, response)
    else if (request.method === 'POST') this.#accept(request, response, name, url.slice(end))
    else refuse(request, response, 405, '', { Allow: 'POST, DELETE' })
    return true
  }

  #accept(request: IncomingMessage, response: ServerResponse, name: string, rest: string): void {
    const { calls, defaultNamespace, servedBy } = this.#options
    const ref: FunctionRef = parseRef(name, defaultNamespace)
    if (!NAME.test(name) || ref.name === '' || ref.namespace === '') {
      refuse(request, response, 404, '404 page not found\n')
      return
    }
    const forwarded = forwardedRequest(request, servedBy)
    const { callId: id } = forwarded
    const callback = callbackOf(request)
    const given = {
      id,
      ref,
      invokedAs: name,
      path: rest.startsWith('/') ? rest : `/${rest}`,
      headers: headersOfQueued(forwarded.headers, servedBy),
      ...(callback !== undefined && { callback }),
    }
    const accept = async (): Promise<void> => {
      calls.check(given)
      const body = await readBody(request, calls.inlineBytes, calls.settings.maxBodyBytes)
      await calls.accept({ ...given, body })
      response.writeHead(202, { ...this.#headers(forwarded), 'Content-Length': 0 }).end()
    }
    accept().catch((error: unknown) => this.#fail(request, response, ref, forwarded, error))
  }

  #cancel(id: string, response: ServerResponse): void {
    const { calls, servedBy } = this.#options
    const cancel = async (): Promise<void> => {
      await calls.cancel(decodeId(id))
      response.writeHead(202, { 'Content-Length': 0, 'X-Served-By': servedBy }).end()
    }
    cancel().catch((error: unknown) => {
      const failure = asFaasError(error)
      response.writeHead(statusOf(failure), errorHeaders(failure)).end(failureText(failure))
    })
  }

  #fail(
    request: IncomingMessage,
    response: ServerResponse,
    ref: FunctionRef,
    forwarded: ForwardedRequest,
    error: unknown,
  ): void {
    const failure = asFaasError(error)
    if (request.destroyed && !request.complete) {
      // The caller went away half-way: there is nobody to answer, and nothing was kept.
      response.destroy()
      return
    }
    const status = statusOf(failure)
    if (status >= 500)
      this.#options.log.warn(`call of ${formatRef(ref)} could not be queued: ${failure.message}`, {
        code: failure.code,
        callId: forwarded.callId,
      })
    response.writeHead(status, { ...this.#headers(forwarded), ...errorHeaders(failure) })
    response.end(failureText(failure, forwarded.callId))
    // What is still on its way is read and forgotten, so that the answer arrives.
    request.resume()
  }

  #headers({ madeCallId, startTime }: ForwardedRequest): OutgoingHttpHeaders {
    const headers: OutgoingHttpHeaders = { 'X-Start-Time': startTime, 'X-Served-By': this.#options.servedBy }
    if (madeCallId !== undefined) headers['X-Call-Id'] = madeCallId
    return headers
  }
}

/**
 * The whole body, or, when it is larger than `inlineBytes`, a stream of it. Rejects when it breaks off, and with
 * BODY_TOO_LARGE when it is, or says that it is, larger than `maxBytes`.
 */
function readBody(
  request: IncomingMessage,
  inlineBytes: number,
  maxBytes: number,
): Promise<Uint8Array | AsyncIterable<Uint8Array>> {
  const length = Number(request.headers['content-length'] ?? NaN)
  if (length > maxBytes) return Promise.reject(bodyTooLarge(maxBytes, `it has ${length} bytes`))
  if (length > inlineBytes) return Promise.resolve(limited([], request, maxBytes))
  return new Promise((resolve, reject) => {
    const pieces: Uint8Array[] = []
    let bytes = 0
    const onData = (piece: Uint8Array): void => {
      pieces.push(piece)
      bytes += piece.length
      if (bytes <= inlineBytes) return
      request.pause()
      forget()
      resolve(limited(pieces, request, maxBytes))
    }
    const onEnd = (): void => {
      forget()
      resolve(pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces, bytes))
    }
    const onError = (error: Error): void => {
      forget()
      reject(error)
    }
    const onClose = (): void => onError(cutOff())
    const forget = (): void => {
      request.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose)
    }
    request.on('data', onData).once('end', onEnd).once('error', onError).once('close', onClose)
  })
}

async function* limited(
  begun: readonly Uint8Array[],
  request: IncomingMessage,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  let bytes = 0
  const count = (piece: Uint8Array): Uint8Array => {
    bytes += piece.length
    if (bytes > maxBytes) throw bodyTooLarge(maxBytes, 'it is longer')
    return piece
  }
  for (const piece of begun) yield count(piece)
  for await (const piece of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>)
    yield count(piece)
  if (!request.complete) throw cutOff()
}

function bodyTooLarge(maxBytes: number, how: string): FaasError {
  return new FaasError('BODY_TOO_LARGE', {
    message: `the body of an async call may have ${maxBytes} bytes; ${how}`,
    remedy: 'Send less, call it synchronously, or raise --async-max-body (FAASDOCK_ASYNC_MAX_BODY).',
  })
}

function cutOff(): FaasError {
  return new FaasError('BAD_REQUEST', {
    message: 'the body broke off before its end',
    remedy: 'Send the call again: nothing was queued.',
  })
}

function callbackOf({ headers }: IncomingMessage): string | undefined {
  const value = headers['x-callback-url']
  const text = Array.isArray(value) ? value[0] : value
  return text === undefined || text === '' ? undefined : text
}

/** How long the body is, is said anew when it is sent; who sends it is whoever takes it from the queue (contract 3.2). */
function headersOfQueued(headers: readonly string[], sender: string): string[] {
  const kept: string[] = []
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? ''
    if (!REPLACED.has(name.toLowerCase())) kept.push(name, headers[i + 1] ?? '')
  }
  kept.push('User-Agent', sender)
  return kept
}

function decodeId(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function errorHeaders({ code }: FaasError): Record<string, string> {
  return {
    'Content-Type': 'text/plain; charset=utf-8',
    'X-Content-Type-Options': 'nosniff',
    [INTERNAL_HEADER]: INTERNAL_VALUE,
    [CODE_HEADER]: code,
  }
}

function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  text: string,
  headers: OutgoingHttpHeaders = {},
): void {
  request.resume()
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    [INTERNAL_HEADER]: INTERNAL_VALUE,
    ...headers,
  })
  response.end(text)
}
