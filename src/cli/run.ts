import { CommanderError } from 'commander'
import { FaasError, asFaasError } from '../core/errors.ts'
import type { Context } from './command.ts'
import { COMMANDS } from './command-table.ts'
import { EXIT, exitCodeOf } from './exit-codes.ts'
import { Interrupted } from './io.ts'
import type { Io, StopSignal } from './io.ts'
import { insteadOf } from './not-here.ts'
import { makePrint } from './print.ts'
import type { Print } from './print.ts'
import { parseCommandLine } from './program.ts'
import type { Call } from './program.ts'

/** Runs one command line, without the program's name, and resolves with its exit code. Never rejects. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  // Errors in the command line itself are said in the form that it asks for, as far as that can be seen.
  const first = makePrint(io, { json: argv.includes('--json'), verbose: false })
  try {
    const call = await parseCommandLine(argv, {
      writeOut: (text) => first.line(text.replace(/\n$/, '')),
      writeErr: (text) => first.note(text.replace(/\n$/, '')),
      // Its words come with the error that it throws.
      outputError: () => undefined,
      getOutHelpWidth: () => io.stdout.columns ?? 100,
      getErrHelpWidth: () => io.stderr.columns ?? 100,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    return call ? await runCall(call, io) : EXIT.ok
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok
    return fail(error instanceof CommanderError ? usageError(error) : error, first)
  }
}

async function runCall({ command, args, flags, global }: Call, io: Io): Promise<number> {
  const print = makePrint(io, { json: global.json === true, verbose: global.verbose === true })
  const stop = new AbortController()
  const interrupt = (signal: StopSignal): void => {
    if (stop.signal.aborted) io.exit(exitCodeOfSignal(signal))
    else stop.abort(new Interrupted(signal))
  }
  using _signals = io.onSignal(withoutEchoes(interrupt))
  const context: Context = {
    io,
    print,
    flags: global,
    commands: COMMANDS.flatMap(({ commands }) => commands),
    signal: stop.signal,
    interrupt: () => interrupt('SIGINT'),
  }
  try {
    return await command.run(context, args, flags)
  } catch (error) {
    return fail(error, print)
  }
}

/** A signal that comes again within this is the same one. Milliseconds; fingers are slower. */
const ECHO_MS = 250

/**
 * One Ctrl-C reaches everything that runs in a terminal, and runners such as npm pass it on besides: where their shell
 * leaves its place to the program (bash does), it comes twice, and must not be taken for the second one that forces.
 */
function withoutEchoes(onSignal: (signal: StopSignal) => void): (signal: StopSignal) => void {
  const first = new Map<StopSignal, number>()
  return (signal) => {
    const now = performance.now()
    const before = first.get(signal)
    if (before !== undefined && now - before < ECHO_MS) return
    first.set(signal, now)
    onSignal(signal)
  }
}

function fail(error: unknown, print: Print): number {
  if (error instanceof Interrupted) {
    print.note('interrupted')
    return exitCodeOfSignal(error.signal)
  }
  print.error(error)
  return exitCodeOf(asFaasError(error).code)
}

function exitCodeOfSignal(signal: StopSignal): number {
  return signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated
}

/** Commander's `error: unknown option '--filtr'` and `(Did you mean --filter?)` as ours. */
function usageError(error: CommanderError): FaasError {
  if (error.code === 'commander.help')
    return new FaasError('BAD_USAGE', {
      message: 'a command of this group is missing',
      remedy: 'See which there are with --help.',
    })
  const [fact = '', ...rest] = error.message.replace(/^error: /, '').split('\n')
  const unknown = error.code === 'commander.unknownCommand' ? /'(.+)'/.exec(fact)?.[1] : undefined
  const suggestion = /^\((Did you mean .*\?)\)$/.exec(rest.join('\n'))?.[1]
  return new FaasError('BAD_USAGE', {
    message: fact,
    remedy: insteadOf(unknown ?? '') ?? suggestion ?? 'See what is accepted with --help.',
  })
}
