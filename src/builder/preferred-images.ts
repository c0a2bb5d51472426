import type { Engine } from '../docker/client.ts'
import { findImage, pullImage } from '../docker/images.ts'
import type { RegistryConfig } from '../docker/registry-config.ts'

/** A pull that takes longer is given up: there is a way without the image. Milliseconds. */
const PATIENCE_MS = 30_000
/** For that long a registry that could not be reached is not asked again. Milliseconds. */
const MEMORY_MS = 10 * 60_000

type Args = Readonly<Record<string, string>>

/**
 * The build arguments of `wanted` (argument → image) whose image is on the engine, or can be pulled now; those that are
 * `given` already are left alone. Never fails for an image: rejects only with the signal's reason or ENGINE_FAILED.
 */
export type PreferredImages = (
  wanted: Args,
  given: Args,
  signal: AbortSignal,
  onOutput: (line: string) => void,
) => Promise<Args>

export function makePreferredImages(
  engine: Engine,
  registryConfig: () => Promise<RegistryConfig>,
): PreferredImages {
  const missing = new Map<string, number>()

  async function canBeHad(
    image: string,
    signal: AbortSignal,
    onOutput: (line: string) => void,
  ): Promise<boolean> {
    if (await findImage(engine, image)) return true
    if (performance.now() < (missing.get(image) ?? 0)) return false
    try {
      const login = await (await registryConfig()).loginFor(image)
      const patience = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)])
      await pullImage(engine, image, { login, signal: patience, onOutput: () => undefined })
      return true
    } catch (error) {
      signal.throwIfAborted()
      onOutput(`${image} cannot be pulled; building without it (${(error as Error).message})`)
      missing.set(image, performance.now() + MEMORY_MS)
      return false
    }
  }

  return async (wanted, given, signal, onOutput) => {
    const args: Record<string, string> = {}
    for (const [name, image] of Object.entries(wanted)) {
      if (given[name] === undefined && (await canBeHad(image, signal, onOutput))) args[name] = image
    }
    return args
  }
}
