import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { asFaasError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { NatsContainer } from './nats-container.ts'
import type { NatsContainerOptions } from './nats-container.ts'
import { findNatsServer, natsServer } from './nats-server.ts'
import { externalSource } from './nats-source.ts'
import type { NatsSource } from './nats-source.ts'
import { keptVolume } from './nats-volume.ts'
import { SupervisedNats } from './supervised-nats.ts'

export interface FindNatsOptions extends Omit<NatsContainerOptions, 'log'> {
  /** `--nats-url` or NATS_URL. */
  readonly url?: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log: Log
}

/**
 * A server that was named, else a program of this machine, else a container. What was queued in a volume stays with the
 * container: nothing else finds it. BAD_CONFIG for an address that is none. Waits for nothing.
 */
export function findNats({ url, env, ...options }: FindNatsOptions): NatsSource {
  if (url !== undefined) return externalSource(url)
  const { folder, log } = options
  const container = new NatsContainer(options)
  const program = findNatsServer(env)
  const volume = keptVolume(folder)
  if (program === undefined || volume !== undefined) {
    if (program !== undefined)
      log.info(`async calls stay in the volume ${volume ?? ''}, where they were queued`)
    return new SupervisedNats(container, log)
  }
  const endOthers = async (): Promise<void> => {
    // Only a run that was killed leaves one, and then the file says so.
    if (!existsSync(join(folder, 'container'))) return
    await container.endLeftovers().catch((error: unknown) => {
      log.warn(`a NATS container of a killed run could not be looked for: ${asFaasError(error).message}`)
    })
  }
  return natsServer({ folder, program, log, endOthers })
}
