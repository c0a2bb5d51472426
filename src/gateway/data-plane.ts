import type { IncomingMessage, ServerResponse } from 'node:http'
import { asFaasError } from '../core/errors.ts'
import { formatRef, parseRef } from '../core/function.ts'
import type { FunctionRef } from '../core/function.ts'
import type { InvocationSink } from '../core/invocation.ts'
import type { Log } from '../core/log.ts'
import type { Invoker } from '../engine/invoker.ts'
import { failureText, INTERNAL_HEADER, INTERNAL_VALUE, statusOf } from './failure.ts'
import { forwardedRequest, forwardedResponse } from './forwarded-headers.ts'
import type { ForwardedRequest } from './forwarded-headers.ts'

export interface DataPlaneOptions {
  readonly invoker: Invoker
  readonly defaultNamespace: string
  /** `faasdock/VERSION` */
  readonly servedBy: string
  readonly log: Log
}

const PREFIX = '/function/'
/** What the router lets through as a name (contract 1.1). */
const NAME = /^[-a-zA-Z_0-9.]+$/
/** Others get 405 (contract 2.3). */
const METHODS = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'])
/** The caller went away before the answer: as nginx writes it. Nobody sees it but the metrics. */
const CLIENT_GONE = 499

/** Splits `/function/NAME/rest?query` into the name and what the function sees. Undefined for other paths. */
export function splitFunctionPath(url: string): { name: string; path: string } | undefined {
  if (!url.startsWith(PREFIX)) return undefined
  let end = PREFIX.length
  while (end < url.length && url[end] !== '/' && url[end] !== '?') end++
  const rest = url.slice(end)
  return { name: url.slice(PREFIX.length, end), path: rest.startsWith('/') ? rest : `/${rest}` }
}

/** `/function/…`: match, lease, stream both ways, count. Nothing here touches disk, JSON or Docker. */
export class DataPlane {
  readonly #options: DataPlaneOptions
  /** Refs by the name in the URL, so that a request makes none. Bounded, because callers choose the names. */
  readonly #refs = new Map<string, FunctionRef>()

  constructor(options: DataPlaneOptions) {
    this.#options = options
  }

  /** True when the request was a function's. */
  handle(request: IncomingMessage, response: ServerResponse): boolean {
    const target = splitFunctionPath(request.url ?? '')
    if (!target) return false
    const ref = this.#ref(target.name)
    const method = request.method ?? 'GET'
    if (!ref || !METHODS.has(method)) {
      refuse(response, ref ? 405 : 404, ref ? '' : '404 page not found\n')
      return true
    }
    const { invoker, servedBy, log } = this.#options
    const forwarded = forwardedRequest(request, servedBy)
    const gone = new AbortController()
    const call = new Call(response, forwarded, ref, gone.signal, servedBy, log)
    response.once('close', () => {
      if (!response.writableFinished) gone.abort(new Error('the caller went away'))
    })
    const { headers } = forwarded
    const body = hasBody(request) ? bodyOf(request) : null
    // Never rejects: failures are answers too.
    invoker
      .invoke(ref, { method, path: target.path, headers, body }, call, gone.signal)
      .catch(() => undefined)
    return true
  }

  #ref(name: string): FunctionRef | undefined {
    const known = this.#refs.get(name)
    if (known) return known
    if (!NAME.test(name)) return undefined
    const ref = parseRef(name, this.#options.defaultNamespace)
    if (ref.name === '' || ref.namespace === '') return undefined
    if (this.#refs.size > 10_000) this.#refs.clear()
    this.#refs.set(name, ref)
    return ref
  }
}

/** One call's answer on its way to the caller. */
class Call implements InvocationSink {
  status = 0
  readonly #response: ServerResponse
  readonly #request: ForwardedRequest
  readonly #ref: FunctionRef
  readonly #gone: AbortSignal
  readonly #servedBy: string
  readonly #log: Log

  constructor(
    response: ServerResponse,
    request: ForwardedRequest,
    ref: FunctionRef,
    gone: AbortSignal,
    servedBy: string,
    log: Log,
  ) {
    this.#response = response
    this.#request = request
    this.#ref = ref
    this.#gone = gone
    this.#servedBy = servedBy
    this.#log = log
  }

  onHead(status: number, statusText: string, headers: readonly string[], resume: () => void): void {
    this.status = status
    const response = this.#response
    response.writeHead(status, statusText, forwardedResponse(headers, status, this.#request, this.#servedBy))
    response.on('drain', resume)
    // What comes in one piece from the function leaves in one piece; a head without a body yet leaves by itself.
    response.cork()
    process.nextTick(() => {
      if (!response.writableEnded) response.flushHeaders()
      response.uncork()
    })
  }

  onData(chunk: Uint8Array): boolean {
    return this.#response.write(chunk)
  }

  onEnd(): void {
    this.#response.end()
  }

  onFailure(error: unknown): number {
    const response = this.#response
    if (this.#gone.aborted) {
      response.destroy()
      return CLIENT_GONE
    }
    const failure = asFaasError(error)
    const { callId, madeCallId, startTime } = this.#request
    if (statusOf(failure) >= 500) {
      this.#log.warn(`call of ${formatRef(this.#ref)} failed: ${failure.message.split('\n')[0] ?? ''}`, {
        code: failure.code,
        callId,
      })
    }
    if (response.headersSent) {
      // The answer had begun; cutting it off is the only way left to say that it is not whole.
      response.destroy()
      return this.status
    }
    const status = statusOf(failure)
    const headers: Record<string, string> = {
      'Content-Type': 'text/plain; charset=utf-8',
      'X-Content-Type-Options': 'nosniff',
      [INTERNAL_HEADER]: INTERNAL_VALUE,
      'X-Start-Time': startTime,
      'X-Served-By': this.#servedBy,
    }
    if (madeCallId !== undefined) headers['X-Call-Id'] = madeCallId
    response.writeHead(status, headers).end(failureText(failure, callId))
    return status
  }
}

/**
 * The body, for a reader who may stop half-way because the answer came first: what is left is read and forgotten, so that
 * the caller's connection is free for the next call. (A stream given away would be destroyed, and block it.)
 */
async function* bodyOf(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    yield* request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>
  } finally {
    request.resume()
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    [INTERNAL_HEADER]: INTERNAL_VALUE,
  })
  response.end(text)
}
