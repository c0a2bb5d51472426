import { isAbsolute, relative } from 'node:path'
import { FaasError } from '../core/errors.ts'
import { instructions } from './dockerfile.ts'

/** A Dockerfile as it is on disk. */
export interface WrittenDockerfile {
  /** Absolute. */
  readonly file: string
  readonly text: string
}

/**
 * The same failure of a build with its place in the Dockerfile, where that is one of the project below `root` and the failure
 * names one of its instructions.
 */
export function atDockerfile(error: unknown, { file, text }: WrittenDockerfile, root: string): unknown {
  if (!(error instanceof FaasError) || error.code !== 'BUILD_FAILED' || error.place) return error
  const way = relative(root, file)
  if (way.startsWith('..') || isAbsolute(way)) return error
  const line = failedLine(error.message, text)
  if (line === undefined) return error
  const { message, remedy, cause } = error
  return new FaasError(error.code, { message, remedy, cause, place: { file, line } })
}

/** From 1. Undefined where no instruction is named, or several are written like the one that is. */
function failedLine(message: string, text: string): number | undefined {
  const [, unknown] = /unknown instruction: (\S+)/i.exec(message) ?? []
  const [, title] = /^Step .*?\d+\/\d+ : (.*?)(?: ended with exit code \d+)?$/m.exec(message) ?? []
  const found = instructions(text).filter(({ keyword, rest }) => {
    if (unknown !== undefined) return keyword === unknown.toUpperCase()
    const written = asTold(`${keyword} ${rest}`)
    return title?.endsWith('…') === true ? written.startsWith(title.slice(0, -1)) : written === title
  })
  return found.length === 1 ? (found[0]?.line ?? 0) + 1 : undefined
}

/** As builders title a step: on one line, without its mounts. */
function asTold(instruction: string): string {
  return instruction
    .replace(/\s--mount=\S+/g, '')
    .replace(/\s+/g, ' ')
    .trim()
}
