import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { FaasError } from '../core/errors.ts'

export interface Listening {
  readonly host: string
  readonly port: number
}

/** Lets a server listen. PORT_TAKEN when the port is in use on that address, BAD_CONFIG when the address is not ours. Port 0 takes a free one. */
export async function listenOn(server: Server, address: string, port: number): Promise<Listening> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: Error & { code?: string }) => reject(listenFailure(error, address, port)))
    server.listen(port, address, () => resolve())
  })
  return { host: address, port: (server.address() as AddressInfo).port }
}

function listenFailure(error: Error & { code?: string }, address: string, port: number): FaasError {
  if (error.code === 'EADDRINUSE') {
    return new FaasError('PORT_TAKEN', {
      message: `port ${port} on ${address} is in use`,
      remedy:
        'Stop what uses it (`faasdock doctor` names it), or choose another with --port (for metrics: --metrics-port).',
      cause: error,
    })
  }
  if (error.code === 'EACCES') {
    return new FaasError('PORT_TAKEN', {
      message: `port ${port} on ${address} may not be used by this user`,
      remedy: 'Choose a port from 1024 up with --port.',
      cause: error,
    })
  }
  return new FaasError('BAD_CONFIG', {
    message: `cannot listen on ${address}:${port}: ${error.message}`,
    remedy: 'Give an address of this machine with --host, e.g. 127.0.0.1.',
    cause: error,
  })
}
