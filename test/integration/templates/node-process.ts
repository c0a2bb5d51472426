import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { copyFile, mkdir, readdir, symlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { makeFolder } from '../../support/folder.ts'
import { callAt, until } from './call.ts'
import type { Answer, Call } from './call.ts'

const runtimeFolder = join(import.meta.dirname, '../../../templates/node')
/** The secret that calls of `/_/generation` carry where a runtime is started with `swap`. */
const token = 'the-token'

export interface RuntimeProcess extends AsyncDisposable {
  readonly port: number
  readonly metricsPort: number
  readonly child: ChildProcess
  /** The folder of index.js; the handler is in `function` below it. */
  readonly folder: string
  readonly call: (call?: Call) => Promise<Answer>
  /** Everything it printed so far. */
  output(): string
  /** The exit code, or the signal that ended it. */
  ended(): Promise<number | string>
}

/** What can be asked of `/_/generation`, wherever the runtime is. */
export interface Swapping {
  /** PUT of these files, applied to what is there; `hash` counts up where none is given. */
  readonly put: (files: Readonly<Record<string, string | Buffer>>, wish?: Partial<Wish>) => Promise<SwapAnswer>
  readonly state: () => Promise<SwapState>
}

interface Wish {
  readonly hash: string
  readonly from: string | null
  readonly deleted: readonly string[]
}

interface SwapAnswer {
  readonly status: number
  readonly number?: number
  readonly hash?: string
  readonly ms?: number
  readonly message?: string
  readonly file?: string
  readonly line?: number
  readonly column?: number
  readonly stack?: string
}

interface SwapState {
  readonly number: number
  readonly hash: string
  readonly inflight: Readonly<Record<string, number>>
  readonly canSwap: boolean
  readonly reason?: string
}

export const swapEnv: Readonly<Record<string, string>> = { FAASDOCK_SWAP_TOKEN: token, FAASDOCK_CONTENT_HASH: 'first' }

/** The environment has to hold `swapEnv`. */
export function swapping(call: (call: Call) => Promise<Answer>): Swapping {
  const headers = { 'X-Faasdock-Token': token }
  let count = 0
  const state = async (): Promise<SwapState> =>
    JSON.parse((await call({ path: '/_/generation', headers })).body) as SwapState
  return {
    state,
    async put(files, wish = {}) {
      count += 1
      const body = JSON.stringify({
        hash: `hash-${String(count)}`,
        from: wish.from === undefined ? (await state()).hash : wish.from,
        files: Object.fromEntries(
          Object.entries(files).map(([name, content]) => [name, Buffer.from(content).toString('base64')]),
        ),
        ...wish,
      })
      const answer = await call({ method: 'PUT', path: '/_/generation', headers, body })
      return { ...(JSON.parse(answer.body) as object), status: answer.status }
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

export interface RuntimeOptions {
  /** Another Node's program than this process's own. */
  readonly node?: string
  /** Symbolic links below the handler folder, and where they lead. */
  readonly links?: Readonly<Record<string, string>>
}

/** The Node runtime as a plain process, with these files as the handler folder. */
export async function startRuntime(
  files: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
  { node = process.execPath, links = {} }: RuntimeOptions = {},
): Promise<RuntimeProcess> {
  const folder = await makeFolder(
    Object.fromEntries(Object.entries(files).map(([name, content]) => [join('function', name), content])),
  )
  for (const name of await readdir(runtimeFolder)) {
    if (name.endsWith('.js')) await copyFile(join(runtimeFolder, name), join(folder.path, name))
  }
  for (const [name, target] of Object.entries(links)) {
    const link = join(folder.path, 'function', name)
    await mkdir(dirname(link), { recursive: true })
    await symlink(target, link)
  }
  const [port, metricsPort] = [await freePort(), await freePort()]
  const child = spawn(node, ['index.js'], {
    cwd: folder.path,
    env: {
      PATH: process.env['PATH'],
      port: String(port),
      metrics_port: String(metricsPort),
      // The lock file has one fixed place, which processes of one machine would share.
      suppress_lock: 'true',
      prefix_logs: 'false',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const closed = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
  })
  const runtime: RuntimeProcess = {
    port,
    metricsPort,
    child,
    folder: folder.path,
    call: (call) => callAt('127.0.0.1', port, call),
    output: () => output,
    ended: () => closed,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await closed
      await folder[Symbol.asyncDispose]()
    },
  }
  await until(
    () => Promise.resolve(child.exitCode !== null || output.includes('listening on port')),
    (started) => started,
  )
  return runtime
}
