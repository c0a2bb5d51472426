// The whole platform over a provider whose one function is a server elsewhere: what is measured is the way through us.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp, readConfig } from '../../dist/index.js'
import { tellProcessorTime } from './cpu.mjs'
import { ref, remoteProvider } from './remote-provider.mjs'

const origin = `http://127.0.0.1:${process.argv[2]}`
const cwd = mkdtempSync(join(tmpdir(), 'faasdock-bench-'))
const { FAASDOCK_RECORD } = process.env
const config = readConfig({ env: { FAASDOCK_RECORD }, cwd, flags: { port: 0, data: join(cwd, 'data') } })
const app = await createApp(config, { provider: remoteProvider(origin) })
await app.functions.deploy({ ...ref, image: 'bench', labels: {}, annotations: {} }).settled
tellProcessorTime()
process.send(Number(new URL(app.url).port))
