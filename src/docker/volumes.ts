import type { Engine } from './client.ts'
import { engineFailure, isAlreadySo, isMissing } from './errors.ts'
import { LABEL, ownedBy, QUEUE_ROLE } from './labels.ts'

export interface ListedVolume {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
}

/** Volumes that a filter of the engine lets through. */
export async function listVolumes(
  engine: Engine,
  filters: Readonly<Record<string, readonly string[]>>,
): Promise<readonly ListedVolume[]> {
  try {
    const { Volumes } = await engine.listVolumes({ filters: JSON.stringify(filters) } as object)
    // Null when there are none, whatever the types say.
    return ((Volumes as typeof Volumes | null) ?? []).map(({ Name, Labels }) => ({
      name: Name,
      labels: { ...Labels },
    }))
  } catch (error) {
    throw engineFailure(error, 'list volumes')
  }
}

/** Makes a volume of that name where there is none. */
export async function ensureVolume(
  engine: Engine,
  name: string,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  try {
    await engine.createVolume({ Name: name, Labels: { ...labels } })
  } catch (error) {
    throw engineFailure(error, `make the volume ${name}`)
  }
}

/** Removes an instance's volumes that no container has; not its queue, which waits for the next container. */
export async function removeUnusedVolumes(engine: Engine, instance: string): Promise<void> {
  const unused = await listVolumes(engine, { ...ownedBy(instance), dangling: ['true'] })
  const others = unused.filter(({ labels }) => labels[LABEL.role] !== QUEUE_ROLE)
  await Promise.all(others.map(({ name }) => removeVolume(engine, name)))
}

/** Removes a volume; one that is gone, or that a container took meanwhile, is no error. */
export async function removeVolume(engine: Engine, name: string): Promise<void> {
  try {
    await engine.getVolume(name).remove()
  } catch (error) {
    if (!isMissing(error) && !isAlreadySo(error)) throw engineFailure(error, `remove the volume ${name}`)
  }
}
