import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { copyFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { makeFolder } from '../../support/folder.ts'
import { callAt, until } from './call.ts'
import type { Answer, Call } from './call.ts'

const runtimeFile = join(import.meta.dirname, '../../../templates/node/index.js')

export interface RuntimeProcess extends AsyncDisposable {
  readonly port: number
  readonly metricsPort: number
  readonly child: ChildProcess
  call(call?: Call): Promise<Answer>
  /** Everything it printed so far. */
  output(): string
  /** The exit code, or the signal that ended it. */
  ended(): Promise<number | string>
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** The Node runtime as a plain process of this machine's Node, with these files as the handler folder. */
export async function startRuntime(
  files: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): Promise<RuntimeProcess> {
  const folder = await makeFolder(
    Object.fromEntries(Object.entries(files).map(([name, content]) => [join('function', name), content])),
  )
  await copyFile(runtimeFile, join(folder.path, 'index.js'))
  const [port, metricsPort] = [await freePort(), await freePort()]
  const child = spawn(process.execPath, ['index.js'], {
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
