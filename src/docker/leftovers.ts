import type { Leftover } from '../core/toolbox.ts'
import type { Engine } from './client.ts'
import { removeContainer } from './containers.ts'
import { engineFailure } from './errors.ts'
import { LABEL, QUEUE_ROLE } from './labels.ts'
import { removeNetwork } from './networks.ts'
import { listVolumes, removeVolume } from './volumes.ts'

/** Where an instance keeps its state, as its network and its queue say. */
interface InstanceHome {
  readonly dataDir: string
  readonly host: string
}

/** `kept`: meant to run on by itself. `elsewhere`: another machine's, which nobody here can judge. */
type InstanceState = 'alive' | 'kept' | 'dead' | 'elsewhere'

/** What only somebody who can look into data directories knows. */
interface InstanceJudge {
  stateOf(home: InstanceHome): InstanceState
  /** Whether a data directory that may be idle still keeps its async calls in that volume. */
  keepsQueue(home: InstanceHome, volume: string): boolean
}

/** Everything on the engine that carries our labels and belongs to no living instance. Containers first. */
export async function listLeftovers(engine: Engine, judge: InstanceJudge): Promise<Leftover[]> {
  try {
    const filters = { label: [LABEL.instance] }
    // In this order: a network is made before its containers and removed after them, so that one which is not listed
    // now was gone already, and does not belong to an instance that has just begun.
    const containers = await engine.listContainers({ all: true, filters })
    const volumes = await listVolumes(engine, filters)
    const networks = await engine.listNetworks({ filters })
    const dead = new Map<string, string>()
    const judged = new Set<string>()
    // The container of a queue is not on the network, which may come after it.
    const queues = containers.filter(({ Labels: labels }) => labels[LABEL.role] === QUEUE_ROLE)
    for (const { Labels: labels } of [...networks, ...queues]) {
      const instance = labels?.[LABEL.instance] ?? ''
      const home = homeOf(labels)
      judged.add(instance)
      if (judge.stateOf(home) === 'dead') dead.set(instance, `no faasdock runs with ${home.dataDir}`)
    }
    const found: Leftover[] = []
    for (const { Id: id, Names: names, Labels: labels } of containers) {
      const instance = labels[LABEL.instance] ?? ''
      const reason = judged.has(instance) ? dead.get(instance) : 'its network is gone'
      if (reason !== undefined)
        found.push({ kind: 'container', id, name: (names[0] ?? id).replace(/^\//, ''), reason })
    }
    for (const { name, labels } of volumes) {
      const instance = labels[LABEL.instance] ?? ''
      if (labels[LABEL.role] === QUEUE_ROLE) {
        const home = homeOf(labels)
        if (!judge.keepsQueue(home, name))
          found.push({ kind: 'volume', id: name, name, reason: `${home.dataDir} keeps no calls in it` })
        continue
      }
      const reason = judged.has(instance) ? dead.get(instance) : 'its network is gone'
      if (reason !== undefined) found.push({ kind: 'volume', id: name, name, reason })
    }
    for (const { Id: id, Name: name, Labels: labels } of networks) {
      const reason = dead.get(labels?.[LABEL.instance] ?? '')
      if (reason !== undefined) found.push({ kind: 'network', id, name, reason })
    }
    return found
  } catch (error) {
    throw engineFailure(error, 'list what is left over')
  }
}

function homeOf(labels: Readonly<Record<string, string>> | undefined): InstanceHome {
  return { dataDir: labels?.[LABEL.dataDir] ?? '', host: labels?.[LABEL.host] ?? '' }
}

/** Removes leftovers: containers, then the volumes that they had and the networks that they were on. */
export async function removeLeftovers(engine: Engine, leftovers: readonly Leftover[]): Promise<void> {
  const ids = (kind: Leftover['kind']): string[] =>
    leftovers.filter((one) => one.kind === kind).map(({ id }) => id)
  await Promise.all(ids('container').map((id) => removeContainer(engine, id)))
  await Promise.all(ids('volume').map((id) => removeVolume(engine, id)))
  await Promise.all(ids('network').map((id) => removeNetwork(engine, id)))
}
