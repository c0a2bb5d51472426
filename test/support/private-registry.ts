import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { tool } from './tools.ts'
import { untilPasses } from './until.ts'

/** A real `docker-registry` on this machine's loopback that lets in one user. Engines take such a registry without TLS. */
export interface PrivateRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string
  readonly user: string
  readonly password: string
  /** Requests that it has answered. */
  requests(): number
  stop(): Promise<void>
}

const USER = 'me'
const PASSWORD = 'pass:word'
/** bcrypt of the password, the only form that the registry reads. */
const HASH = '$2y$05$abcdefghijklmnopqrstuuDIEddBSuRWBBEY6g5zv60IAP5bSSfki'

/** Starts one that keeps what it has below `folder`. */
export async function startPrivateRegistry(folder: string): Promise<PrivateRegistry> {
  const port = await freePort()
  const host = `127.0.0.1:${port}`
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'users'), `${USER}:${HASH}\n`)
  await writeFile(
    join(folder, 'registry.yml'),
    JSON.stringify({
      version: '0.1',
      log: { level: 'info', accesslog: { disabled: false } },
      storage: { filesystem: { rootdirectory: join(folder, 'images') } },
      http: { addr: host },
      auth: { htpasswd: { realm: 'test', path: join(folder, 'users') } },
    }),
  )
  const child = spawn(tool('docker-registry'), ['serve', join(folder, 'registry.yml')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let requests = 0
  // Its access log; what it says otherwise goes to standard error.
  child.stdout.on('data', (text: Buffer) => (requests += text.toString().split('"GET /v2').length - 1))
  child.stderr.resume()
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill()
    await once(child, 'exit')
  }
  await untilPasses(async () => {
    if ((await fetch(`http://${host}/v2/`)).status !== 401) throw new Error('it lets anybody in')
  })
  return { host, user: USER, password: PASSWORD, requests: () => requests, stop, [Symbol.asyncDispose]: stop }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
