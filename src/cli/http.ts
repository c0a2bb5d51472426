import { request as requestPlain } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { request as requestTls } from 'node:https'
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import { FaasError } from '../core/errors.ts'

// Not `fetch`: it ends every stream that is silent for five minutes (an invocation, a log that is followed), follows
// redirects that belong to a function's caller, and cannot be told to accept a self-signed certificate.

export interface HttpRequest {
  readonly method: string
  readonly url: URL
  /** Path and query as they are to go, where the address would put them in order: `/a/../b`. */
  readonly path?: string
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>
  readonly signal: AbortSignal
  /** Milliseconds until the head of the answer must be there; absent: no limit. */
  readonly timeout?: number
  /** False accepts any certificate. */
  readonly verifyTls?: boolean
}

/** The head of an answer; its body streams. A body that is not read to its end keeps the connection: drain it. */
export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: AsyncIterable<Uint8Array>
}

/** Resolves with the head of the answer. Rejects with GATEWAY_UNREACHABLE, or with the signal's reason. */
export function send(request: HttpRequest): Promise<HttpAnswer> {
  const { url, signal, body } = request
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error)
      return
    }
    const open = url.protocol === 'https:' ? requestTls : requestPlain
    const outgoing = open(url, {
      method: request.method,
      ...(request.path !== undefined && { path: request.path }),
      headers: { ...request.headers, ...lengthOf(body) },
      rejectUnauthorized: request.verifyTls !== false,
      // A command is over when its answers are: no connection may keep it alive.
      agent: false,
    })
    const abort = (): void => void outgoing.destroy(signal.reason as Error)
    signal.addEventListener('abort', abort, { once: true })
    const timer = request.timeout === undefined ? undefined : setTimeout(late, request.timeout)
    function late(): void {
      outgoing.destroy(new Error(`no answer within ${(request.timeout ?? 0) / 1000} s`))
    }
    let answered = false
    outgoing.on('response', (answer: IncomingMessage) => {
      answered = true
      clearTimeout(timer)
      answer.on('close', () => signal.removeEventListener('abort', abort))
      resolve({
        status: answer.statusCode ?? 0,
        headers: answer.headers,
        body: readBody(url, answer, signal),
      })
    })
    outgoing.on('error', (error) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      reject(signal.aborted ? (signal.reason as Error) : unreachable(url, error))
    })
    if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) outgoing.end(body)
    else
      pipeline(Readable.from(body), outgoing).catch((error: unknown) => {
        // A server that has answered may stop reading; its answer stays good.
        if (!answered) outgoing.destroy(error as Error)
      })
  })
}

/** The whole body as text. */
export async function readText(answer: HttpAnswer): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of answer.body) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

async function* readBody(url: URL, answer: IncomingMessage, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of answer as AsyncIterable<Uint8Array>) yield chunk
  } catch (cause) {
    if (signal.aborted) throw signal.reason
    throw new FaasError('GATEWAY_UNREACHABLE', {
      message: `the gateway at ${url.origin} closed the connection before its answer ended`,
      remedy: 'See whether the gateway still runs with "faasdock status", then run the command again.',
      cause,
    })
  }
}

function lengthOf(body: HttpRequest['body']): Record<string, string> {
  if (typeof body === 'string') return { 'content-length': String(Buffer.byteLength(body)) }
  return body instanceof Uint8Array ? { 'content-length': String(body.byteLength) } : {}
}

function unreachable(url: URL, cause: Error & { code?: string; errors?: unknown[] }): FaasError {
  const [first] = cause.errors ?? []
  const reason = cause.message || (first instanceof Error ? first.message : (cause.code ?? 'no reason given'))
  return new FaasError('GATEWAY_UNREACHABLE', {
    message: `no gateway answers at ${url.origin} (${reason})`,
    remedy:
      'Start one with "faasdock dev" (your stack, watched) or "faasdock serve", or name another with --gateway or OPENFAAS_URL.',
    cause,
  })
}
