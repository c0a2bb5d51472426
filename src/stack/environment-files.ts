import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { StackMistake } from './mistakes.ts'
import { missing } from './paths.ts'
import { textsOf } from './rules.ts'
import type { WrittenFunction } from './rules.ts'
import { checkAgainstSchema } from './schema-faults.ts'
import { environmentFileSchema } from './schema.ts'
import { readSourceText } from './source-text.ts'
import type { Fault } from './substitute.ts'
import type { Tree } from './yaml-tree.ts'
import { readTree } from './yaml-tree.ts'

export interface EnvironmentFiles {
  /** What the files say, by absolute path. */
  readonly values: ReadonlyMap<string, Readonly<Record<string, string>>>
  /** Absolute, also of those that are missing. */
  readonly paths: readonly string[]
  /** Files that are missing: mistakes of the stack file. */
  readonly faults: readonly Fault[]
  /** Mistakes inside the files. */
  readonly mistakes: readonly StackMistake[]
}

/** Reads every environment file that the functions name, once. No substitution happens in them, as in faas-cli. */
export async function readEnvironmentFiles(
  root: string,
  functions: readonly WrittenFunction[],
  tree: Tree,
): Promise<EnvironmentFiles> {
  const uses = functions.flatMap(({ name, fields }) =>
    textsOf(fields['environment_file'], ['functions', name, 'environment_file']),
  )
  const paths = [...new Set(uses.map(({ text }) => resolve(root, text)))]
  const read = new Map(
    await Promise.all(paths.map(async (path) => [path, await readEnvironmentFile(path)] as const)),
  )
  const faults = uses.map(async ({ text, path }) => {
    const problem = read.get(resolve(root, text))?.unreadable
    const accepted = `a YAML file with a map "environment"; relative paths start in ${root}`
    return problem === undefined ? [] : [await missing(tree, path, text, problem, accepted, root)]
  })
  return {
    values: new Map([...read].map(([path, file]) => [path, file.values])),
    paths,
    faults: (await Promise.all(faults)).flat(),
    mistakes: [...read.values()].flatMap((file) => file.mistakes),
  }
}

interface EnvironmentFile {
  readonly values: Readonly<Record<string, string>>
  readonly mistakes: readonly StackMistake[]
  /** Why there is nothing to read. */
  readonly unreadable?: string
}

async function readEnvironmentFile(path: string): Promise<EnvironmentFile> {
  const bytes = await readFile(path).catch(whyUnreadable)
  if (typeof bytes === 'string') return { values: {}, mistakes: [], unreadable: bytes }
  const source = readSourceText(path, bytes, undefined)
  const tree = readTree(source.text)
  const { faults, content } = checkEnvironment(tree)
  const values = Object.entries(content?.environment ?? {}).map(
    ([name, value]) => [name, value ?? ''] as const,
  )
  return { values: Object.fromEntries(values), mistakes: [...source.mistakes, ...faults.map(source.mistake)] }
}

function checkEnvironment(tree: Tree): Partial<
  ReturnType<typeof checkAgainstSchema<typeof environmentFileSchema>>
> & {
  faults: readonly Fault[]
} {
  if (tree.faults.length > 0) return { faults: tree.faults }
  if (tree.root !== null) return checkAgainstSchema(environmentFileSchema, tree)
  return {
    faults: [{ place: tree.place([]), message: 'the file is empty', accepted: 'a map "environment"' }],
  }
}

/** Why a file cannot be read, as the end of a sentence. */
function whyUnreadable(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? String(error)
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'which does not exist'
  if (code === 'EISDIR') return 'which is a folder, not a file'
  return `which cannot be read (${code})`
}
