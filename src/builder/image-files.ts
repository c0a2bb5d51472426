import { posix } from 'node:path'
import { declare, expand, fromOf, instructions, openingArgs } from './dockerfile.ts'
import type { Args, Instruction } from './dockerfile.ts'
import { readsOf } from './run-reads.ts'
import type { KnownFiles } from './run-reads.ts'

/** A file of the context as it is in an image: copied there, and nothing else. */
interface Copied {
  /** In the context. */
  readonly path: string
  /** Where the COPY that brought it put what it brought. */
  readonly target: string
}

/** What a Dockerfile does with the files of its context. */
export interface ImageFiles {
  /** In the image that is the outcome: absolute path → file of the context. */
  readonly files: ReadonlyMap<string, Copied>
  /** Files of the context that something else than copying depends on, or may. */
  readonly read: ReadonlySet<string>
}

export interface Context {
  /** Files, relative, with `/`. */
  readonly paths: readonly string[]
  /** Undefined for one that is not there. */
  readonly text: (path: string) => Promise<string | undefined>
}

interface Stage {
  readonly name: string
  readonly from: string
  readonly body: readonly Instruction[]
}

/** An image on its way. */
interface State {
  readonly files: Map<string, Copied>
  /** Folders that are there for certain. */
  readonly folders: Set<string>
  /** Undefined where the base image alone knows. */
  folder: string | undefined
  readonly variables: Record<string, string>
}

/** A Dockerfile does something that cannot be followed. */
class Lost extends Error {}

/**
 * Follows the files of a context through a Dockerfile, as far as the last stage needs its stages. Undefined where it does
 * something that cannot be told from here: then nothing in the image may be taken for a file of the context.
 */
