import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import type { Engine } from './client.ts'
import { engineFailure, isMissing } from './errors.ts'

/** Files that an engine mounts into every container, from a folder that is called like the container. */
const MOUNTED_BY_ENGINE = new Set(['/etc/hostname', '/etc/hosts', '/etc/resolv.conf'])
const CONTAINER_ID = /\/([0-9a-f]{64})\//
/** What Docker calls a container that nobody gave a name to inside. */
const SHORT_ID = /^[0-9a-f]{12}$/

/** Networks of their own are what these have none of. */
const BORROWED_NETWORK = /^(host|none|container:.*)$/

/**
 * The container of this very engine that this process runs in and that can be put on further networks; undefined where
 * there is none: on the engine's own host, with its network, or in a container of another engine.
 */
export async function findOwnContainer(engine: Engine): Promise<string | undefined> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '')
  for (const candidate of ownContainerIds(mounts, hostname())) {
    try {
      const { Id, State, HostConfig } = await engine.getContainer(candidate).inspect()
      if (!Id.startsWith(candidate) || !State.Running) continue
      return BORROWED_NETWORK.test(HostConfig.NetworkMode ?? '') ? undefined : Id
    } catch (error) {
      if (!isMissing(error)) throw engineFailure(error, 'look at the container that faasdock runs in')
    }
  }
  return undefined
}

/** Ids, or their beginnings, that this process' container may have: what is mounted tells, and the host name may. */
export function ownContainerIds(mountinfo: string, host: string): string[] {
  const mounted = mountinfo.split('\n').flatMap((line) => {
    // proc(5): id, parent, device, the source within its file system, where it is mounted.
    const [, , , source = '', target = ''] = line.split(' ')
    const id = MOUNTED_BY_ENGINE.has(target) ? CONTAINER_ID.exec(source)?.[1] : undefined
    return id === undefined ? [] : [id]
  })
  return [...new Set([...mounted, ...(SHORT_ID.test(host) ? [host] : [])])]
}
