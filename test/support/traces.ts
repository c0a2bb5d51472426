import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeEngine } from '../../src/docker/client.ts'
import type { Engine } from '../../src/docker/client.ts'
import { LABEL } from '../../src/docker/labels.ts'
import { dockerAddress } from './docker.ts'
import { untilPasses } from './until.ts'

/** What an instance has on the engine. */
export interface Traces {
  readonly containers: readonly TracedContainer[]
  readonly networks: readonly string[]
}

interface TracedContainer {
  readonly id: string
  readonly name: string
  readonly function: string
  readonly role: string
  readonly isRunning: boolean
}

/** The instance that keeps its state in a data folder, as its network says while there is one. */
export async function instanceOf(dataDir: string, engine = testEngine()): Promise<string> {
  const [network] = await engine.listNetworks({ filters: { label: [`${LABEL.dataDir}=${dataDir}`] } })
  const instance = network?.Labels?.[LABEL.instance]
  if (instance === undefined) throw new Error(`no network of ${dataDir}`)
  return instance
}

/** Containers, running or not, and networks that carry the instance's label. */
export async function tracesOf(instance: string, engine = testEngine()): Promise<Traces> {
  const filters = { label: [`${LABEL.instance}=${instance}`] }
  const [containers, networks] = await Promise.all([
    engine.listContainers({ all: true, filters }),
    engine.listNetworks({ filters }),
  ])
  return {
    containers: containers.map(({ Id: id, Names: names, Labels: labels, State: state }) => ({
      id,
      name: names[0] ?? id,
      function: labels[LABEL.function] ?? '',
      role: labels[LABEL.role] ?? '',
      isRunning: state === 'running',
    })),
    networks: networks.map(({ Name: name }) => name),
  }
}

/**
 * Everything of the instances that had their state below `folder`, removed: for the end of a file, also of a failed
 * one. Tried again while the engine is still busy with what a killed program asked of it.
 */
export function removeTracesBelow(folder: string, engine = testEngine()): Promise<void> {
  return untilPasses(
    async () => {
      const networks = await engine.listNetworks({ filters: { label: [LABEL.dataDir] } })
      for (const { Id: id, Labels: labels } of networks) {
        if (!labels?.[LABEL.dataDir]?.startsWith(`${folder}/`)) continue
        const filters = { label: [`${LABEL.instance}=${labels[LABEL.instance] ?? ''}`] }
        for (const container of await engine.listContainers({ all: true, filters }))
          await ignoringMissing(engine.getContainer(container.Id).remove({ force: true, v: true }))
        await ignoringMissing(engine.getNetwork(id).remove())
      }
    },
    { everyMs: 250 },
  )
}

/** Removes the names of images; what else has the same content keeps it. */
export async function removeImages(names: readonly string[], engine = testEngine()): Promise<void> {
  for (const name of names) await ignoringMissing(engine.getImage(name).remove({ force: true }))
}

/** Processes of a group, and those that name `text` on their command line: `PID command`. Zombies are not processes. */
export function processesOf(group: number, text: string): string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
        const [state, , pgrp] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
        if (state === 'Z') return []
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
        return Number(pgrp) === group || command.includes(text) ? [`${pid} ${command}`] : []
      } catch {
        // It ended while we looked.
        return []
      }
    })
}

/** Files of a data folder that say that somebody has it. */
export function locksIn(dataDir: string): string[] {
  return ['lock', 'lock-journal', 'owner.json'].filter((name) => existsSync(join(dataDir, name)))
}

function testEngine(): Engine {
  return makeEngine(dockerAddress())
}

async function ignoringMissing(removal: Promise<unknown>): Promise<void> {
  try {
    await removal
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode !== 404) throw error
  }
}