export async function followFiles(
  dockerfile: string,
  args: Args,
  context: Context,
): Promise<ImageFiles | undefined> {
  const opening = openingArgs(dockerfile, args)
  const stages = stagesOf(dockerfile, opening)
  const read = new Set<string>()
  const states = new Map<number, Promise<State>>()
  const reach = (index: number): Promise<State> => {
    const known = states.get(index)
    if (known) return known
    const state = makeStage(index)
    states.set(index, state)
    return state
  }

  async function makeStage(index: number): Promise<State> {
    const stage = stages[index]
    if (stage === undefined) throw new Lost()
    const base = indexOf(stage.from, index)
    if (base === undefined && (stage.from.includes('$') || stage.from.includes('onbuild'))) throw new Lost()
    const parent = base === undefined ? undefined : await reach(base)
    const state: State = {
      files: new Map(parent?.files),
      folders: new Set(parent?.folders ?? ['/']),
      folder: parent === undefined ? (stage.from === 'scratch' ? '/' : undefined) : parent.folder,
      variables: { ...opening, ...parent?.variables },
    }
    for (const instruction of stage.body) await apply(instruction, state, index)
    return state
  }

  /** The last stage of that name above; undefined for an image. */
  function indexOf(name: string, before: number): number | undefined {
    if (/^\d+$/.test(name)) return Number(name) < before ? Number(name) : undefined
    const found = stages.findLastIndex((stage, at) => at < before && stage.name === name.toLowerCase())
    return found === -1 ? undefined : found
  }

  async function apply(
    { keyword, rest, hereDocuments }: Instruction,
    state: State,
    index: number,
  ): Promise<void> {
    switch (keyword) {
      case 'ARG':
        declare(rest, args, state.variables)
        return
      case 'ENV':
        declareEnv(rest, state.variables)
        return
      case 'WORKDIR':
        state.folder = resolveIn(state, expand(rest, state.variables))
        if (state.folder !== undefined) addFolder(state, state.folder)
        return
      case 'RUN':
        return run(rest, hereDocuments, state)
      case 'COPY':
      case 'ADD':
        return copy(keyword, rest, hereDocuments, state, index)
      case 'ONBUILD':
      case 'SHELL':
        throw new Lost()
      case 'VOLUME':
        readAll(state)
        return
      default:
        return
    }
  }

  function readAll(state: State): void {
    for (const { path } of state.files.values()) read.add(path)
  }

  async function run(rest: string, hereDocuments: readonly string[], state: State): Promise<void> {
    const { flags, words } = flagsOf(rest)
    if (flags.some((flag) => /^--mount=/.test(flag) && !/type=(cache|secret|ssh|tmpfs)\b/.test(flag))) {
      // It sees files of another stage, or of the context itself.
      const from = flags.flatMap((flag) => /\bfrom=([^,\s]+)/.exec(flag)?.[1] ?? [])
      if (from.length === 0) for (const path of context.paths) read.add(path)
      for (const name of from) {
        const index = indexOf(name, Infinity)
        if (index !== undefined) readAll(await reach(index))
      }
    }
    const line = hereDocuments.length === 0 ? commandOf(words) : scriptOf(words, hereDocuments)
    if (line === undefined) {
      readAll(state)
      return
    }
    const { folder, variables } = state
    // Relative paths would mean nothing.
    const found =
      folder === undefined
        ? 'everything'
        : await readsOf(line, { folder, variables, files: knownFiles(state, context) })
    if (found === 'everything') {
      readAll(state)
      return
    }
    for (const at of found) {
      const file = state.files.get(at)
      if (file) read.add(file.path)
    }
  }

  async function copy(
    keyword: string,
    rest: string,
    hereDocuments: readonly string[],
    state: State,
    index: number,
  ): Promise<void> {
    const { flags, words } = flagsOf(rest)
    const operands = operandsOf(words)?.map((word) => expand(word, state.variables))
    const written = operands?.at(-1)
    if (operands === undefined || written === undefined || operands.length < 2) throw new Lost()
    const sources = operands.slice(0, -1).filter((source) => !/^\d*<<|^https?:|^git@/.test(source))
    const target = resolveIn(state, written)
    const from = flags.find((flag) => flag.startsWith('--from='))?.slice('--from='.length)
    const origin = from === undefined ? undefined : indexOf(expand(from, state.variables), index)
    const isPlain = flags.every((flag) => /^--(from|chown|link)\b/.test(flag))
    const isUnclear = target === undefined || operands.some((operand) => operand.includes('$'))
    const before: ReadonlyMap<string, string> =
      from === undefined
        ? new Map(context.paths.map((path) => [`/${path}`, path]))
        : new Map(
            [...((origin === undefined ? undefined : await reach(origin))?.files ?? [])].map(
              ([at, { path }]) => [at, path],
            ),
          )
    const single = sources.length === 1 && hereDocuments.length === 0 ? sources[0] : undefined
    const arriving: [string, string][] = []
    for (const source of sources) {
      for (const { path, below } of matches(source, [...before.keys()])) {
        const inContext = before.get(path) ?? ''
        const isArchive = keyword === 'ADD' && /\.(tar|tgz|tbz2?|txz|tar\.\w+|gz|bz2|xz|zst)$/.test(path)
        const place =
          isUnclear || isArchive || !isPlain
            ? undefined
            : placeOf(path, below, source, written, target, single, state)
        if (place === undefined) read.add(inContext)
        else arriving.push([place, inContext])
      }
    }
    if (target === undefined) {
      readAll(state)
      return
    }
    // What comes along unknown may take the place of what is known.
    if (from !== undefined || hereDocuments.length > 0 || sources.length < operands.length - 1) {
      for (const [at, { path }] of state.files)
        if (at === target || at.startsWith(slashed(target))) read.add(path)
    }
    for (const [place, path] of arriving) {
      state.files.set(place, { path, target: place === target ? posix.dirname(target) : target })
      addFolder(state, posix.dirname(place))
    }
  }

  try {
    const { files } = await reach(stages.length - 1)
    return { files, read }
  } catch (error) {
    if (error instanceof Lost) return undefined
    throw error
  }
}

function stagesOf(dockerfile: string, opening: Args): readonly Stage[] {
  const stages: (Stage & { body: Instruction[] })[] = []
  for (const instruction of instructions(dockerfile)) {
    if (instruction.keyword !== 'FROM') {
      stages.at(-1)?.body.push(instruction)
      continue
    }
    const { image, stage } = fromOf(instruction.rest, opening)
    stages.push({ name: stage.toLowerCase(), from: image, body: [] })
  }
  return stages
}

function declareEnv(rest: string, variables: Record<string, string>): void {
  const [, name, value] = /^([\w.-]+)\s+(.*)$/.exec(rest) ?? []
  if (name !== undefined && value !== undefined && !/^[\w.-]+=/.test(rest)) {
    variables[name] = expand(value, variables)
    return
  }
  const own: Record<string, string> = {}
  declare(rest, {}, Object.assign(own, variables))
  Object.assign(variables, own)
}

