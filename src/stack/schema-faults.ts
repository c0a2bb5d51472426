import type { z } from 'zod'
import { nearest } from '../core/nearest.ts'
import type { Fault } from './substitute.ts'
import { valueAt, wordsForPath, wordsForValue } from './value-words.ts'
import { isValueMap } from './yaml-tree.ts'
import type { Path, Tree, Value } from './yaml-tree.ts'

export interface Checked<File> {
  /** Present when there are no faults. */
  readonly content?: File
  readonly faults: readonly Fault[]
  /** True for a field that is absent under its own name but there under a misspelt one, which is reported already. */
  readonly isMisspelt: (path: Path) => boolean
}

/** Checks a file against its schema. Every issue becomes a fault with its place, in the words of the file. */
export function checkAgainstSchema<Schema extends z.ZodType>(
  schema: Schema,
  tree: Tree,
): Checked<z.output<Schema>> {
  const result = schema.safeParse(withoutOwnFields(tree.root))
  if (result.success) return { content: result.data, faults: [], isMisspelt: () => false }
  const unknown = result.error.issues.flatMap((issue) => unknownFields(issue))
  const misspelt = new Set(unknown.map(({ path, meant }) => pathKey([...path, meant ?? ''])))
  const isMisspelt = (path: Path): boolean => misspelt.has(pathKey(path))
  const others = result.error.issues.filter((issue) => issue.code !== 'unrecognized_keys')
  const wrong = others.flatMap((issue) => wrongValue(issue, tree, isMisspelt))
  return { faults: [...unknown.map((field) => unknownFault(field, tree)), ...wrong], isMisspelt }
}

/** Top-level fields `x-…` belong to the user: a place for anchors. */
function withoutOwnFields(root: Value): Value {
  if (!isValueMap(root)) return root
  return Object.fromEntries(Object.entries(root).filter(([name]) => !name.startsWith('x-')))
}

interface UnknownField {
  readonly path: Path
  readonly name: string
  readonly known: string
  readonly meant: string | undefined
}

function unknownFields(issue: z.core.$ZodIssue): UnknownField[] {
  if (issue.code !== 'unrecognized_keys') return []
  const known = issue.message.split(', ')
  return issue.keys.map((name) => ({
    path: issue.path,
    name,
    known: issue.message,
    meant: nearest(name, known)[0],
  }))
}

function unknownFault({ path, name, known, meant }: UnknownField, tree: Tree): Fault {
  const where = path.length === 0 ? '' : ` in ${wordsForPath(path)}`
  return {
    place: tree.keyPlace([...path, name]),
    message: `unknown field ${JSON.stringify(name)}${where}`,
    accepted: known,
    ...(meant === undefined ? {} : { suggestion: meant }),
  }
}

function wrongValue(issue: z.core.$ZodIssue, tree: Tree, isMisspelt: (path: Path) => boolean): Fault[] {
  const { path } = issue
  const value = valueAt(tree.root, path)
  const accepted = issue.message
  if (value !== undefined && value !== null) {
    // A file that is no map at all may be a .env file full of passwords: not repeated here.
    const words = path.length === 0 && typeof value === 'string' ? 'a text' : wordsForValue(value)
    return [{ place: tree.place(path), message: `${wordsForPath(path)} is ${words}`, accepted }]
  }
  if (isMisspelt(path)) return []
  const state = value === undefined ? 'missing' : 'empty'
  return [{ place: tree.keyPlace(path), message: `${wordsForPath(path)} is ${state}`, accepted }]
}

function pathKey(path: Path): string {
  return JSON.stringify(path.map(String))
}
