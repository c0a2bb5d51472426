import { Agent, createServer, request } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { FaasError } from '../core/errors.ts'

/** An address of its own for one function: what is asked there is asked of the function. */
export interface FrontDoor extends AsyncDisposable {
  readonly url: string
}

/**
 * Listens on `port` of this machine (0: any that is free) and hands every request on to the function at `target`, path
 * behind path. Bodies stream both ways. PORT_TAKEN.
 */
export async function openFrontDoor(port: number, target: string): Promise<FrontDoor> {
  const base = new URL(target)
  const agent = new Agent({ keepAlive: true })
  const server = createServer((incoming, outgoing) => handOn(incoming, outgoing, base, agent))
  // The function, not this door, says how long a call may take.
  server.requestTimeout = 0
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(cause.code === 'EADDRINUSE' || cause.code === 'EACCES' ? portTaken(port, cause) : cause),
    )
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      agent.destroy()
      await closed
    },
  }
}

function handOn(incoming: IncomingMessage, outgoing: ServerResponse, base: URL, agent: Agent): void {
  const onward = request({
    agent,
    host: base.hostname,
    port: base.port,
    method: incoming.method,
    path: `${base.pathname}${incoming.url ?? '/'}`,
    headers: { ...incoming.headers, host: base.host },
  })
  onward.on('response', (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
    answer.pipe(outgoing)
    answer.on('error', () => outgoing.destroy())
  })
  onward.on('error', (error) => {
    if (outgoing.headersSent) outgoing.destroy()
    else
      outgoing
        .writeHead(502, { 'content-type': 'text/plain' })
        .end(`the function cannot be reached: ${error.message}\n`)
  })
  outgoing.on('close', () => onward.destroy())
  incoming.pipe(onward)
}

function portTaken(port: number, cause: NodeJS.ErrnoException): FaasError {
  return new FaasError('PORT_TAKEN', {
    message: `port ${port} of 127.0.0.1 ${cause.code === 'EACCES' ? 'may not be used by you' : 'is in use'}`,
    remedy: 'Name another one with --port; 0 takes any that is free.',
    cause,
  })
}
