import { FaasError } from '../core/errors.ts'

/** An engine on this machine: a unix socket, or a named pipe on Windows. */
export interface SocketAddress {
  readonly protocol: 'http'
  /** Empty on purpose: dockerode would otherwise take the host of DOCKER_HOST and ignore the socket. */
  readonly host: ''
  readonly socketPath: string
}

interface TcpAddress {
  readonly protocol: 'http' | 'https'
  readonly host: string
  readonly port: number
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export interface SshAddress {
  readonly protocol: 'ssh'
  readonly host: string
  readonly port: number
  readonly username?: string
  readonly sshOptions: { readonly agent?: string }
}

/** Where an engine is: exactly what dockerode's constructor takes. */
export type EngineAddress = SocketAddress | TcpAddress | SshAddress

/** PEM texts for a TLS connection. */
export interface TlsMaterial {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export function socketAddress(socketPath: string): SocketAddress {
  return { protocol: 'http', host: '', socketPath }
}

/**
 * Reads an engine's address as DOCKER_HOST writes it: `unix://`, `npipe://`, `tcp://`, `http://`, `https://`, `ssh://`,
 * or a bare socket path. `tls` makes `tcp://` a TLS connection. BAD_CONFIG names `source` when it is none of these.
 */
export function parseEngineAddress(
  text: string,
  source: string,
  options: { readonly tls?: TlsMaterial; readonly sshAgent?: string } = {},
): EngineAddress {
  if (text.startsWith('/')) return socketAddress(text)
  if (text.startsWith('unix://')) return fromSocketUrl(text.slice('unix://'.length), text, source)
  if (text.startsWith('npipe://')) return fromSocketUrl(text.slice('npipe://'.length), text, source)
  const url = readUrl(text, source)
  if (url.hostname === '') throw notAnAddress(text, source)
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (url.protocol === 'ssh:') {
    return {
      protocol: 'ssh',
      host,
      port: Number(url.port || 22),
      ...(url.username !== '' && { username: decodeURIComponent(url.username) }),
      sshOptions: options.sshAgent === undefined ? {} : { agent: options.sshAgent },
    }
  }
  const tls = options.tls ?? (url.protocol === 'https:' ? {} : undefined)
  if (tls) return { protocol: 'https', host, port: portOf(url, text, 2376), ...tls }
  return { protocol: 'http', host, port: portOf(url, text, 2375) }
}

/** The address as a person would write it into DOCKER_HOST. */
export function formatEngineAddress(address: EngineAddress): string {
  if ('socketPath' in address) {
    return address.socketPath.startsWith('/') && !address.socketPath.startsWith('//./')
      ? `unix://${address.socketPath}`
      : `npipe://${address.socketPath}`
  }
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  if (address.protocol === 'ssh') {
    return `ssh://${address.username === undefined ? '' : `${address.username}@`}${host}:${address.port}`
  }
  return `tcp://${host}:${address.port}`
}

/** True when the engine listens on a socket of this machine. */
export function isLocalSocket(address: EngineAddress): address is SocketAddress {
  return 'socketPath' in address
}

function fromSocketUrl(path: string, text: string, source: string): SocketAddress {
  if (path === '') throw notAnAddress(text, source)
  return socketAddress(path)
}

/** A URL forgets the port that is its scheme's default, and `https://host:443` means 443. */
function portOf(url: URL, text: string, otherwise: number): number {
  if (url.port !== '') return Number(url.port)
  const written = /:(\d+)\/?$/.exec(text)?.[1]
  return written === undefined ? otherwise : Number(written)
}

function readUrl(text: string, source: string): URL {
  const scheme = /^([a-z]+):\/\//.exec(text)?.[1]
  if (scheme !== undefined && !['tcp', 'http', 'https', 'ssh'].includes(scheme))
    throw notAnAddress(text, source)
  try {
    return new URL(scheme === undefined ? `tcp://${text}` : text)
  } catch {
    throw notAnAddress(text, source)
  }
}

function notAnAddress(text: string, source: string): FaasError {
  return new FaasError('BAD_CONFIG', {
    message: `${source} is ${JSON.stringify(text)}, which is not the address of an engine`,
    remedy:
      'Write unix:///path/to/docker.sock, tcp://HOST:PORT, ssh://USER@HOST or (Windows) npipe:////./pipe/docker_engine.',
  })
}
