import { InvalidArgumentError, Option } from 'commander'
import type { GlobalFlags } from './global-flags.ts'
import type { Io } from './io.ts'
import type { Print } from './print.ts'

/** What a command gets to work with. */
export interface Context {
  readonly io: Io
  readonly print: Print
  readonly flags: GlobalFlags
  /** All commands, for the one that completes their names. */
  readonly commands: readonly Entry[]
  /** Aborted, with `Interrupted` as the reason, when somebody stops the command. */
  readonly signal: AbortSignal
  /** Stops the command as Ctrl-C does: in raw mode the terminal sends a key and no signal. */
  interrupt(): void
}

/** One command: its help and what it does. `Flags` is what `options` parse to. */
export interface Command<Flags> {
  /** Behind the name in the usage line: `<name>`, `[name...]`. */
  readonly args?: string
  readonly options?: readonly Option[]
  /** What the help says below the summary. */
  readonly details?: string
  /** Without the program's name: `up -f mobile.yml`. */
  readonly examples?: readonly string[]
  /** Resolves with the exit code; rejects with the error to show. */
  run(context: Context, args: readonly string[], flags: Flags): Promise<number>
}

export type AnyCommand = Command<Readonly<Record<string, unknown>>>

/** Names and summaries of all commands: what `--help` needs. The rest is loaded when a command runs. */
export interface Entry {
  readonly name: string
  readonly aliases?: readonly string[]
  readonly summary: string
  readonly load?: () => Promise<AnyCommand>
  readonly commands?: readonly Entry[]
}

export interface Group {
  readonly heading: string
  readonly commands: readonly Entry[]
}

/** Lets the parser hold commands of all kinds of flags: the options of `command` decide what it is given. */
export function defineCommand<Flags extends object>(command: Command<Flags>): AnyCommand {
  return { ...command, run: (context, args, flags) => command.run(context, args, flags as Flags) }
}

/** An option that is given at most once. */
export function flag(flags: string, description?: string): Option {
  return new Option(flags, description)
}

/** An option that may be given several times; parses to an array. */
export function listFlag(flags: string, description: string): Option {
  return new Option(flags, `${description} (repeatable)`).argParser(
    (value: string, previous: readonly string[] | undefined) => [...(previous ?? []), value],
  )
}

/** An option whose value is a whole number of at least `least`. */
export function numberFlag(flags: string, description: string, least = 0): Option {
  return new Option(flags, description).argParser((value: string) => {
    const number = Number(value)
    if (value.trim() !== '' && Number.isSafeInteger(number) && number >= least) return number
    throw new InvalidArgumentError(`Give a whole number of at least ${least}.`)
  })
}
