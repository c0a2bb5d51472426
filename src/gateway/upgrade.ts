import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { hasBody } from './request-body.ts'

/**
 * The protocols that a function is to be asked for, as the value of `Upgrade`; undefined when there are none. Not with a
 * body, which would have to be sent first and in HTTP; and not another version of HTTP: Java's client and curl offer that
 * with ordinary requests, and on a connection that a function had agreed to speak it on, calls of other functions would
 * end up at this one.
 */
export function protocolsForFunction(request: IncomingMessage): string | undefined {
  if (hasBody(request)) return undefined
  const names = (request.headers.upgrade ?? '').split(',').map((name) => name.trim())
  return names.filter((name) => name !== '' && !/^(h2c?|http\/.*)$/i.test(name)).join(', ') || undefined
}

/**
 * Runs `then` once the answers of earlier requests on this connection are out: a caller that pipelines has not waited for
 * them. Not at all when the connection ends before. Node has taken its listeners off by now, those of earlier answers too.
 */
export function whenAnswered(
  socket: Socket & { _httpMessage?: ServerResponse | null },
  then: () => void,
): void {
  // Its end is heard of through `close`; without a listener an error would be the program's.
  socket.on('error', () => undefined)
  const onDrain = (): void => void socket._httpMessage?.emit('drain')
  socket.on('drain', onDrain)
  next()
  function next(): void {
    const answer = socket._httpMessage
    if (answer && !socket.destroyed) {
      answer.once('close', next)
      return
    }
    socket.off('drain', onDrain)
    if (!socket.destroyed) then()
  }
}

/**
 * Gives a connection back to the server that took it for an upgrade, because it has a listener for them, as if the request
 * had not offered one. A server is free to ignore the offer (RFC 9110, 7.8); Node ignores it only for all requests.
 */
export function serveWithoutUpgrade(
  server: Server,
  request: IncomingMessage,
  socket: Socket,
  rest: Uint8Array,
): void {
  const { method, url, httpVersion, rawHeaders } = request
  let head = `${method ?? ''} ${url ?? ''} HTTP/${httpVersion}\r\n`
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    if (name.toLowerCase() !== 'upgrade') head += `${name}: ${rawHeaders[i + 1] ?? ''}\r\n`
  }
  socket.unshift(Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), rest]))
  server.emit('connection', socket)
}
