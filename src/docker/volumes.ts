import type { Engine } from './client.ts'
import { engineFailure, isAlreadySo, isMissing } from './errors.ts'
import { ownedBy } from './labels.ts'

/** Removes an instance's volumes that no container has. */
export async function removeUnusedVolumes(engine: Engine, instance: string): Promise<void> {
  try {
    const filters = { ...ownedBy(instance), dangling: ['true'] }
    const { Volumes } = await engine.listVolumes({ filters: JSON.stringify(filters) } as object)
    // Null when there are none, whatever the types say.
    await Promise.all(
      ((Volumes as typeof Volumes | null) ?? []).map(({ Name }) => removeVolume(engine, Name)),
    )
  } catch (error) {
    throw engineFailure(error, 'list volumes')
  }
}

/** Removes a volume; one that is gone, or that a container took meanwhile, is no error. */
export async function removeVolume(engine: Engine, name: string): Promise<void> {
  try {
    await engine.getVolume(name).remove()
  } catch (error) {
    if (!isMissing(error) && !isAlreadySo(error)) throw engineFailure(error, `remove the volume ${name}`)
  }
}
