import { FaasError } from '../core/errors.ts'

/** Where a NATS server answers, and what it wants to hear. */
export interface NatsAddress {
  readonly servers: readonly string[]
  readonly token?: string
  readonly user?: string
  readonly pass?: string
  readonly tls?: boolean
}

/** Somebody who has a NATS server, or keeps one alive. */
export interface NatsSource extends AsyncDisposable {
  /** For people: `nats-server 2.9.10 of this faasdock`. */
  readonly description: string
  /** Resolves with where one answers, as soon as one does. QUEUE_UNAVAILABLE when there is none to be had. */
  address(signal: AbortSignal): Promise<NatsAddress>
  /** Told that the server answers, but does not do its work: one of ours is started afresh. */
  distrust(reason: string): void
  /** DISK_FULL when there is no room to write to any more; of a server of somebody else, nobody knows. */
  shortage(): FaasError | undefined
}

/** A server that somebody else looks after: `nats://user:password@host:4222,nats://token@host2`. BAD_CONFIG. */
export function externalSource(text: string): NatsSource {
  const urls = text.split(',').map((one) => parseServer(one.trim()))
  const [first] = urls
  const address: NatsAddress = {
    servers: urls.map(({ host }) => host),
    ...(first?.password && {
      user: decodeURIComponent(first.username),
      pass: decodeURIComponent(first.password),
    }),
    ...(first?.username && !first.password && { token: decodeURIComponent(first.username) }),
    ...(urls.some(({ protocol }) => protocol === 'tls:') && { tls: true }),
  }
  return {
    description: `NATS at ${address.servers.join(', ')}`,
    address: () => Promise.resolve(address),
    distrust: () => undefined,
    shortage: () => undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

function parseServer(text: string): URL {
  const whole = text.includes('://') ? text : `nats://${text}`
  const url = URL.canParse(whole) ? new URL(whole) : undefined
  if (url?.host && (url.protocol === 'nats:' || url.protocol === 'tls:')) return url
  throw new FaasError('BAD_CONFIG', {
    message: `the NATS address is ${JSON.stringify(text)}; accepted is nats://HOST:PORT or tls://HOST:PORT`,
    remedy: 'Correct --nats-url or NATS_URL, or leave it out.',
  })
}
