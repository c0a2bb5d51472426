import { isIPv4 } from 'node:net'
import { FaasError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { Login } from '../core/login.ts'
import type { Listening } from './listen-on.ts'
import type { Gateway } from './server.ts'

/** The port that functions know the gateway by, whatever port this host uses (contract 10). */
const PORT_INSIDE = 8080
/** How many ports after the default one are tried when nobody asked for a certain one. */
const PORTS_TRIED = 20

export interface ListenWish {
  readonly host: string
  readonly port: number
  /** A port that somebody asked for does not give way to the next free one; the default does. */
  readonly isPortGiven: boolean
  /** Who keeps others from a port and address of this machine, in words; undefined when nobody can tell. */
  readonly portHolder: (port: number, address: string) => Promise<string | undefined>
}

/** Anything that can be let listen. */
type Listen = (host: string, port: number) => Promise<Listening>

/** Where clients call: also by IPv6 where `host` is the loopback, because `localhost` may mean either (pitfall 22). PORT_TAKEN. */
export async function listenOutside(
  gateway: Gateway,
  wish: ListenWish,
  asks: Login | undefined,
  log: Log,
): Promise<Listening> {
  const listen: Listen = (host, port) => gateway.listen(host, port, asks)
  const listening = await listenNear(listen, wish, 'the gateway is', log)
  // Commands of ours in the stack file's folder find it; others know the default port only.
  if (listening.port !== wish.port && wish.port !== 0)
    log.info(`for faas-cli and other tools: export OPENFAAS_URL=${urlOf(listening)}`)
  if (listening.host !== '127.0.0.1') return listening
  await listen('::1', listening.port).catch((error: unknown) => {
    // Without IPv6 nothing is missing.
    if (!isPortTaken(error)) return
    log.warn(`port ${listening.port} on ::1 belongs to another program: call 127.0.0.1 instead of localhost`)
  })
  return listening
}

/** Where metrics are read; undefined when the default port and all after it are taken, which stops nobody. PORT_TAKEN. */
export async function listenForMetrics(
  listen: Listen,
  wish: ListenWish,
  log: Log,
): Promise<Listening | undefined> {
  try {
    const listening = await listenNear(listen, wish, 'metrics are', log)
    if (wish.port === 0) log.info(`metrics are on ${urlOf(listening)}/metrics`)
    return listening
  } catch (error) {
    if (wish.isPortGiven || !isPortTaken(error)) throw error
    log.warn(`no port from ${wish.port} on is free: metrics are on the gateway’s own port only`)
    return undefined
  }
}

async function listenNear(listen: Listen, wish: ListenWish, what: string, log: Log): Promise<Listening> {
  const { host, port, isPortGiven, portHolder } = wish
  for (let next = port; ; next++) {
    try {
      const listening = await listen(host, next)
      if (next !== port) log.info(`port ${port} is in use; ${what} on ${listening.port}`)
      return listening
    } catch (error) {
      if (!isPortTaken(error)) throw error
      if (isPortGiven || next >= port + PORTS_TRIED)
        throw await namingHolder(error, () => portHolder(next, host))
    }
  }
}

/** The same failure, with the program that holds the port, if that can be found out. */
async function namingHolder(
  error: FaasError,
  portHolder: () => Promise<string | undefined>,
): Promise<FaasError> {
  const holder = await portHolder().catch(() => undefined)
  if (holder === undefined) return error
  return new FaasError('PORT_TAKEN', {
    message: `${error.message} by ${holder}`,
    remedy: error.remedy,
    cause: error,
  })
}

/**
 * Listens where functions call: on `hostAddress`, this host's address on their network, or, where there is none, on a port
 * of the loopback, which the engine passes on to. Gives where calls for the gateway's names have to go; that it is port
 * 8080 for functions is the provider's matter.
 */
export async function listenInside(
  gateway: Gateway,
  hostAddress: string | undefined,
  outside: Listening,
  asks: Login | undefined,
): Promise<Listening> {
  if (hostAddress === undefined) {
    // Functions are asked for the login also where this machine's own users are not.
    const isShared = asks === undefined || !isLoopback(outside.host)
    const { port } = isShared ? outside : await gateway.listen('127.0.0.1', 0, asks)
    return { host: 'host.docker.internal', port }
  }
  const coversAll = outside.host === '0.0.0.0' || outside.host === '::'
  if (coversAll && outside.port === PORT_INSIDE) return { host: hostAddress, port: PORT_INSIDE }
  try {
    return await gateway.listen(hostAddress, PORT_INSIDE, asks)
  } catch (error) {
    if (!isPortTaken(error)) throw error
    return gateway.listen(hostAddress, 0, asks)
  }
}

/** Whether only programs of this machine can reach it. Other names are not looked up: they count as reachable. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}

/** The address to show: one that can be called from this machine. */
export function urlOf({ host, port }: Listening): string {
  if (host === '0.0.0.0' || host === '::') return `http://127.0.0.1:${port}`
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

function isPortTaken(error: unknown): error is FaasError {
  return error instanceof FaasError && error.code === 'PORT_TAKEN'
}
