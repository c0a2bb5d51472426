import { asFaasError } from '../core/errors.ts'
import type { EngineAddress } from '../docker/engine-address.ts'
import { imageLabels, pullImage } from '../docker/engine-images.ts'
import type { Announce } from './announce.ts'
import { parseImageName } from './image-name.ts'
import { makeStandIns } from './stand-in.ts'
import { STAND_IN_LABEL } from './stand-in-base.ts'

/** How a base image came to be on the engine, or why it is not. */
export interface BaseImage {
  readonly image: string
  readonly state: 'present' | 'pulled' | 'stand-in' | 'missing'
  /** What a stand-in really is, or why an image is missing. */
  readonly detail?: string
}

export interface BaseImageOptions {
  readonly env: NodeJS.ProcessEnv
  readonly announce: Announce
  /** Root on Debian or Ubuntu, on the engine's own machine. */
  readonly mayMakeStandIns: boolean
  /** Give up a pull after that long without progress. Milliseconds. */
  readonly stallMs?: number
}

const STALL_MS = 60_000

/**
 * Sees to it that the images are on the engine: those there are left alone, others pulled, and where the registry
 * cannot be reached a stand-in is made if that is allowed. An image that its registry does not have gets none: that
 * is a mistake in a Dockerfile. Never throws for a single image; ENGINE_NOT_FOUND when the engine goes away.
 */
export async function ensureBaseImages(
  engine: EngineAddress,
  images: readonly string[],
  options: BaseImageOptions,
): Promise<BaseImage[]> {
  const names = [...new Set(images)]
  const present = await Promise.all(names.map((image) => lookAt(engine, image)))
  const missing = names.filter((_, index) => !present[index])
  const pulls = await pullAll(engine, missing, options)
  const unreachable = pulls.filter(({ standIn }) => standIn).map(({ image }) => image)
  const standIns =
    options.mayMakeStandIns && unreachable.length > 0 ? await standInsFor(engine, unreachable, options) : []
  return names.map((image, index) => {
    const made = standIns.find((standIn) => standIn.image === image)
    return (
      present[index] ??
      made ??
      pulls.find((pull) => pull.image === image)?.result ?? { image, state: 'missing' }
    )
  })
}

async function lookAt(engine: EngineAddress, image: string): Promise<BaseImage | undefined> {
  const labels = await imageLabels(engine, image)
  if (!labels) return undefined
  const what = labels[STAND_IN_LABEL]
  return { image, state: 'present', ...(what !== undefined && { detail: what }) }
}

interface Pull {
  readonly image: string
  readonly result: BaseImage
  /** The registry could not be asked. */
  readonly standIn: boolean
}

/** One after the other; a registry that cannot be reached is not tried again. */
async function pullAll(
  engine: EngineAddress,
  images: readonly string[],
  options: BaseImageOptions,
): Promise<Pull[]> {
  const unreachable = new Map<string, string>()
  const pulls: Pull[] = []
  for (const image of images) {
    const { registry } = parseImageName(image)
    const known = unreachable.get(registry)
    if (known !== undefined) {
      pulls.push({ image, result: { image, state: 'missing', detail: known }, standIn: true })
      continue
    }
    options.announce(`Pulling ${image}`)
    const outcome = await pullImage(engine, image, { env: options.env, stallMs: options.stallMs ?? STALL_MS })
    if (outcome.pulled) {
      pulls.push({ image, result: { image, state: 'pulled' }, standIn: false })
      continue
    }
    const standIn = outcome.reason !== 'refused'
    if (standIn) unreachable.set(registry, outcome.said)
    options.announce(`Could not pull ${image}: ${outcome.said}`)
    pulls.push({ image, result: { image, state: 'missing', detail: outcome.said }, standIn })
  }
  return pulls
}

async function standInsFor(
  engine: EngineAddress,
  images: readonly string[],
  options: BaseImageOptions,
): Promise<BaseImage[]> {
  options.announce(
    'No registry for these images can be reached: making stand-ins from package registries instead',
  )
  try {
    const made = await makeStandIns(engine, images, options.env, options.announce)
    return made.flatMap(({ image, what }) =>
      what === undefined ? [] : [{ image, state: 'stand-in' as const, detail: what }],
    )
  } catch (error) {
    const { code, message } = asFaasError(error)
    if (code === 'INTERNAL' || code === 'ENGINE_NOT_FOUND') throw error
    options.announce(`Could not make stand-ins: ${message}`)
    return images.map((image) => ({
      image,
      state: 'missing',
      detail: `no stand-in could be made: ${message}`,
    }))
  }
}