/** Where `path` leads from the folder of the step; undefined where that is not known. */
function resolveIn({ folder }: State, path: string): string | undefined {
  if (path.includes('$')) return undefined
  if (path.startsWith('/')) return posix.resolve(path)
  return folder === undefined ? undefined : posix.resolve(folder, path)
}

function addFolder({ folders }: State, folder: string): void {
  for (let at = folder; !folders.has(at); at = posix.dirname(at)) folders.add(at)
}

function flagsOf(rest: string): { readonly flags: readonly string[]; readonly words: string } {
  const [head = ''] = /^(?:--[a-z]+(?:=(?:"[^"]*"|'[^']*'|\S)*)?\s+)*/.exec(rest) ?? []
  return { flags: head.trim() === '' ? [] : head.trim().split(/\s+(?=--)/), words: rest.slice(head.length) }
}

function operandsOf(words: string): readonly string[] | undefined {
  if (!words.startsWith('[')) return words.split(/\s+/).map((word) => word.replace(/^(["'])(.*)\1$/, '$2'))
  return execForm(words)
}

function execForm(words: string): readonly string[] | undefined {
  try {
    const found: unknown = JSON.parse(words)
    return Array.isArray(found) && found.every((word) => typeof word === 'string') ? found : undefined
  } catch {
    return undefined
  }
}

function commandOf(words: string): string | undefined {
  if (!words.startsWith('[')) return words
  const exec = execForm(words)
  // Not JSON: then it is the shell's own [.
  if (exec === undefined) return words
  return exec.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ')
}

/** The lines of a RUN <<EOF; undefined where a program is given them. */
function scriptOf(words: string, hereDocuments: readonly string[]): string | undefined {
  const lines = hereDocuments.slice(0, -1)
  return /^\d*<<-?["']?\w+["']?$/.test(words.trim()) && !lines[0]?.startsWith('#!')
    ? lines.join('\n')
    : undefined
}

function knownFiles(state: State, context: Context): KnownFiles {
  return {
    has: (path) => state.files.has(path),
    below: (folder) => [...state.files.keys()].filter((path) => path.startsWith(slashed(folder))),
    text: async (path) => {
      const file = state.files.get(path)
      return file && context.text(file.path)
    },
  }
}

function slashed(folder: string): string {
  return folder === '/' ? '/' : `${folder}/`
}

/** Files that a source of COPY means, and for those in a folder that it means, where they are in there. */
function matches(source: string, paths: readonly string[]): readonly { path: string; below?: string }[] {
  const wanted = posix.resolve('/', source)
  const pattern = patternOf(wanted)
  return paths.flatMap((path) => {
    if (wanted === '/') return [{ path, below: path.slice(1) }]
    const depth = wanted.split('/').length
    const parts = path.split('/')
    if (!pattern.test(parts.slice(0, depth).join('/')) || parts.length < depth) return []
    return [parts.length === depth ? { path } : { path, below: parts.slice(depth).join('/') }]
  })
}

/** As Go's filepath.Match: no `*` passes a slash. */
function patternOf(glob: string): RegExp {
  const source = glob.replace(/\\(.)|\[(\^?)([^\]]*)\]|\*|\?|[.+^${}()|]/g, (whole, escaped, not, set) => {
    if (escaped !== undefined) return `\\${String(escaped)}`
    if (set !== undefined) return `[${String(not)}${String(set)}]`
    if (whole === '*') return '[^/]*'
    return whole === '?' ? '[^/]' : `\\${whole}`
  })
  return new RegExp(`^${source}$`)
}

/** Where a file goes; undefined where only the engine can know whether the target is a folder. */
function placeOf(
  path: string,
  below: string | undefined,
  source: string,
  written: string,
  target: string,
  single: string | undefined,
  { folders }: State,
): string | undefined {
  if (below !== undefined) return posix.join(target, below)
  const name = posix.basename(path)
  if (/(^|\/)\.?\.?$/.test(written) || single === undefined || folders.has(target))
    return posix.join(target, name)
  if (/[*?[]/.test(source)) return undefined
  return posix.extname(target) !== '' && posix.extname(target) === posix.extname(name) ? target : undefined
}
