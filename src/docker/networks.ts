import { createServer } from 'node:net'
import type { Engine } from './client.ts'
import { engineFailure, isMissing } from './errors.ts'
import { LABEL, ownedBy } from './labels.ts'

export interface InstanceNetwork {
  readonly id: string
  readonly name: string
  /** The bridge's own address, when it is an address of this very host: then both sides reach each other directly. */
  readonly hostAddress: string | undefined
  /** Its address range, for making it again where the gateway listens already. */
  readonly addresses: readonly { readonly Subnet?: string; readonly Gateway?: string }[]
}

/**
 * The network of an instance; made when missing. Docker makes a second network of the same name without a word,
 * so it is looked for first; callers hold the instance's lock, so nobody makes one meanwhile. `former`: what it was
 * before somebody removed it.
 */
export async function ensureNetwork(
  engine: Engine,
  instance: string,
  labels: Readonly<Record<string, string>>,
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
    const isOurs = gateway !== undefined && (await isLocalAddress(gateway))
    return { id, name, hostAddress: isOurs ? gateway : undefined, addresses }
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

/** Removes the network; one that is not there is no error. */
export async function removeNetwork(engine: Engine, id: string): Promise<void> {
  try {
    await engine.getNetwork(id).remove()
  } catch (error) {
    if (!isMissing(error)) throw engineFailure(error, `remove the network ${id}`)
  }
}
