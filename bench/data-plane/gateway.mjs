// The whole platform over a provider whose one function is a server elsewhere: what is measured is the way through us.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp, readConfig } from '../../dist/index.js'
import { tellProcessorTime } from './cpu.mjs'

const origin = `http://127.0.0.1:${process.argv[2]}`
const ref = { name: 'hello', namespace: 'openfaas-fn' }
let revision

const provider = {
  hostAddress: undefined,
  info: () => ({ name: 'bench', version: '0', architecture: 'amd64' }),
  routeGateway: () => Promise.resolve(),
  list: () => (revision === undefined ? [] : [provider.actual()]),
  actual: () => (revision === undefined ? undefined : { ref, revision, replicas: 1, available: 1 }),
  resolveImage: () => Promise.resolve('bench'),
  deploy: (wanted) => Promise.resolve(void (revision = wanted.id)),
  remove: () => Promise.resolve(void (revision = undefined)),
  lease: ({ name }) =>
    name === ref.name && revision !== undefined
      ? { replica: 'one', origin, revision, [Symbol.dispose]: () => undefined }
      : undefined,
  async *logs() {},
  watch: () => ({ [Symbol.dispose]: () => undefined }),
  usage: () => Promise.resolve({ cpuMillis: 0, memoryBytes: 0 }),
  removeAll: () => Promise.resolve(void (revision = undefined)),
  [Symbol.asyncDispose]: () => Promise.resolve(),
}

const cwd = mkdtempSync(join(tmpdir(), 'faasdock-bench-'))
const config = readConfig({ env: {}, cwd, flags: { port: 0, data: join(cwd, 'data') } })
const app = await createApp(config, { provider })
await app.functions.deploy({ ...ref, image: 'bench', labels: {}, annotations: {} }).settled
tellProcessorTime()
process.send(Number(new URL(app.url).port))
