import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable, Writable } from 'node:stream'
import type { Io, StopSignal } from '../../src/cli/io.ts'
import { run } from '../../src/cli/run.ts'

/** An output that keeps what is written. */
class Capture extends Writable {
  readonly chunks: Buffer[] = []
  readonly isTTY: boolean
  readonly columns = 100

  constructor(isTTY = false) {
    super()
    this.isTTY = isTTY
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.chunks.push(chunk)
    done()
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString()
  }
}

export interface CliRun {
  readonly stdout: Capture
  readonly stderr: Capture
  readonly exit: Promise<number>
  /** Exit codes that the program was ended with at once. */
  readonly forced: number[]
  readonly stdin: PassThrough
  interrupt(signal?: StopSignal): void
}

export interface CliSetting {
  readonly cwd?: string
  readonly env?: Record<string, string>
  readonly stdin?: string | Buffer
  readonly rooms?: Io['rooms']
  readonly tty?: boolean
}

/** Starts a command line in this process. */
export function startCli(argv: readonly string[], setting: CliSetting = {}): CliRun {
  const stdout = new Capture(setting.tty)
  const stderr = new Capture(setting.tty)
  const stdin = Object.assign(new PassThrough(), { isTTY: setting.tty === true, setRawMode: () => undefined })
  if (!setting.tty) Readable.from([setting.stdin ?? '']).pipe(stdin)
  const listeners = new Set<(signal: StopSignal) => void>()
  const forced: number[] = []
  const io: Io = {
    stdin,
    stdout,
    stderr,
    env: setting.env ?? {},
    cwd: setting.cwd ?? tmpdir(),
    onSignal(onSignal) {
      listeners.add(onSignal)
      return { [Symbol.dispose]: () => void listeners.delete(onSignal) }
    },
    exit: (code) => void forced.push(code),
    ...(setting.rooms ? { rooms: setting.rooms } : {}),
  }
  return {
    stdout,
    stderr,
    stdin,
    forced,
    exit: run(argv, io),
    interrupt: (signal = 'SIGINT') => {
      for (const listener of [...listeners]) listener(signal)
    },
  }
}

/** Runs a command line in this process to its end. */
export async function cli(
  argv: readonly string[],
  setting: CliSetting = {},
): Promise<{ code: number; out: string; err: string }> {
  const started = startCli(argv, setting)
  const code = await started.exit
  return { code, out: started.stdout.text, err: started.stderr.text }
}

/** A folder that goes away with the test. */
export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'faasdock-cli-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** Polls until `look` gives something. */
export async function eventually<T>(look: () => T | undefined | false, limit = 12_000): Promise<T> {
  const end = performance.now() + limit
  for (;;) {
    const found = look()
    if (found !== undefined && found !== false) return found
    if (performance.now() > end) throw new Error('it did not happen in time')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
