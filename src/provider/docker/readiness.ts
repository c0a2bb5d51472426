import http from 'node:http'
import net from 'node:net'
import { pause, systemClock } from '../../core/clock.ts'

export interface ReadinessTarget {
  readonly host: string
  readonly port: number
  /** Path that says whether it is ready, `/_/health` unless annotated otherwise. */
  readonly path: string
  /**
   * Port of the child behind an of-watchdog in http mode. The watchdog reports healthy as soon as the child was
   * started, seconds before it listens (contract 2.7), so its health alone is not readiness.
   */
  readonly childPort?: number
  /** `host` is the replica's own address, so that its other ports can be tried there too. */
  readonly isOwnAddress?: boolean
  /** Whether something listens on a port inside the replica, asked there; undefined when it cannot be asked. */
  readonly listensInside?: (port: number) => Promise<boolean | undefined>
}

/** How an `upstream_url` names the replica itself; any other is not its child. */
const OWN_HOSTS = new Set(['localhost', '127.0.0.1', '0.0.0.0', '[::1]', '[::]'])
/** Nobody waits a tenth longer than the function takes, and one that takes long is not asked all the time. */
const PAUSE_SHARE = 0.1
const FIRST_PAUSE_MS = 3
const LAST_PAUSE_MS = 50
const TRY_TIMEOUT_MS = 2000
/** How long a healthy watchdog's child is waited for when nobody can see whether it listens. */
const CHILD_LIMIT_MS = 5000

/** Resolves once the target answers HTTP; ends early, with the signal's reason, when the signal aborts. */
export async function waitReady(target: ReadinessTarget, signal: AbortSignal): Promise<void> {
  const began = performance.now()
  for (;;) {
    signal.throwIfAborted()
    const status = await probe(target, signal)
    // 2xx is ready and 503 is not; any other answer means that no watchdog is there, and the server itself is up.
    if (status !== undefined && status !== 503) break
    const wait = (performance.now() - began) * PAUSE_SHARE
    await pause(systemClock, Math.min(Math.max(wait, FIRST_PAUSE_MS), LAST_PAUSE_MS), signal)
  }
  if (target.childPort !== undefined) await waitForChild(target, target.childPort, signal)
}

async function waitForChild(target: ReadinessTarget, port: number, signal: AbortSignal): Promise<void> {
  const limit = Date.now() + CHILD_LIMIT_MS
  for (;;) {
    signal.throwIfAborted()
    if (target.isOwnAddress === true && (await accepts(target.host, port))) return
    const inside = await target.listensInside?.(port)
    if (inside === true || (inside === undefined && Date.now() >= limit)) return
    await pause(systemClock, LAST_PAUSE_MS, signal)
  }
}

/** Status of one GET; undefined when there was none. */
function probe(target: ReadinessTarget, signal: AbortSignal): Promise<number | undefined> {
  return new Promise((resolve) => {
    const { host, port, path } = target
    const request = http.get(
      { host, port, path, agent: false, timeout: TRY_TIMEOUT_MS, signal },
      (response) => {
        resolve(response.statusCode)
        response.destroy()
      },
    )
    request.once('timeout', () => request.destroy())
    request.once('error', () => resolve(undefined))
    request.once('close', () => resolve(undefined))
  })
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout: LAST_PAUSE_MS })
    const end = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => end(true))
    socket.once('timeout', () => end(false))
    socket.once('error', () => end(false))
  })
}

/** How long a connection without an answer is looked at. */
const SILENCE_MS = 500

/**
 * Whether a server takes a request and says nothing to it: one that works on something else and has no turn to spare.
 * False for one that answers, and for one that lets go of the connection, as a port forwarder with nothing behind it does.
 */
export function isSilent(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port })
    const end = (answer: boolean): void => {
      clearTimeout(limit)
      socket.destroy()
      resolve(answer)
    }
    let isConnected = false
    const limit = setTimeout(() => end(isConnected), SILENCE_MS)
    socket.once('connect', () => {
      isConnected = true
      socket.write('GET /_/health HTTP/1.1\r\nHost: function\r\nConnection: close\r\n\r\n')
    })
    socket.once('data', () => end(false))
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
  })
}

/** Reads `/proc/net/tcp` or `tcp6`: whether a socket listens on `port`. */
export function listensOn(procNetTcp: string, port: number): boolean {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return procNetTcp.split('\n').some((line) => {
    const [, local, , state] = line.trim().split(/\s+/)
    return state === '0A' && local?.endsWith(suffix) === true
  })
}

/** The port of an of-watchdog's child, when the environment says that it runs one in http mode. */
export function watchdogChildPort(env: ReadonlyMap<string, string>): number | undefined {
  if (env.get('mode') !== 'http' && env.get('operational_mode') !== 'http') return undefined
  const url = env.get('upstream_url') ?? env.get('http_upstream_url')
  if (url === undefined || !URL.canParse(url)) return undefined
  const { hostname, port } = new URL(url)
  if (!OWN_HOSTS.has(hostname)) return undefined
  return port === '' ? 80 : Number(port)
}
