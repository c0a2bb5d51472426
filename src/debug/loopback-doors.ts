import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import type { DebugClient, DebugDoors } from '../core/debug.ts'
import { FaasError } from '../core/errors.ts'

/** Debuggers run what they like in a function: only programs of this machine are let in. */
const LOOPBACK = '127.0.0.1'

/** Ports of this machine's loopback. */
export const loopbackDoors: DebugDoors = {
  async open(port, onClient) {
    const sockets = new Set<Socket>()
    const server = createServer({ noDelay: true }, (socket) => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      onClient(asClient(socket))
    })
    await listen(server, port)
    return {
      [Symbol.asyncDispose]: () =>
        new Promise<void>((resolve) => {
          server.close(() => resolve())
          for (const socket of sockets) socket.destroy()
        }),
    }
  },
}

function asClient(socket: Socket): DebugClient {
  const gone = new AbortController()
  // What ends a connection is seen as its end; nobody needs to know why.
  socket.on('error', () => undefined)
  socket.once('close', () => gone.abort())
  return { stream: socket, gone: gone.signal, [Symbol.dispose]: () => void socket.destroy() }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(notListening(port, cause)))
    server.listen({ host: LOOPBACK, port, exclusive: true }, resolve)
  })
}

function notListening(port: number, cause: NodeJS.ErrnoException): FaasError {
  return new FaasError('PORT_TAKEN', {
    message: `port ${port} on ${LOOPBACK} cannot be used for a debugger: ${cause.code === 'EADDRINUSE' ? 'another program listens there' : cause.message}`,
    remedy: 'End that program, or ask for the debugger again: it then gets another port.',
    cause,
  })
}
