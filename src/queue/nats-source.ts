import { asFaasError, FaasError } from '../core/errors.ts'

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
  /** Why the server cannot be used although it was to be had, and what to do. */
  explain(error: unknown): FaasError
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
  const description = `NATS at ${address.servers.join(', ')}`
  return {
    description,
    address: () => Promise.resolve(address),
    explain: (error) => explainExternal(description, error),
    distrust: () => undefined,
    shortage: () => undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

/** What to do about what a server says. */
const REMEDIES: readonly (readonly [said: RegExp, remedy: string])[] = [
  [
    /limit|maximum|max bytes|insufficient|resources/i,
    'Raise there what the account that --nats-url names may use: streams, consumers, storage, bytes of a stream.',
  ],
  [
    /jetstream/i,
    'Switch JetStream on there (nats-server --jetstream), also for the account that --nats-url names.',
  ],
  [
    /authorization|authentication|permission/i,
    'Put who may use it into --nats-url (NATS_URL): nats://USER:PASSWORD@HOST:4222.',
  ],
]

function explainExternal(description: string, error: unknown): FaasError {
  const { message } = asFaasError(error)
  const again = 'It is tried again by itself; synchronous calls work meanwhile.'
  const remedy =
    REMEDIES.find(([said]) => said.test(message))?.[1] ??
    'Start it, with JetStream switched on, or correct --nats-url (NATS_URL).'
  return new FaasError('QUEUE_UNAVAILABLE', {
    message: `${description} cannot be used: ${message}`,
    remedy: `${remedy} ${again}`,
    cause: error,
  })
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
