import { FaasError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { findNatsServer, NatsServer } from './nats-server.ts'
import { externalSource, noSource } from './nats-source.ts'
import type { NatsSource } from './nats-source.ts'

export interface FindNatsOptions {
  /** `--nats-url` or NATS_URL. */
  readonly url?: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Where a server of our own keeps what it has. */
  readonly folder: string
  readonly log: Log
}

/** A server that was named, else one of our own. BAD_CONFIG for an address that is none. Waits for nothing. */
export function findNats({ url, env, folder, log }: FindNatsOptions): NatsSource {
  if (url !== undefined) return externalSource(url)
  const program = findNatsServer(env)
  if (program !== undefined) return new NatsServer({ folder, program, log })
  return noSource(
    new FaasError('QUEUE_UNAVAILABLE', {
      message: 'async calls need a NATS server, and there is none: no --nats-url, no nats-server on the PATH',
      remedy:
        'Install it (`apt-get install nats-server`, `brew install nats-server`) and start faasdock again, or name one with --nats-url. Synchronous calls work without.',
    }),
  )
}
