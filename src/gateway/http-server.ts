import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, Server } from 'node:http'
import type { Socket } from 'node:net'
import type { DataPlane } from './data-plane.ts'
import { INTERNAL_HEADER, INTERNAL_VALUE } from './failure.ts'
import { serveWithoutUpgrade, whenAnswered } from './upgrade.ts'

/** Request headers may be this long (contract 1.1). */
const MAX_HEADER_BYTES = 2 ** 20
/** Longer than any client keeps a connection, so that it is the client who closes it. */
const KEEP_ALIVE_MS = 75_000

/** A server, not listening yet, that gives `/function/…` to the data plane and everything else to `control`. */
export function makeHttpServer(dataPlane: DataPlane, control: RequestListener): Server {
  const server = createServer(
    { maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: KEEP_ALIVE_MS },
    (request, response) => {
      if (!dataPlane.handle(request, response)) control(request, response)
    },
  )
  // How long a call may take is the function's matter, and a body may be sent as slowly as it is read.
  server.requestTimeout = 0
  server.timeout = 0
  // Their length is limited. Node would leave out those above a number, and tell nobody.
  server.maxHeadersCount = 0
  server.on('checkContinue', (request, response) => {
    if (dataPlane.handle(request, response, true)) return
    response.writeContinue()
    control(request, response)
  })
  server.on('upgrade', (request, socket: Socket, first) => {
    dataPlane.upgrade(request, socket, first, () => serveWithoutUpgrade(server, request, socket, first))
  })
  server.on('connect', (_request: IncomingMessage, socket: Socket) => {
    whenAnswered(socket, () => refuse(socket, '405 Method Not Allowed'))
  })
  server.on(
    'clientError',
    (error: Error & { code?: string }, socket: Socket & { _httpMessage?: unknown }) => {
      // In the middle of an answer, and to nobody, there is nothing to say.
      if (!socket.writable || socket._httpMessage) socket.destroy()
      else refuse(socket, STATUS_OF[error.code ?? ''] ?? '400 Bad Request')
    },
  )
  return server
}

const STATUS_OF: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Payload Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}

/**
 * Answers what is not a request, and ends: who could not be understood once will not be the next time. Nobody reads from
 * this connection any more, so nobody would hear of its other end: it is closed when the answer is out.
 */
function refuse(socket: Socket, status: string): void {
  socket.on('error', () => undefined)
  socket.write(
    `HTTP/1.1 ${status}\r\n${INTERNAL_HEADER}: ${INTERNAL_VALUE}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
  )
  socket.destroySoon()
}
