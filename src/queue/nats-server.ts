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
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { statfs } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { FaasError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { NatsAddress, NatsSource } from './nats-source.ts'
import { identify, stillRuns } from './process-identity.ts'
import type { ProcessIdentity } from './process-identity.ts'

export interface NatsServerOptions {
  /** Holds everything of the server; made with mode 0700. */
  readonly folder: string
  /** The program; see `findNatsServer`. */
  readonly program: string
  readonly log: Log
}

/** A message with its headers; bodies beyond it are stored apart. */
const MAX_PAYLOAD_BYTES = 2 * 2 ** 20
/** How often it is looked whether the server is up. */
const LOOK_MS = 5
const START_LIMIT_MS = 20_000
/** A server that is told to end gets so long. */
const STOP_LIMIT_MS = 5000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 10_000
/** A server that ran so long before it died is started again at once. */
const GOOD_RUN_MS = 10_000
/** Of the free space, what messages may take. */
const SHARE_OF_DISK = 0.8
/** What is left on the disk when no more is accepted: the server has to write of what it delivers, too. */
const LEFT_BYTES = 8 * 2 ** 20
const LOOK_AT_DISK_MS = 200
const DISTRUST_LIMIT_MS = 2000

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
export class NatsServer implements NatsSource {
  readonly #options: NatsServerOptions
  readonly #stopping = new AbortController()
  readonly #token = randomBytes(24).toString('base64url')
  readonly #supervision: Promise<void>
  #child: ChildProcess | undefined
  /** Where it answers, why it does not, or, while it starts, neither. */
  #state: NatsAddress | FaasError | undefined
  readonly #waiting = new Set<() => void>()
  #lookedAt = 0
  #shortage: FaasError | undefined

  constructor(options: NatsServerOptions) {
    this.#options = options
    this.#supervision = this.#supervise()
  }

  get description(): string {
    return `${this.#options.program} of this faasdock`
  }

  async address(signal: AbortSignal): Promise<NatsAddress> {
    while (this.#state === undefined) {
      signal.throwIfAborted()
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.#waiting.delete(done)
          signal.removeEventListener('abort', done)
          resolve()
        }
        this.#waiting.add(done)
        signal.addEventListener('abort', done, { once: true })
      })
    }
    if (this.#state instanceof FaasError) throw this.#state
    return this.#state
  }

  distrust(reason: string): void {
    if (!this.#child || this.#stopping.signal.aborted) return
    this.#options.log.warn(`the NATS server is started afresh: ${reason}`)
    const child = this.#child
    child.kill('SIGTERM')
    // A server that hangs does not end when it is asked to.
    setTimeout(() => child.kill('SIGKILL'), DISTRUST_LIMIT_MS).unref()
  }

  shortage(): FaasError | undefined {
    const now = Date.now()
    if (now - this.#lookedAt < LOOK_AT_DISK_MS) return this.#shortage
    this.#lookedAt = now
    this.#shortage = this.#lookAtDisk()
    return this.#shortage
  }

  /** A server that meets a full disk stops answering (2.9), and what it had not written yet is lost: it must not. */
  #lookAtDisk(): FaasError | undefined {
    try {
      const { bavail, bsize } = statfsSync(this.#options.folder)
      if (bavail * bsize > LEFT_BYTES) return undefined
    } catch {
      return undefined
    }
    return new FaasError('DISK_FULL', {
      message: `the queue has no space left: less than ${LEFT_BYTES / 2 ** 20} MiB are free at ${this.#options.folder}`,
      remedy: 'Free some space there; queued calls are kept, and async calls go on by themselves then.',
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    if (this.#child) await end(this.#child)
    await this.#supervision
    rmSync(this.#path('server.json'), { force: true })
  }

  async #supervise(): Promise<void> {
    const { signal } = this.#stopping
    for (let pauseMs = FIRST_PAUSE_MS; !signal.aborted; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      const began = Date.now()
      try {
        const how = await this.#run()
        if (this.#isStopping) return
        if (Date.now() - began > GOOD_RUN_MS) pauseMs = FIRST_PAUSE_MS
        this.#be(undefined)
        this.#options.log.warn(`the NATS server of async calls ended (${how}) and is started again`)
      } catch (error) {
        if (this.#isStopping) return
        const failure = this.#explain(error)
        // The same failure, tried again, is no news.
        const known = this.#state instanceof FaasError
        this.#be(failure)
        if (!known) this.#options.log.error(failure.message)
      }
      await wait(pauseMs, undefined, { signal, ref: false }).catch(() => undefined)
    }
  }

  /** Asked after every wait; the compiler takes what it has seen once for what is. */
  get #isStopping(): boolean {
    return this.#stopping.signal.aborted
  }

  #be(state: NatsAddress | FaasError | undefined): void {
    this.#state = state
    if (state === undefined) return
    for (const wake of [...this.#waiting]) wake()
  }

  /** Resolves with how it ended; rejects when it does not come up. */
  async #run(): Promise<string> {
    const { program } = this.#options
    this.#prepare()
    await this.#endOrphan()
    const config = this.#path('nats.conf')
    rmSync(config, { force: true })
    writeFileSync(config, await this.#config(), { mode: 0o600 })
    if (this.#isStopping) return 'before it began'
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
      this.#be(address)
      return await ended
    } finally {
      child.kill('SIGKILL')
      this.#child = undefined
    }
  }

  #prepare(): void {
    const { folder } = this.#options
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    mkdirSync(this.#path('ports'), { recursive: true })
    for (const file of readdirSync(this.#path('ports'))) rmSync(this.#path('ports', file), { force: true })
  }

  /** The server of a run that was killed holds the store; two servers on one store would break it. */
  async #endOrphan(): Promise<void> {
    let orphan: ProcessIdentity
    try {
      orphan = JSON.parse(readFileSync(this.#path('server.json'), 'utf8')) as ProcessIdentity
    } catch {
      return
    }
    const deadline = Date.now() + STOP_LIMIT_MS
    for (let signal: NodeJS.Signals | 0 = 'SIGTERM'; stillRuns(orphan); signal = 0) {
      if (Date.now() > deadline) signal = 'SIGKILL'
      try {
        process.kill(orphan.pid, signal)
      } catch {
        break
      }
      await wait(10)
    }
    rmSync(this.#path('server.json'), { force: true })
  }

  async #config(): Promise<string> {
    const store = this.#path('jetstream')
    mkdirSync(store, { recursive: true, mode: 0o700 })
    const { bavail, bsize } = await statfs(store)
    const limit = Math.floor(folderBytes(store) + bavail * bsize * SHARE_OF_DISK)
    // JSON is a NATS configuration as well, and quotes every path.
    return JSON.stringify(
      {
        host: '127.0.0.1',
        port: -1,
        ports_file_dir: this.#path('ports'),
        log_file: this.#path('nats.log'),
        logfile_size_limit: 2 ** 20,
        max_payload: MAX_PAYLOAD_BYTES,
        authorization: { token: this.#token },
        jetstream: { store_dir: store, max_file_store: limit, max_memory_store: 64 * 2 ** 20 },
      },
      undefined,
      2,
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

  #explain(error: unknown): FaasError {
    if (error instanceof FaasError) return error
    const why = error instanceof Error ? error.message : String(error)
    const words = lastLines(this.#path('nats.log'))
    const isFull = /no space left/i.test(`${why} ${words.join(' ')}`)
    return new FaasError(isFull ? 'DISK_FULL' : 'QUEUE_UNAVAILABLE', {
      message: [`the NATS server of async calls does not start: ${why}`, ...words].join('\n'),
      remedy: isFull
        ? `Free some space below ${this.#options.folder}; async calls go on by themselves then.`
        : `See ${this.#path('nats.log')}. When ${this.#options.folder} is broken or not writable, put that right, or move it away: queued calls are in it. It is tried again by itself.`,
      cause: error,
    })
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

function folderBytes(folder: string): number {
  let bytes = 0
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    try {
      bytes += statSync(join(entry.parentPath, entry.name)).size
    } catch {
      // Gone meanwhile.
    }
  }
  return bytes
}

function lastLines(file: string): string[] {
  try {
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
    return lines.filter((line) => /\[(ERR|FTL|WRN)\]/.test(line)).slice(-4)
  } catch {
    return []
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const patience = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS)
  await ended
  clearTimeout(patience)
}
