import { spawn } from 'node:child_process'
import type { ChildProcessWithoutNullStreams, SpawnOptionsWithoutStdio } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { until } from './until.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** The compiled program, as `npm install -g` puts it on the PATH. */
export const PROGRAM = fileURLToPath(new URL('../../bin/faasdock.js', import.meta.url))

/** One line that `dev --json` and `serve --json` write. */
export interface ProgramEvent {
  readonly type: string
  readonly [field: string]: unknown
}

export interface ProgramSetting {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string
  /** What is started instead of node with the compiled program. */
  readonly command?: readonly [string, ...string[]]
}

export interface ProgramEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A program that runs, and everything it has said. Disposing it ends it, and what it started, at once. */
export class RunningProgram implements AsyncDisposable {
  readonly end: Promise<ProgramEnd>
  readonly #child: ChildProcessWithoutNullStreams
  #stdout = ''
  #stderr = ''
  #screen = ''
  #hasEnded = false

  constructor(command: readonly [string, ...string[]], options: SpawnOptionsWithoutStdio) {
    const [program, ...args] = command
    // A process group of its own, as a shell gives to what is typed: a signal can meet all of it.
    const child = spawn(program, args, { ...options, detached: true })
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
      this.#screen += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
      this.#screen += text
    })
    // A program that has ended before it read its input is no failure of the test's.
    child.stdin.on('error', () => undefined)
    this.#child = child
    this.end = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => {
        this.#hasEnded = true
        resolve({ code, signal })
      })
    })
    this.end.catch(() => undefined)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  /** Both outputs, without colours, in the order in which they came: what stands behind a length came after it. */
  get screen(): string {
    return this.#screen.replaceAll(/\u001b\[[0-9;?]*[A-Za-z]/g, '')
  }

  /** The JSON lines of standard output so far; a line still being written is not among them. */
  get events(): ProgramEvent[] {
    return this.#stdout
      .split('\n')
      .slice(0, -1)
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as ProgramEvent)
  }

  /** Ends the input, or types some of it. */
  type(text: string): void {
    this.#child.stdin.write(text)
  }

  endInput(text = ''): void {
    this.#child.stdin.end(text)
  }

  /** Polls for a text on the screen; rejects, with the screen, when the program ends first. */
  shows(pattern: RegExp, { after = 0, limitMs }: { after?: number; limitMs?: number } = {}): Promise<string> {
    return this.#while(() => pattern.exec(this.screen.slice(after))?.[0], `shows ${String(pattern)}`, limitMs)
  }

  /** Polls for an event. `after`: how many events were there before. */
  event(
    matches: (event: ProgramEvent) => boolean,
    { after = 0, limitMs }: { after?: number; limitMs?: number } = {},
  ): Promise<ProgramEvent> {
    return this.#while(() => this.events.slice(after).find(matches), `says ${String(matches)}`, limitMs)
  }

  /** A signal for the program alone. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** A signal for the program and all it started that is still in its group: what a terminal's Ctrl-C does. */
  signalGroup(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) this.signalGroup('SIGKILL')
    await this.end
  }

  #while<T>(look: () => T | undefined, what: string, limitMs = 60_000): Promise<T> {
    return until(
      () => {
        const found = look()
        if (found === undefined && this.#hasEnded)
          throw new Error(`the program ended before it ${what}:\n${this.screen}`)
        return found
      },
      { limitMs, what: () => `the program ${what}:\n${this.screen.slice(-4000)}` },
    )
  }
}

/** Starts the compiled program with the environment of a user: nothing of ours but the engine that was asked for. */
export function startProgram(args: readonly string[], setting: ProgramSetting = {}): RunningProgram {
  const { cwd = ROOT, env = {}, stdin, command = [process.execPath, PROGRAM] } = setting
  const running = new RunningProgram([...command, ...args], { cwd, env: { ...userEnv(), ...env } })
  if (stdin !== undefined) running.endInput(stdin)
  return running
}

export interface ProgramRun {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the compiled program to its end, with an empty standard input unless told. */
export async function runProgram(args: readonly string[], setting: ProgramSetting = {}): Promise<ProgramRun> {
  await using running = startProgram(args, { stdin: '', ...setting })
  const { code } = await running.end
  return { code, stdout: running.stdout, stderr: running.stderr }
}

/** The one error that a command said with --json. Throws where it said none, more than one, or anything beside it. */
export function errorOf({ stderr }: ProgramRun): { code: string; message: string; remedy: string } {
  const said = stderr.split('\n').filter((line) => line.startsWith('{"error"'))
  if (said.length !== 1) throw new Error(`one error was expected, this was said:\n${stderr}`)
  return (JSON.parse(said[0]!) as { error: { code: string; message: string; remedy: string } }).error
}

/** Variables that would make the program behave otherwise than it does for somebody who has set nothing. */
const NOT_OF_A_USER =
  /^(FAASDOCK_(?!ENGINE$|INSTALL_ENGINE$)|OPENFAAS_|CI$|TAG$|NO_COLOR$|FORCE_COLOR$|VITEST|NODE_ENV$|npm_)/

function userEnv(): Record<string, string> {
  const entries = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !NOT_OF_A_USER.test(entry[0]),
  )
  return Object.fromEntries(entries)
}
