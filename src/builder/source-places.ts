import { readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { FunctionSource } from '../core/builder.ts'
import { isDockerfileLang } from './template.ts'

/** Where templates put the handler folder, and what compilers that run in it call it. */
const INSIDE = String.raw`(?:(?:file:\/\/)?\/(?:home\/app|go\/src\/handler)\/function\/|\/code\/|(?:\.\/)?function\/|\.\/)`

/** A path with a line: `x.js:4`, `x.ts(4,1)`, `File "x.py", line 4`, `x.sh: line 4`. */
const PLACE = new RegExp(
  String.raw`(?<![\w./@-])${INSIDE}?([\w@+][\w@.+/-]*\.\w+)(?=:\d|\(\d+,|", line \d|: line \d)`,
  'g',
)

/** An absolute path with a line, in an image whose whole context is the handler folder. */
const ABSOLUTE =
  /(?<![\w./@:-])(?:file:\/\/)?(\/[\w@+.-]+(?:\/[\w@+.-]+)*\.\w+)(?=:\d|\(\d+,|", line \d|: line \d)/g
/** What our Node templates say of a manifest; Node tells where by the number of characters before it, or not at all. */
const NO_JSON = /^([\w@+.][\w@.+/-]*\.json)(?= is no JSON: (?:.* at position (\d+))?)/
/** What is there is no function's own. */
const OTHERS = /^\/(usr|lib\w*|opt|proc|sys|dev|etc)\/|\/(node_modules|site-packages|dist-packages|vendor)\//

/**
 * Makes paths inside an image the developer's own, relative to the stack file, so that an editor can jump there:
 * `/home/app/function/handler.js:4` is `hello/handler.js:4`. Only paths with a line, and only of files that are there.
 */
export function makePlaces({ root, handler, copy, lang }: FunctionSource): (line: string) => string {
  const ownPath = (inside: string): string | undefined => {
    const isCopied = copy.some((path) =>
      inside.startsWith(`${path.replace(/^\.\//, '').replace(/\/$/, '')}/`),
    )
    const own = [join(handler, inside), ...(isCopied ? [join(root, inside)] : [])].find(isFile)
    return own && relative(root, own)
  }
  // Where its Dockerfile puts the context is not known here: what is left of the path must be there.
  const anywhere = (whole: string, path: string): string => {
    if (OTHERS.test(path)) return whole
    const parts = path.split('/').slice(1)
    for (let from = 0; from < parts.length; from++) {
      const own = join(handler, ...parts.slice(from))
      if (isFile(own)) return relative(root, own)
    }
    return whole
  }
  const counted = (whole: string, inside: string, position?: string): string => {
    const own = ownPath(inside)
    if (own === undefined || position === undefined) return own ?? whole
    return `${own}:${lineAndColumn(join(root, own), Number(position))}`
  }
  return (line) => {
    const placed = line
      .replace(PLACE, (whole, inside: string) => ownPath(inside) ?? whole)
      .replace(NO_JSON, counted)
    return isDockerfileLang(lang) ? placed.replace(ABSOLUTE, anywhere) : placed
  }
}

function lineAndColumn(file: string, position: number): string {
  const before = readFileSync(file, 'utf8').slice(0, position).split('\n')
  return `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}
