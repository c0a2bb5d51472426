import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { InvocationRequest } from '../core/invocation.ts'
import { forwardedTrailers } from './forwarded-headers.ts'

/** Longer than the gap between a head and a body that were sent one right after the other. Milliseconds. */
const LATE_MS = 20

type Body = Pick<InvocationRequest, 'body' | 'isBodyLate' | 'trailers' | 'expectsContinue'>

export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}

/**
 * Gives the body when it is known of which kind it is. Small ones have come with their head and are passed on whole;
 * longer ones are streamed, and one of which nothing comes is said to be late, so that its head does not wait for it.
 */
export function whenBodyBegins(request: IncomingMessage, begin: (body: Body) => void): void {
  // What came together is read piece by piece: its first piece is there in the next tick, the end of its chunks later.
  if (request.headers['transfer-encoding'] === undefined) process.nextTick(look, request, begin)
  else setImmediate(look, request, begin)
}

function look(request: IncomingMessage, begin: (body: Body) => void): void {
  if (request.complete || request.readableLength > 0) {
    begin(arrived(request))
    return
  }
  const late = setTimeout(() => decide({ ...arrived(request), isBodyLate: true }), LATE_MS)
  const onBegin = (): void => decide(arrived(request))
  request.once('readable', onBegin)
  function decide(body: Body): void {
    clearTimeout(late)
    request.off('readable', onBegin)
    begin(body)
  }
}

/** What is there by now: all of it, or the beginning of a stream. */
function arrived(request: IncomingMessage): Body {
  const isWhole = request.complete || request.readableLength === Number(request.headers['content-length'])
  const trailers = trailersOf(request)
  if (!isWhole) return { body: streamOf(request), ...trailers }
  const whole = request.read() as Uint8Array | null
  // A stream that nobody reads to its end would keep the connection from its next call.
  request.resume()
  return { body: whole ?? new Uint8Array(), ...trailers }
}

/** The body of a caller that waits to be told to send it. */
export function awaitedBody(request: IncomingMessage): Body {
  return { body: streamOf(request), expectsContinue: true, ...trailersOf(request) }
}

/** What comes over a connection that has left HTTP, until its sender has no more. */
export async function* bytesOf(socket: Socket, first: Uint8Array): AsyncGenerator<Uint8Array> {
  if (first.length > 0) yield first
  yield* socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>
}

/**
 * The body, for a reader who may stop half-way because the answer came first: what is left is read and forgotten, so that
 * the caller's connection is free for the next call. (A stream given away would be destroyed, and block it.)
 */
async function* streamOf(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    yield* request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>
  } finally {
    request.resume()
  }
}

/** Those that were announced, which only a body in chunks can have. */
function trailersOf(request: IncomingMessage): Pick<Body, 'trailers'> | undefined {
  const { headers } = request
  if (headers.trailer === undefined || headers['transfer-encoding'] === undefined) return undefined
  return { trailers: () => forwardedTrailers(request.rawTrailers).flat() }
}
