import { constants, accessSync } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import type { DoctorCheck } from '../core/toolbox.ts'
import { hostFacts } from '../docker/engine-host.ts'
import type { HostFacts } from '../docker/engine-host.ts'
import type { Announce } from './announce.ts'
import { installPackages } from './apt.ts'
import { mayProvideEngine } from './engine-start.ts'
import { run } from './run.ts'

const PACKAGE = 'nats-server'
const NAME = 'async calls'
const GREETING_LIMIT_MS = 2000

/** The `nats-server` that async calls would be kept by; undefined when there is none. */
export function natsProgram(env: NodeJS.ProcessEnv): string | undefined {
  const asked = env['FAASDOCK_NATS_SERVER']
  if (asked) return isProgram(asked) ? asked : undefined
  const folders = [
    ...(env['PATH'] ?? '').split(delimiter),
    '/usr/local/bin',
    '/usr/sbin',
    '/opt/homebrew/bin',
  ]
  return folders
    .filter(Boolean)
    .map((folder) => join(folder, PACKAGE))
    .find(isProgram)
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Installs Debian's NATS server where there is none, and may be; says what it does. Async calls are not all there is:
 * when it cannot be had, that is said, and nothing fails.
 */
export async function ensureNats(
  env: NodeJS.ProcessEnv,
  announce: Announce,
  host: HostFacts = hostFacts(),
): Promise<void> {
  if (env['NATS_URL'] || natsProgram(env) !== undefined || !mayProvideEngine(host, env)) return
  try {
    await installPackages([PACKAGE], announce)
    // The package starts one for everybody on its well-known port; ours is another one, for us alone.
    if (host.systemd) await run('systemctl', ['disable', '--now', PACKAGE])
  } catch (error) {
    announce(
      `No NATS server could be installed, so async calls will answer 503: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

/** A server that is named says what it is to whoever connects, before any login. Of several, one is enough. */
async function externalCheck(url: string): Promise<DoctorCheck> {
  const said: string[] = []
  for (const one of url.split(',').map((text) => text.trim())) {
    const whole = one.includes('://') ? one : `nats://${one}`
    if (!URL.canParse(whole)) continue
    const { hostname, port } = new URL(whole)
    const place = `${hostname}:${port || '4222'}`
    const server = await greeting(hostname.replace(/^\[|\]$/g, ''), Number(port || 4222))
    if (typeof server === 'object' && server.jetstream)
      return { name: NAME, ok: 'ok', detail: `kept by the NATS server at ${place} (NATS_URL)` }
    said.push(`${place}: ${typeof server === 'string' ? server : 'JetStream is switched off'}`)
  }
  return {
    name: NAME,
    ok: 'fail',
    detail: `the NATS server that NATS_URL names cannot be used, so /async-function/ answers 503: ${said.join('; ') || 'it is no address'}`,
    remedy:
      'Start it with JetStream (nats-server --jetstream), or correct NATS_URL: nats://USER:PASSWORD@HOST:4222',
  }
}

/** What a NATS server says first; the words of the failure where there is none. */
function greeting(host: string, port: number): Promise<{ readonly jetstream?: boolean } | string> {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect({ host, port })
    const done = (result: { readonly jetstream?: boolean } | string): void => {
      socket.destroy()
      resolve(result)
    }
    socket.setTimeout(GREETING_LIMIT_MS, () => done('nobody answers'))
    socket.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message))
    socket.once('close', () => done('it is no NATS server'))
    socket.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
      const [line, rest] = text.split('\r\n')
      if (rest === undefined) return
      try {
        done(JSON.parse(line?.replace(/^INFO /, '') ?? '') as { jetstream?: boolean })
      } catch {
        done('it is no NATS server')
      }
    })
  })
}

/** Whether async calls can be kept, and by which server. `hasImage`: whether the engine has the image of a container. */
export async function natsCheck(
  env: NodeJS.ProcessEnv,
  image: string,
  hasImage: () => Promise<boolean>,
): Promise<DoctorCheck> {
  const url = env['NATS_URL']
  if (url) return externalCheck(url)
  const program = natsProgram(env)
  if (program === undefined) {
    if (await hasImage()) {
      return { name: NAME, ok: 'ok', detail: `no nats-server on the PATH: kept by a container of ${image}` }
    }
    const install = process.platform === 'darwin' ? 'brew install' : 'sudo apt-get install'
    return {
      name: NAME,
      ok: 'warn',
      detail: `no nats-server on the PATH, and ${image} is not on the engine: where it cannot be pulled, /async-function/ answers 503; synchronous calls work`,
      remedy: `Run: ${install} nats-server   (or: docker pull ${image}; or name a server of yours: --nats-url nats://HOST:4222)`,
    }
  }
  try {
    const words = (await run(program, ['--version'])).trim()
    return { name: NAME, ok: 'ok', detail: `${program} (${words.replace(/^nats-server: /, '')})` }
  } catch (error) {
    return {
      name: NAME,
      ok: 'fail',
      detail: `${program} does not run: ${error instanceof Error ? error.message : String(error)}`,
      remedy: 'Install it again: sudo apt-get install --reinstall nats-server',
    }
  }
}
