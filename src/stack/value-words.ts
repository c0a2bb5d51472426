import { isValueList, isValueMap } from './yaml-tree.ts'
import type { Path, Value } from './yaml-tree.ts'

/** How a place in a file is called: `limits.memory of m-search`, `function m-search`, `provider.name`. */
export function wordsForPath(path: Path): string {
  if (path.length === 0) return 'the file'
  const [top, name, ...rest] = path
  if (top !== 'functions' || name === undefined) return dotted(path)
  return rest.length === 0 ? `function ${String(name)}` : `${dotted(rest)} of ${String(name)}`
}

function dotted(path: Path): string {
  return path.reduce<string>((words, step) => {
    if (typeof step === 'number') return `${words}[${step}]`
    return words === '' ? String(step) : `${words}.${String(step)}`
  }, '')
}

/** How a value is called: its text, or what it is. */
export function wordsForValue(value: Value): string {
  if (value === null) return 'empty'
  if (isValueList(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (isValueMap(value)) return Object.keys(value).length === 0 ? 'empty' : 'a map'
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 79)}…` : value)
}

/** The value that a path leads to. */
export function valueAt(root: Value | undefined, path: Path): Value | undefined {
  let value = root
  for (const step of path) {
    if (isValueMap(value) && Object.hasOwn(value, step)) value = value[String(step)]
    else if (isValueList(value)) value = value[Number(step)]
    else return undefined
  }
  return value
}
