import { spawn } from 'node:child_process'
import { openSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { FaasError } from '../core/errors.ts'
import { socketAddress } from '../docker/engine-address.ts'
import type { EngineAddress } from '../docker/engine-address.ts'
import type { HostFacts } from '../docker/engine-host.ts'
import { pingEngine } from '../docker/engine-ping.ts'
import type { Announce } from './announce.ts'
import { installPackages } from './apt.ts'
import type { EngineNote } from './engine-note.ts'
import { run } from './run.ts'

/** Values of FAASDOCK_INSTALL_ENGINE that forbid to install or start an engine. */
const REFUSALS = new Set(['0', 'false', 'no', 'off'])

/** Whether set-up may install and start an engine here: as root on Debian or Ubuntu, unless refused. */
export function mayProvideEngine(host: HostFacts, env: NodeJS.ProcessEnv): boolean {
  return host.root && host.kind === 'debian' && !refusesEngine(env)
}

/** FAASDOCK_INSTALL_ENGINE=0 (or false, no, off): nothing is installed or started. */
export function refusesEngine(env: NodeJS.ProcessEnv): boolean {
  return REFUSALS.has((env['FAASDOCK_INSTALL_ENGINE'] ?? '').toLowerCase())
}

export interface StartedEngine {
  readonly engine: EngineAddress
  readonly note: EngineNote
}

/** Installs Debian's engine when there is none, starts it, and waits until it answers. Announces each step. SETUP_FAILED. */
export async function provideEngine(host: HostFacts, announce: Announce): Promise<StartedEngine> {
  if (!host.hasDockerd) {
    announce('No Docker engine here. Set FAASDOCK_INSTALL_ENGINE=0 to refuse what comes now.')
    await installPackages(['docker.io', 'iptables'], announce)
  }
  const engine = socketAddress('/var/run/docker.sock')
  const installed = !host.hasDockerd
  if (host.systemd) {
    announce('Starting the Docker engine with systemctl')
    await run('systemctl', ['start', 'docker'])
    await waitForEngine(engine, () => undefined)
    return { engine, note: { installed, how: 'systemctl' } }
  }
  const log = '/var/log/faasdock-dockerd.log'
  announce(`Starting dockerd in the background (its log: ${log})`)
  const pid = await startDockerd({ engine, log, args: [] })
  return { engine, note: { installed, how: 'dockerd', pid, log } }
}

export interface DockerdOptions {
  readonly engine: EngineAddress
  readonly log: string
  readonly args: readonly string[]
  /** The program and what comes before `args`; `dockerd` unless told. */
  readonly command?: readonly [string, ...string[]]
  readonly limitMs?: number
}

/** Starts `dockerd` so that it outlives this program, and resolves with its process id once it answers. SETUP_FAILED with its last log lines. */
export async function startDockerd(options: DockerdOptions): Promise<number> {
  const log = openSync(options.log, 'a')
  const [program, ...first] = options.command ?? ['dockerd']
  const child = spawn(program, [...first, ...options.args], {
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin` },
  })
  let ended: string | undefined
  child.once('error', (error) => (ended = error.message))
  child.once('exit', (status, signal) => (ended = `it ended with ${signal ?? `status ${status ?? '?'}`}`))
  child.unref()
  try {
    await waitForEngine(options.engine, () => ended, options.limitMs)
  } catch (error) {
    throw new FaasError('SETUP_FAILED', {
      message: [`dockerd did not come up: ${(error as Error).message}`, ...lastLines(options.log)].join('\n'),
      remedy: `See ${options.log}. Inside a container, dockerd needs the container to be privileged.`,
      cause: error,
    })
  }
  // Another start at the same moment may have won: then its engine answers, and this child is gone or going.
  return ended === undefined ? (child.pid ?? 0) : runningPid()
}

const START_LIMIT_MS = 60_000

async function waitForEngine(
  engine: EngineAddress,
  ended: () => string | undefined,
  limitMs = START_LIMIT_MS,
): Promise<void> {
  const deadline = Date.now() + limitMs
  for (;;) {
    const { outcome, detail } = await pingEngine(engine)
    if (outcome === 'ok') return
    const why = ended()
    if (why !== undefined && outcome !== 'timeout') throw new Error(why)
    if (Date.now() > deadline) throw new Error(`no answer within ${limitMs / 1000} s: ${detail}`)
    await wait(100)
  }
}

function runningPid(): number {
  try {
    return Number(readFileSync('/var/run/docker.pid', 'utf8'))
  } catch {
    return 0
  }
}

function lastLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-8)
  } catch {
    return []
  }
}
