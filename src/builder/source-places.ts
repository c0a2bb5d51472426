import { statSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { FunctionSource } from '../core/builder.ts'

/** Where templates put the handler folder, and what compilers that run in it call it. */
const INSIDE = String.raw`(?:(?:file:\/\/)?\/(?:home\/app|go\/src\/handler)\/function\/|\/code\/|(?:\.\/)?function\/|\.\/)`

/** A path with a line: `x.js:4`, `x.ts(4,1)`, `File "x.py", line 4`, `x.sh: line 4`. */
const PLACE = new RegExp(
  String.raw`(?<![\w./@-])${INSIDE}?([\w@+][\w@.+/-]*\.\w+)(?=:\d|\(\d+,|", line \d|: line \d)`,
  'g',
)

/**
 * Makes paths inside an image the developer's own, relative to the stack file, so that an editor can jump there:
 * `/home/app/function/handler.js:4` is `hello/handler.js:4`. Only paths with a line, and only of files that are there.
 */
export function makePlaces({ root, handler, copy }: FunctionSource): (line: string) => string {
  const ownPath = (inside: string): string | undefined => {
    const isCopied = copy.some((path) =>
      inside.startsWith(`${path.replace(/^\.\//, '').replace(/\/$/, '')}/`),
    )
    const own = [join(handler, inside), ...(isCopied ? [join(root, inside)] : [])].find(isFile)
    return own && relative(root, own)
  }
  return (line) => line.replace(PLACE, (whole, inside: string) => ownPath(inside) ?? whole)
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}
