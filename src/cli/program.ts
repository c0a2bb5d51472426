import { Command as Parser } from 'commander'
import type { OutputConfiguration } from 'commander'
import { rewriteSwitches } from './cobra-booleans.ts'
import { COMMANDS } from './command-table.ts'
import type { AnyCommand, Entry } from './command.ts'
import { globalOptions } from './global-flags.ts'
import type { GlobalFlags } from './global-flags.ts'
import { VERSION } from '../package.ts'

/** A command line that was understood. */
export interface Call {
  readonly command: AnyCommand
  readonly args: readonly string[]
  readonly flags: Readonly<Record<string, unknown>>
  readonly global: GlobalFlags
}

const ENVIRONMENT = `
Environment:
  OPENFAAS_URL       address of the gateway (--gateway)
  OPENFAAS_PREFIX    registry and user in the image name of new functions (new --prefix)
  FAASDOCK_ENGINE    address of the Docker engine (--engine), before DOCKER_HOST
  NO_COLOR           no colours, no matter where the output goes
  FORCE_COLOR        colours, no matter where the output goes

Exit codes:
  0 ok · 1 failed · 2 wrong use or input · 3 no engine · 4 no gateway · 5 build failed · 6 not ready
  70 defect · 130 interrupted. More in docs/cli.md.`

/**
 * Reads a command line, loading only the command that it names. Undefined when help or the version was asked for and
 * has been written. Throws commander's CommanderError for everything that is not understood.
 */
export async function parseCommandLine(
  argv: readonly string[],
  output: OutputConfiguration,
): Promise<Call | undefined> {
  const wish = helpAsFlag(argv)
  const path = findPath(wish)
  const entry = path.at(-1)
  const loaded = entry?.load ? await entry.load() : undefined
  let call: Call | undefined
  const program = makeProgram(output, (parser, found) => {
    if (found !== entry || !loaded) return
    addDetails(parser, path, loaded)
    parser.action(() => {
      const { global, flags } = readFlags(parser)
      call = { command: loaded, args: parser.args, flags, global }
    })
  })
  const switches = [...globalOptions(), ...(loaded?.options ?? [])]
  const args = rewriteSwitches(wish, switches)
  if (args.length === 0) program.outputHelp()
  else await program.parseAsync(args, { from: 'user' })
  return call
}

/** The entries that the command line names, outermost first, as far as they exist. */
function findPath(argv: readonly string[]): Entry[] {
  const path: Entry[] = []
  let level: readonly Entry[] = COMMANDS.flatMap((group) => group.commands)
  let rest = [...argv]
  while (level.length > 0) {
    const probe = withGlobals(new Parser('faasdock'))
      .exitOverride()
      .configureOutput({ outputError: () => undefined })
    const { operands, unknown } = probe.parseOptions(rest)
    const [word = '', ...others] = operands
    const found = level.find((entry) => entry.name === word || entry.aliases?.includes(word))
    if (!found) break
    path.push(found)
    level = found.commands ?? []
    rest = [...others, ...unknown]
  }
  return path
}

/** `help secret create` → `secret create --help`: commander's own word knows one level only. */
function helpAsFlag(argv: readonly string[]): readonly string[] {
  return argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv
}

function makeProgram(output: OutputConfiguration, onCommand: (parser: Parser, entry: Entry) => void): Parser {
  const program = withGlobals(new Parser('faasdock'))
    .description('OpenFaaS functions on this machine, each a container, live as you save.')
    .usage('COMMAND [options]')
    .version(VERSION, '-V, --version', 'the version of this program')
    .helpOption('-h, --help', 'help for faasdock or a command')
    .exitOverride()
    .configureOutput(output)
    .enablePositionalOptions()
    .helpCommand(false)
    .configureHelp({ subcommandTerm: (parser) => [parser.name(), ...parser.aliases()].join(', ') })
    .addHelpText('after', ENVIRONMENT)
  for (const { heading, commands } of COMMANDS) {
    program.commandsGroup(heading)
    for (const entry of commands) addEntry(program, entry, onCommand)
  }
  return program
}

function addEntry(parent: Parser, entry: Entry, onCommand: (parser: Parser, entry: Entry) => void): void {
  const parser = parent
    .command(entry.name)
    .aliases([...(entry.aliases ?? [])])
    .description(sentence(entry.summary))
    .summary(entry.summary)
    .helpOption('-h, --help', 'help for this command')
  if (entry.commands) parser.helpCommand(false).usage('COMMAND [options]')
  for (const child of entry.commands ?? []) addEntry(parser.enablePositionalOptions(), child, onCommand)
  onCommand(parser, entry)
  // Last, so that the help begins with what is the command's own.
  withGlobals(parser)
}

function addDetails(
  parser: Parser,
  path: readonly Entry[],
  { args, options, details, examples }: AnyCommand,
): void {
  if (args) parser.arguments(args)
  for (const option of options ?? []) parser.addOption(option)
  if (details) parser.description(`${parser.description()}\n\n${details}`)
  const words = ['faasdock', ...path.map((entry) => entry.name)].join(' ')
  if (examples?.length)
    parser.addHelpText(
      'after',
      `\nExamples:\n${examples.map((one) => `  ${`${words} ${one}`.trim()}`).join('\n')}`,
    )
}

/** Global flags are read before and after the command's name; what stands nearer to the command wins. */
function readFlags(parser: Parser): { global: GlobalFlags; flags: Record<string, unknown> } {
  const names = new Set(globalOptions().map((option) => option.attributeName()))
  const lines: Parser[] = []
  for (let at: Parser | null = parser; at; at = at.parent) lines.unshift(at)
  const global: Record<string, unknown> = {}
  const flags: Record<string, unknown> = {}
  for (const line of lines)
    for (const [name, value] of Object.entries(line.opts())) {
      // What nobody said is left out: the environment may say it, and an inner command must not undo an outer flag.
      if (line.getOptionValueSource(name) === 'default') continue
      if (names.has(name)) global[name] = value
      else flags[name] = value
    }
  return { global, flags }
}

function withGlobals(parser: Parser): Parser {
  for (const option of globalOptions()) parser.addOption(option)
  return parser
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}
