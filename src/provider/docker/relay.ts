import type { Engine } from '../../docker/client.ts'
import { runContainer } from '../../docker/containers.ts'
import { LABEL } from '../../docker/labels.ts'
import { FUNCTION_PORT, GATEWAY_NAMES } from './container-plan.ts'

export interface RelayOptions {
  readonly instance: string
  /** Any image with a `node` command. */
  readonly image: string
  readonly network: string
  /** Where the gateway listens, as a container reaches it. */
  readonly gateway: { readonly host: string; readonly port: number }
}

/** Passes bytes on both ways; a side that ends or fails ends the other. */
const RELAY_PROGRAM = `
const net = require('net')
const [host, port] = [process.env.GATEWAY_HOST, Number(process.env.GATEWAY_PORT)]
net.createServer({ allowHalfOpen: true }, (client) => {
  const gateway = net.connect({ host, port, allowHalfOpen: true })
  client.setNoDelay(true)
  gateway.setNoDelay(true)
  client.pipe(gateway)
  gateway.pipe(client)
  client.on('error', () => gateway.destroy())
  gateway.on('error', () => client.destroy())
}).listen(${FUNCTION_PORT})
process.on('SIGTERM', () => process.exit(0))
`

/**
 * A container that bears the gateway's names on the instance's network and passes connections on to where the
 * gateway listens: for engines on another machine or in a VM, and where port 8080 of the bridge is taken.
 */
export async function runRelay(engine: Engine, options: RelayOptions): Promise<void> {
  const { instance, image, network, gateway } = options
  await runContainer(engine, {
    name: `faasdock-relay-${instance}`,
    hostname: 'gateway',
    image,
    command: ['node', '-e', RELAY_PROGRAM],
    env: [`GATEWAY_HOST=${gateway.host}`, `GATEWAY_PORT=${gateway.port}`],
    labels: { [LABEL.instance]: instance, [LABEL.role]: 'relay' },
    network,
    aliases: GATEWAY_NAMES,
    hosts: ['host.docker.internal:host-gateway'],
    readOnlyRoot: true,
    restarts: true,
  })
}
