import type { Option } from 'commander'
import type { Entry } from './command.ts'
import { COMPLETION_SCRIPTS } from './completion-scripts.ts'
import { globalOptions } from './global-flags.ts'

/** What may come next on a command line. */
export interface Candidate {
  readonly value: string
  readonly text: string
}

/** Files are for the shell to find. */
export const FILES = 'files'

/** Names that live at a gateway: what commands and flags take of them. */
type NameKind = 'functions' | 'secrets' | 'namespaces'

/** Looks names up for a command line; gives none rather than wait or fail. */
export type LookUp = (kind: NameKind, said: ReadonlyMap<string, string>) => Promise<readonly string[]>

/** Whose arguments are names of what. */
const NAMED: Readonly<Record<string, NameKind>> = {
  describe: 'functions',
  invoke: 'functions',
  logs: 'functions',
  ready: 'functions',
  remove: 'functions',
  scale: 'functions',
  'secret update': 'secrets',
  'secret remove': 'secrets',
  'namespace get': 'namespaces',
  'namespace update': 'namespaces',
  'namespace remove': 'namespaces',
}

/**
 * What may stand in place of the last of `words`, the words behind the program's name: commands, flags, values of
 * flags, names at the gateway, or files. Not filtered by what the last word begins with, except for flags.
 */
export async function complete(
  words: readonly string[],
  commands: readonly Entry[],
  lookUp: LookUp,
): Promise<readonly Candidate[] | typeof FILES> {
  const { path, options, said, pending } = await walk(withoutEquals(words.slice(0, -1)), commands)
  const last = words.at(-1) ?? ''
  const word = last === '=' ? '' : last
  if (pending) return valuesOf(pending, said, lookUp)
  const [flag = '', value] = word.split(/=(.*)/s)
  const given = value === undefined ? undefined : options.find(({ long }) => long === flag)
  if (given) {
    const values = await valuesOf(given, said, lookUp)
    return values === FILES ? FILES : values.map((one) => ({ ...one, value: `${flag}=${one.value}` }))
  }
  if (word.startsWith('-')) return flagsOf(options)
  const entry = path.at(-1)
  const level = entry ? (entry.commands ?? []) : commands
  if (level.length > 0) return level.map(({ name, summary }) => ({ value: name, text: summary }))
  const name = path.map(({ name }) => name).join(' ')
  if (name === 'completion')
    return Object.keys(COMPLETION_SCRIPTS).map((shell) => ({ value: shell, text: 'shell' }))
  const kind = NAMED[name]
  return kind ? named(kind, said, lookUp) : FILES
}

interface Walked {
  readonly path: readonly Entry[]
  readonly options: readonly Option[]
  /** Values of flags that stand there already, by their long names. */
  readonly said: ReadonlyMap<string, string>
  /** The flag whose value comes next. */
  readonly pending: Option | undefined
}

/** Follows the words that stand there already: commands as deep as they are named, flags with their values. */
async function walk(words: readonly string[], commands: readonly Entry[]): Promise<Walked> {
  const path: Entry[] = []
  const said = new Map<string, string>()
  let level: readonly Entry[] = commands
  let options: readonly Option[] = globalOptions()
  let pending: Option | undefined
  for (const word of words) {
    if (pending) {
      said.set(pending.long ?? '', word)
      pending = undefined
    } else if (word.startsWith('-')) {
      const [name, value] = word.split(/=(.*)/s)
      const option = options.find(({ long, short }) => long === name || short === name)
      if (option?.required && value === undefined) pending = option
      else if (option && value !== undefined) said.set(option.long ?? '', value)
    } else {
      const entry = level.find(({ name, aliases }) => name === word || aliases?.includes(word))
      if (!entry) continue
      path.push(entry)
      level = entry.commands ?? []
      if (entry.load) options = [...((await entry.load()).options ?? []), ...globalOptions()]
    }
  }
  return { path, options, said, pending }
}

async function valuesOf(
  option: Option,
  said: ReadonlyMap<string, string>,
  lookUp: LookUp,
): Promise<readonly Candidate[] | typeof FILES> {
  if (option.argChoices) return option.argChoices.map((value) => ({ value, text: option.long ?? '' }))
  if (option.long === '--namespace') return named('namespaces', said, lookUp)
  return option.long === '--secret' ? named('secrets', said, lookUp) : FILES
}

async function named(
  kind: NameKind,
  said: ReadonlyMap<string, string>,
  lookUp: LookUp,
): Promise<Candidate[]> {
  return (await lookUp(kind, said)).map((value) => ({ value, text: kind.slice(0, -1) }))
}

function flagsOf(options: readonly Option[]): Candidate[] {
  return options.flatMap(({ long, description, hidden }) =>
    long && !hidden ? [{ value: long, text: description }] : [],
  )
}

/** bash makes words of its own of `=`: `--tag`, `=`, `sha`. */
function withoutEquals(words: readonly string[]): string[] {
  return words.filter((word) => word !== '=')
}
