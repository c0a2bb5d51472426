import { FaasError } from '../core/errors.ts'
import type { Engine } from './client.ts'
import { findImage, pullImage } from './images.ts'
import { hostOf } from './registry-config.ts'
import type { RegistryConfig } from './registry-config.ts'
import { registryDenied, registryWords } from './registry-failure.ts'

export interface ResolveOptions {
  /** What the engine runs, as images write it: `amd64`. */
  readonly architecture: string
  readonly registryConfig: () => Promise<RegistryConfig>
  readonly signal: AbortSignal
}

/**
 * The id of an image: the local one when there is one, else pulled. Never asks a registry for an image that is here
 * (pitfall 1). IMAGE_NOT_FOUND, REGISTRY_DENIED, IMAGE_WRONG_PLATFORM.
 */
export async function resolveImage(engine: Engine, image: string, options: ResolveOptions): Promise<string> {
  const present = (await findImage(engine, image)) ?? (await pulled(engine, image, options))
  const { architecture } = options
  if (present.architecture === architecture || present.architecture === '') return present.id
  throw new FaasError('IMAGE_WRONG_PLATFORM', {
    message: `${image} is made for ${present.architecture}, but this engine runs ${architecture}`,
    remedy: `Build it here (faasdock build), or pull its ${architecture} variant.`,
  })
}

async function pulled(
  engine: Engine,
  image: string,
  { registryConfig, signal }: ResolveOptions,
): Promise<{ id: string; architecture: string }> {
  try {
    const login = await (await registryConfig()).loginFor(image)
    await pullImage(engine, image, { login, signal, onOutput: () => undefined })
  } catch (error) {
    signal.throwIfAborted()
    throw registryDenied(error, 'pull', image) ?? notFound(image, registryWords(error, image), error)
  }
  const found = await findImage(engine, image)
  if (!found) throw notFound(image, 'the registry answered, but the image is still not there')
  return found
}

function notFound(image: string, why: string, cause?: unknown): FaasError {
  const host = hostOf(image)
  return new FaasError('IMAGE_NOT_FOUND', {
    message: `the image ${image} is not on this engine and could not be pulled: ${why}`,
    remedy: image.includes('/')
      ? `Check the name, and log in if the registry is private: docker login${host === undefined ? '' : ` ${host}`}.`
      : `Build it first (faasdock build, or docker build -t ${image} .), then deploy again.`,
    cause,
  })
}
