import type { Code, CodeFile, SourcePlace } from '../core/code.ts'
import type { Problem } from '../core/function.ts'
import { codeFrame } from './code-frame.ts'

/** The bytes of a file of the project, absolute; undefined when it cannot be read. */
export type ReadSource = (file: string, signal: AbortSignal) => Promise<Uint8Array | undefined>

interface Setting {
  /** Folder that paths are shown relative to. */
  readonly root: string
  readonly readSource: ReadSource
}

interface Found {
  readonly place: SourcePlace
  /** Absolute. */
  readonly source: string
  readonly file: CodeFile | undefined
}

/** `m-search/handler.js:12:3`, `/home/app/function/handler.js:12`; `handler.sh: line 12`; `File "handler.py", line 12`. */
const PLACE =
  /(?<![\w:/.@-])((?:\.?\/)?(?:[\w@+.-]+\/)*[\w@+.-]+\.\w+):(?: line )?(\d+)(?::(\d+))?|File "([^"]+)", line (\d+)/g
/** In so much of what was said. */
const LOOKED_AT = 20_000

/**
 * The same problem with the place in the developer's source that it is about, as a path relative to `root`, and the lines
 * around it. As it was given where nothing in it names a place of theirs.
 */
export async function sourceProblem(
  problem: Problem,
  code: Code | undefined,
  { root, readSource }: Setting,
  signal: AbortSignal,
): Promise<Problem> {
  const folder = root.replace(/[\\/]$/, '')
  const given = problem.place && find(problem.place, code, folder)
  const named = (): Found[] => placesIn(problem.message).map((place) => find(place, code, folder))
  // Of a build it is the step that failed: what that said of the code is nearer.
  const found = problem.code === 'BUILD_FAILED' ? [...named(), given] : [given ?? named()].flat()
  for (const one of found) {
    if (!one) continue
    const { place, source, file } = one
    const isGiven = one === given
    // What was looked at, even if it has been written again since; else what is there now.
    const bytes =
      (await file?.read(signal).catch(() => undefined)) ??
      (isGiven || isBelow(source, folder)
        ? await readSource(source, signal).catch(() => undefined)
        : undefined)
    if (!bytes && !isGiven) continue
    const frame = bytes && codeFrame(new TextDecoder().decode(bytes), place)
    const shown = isBelow(source, folder) ? source.slice(folder.length + 1).replaceAll('\\', '/') : source
    return { ...problem, place: { ...place, file: shown }, ...(frame !== undefined && { frame }) }
  }
  return problem
}

/** The likeliest first: where a Python traceback is, its last frame; else in the order in which they are named. */
function placesIn(message: string): SourcePlace[] {
  const places: SourcePlace[] = []
  const frames: SourcePlace[] = []
  for (const [, file, line, column, python, row] of message.slice(0, LOOKED_AT).matchAll(PLACE))
    if (python !== undefined) frames.unshift({ file: python, line: Number(row) })
    else if (file !== undefined)
      places.push({ file, line: Number(line), ...(column !== undefined && { column: Number(column) }) })
  return [...frames, ...places]
}

/** A place as the image, the handler folder or the project names it. */
function find(place: SourcePlace, code: Code | undefined, folder: string): Found {
  const path = place.file.replace(/^\.\//, '')
  const inside = code && path.startsWith(`${code.folder}/`) ? path.slice(code.folder.length + 1) : path
  const source = isAbsolute(path) ? path : `${folder}/${path}`
  const file =
    code?.files.get(inside) ?? [...(code?.files.values() ?? [])].find((one) => isSameFile(one.source, source))
  return { place, source: file?.source ?? source, file }
}

function isAbsolute(file: string): boolean {
  return /^([\\/]|[a-zA-Z]:[\\/])/.test(file)
}

function isBelow(file: string, folder: string): boolean {
  return file.startsWith(`${folder}/`) || file.startsWith(`${folder}\\`)
}

function isSameFile(a: string, b: string): boolean {
  return a.replaceAll('\\', '/') === b.replaceAll('\\', '/')
}
