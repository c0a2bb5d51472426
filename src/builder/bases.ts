import { FaasError } from '../core/errors.ts'
import type { Engine } from '../docker/client.ts'
import { findImage, pullImage } from '../docker/images.ts'
import type { RegistryConfig } from '../docker/registry-config.ts'
import { registryDenied, registryWords } from '../docker/registry-failure.ts'
import { buildFailure, StepLog } from '../docker/step-log.ts'
import { baseImages } from './dockerfile.ts'
import type { BaseImage } from './dockerfile.ts'

export interface BasesWanted {
  readonly engine: Engine
  readonly dockerfile: string
  readonly args: Readonly<Record<string, string>>
  /** Whose build it is. */
  readonly name: string
  /**
   * `missing` for the classic builder, which would pull them anyway, but after their ids are needed for the hash; so an
   * image would be built once more after the first time. BuildKit keeps what it pulls to itself: `never`.
   */
  readonly pull: 'never' | 'missing' | 'always'
  readonly registryConfig: () => Promise<RegistryConfig>
  readonly signal: AbortSignal
  readonly onOutput: (line: string) => void
}

/**
 * The images that a Dockerfile needs, each with the engine's id of it, or undefined where the engine does not have it.
 * BUILD_FAILED, with FROM as the failing step, when one that has to be pulled cannot be.
 */
export async function resolveBases(wanted: BasesWanted): Promise<ReadonlyMap<string, string | undefined>> {
  const bases = baseImages(wanted.dockerfile, wanted.args)
  const ids = await Promise.all(
    bases.map(async (base) => {
      const present = await findImage(wanted.engine, base.image)
      if (wanted.pull === 'never' || (wanted.pull === 'missing' && present))
        return [base.image, present?.id] as const
      await pullBase(base, wanted)
      return [base.image, (await findImage(wanted.engine, base.image))?.id] as const
    }),
  )
  return new Map(ids)
}

async function pullBase({ image, platform }: BaseImage, wanted: BasesWanted): Promise<void> {
  const { engine, name, registryConfig, signal, onOutput } = wanted
  try {
    onOutput(`pulling the base image ${image}`)
    const login = await (await registryConfig()).loginFor(image)
    await pullImage(engine, image, { platform, login, signal, onOutput })
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof FaasError) throw error
    const denied = registryDenied(error, 'pull', image)
    if (denied) throw denied
    throw buildFailure({ name, step: new StepLog(`FROM ${image}`), reason: registryWords(error, image) })
  }
}
