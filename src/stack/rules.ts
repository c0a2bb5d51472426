import { isDnsLabel } from '../core/function.ts'
import { isOn, LABEL_ACCEPTED } from './schema.ts'
import type { Fault } from './substitute.ts'
import { isValueList, isValueMap } from './yaml-tree.ts'
import type { Path, Tree, Value, ValueMap } from './yaml-tree.ts'

/** A function as it stands in the file, which may be full of mistakes. */
export interface WrittenFunction {
  readonly name: string
  readonly fields: ValueMap
}

/** The functions of a file, as far as they can be made out, in the order of the file. */
export function writtenFunctions(root: Value): WrittenFunction[] {
  const functions = isValueMap(root) ? root['functions'] : undefined
  if (!isValueMap(functions)) return []
  return Object.entries(functions).flatMap(([name, fields]) => (isValueMap(fields) ? [{ name, fields }] : []))
}

/** True for a function that is made here, not just deployed. */
export function isBuilt({ fields }: WrittenFunction): boolean {
  return textField(fields, 'lang') !== undefined && !isOn(textField(fields, 'skip_build'))
}

/** The text of a field; undefined when it is absent, empty or something else. */
export function textField(fields: ValueMap, name: string): string | undefined {
  const value = fields[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** The texts of a list, with their paths below `path`. */
export function textsOf(value: Value | undefined, path: Path): { text: string; path: Path }[] {
  if (!isValueList(value)) return []
  return value.flatMap((text, index) =>
    typeof text === 'string' && text !== '' ? [{ text, path: [...path, index] }] : [],
  )
}

/** Mistakes that no single field shows: names, and fields that need each other. */
export function ruleFaults(tree: Tree, isMisspelt: (path: Path) => boolean): Fault[] {
  return writtenFunctions(tree.root).flatMap((fn) => [
    ...nameFaults(fn, tree),
    ...sourceFaults(fn, tree, isMisspelt),
  ])
}

function nameFaults({ name }: WrittenFunction, tree: Tree): Fault[] {
  if (isDnsLabel(name)) return []
  const label = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
  return [
    {
      place: tree.keyPlace(['functions', name]),
      message: `function name ${JSON.stringify(name)} is not a DNS label`,
      accepted: LABEL_ACCEPTED,
      ...(isDnsLabel(label) ? { suggestion: label } : {}),
    },
  ]
}

function sourceFaults(fn: WrittenFunction, tree: Tree, isMisspelt: (path: Path) => boolean): Fault[] {
  const path = ['functions', fn.name]
  if (isOn(textField(fn.fields, 'skip_build'))) return []
  const absent = (field: string): boolean => (fn.fields[field] ?? '') === '' && !isMisspelt([...path, field])
  if (absent('lang') && textField(fn.fields, 'handler') !== undefined)
    return [
      {
        place: tree.keyPlace([...path, 'handler']),
        message: `function ${fn.name} has a handler but no "lang"`,
        accepted: '"lang" with the name of a template, e.g. node; or "skip_build: true"',
      },
    ]
  if (absent('handler') && textField(fn.fields, 'lang') !== undefined)
    return [
      {
        place: tree.keyPlace([...path, 'lang']),
        message: `function ${fn.name} has a "lang" but no handler`,
        accepted: `"handler" with the folder of the code, e.g. ./${fn.name}; or "skip_build: true"`,
      },
    ]
  return []
}
