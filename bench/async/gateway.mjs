// The whole platform with its own NATS server, over a function that is a server elsewhere.
// argv: port of the function, data directory, calls at once. Sends { port, startMs }; answers any message with its memory.
import { tmpdir } from 'node:os'
import { createApp, readConfig } from '../../dist/index.js'
import { ref, remoteProvider } from '../data-plane/remote-provider.mjs'

const began = performance.now()
const [functionPort, data, maxInflight] = process.argv.slice(2)
const config = readConfig({
  env: { PATH: process.env.PATH },
  cwd: tmpdir(),
  flags: { port: 0, metricsPort: 'off', data },
})
const app = await createApp(config, { provider: remoteProvider(`http://127.0.0.1:${functionPort}`) })
const spec = { ...ref, image: 'bench', labels: {}, annotations: {}, envVars: { max_inflight: maxInflight } }
if (app.functions.get(ref) === undefined) await app.functions.deploy(spec).settled
const startMs = performance.now() - began
// Ready is when the queue says so.
let queue
do queue = await fetch(`${app.url}/system/queue`).then((answer) => answer.json())
while (queue.state !== 'ready')
const readyMs = performance.now() - began
process.on('message', () => process.send(process.memoryUsage().rss / 2 ** 20))
process.on('SIGINT', () => process.exit(0))
process.send({ port: Number(new URL(app.url).port), startMs, readyMs })
