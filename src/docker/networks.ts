import { createServer } from 'node:net'
import type { Engine } from './client.ts'
import { engineFailure, isMissing } from './errors.ts'
import { LABEL, ownedBy } from './labels.ts'
import { findOwnContainer } from './own-container.ts'

export interface InstanceNetwork {
  readonly id: string
  readonly name: string
  /**
   * The bridge's own address, when it is an address of this very host, or the address of the container that we run in:
   * then both sides reach each other directly.
   */
  readonly hostAddress: string | undefined
  /** Our own container is on the network, and bears `aliases`. */
  readonly isJoined: boolean
  /** Its address range, for making it again where the gateway listens already. */
  readonly addresses: readonly { readonly Subnet?: string; readonly Gateway?: string }[]
}

/**
 * The network of an instance; made when missing. Docker makes a second network of the same name without a word,
 * so it is looked for first; callers hold the instance's lock, so nobody makes one meanwhile. `former`: what it was
 * before somebody removed it. `aliases`: what our own container is called there, where we run in one.
 */
export async function ensureNetwork(
  engine: Engine,
  instance: string,
  labels: Readonly<Record<string, string>>,
  aliases: readonly string[],
  former?: InstanceNetwork,
): Promise<InstanceNetwork> {
  const name = `faasdock-${instance}`
  try {
    const [present] = await engine.listNetworks({ filters: ownedBy(instance, 'network') })
    const id = present?.Id ?? (await createNetwork(engine, name, instance, labels, former))
    const network = (await engine.getNetwork(id).inspect()) as {
      IPAM?: { Config?: { Subnet?: string; Gateway?: string }[] | null }
    }
    const addresses = network.IPAM?.Config ?? []
    const gateways = addresses.flatMap(({ Gateway }) => (Gateway ? [Gateway.split('/')[0]] : []))
    const [gateway] = gateways
    if (gateway !== undefined && (await isLocalAddress(gateway)))
      return { id, name, hostAddress: gateway, isJoined: false, addresses }
    const hostAddress = await joinNetwork(engine, { id, name }, aliases, former)
    return { id, name, hostAddress, isJoined: hostAddress !== undefined, addresses }
  } catch (error) {
    throw engineFailure(error, `make the network ${name}`)
  }
}

/**
 * Whether an address is this very host's: only then can it be listened on. (The list of interfaces does not tell: it
 * leaves out a bridge that no container is on yet.)
 */
function isLocalAddress(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(0, address, () => server.close(() => resolve(true)))
  })
}

async function createNetwork(
  engine: Engine,
  name: string,
  instance: string,
  labels: Readonly<Record<string, string>>,
  former: InstanceNetwork | undefined,
): Promise<string> {
  const network = await engine.createNetwork({
    Name: name,
    Driver: 'bridge',
    Labels: { ...labels, [LABEL.instance]: instance, [LABEL.role]: 'network' },
    ...(former && { IPAM: { Config: former.addresses.map((range) => ({ ...range })) } }),
  })
  return network.id
}

/** Puts our own container on the network, unless it is. Gives its address there; undefined where we run in none. */
async function joinNetwork(
  engine: Engine,
  { id, name }: { readonly id: string; readonly name: string },
  aliases: readonly string[],
  former: InstanceNetwork | undefined,
): Promise<string | undefined> {
  const own = await findOwnContainer(engine)
  if (own === undefined) return undefined
  const addressThere = async (): Promise<string | undefined> => {
    const { NetworkSettings } = await engine.getContainer(own).inspect()
    return (NetworkSettings.Networks as Record<string, { IPAddress?: string }>)[name]?.IPAddress
  }
  const present = await addressThere()
  if (present) return present
  await engine.getNetwork(id).connect({
    Container: own,
    EndpointConfig: {
      Aliases: [...aliases],
      // Where it may listen already.
      ...(former?.hostAddress !== undefined && { IPAMConfig: { IPv4Address: former.hostAddress } }),
    },
  })
  return (await addressThere()) || undefined
}

/** Removes the network, whoever is still on it; one that is not there is no error. */
export async function removeNetwork(engine: Engine, id: string): Promise<void> {
  try {
    const network = engine.getNetwork(id)
    const { Containers } = (await network.inspect()) as { Containers?: Record<string, unknown> | null }
    // Ours is gone from it by now; a container that we run in, or that a killed run left there, is not.
    for (const container of Object.keys(Containers ?? {}))
      await network.disconnect({ Container: container, Force: true }).catch((error: unknown) => {
        if (!isMissing(error)) throw error
      })
    await network.remove()
  } catch (error) {
    if (!isMissing(error)) throw engineFailure(error, `remove the network ${id}`)
  }
}
