import { FaasError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { Gateway, Listening } from './server.ts'

/** The port that functions know the gateway by, whatever port this host uses (contract 10). */
const PORT_INSIDE = 8080
/** How many ports after the default one are tried when nobody asked for a certain one. */
const PORTS_TRIED = 20

export interface OutsideWish {
  readonly host: string
  readonly port: number
  /** A port that somebody asked for does not give way to the next free one; the default does. */
  readonly isPortGiven: boolean
}

/** Listens where clients call. PORT_TAKEN. */
export async function listenOutside(gateway: Gateway, wish: OutsideWish, log: Log): Promise<Listening> {
  const { host, port, isPortGiven } = wish
  for (let next = port; ; next++) {
    try {
      const listening = await gateway.listen(host, next)
      if (next !== port) log.info(`port ${port} is in use; the gateway is on ${listening.port}`)
      return listening
    } catch (error) {
      const mayMoveOn = error instanceof FaasError && error.code === 'PORT_TAKEN' && !isPortGiven
      if (!mayMoveOn || next >= port + PORTS_TRIED) throw error
    }
  }
}

/**
 * Listens where functions call: on `hostAddress`, this host's address on their network, where there is one. Gives where
 * calls for the gateway's names have to go; that it is port 8080 for functions is the provider's matter.
 */
export async function listenInside(
  gateway: Gateway,
  hostAddress: string | undefined,
  outside: Listening,
): Promise<Listening> {
  if (hostAddress === undefined) return { host: 'host.docker.internal', port: outside.port }
  const coversAll = outside.host === '0.0.0.0' || outside.host === '::'
  if (coversAll && outside.port === PORT_INSIDE) return { host: hostAddress, port: PORT_INSIDE }
  try {
    return await gateway.listen(hostAddress, PORT_INSIDE)
  } catch (error) {
    if (!(error instanceof FaasError) || error.code !== 'PORT_TAKEN') throw error
    return gateway.listen(hostAddress, 0)
  }
}

/** The address to show: one that can be called from this machine. */
export function urlOf({ host, port }: Listening): string {
  if (host === '0.0.0.0' || host === '::') return `http://127.0.0.1:${port}`
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
