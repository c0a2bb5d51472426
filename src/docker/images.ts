import type Dockerode from 'dockerode'
import type { Engine } from './client.ts'
import { engineFailure, isAlreadySo, isMissing } from './errors.ts'
import { followPull } from './progress.ts'
import type { RegistryLogin } from './registry-login.ts'

export interface LocalImage {
  readonly id: string
  readonly labels: Readonly<Record<string, string>>
  /** As Docker writes it: `amd64`. Empty when the image does not say. */
  readonly architecture: string
}

type Labels = Readonly<Record<string, string>>

/** The image behind a name on the engine, or undefined. Never asks a registry. */
export async function findImage(engine: Engine, name: string): Promise<LocalImage | undefined> {
  try {
    const { Id, Config, Architecture } = await engine.getImage(name).inspect()
    // `Labels` is null for images without any, whatever the types say.
    return { id: Id, labels: { ...Config.Labels }, architecture: Architecture }
  } catch (error) {
    if (isMissing(error)) return undefined
    throw engineFailure(error, `inspect the image ${name}`)
  }
}

/** An image on the engine that carries all of `labels`, the newest when there are several. */
export async function findLabelledImage(
  engine: Engine,
  labels: Labels,
): Promise<Omit<LocalImage, 'architecture'> | undefined> {
  const [newest] = await listLabelled(engine, { label: asFilter(labels) })
  return newest && { id: newest.Id, labels: newest.Labels }
}

/** Makes `name` mean the image `id`. False when the image is gone meanwhile. */
export async function tagImage(engine: Engine, id: string, name: string): Promise<boolean> {
  try {
    await engine.getImage(id).tag(splitName(name))
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw engineFailure(error, `tag an image as ${name}`)
  }
}

export interface PullOptions {
  readonly platform?: string | undefined
  readonly login?: RegistryLogin | undefined
  readonly signal: AbortSignal
  readonly onOutput: (line: string) => void
}

/** Pulls an image. Rejects with the signal's reason, or a plain Error of what the engine or the registry says. */
export async function pullImage(engine: Engine, name: string, options: PullOptions): Promise<void> {
  const { platform, login, signal, onOutput } = options
  try {
    const stream = await engine.pull(withTag(name), {
      abortSignal: signal,
      ...(platform !== undefined && { platform }),
      ...(login && { authconfig: { ...login, serveraddress: login.serveraddress ?? '' } }),
    })
    await followPull(stream, onOutput)
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
}

/**
 * Removes images with all of `labels` that no name means any more, except the newest `keep` and those that a container
 * uses. Never forces; one that cannot be removed now is met again at the next call.
 */
export async function removeSuperseded(engine: Engine, labels: Labels, keep: number): Promise<void> {
  const unnamed = await listLabelled(engine, { label: asFilter(labels), dangling: ['true'] })
  for (const { Id } of unnamed.slice(keep)) {
    try {
      await engine.getImage(Id).remove()
    } catch (error) {
      if (!isMissing(error) && !isAlreadySo(error)) throw engineFailure(error, 'remove a superseded image')
    }
  }
}

async function listLabelled(
  engine: Engine,
  filters: Record<string, string[]>,
): Promise<readonly Dockerode.ImageInfo[]> {
  try {
    const images = await engine.listImages({ filters })
    return images.sort((a, b) => b.Created - a.Created)
  } catch (error) {
    throw engineFailure(error, 'list images')
  }
}

function asFilter(labels: Labels): string[] {
  return Object.entries(labels).map(([name, value]) => `${name}=${value}`)
}

/** Without a tag the engine would pull every tag there is. */
function withTag(name: string): string {
  const { repo, tag } = splitName(name)
  return name.includes('@') ? name : `${repo}:${tag}`
}

function splitName(name: string): { repo: string; tag: string } {
  const colon = name.lastIndexOf(':')
  if (colon > name.lastIndexOf('/')) return { repo: name.slice(0, colon), tag: name.slice(colon + 1) }
  return { repo: name, tag: 'latest' }
}
