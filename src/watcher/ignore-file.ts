import { readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'

/** What a .dockerignore says about the paths below its folder. Paths have `/` and no leading `./`. */
interface IgnoreRules {
  ignores(path: string): boolean
  /** True when nothing below `path` can be kept. */
  skipsFolder(path: string): boolean
}

/** Reads the text of a .dockerignore; throws when it cannot be understood. */
export type ParseIgnoreFile = (text: string, file: string) => IgnoreRules

export const IGNORE_FILE = '.dockerignore'

/** At the top of a handler folder they belong to the tools, and go into no image. */
const NOT_HANDLER: ReadonlySet<string> = new Set(['build', 'template'])
/** At the top of a build context they count whatever the rules say. */
const ALWAYS: ReadonlySet<string> = new Set(['Dockerfile', IGNORE_FILE])

/** Whether what is at a path below a handler folder can change what is built from it. Without rules that can be read, all can. */
export function wantedBelow(
  handler: string,
  parse: ParseIgnoreFile,
): (path: string, isFolder: boolean) => boolean {
  const rules = readRules(join(handler, IGNORE_FILE), parse)
  return (path, isFolder) => {
    const below = relative(handler, path).split(sep).join('/')
    if (below === '' || ALWAYS.has(below)) return true
    if (NOT_HANDLER.has(below.split('/', 1)[0] ?? '')) return false
    return rules === undefined || !(isFolder ? rules.skipsFolder(below) : rules.ignores(below))
  }
}

/** It is small, and read when a watch begins and when it changed. What is wrong with it is the build's to tell. */
function readRules(file: string, parse: ParseIgnoreFile): IgnoreRules | undefined {
  try {
    return parse(readFileSync(file, 'utf8'), file)
  } catch {
    return undefined
  }
}
