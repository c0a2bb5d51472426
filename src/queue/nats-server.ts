import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  accessSync,
  constants,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { FaasError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { NatsAddress, NatsSource } from './nats-source.ts'
import { DiskWatch, natsConfig, storeLimit, storeOf } from './nats-store.ts'
import { identify, stillRuns } from './process-identity.ts'
import type { ProcessIdentity } from './process-identity.ts'
import { SupervisedNats } from './supervised-nats.ts'
import type { NatsHost } from './supervised-nats.ts'

export interface NatsServerOptions {
  /** Holds everything of the server; made with mode 0700. */
  readonly folder: string
  /** The program; see `findNatsServer`. */
  readonly program: string
  readonly log: Log
  /** Before each start: two servers on one store would break it. */
  readonly endOthers?: () => Promise<void>
}

/** How often it is looked whether the server is up. */
const LOOK_MS = 5
const START_LIMIT_MS = 20_000
/** A server of a killed run that is told to end gets so long. */
const ORPHAN_LIMIT_MS = 5000

/** The `nats-server` on the PATH, and where packages put it; undefined when there is none. */
export function findNatsServer(env: Readonly<Record<string, string | undefined>>): string | undefined {
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
    .map((folder) => join(folder, 'nats-server'))
    .find(isProgram)
}

/**
 * A `nats-server` of our own: found by nobody else (loopback, random port, token), started again when it dies, ended
 * with us. One that a killed run left behind is ended before the next one begins, and never adopted.
 */
export function natsServer(options: NatsServerOptions): NatsSource {
  return new SupervisedNats(new NatsProcess(options), options.log)
}

/** Ends the program that a killed run left behind. */
export async function endOrphan(folder: string): Promise<void> {
  const file = join(folder, 'server.json')
  let orphan: ProcessIdentity
  try {
    orphan = JSON.parse(readFileSync(file, 'utf8')) as ProcessIdentity
  } catch {
    return
  }
  const deadline = Date.now() + ORPHAN_LIMIT_MS
  for (let signal: NodeJS.Signals | 0 = 'SIGTERM'; stillRuns(orphan); signal = 0) {
    if (Date.now() > deadline) signal = 'SIGKILL'
    try {
      process.kill(orphan.pid, signal)
    } catch {
      break
    }
    await wait(10)
  }
  rmSync(file, { force: true })
}

/** The server as a child of this process. */
class NatsProcess implements NatsHost {
  readonly #options: NatsServerOptions
  readonly #token = randomBytes(24).toString('base64url')
  readonly #disk: DiskWatch
  #child: ChildProcess | undefined

  constructor(options: NatsServerOptions) {
    this.#options = options
    this.#disk = new DiskWatch(options.folder)
  }

  get description(): string {
    return `${this.#options.program} of this faasdock`
  }

  shortage(): FaasError | undefined {
    return this.#disk.shortage()
  }

  async end(limitMs: number): Promise<void> {
    if (this.#child) await end(this.#child, limitMs)
  }

  async run(onUp: (address: NatsAddress) => void, signal: AbortSignal): Promise<string> {
    const { program, folder, endOthers } = this.#options
    this.#prepare()
    await endOthers?.()
    await endOrphan(folder)
    const config = this.#path('nats.conf')
    rmSync(config, { force: true })
    writeFileSync(config, this.#config(), { mode: 0o600 })
    if (signal.aborted) return 'before it began'
    const [first, ...prefix] = dyingWithUs()
    const args = ['-c', config]
    const child = spawn(first ?? program, first === undefined ? args : [...prefix, program, ...args], {
      stdio: 'ignore',
    })
    this.#child = child
    let how: string | undefined
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve((how = error.message)))
      child.once('exit', (code, signal) => resolve((how = signal ?? `status ${code ?? '?'}`)))
    })
    try {
      const address = await this.#listening(child, () => how)
      const identity = identify(child.pid ?? 0)
      if (identity) writeFileSync(this.#path('server.json'), JSON.stringify(identity), { mode: 0o600 })
      onUp(address)
      return await ended
    } finally {
      child.kill('SIGKILL')
      this.#child = undefined
    }
  }

  explain(error: unknown): FaasError {
    return this.#explain(error, 'does not start')
  }

  explainUse(error: unknown): FaasError {
    return this.#explain(error, 'cannot be used')
  }

  #explain(error: unknown, how: string): FaasError {
    if (error instanceof FaasError) return error
    const why = error instanceof Error ? error.message : String(error)
    const words = lastLines(this.#path('nats.log'))
    const isFull = /no space left/i.test(`${why} ${words.join(' ')}`)
    return new FaasError(isFull ? 'DISK_FULL' : 'QUEUE_UNAVAILABLE', {
      message: [`the NATS server of async calls ${how}: ${why}`, ...words].join('\n'),
      remedy: isFull
        ? `Free some space below ${this.#options.folder}; async calls go on by themselves then.`
        : `See ${this.#path('nats.log')}. When ${this.#options.folder} is broken or not writable, put that right, or move it away: queued calls are in it. It is tried again by itself.`,
      cause: error,
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.#path('server.json'), { force: true })
    return Promise.resolve()
  }

  #prepare(): void {
    const { folder } = this.#options
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    mkdirSync(this.#path('ports'), { recursive: true })
    for (const file of readdirSync(this.#path('ports'))) rmSync(this.#path('ports', file), { force: true })
  }

  #config(): string {
    const { folder } = this.#options
    return natsConfig(
      this.#token,
      { folder: storeOf(folder), limit: storeLimit(folder) },
      {
        host: '127.0.0.1',
        port: -1,
        ports_file_dir: this.#path('ports'),
        log_file: this.#path('nats.log'),
        logfile_size_limit: 2 ** 20,
      },
    )
  }

  async #listening(child: ChildProcess, ended: () => string | undefined): Promise<NatsAddress> {
    const deadline = Date.now() + START_LIMIT_MS
    const file = this.#path('ports', `nats-server_${child.pid ?? 0}.ports`)
    for (;;) {
      const servers = readPorts(file)
      if (servers) return { servers, token: this.#token }
      const why = ended()
      if (why !== undefined) throw new Error(`it ended with ${why}`)
      if (Date.now() > deadline) throw new Error(`it did not listen within ${START_LIMIT_MS / 1000} s`)
      await wait(LOOK_MS)
    }
  }

  #path(...parts: string[]): string {
    return join(this.#options.folder, ...parts)
  }
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}

/** Linux ends the server when we are killed, where util-linux is there to ask for it. Elsewhere the next start does. */
function dyingWithUs(): string[] {
  if (process.platform !== 'linux') return []
  const program = ['/usr/bin/setpriv', '/bin/setpriv'].find(isProgram)
  // Busybox' setpriv does not know it; it is a link to busybox.
  return program === undefined || readsAsBusybox(program) ? [] : [program, '--pdeathsig', 'TERM', '--']
}

function readsAsBusybox(file: string): boolean {
  try {
    return statSync(file).ino === statSync('/bin/busybox').ino
  } catch {
    return false
  }
}

function readPorts(file: string): string[] | undefined {
  try {
    const { nats } = JSON.parse(readFileSync(file, 'utf8')) as { nats?: string[] }
    return nats?.map((url) => url.replace(/^nats:\/\//, ''))
  } catch {
    return undefined
  }
}

function lastLines(file: string): string[] {
  try {
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
    return lines.filter((line) => /\[(ERR|FTL|WRN)\]/.test(line)).slice(-4)
  } catch {
    return []
  }
}

async function end(child: ChildProcess, limitMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  // A server that hangs does not end when it is asked to.
  const patience = setTimeout(() => child.kill('SIGKILL'), limitMs)
  await ended
  clearTimeout(patience)
}
