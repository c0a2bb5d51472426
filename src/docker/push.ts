import type { Engine } from './client.ts'
import { engineFailure } from './errors.ts'
import { followPull } from './progress.ts'
import type { RegistryConfig } from './registry-config.ts'
import { registryDenied } from './registry-failure.ts'

/** Pushes an image with the login that the Docker config has for its registry. REGISTRY_DENIED, ENGINE_FAILED, or the signal's reason. */
export async function pushImage(
  engine: Engine,
  image: string,
  config: RegistryConfig,
  onOutput: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  try {
    const login = await config.loginFor(image)
    const stream = await engine.getImage(image).push({
      abortSignal: signal,
      authconfig: { serveraddress: '', ...login },
    } as Parameters<ReturnType<Engine['getImage']>['push']>[0])
    await followPull(stream, onOutput)
  } catch (error) {
    signal.throwIfAborted()
    throw registryDenied(error, 'push', image) ?? engineFailure(error, `push ${image}`)
  }
}
