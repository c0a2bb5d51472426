import { isWarning } from './build-warning.ts'
import type { Context } from './command.ts'
import type { Print } from './print.ts'
import { LiveRegion } from './live.ts'
import type { LiveRow } from './live.ts'
import { formatSpan } from './time-words.ts'

/** Several functions under way at once: a live region on a terminal, plain lines elsewhere. */
export class Progress implements Disposable {
  readonly #print: Print
  readonly #region: LiveRegion
  readonly #rows = new Map<string, { phase: string; step: string; since: number }>()
  readonly #echo: boolean

  /** `echo`: every line of output is written, not only the current one shown. */
  constructor(print: Print, { echo, live }: { echo: boolean; live: boolean }) {
    this.#print = print
    this.#echo = echo
    this.#region = new LiveRegion(
      print.chatter,
      print.colors,
      () => ({ rows: this.#liveRows(), warnings: [] }),
      live,
    )
  }

  start(name: string, phase: string): void {
    this.#rows.set(name, { phase, step: '', since: performance.now() })
    if (!this.#region.live) this.#say(name, this.#print.colors.dim(phase))
    this.#region.refresh()
  }

  /** One line of output of what is under way. */
  output(name: string, line: string): void {
    const row = this.#rows.get(name)
    if (row) row.step = line
    if (this.#echo || (this.#region.live && isWarning(line))) this.#say(name, line)
    this.#region.refresh()
  }

  done(name: string, result: string): void {
    const { green, dim } = this.#print.colors
    const seconds = this.#end(name)
    this.#region.print(
      `${green('✓')} ${name}  ${result}${seconds === undefined ? '' : dim(`  ${formatSpan(seconds)}`)}`,
    )
  }

  failed(name: string): void {
    this.#end(name)
    this.#region.print(`${this.#print.colors.red('✗')} ${name}`)
  }

  /** Ends the row and says nothing. */
  drop(name: string): void {
    this.#end(name)
    this.#region.refresh()
  }

  [Symbol.dispose](): void {
    this.#region[Symbol.dispose]()
  }

  #say(name: string, text: string): void {
    this.#region.print(`${this.#print.colors.cyan(name)}  ${text}`)
  }

  #end(name: string): number | undefined {
    const row = this.#rows.get(name)
    this.#rows.delete(name)
    return row && (performance.now() - row.since) / 1000
  }

  #liveRows(): LiveRow[] {
    const now = performance.now()
    return [...this.#rows].map(([name, { phase, step, since }]) => ({
      name,
      phase,
      step,
      seconds: (now - since) / 1000,
    }))
  }
}

/** Whether to draw: not in CI, where terminals are logs, and not when every line is wanted. */
export function wantsLive(env: Readonly<Record<string, string | undefined>>): boolean {
  return !env['CI'] && env['TERM'] !== 'dumb'
}

/** The progress of a command: every line of output with `--verbose`, and where nothing can be redrawn. */
export function makeProgress({ print, io }: Pick<Context, 'print' | 'io'>, quiet: boolean): Progress {
  const live = !quiet && !print.verbose && wantsLive(io.env)
  return new Progress(print, { live, echo: !quiet && !(live && print.chatter.isTTY === true) })
}
