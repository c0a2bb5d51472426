import createIgnore from '@balena/dockerignore'
import { FaasError } from '../core/errors.ts'

/** What a .dockerignore says about the paths below its folder. Paths have `/` and no leading `./`. */
export interface IgnoreRules {
  ignores(path: string): boolean
  /** True when nothing below `path` can be kept, so that it need not be read. */
  skipsFolder(path: string): boolean
}

/** Ignores nothing: for folders without a .dockerignore. */
export const NO_RULES: IgnoreRules = { ignores: () => false, skipsFolder: () => false }

/**
 * Reads the text of a .dockerignore with Docker's own matching: case counts, the last match wins, a match of a parent
 * is a match. BUILD_FAILED names `file` when a pattern cannot be read.
 */
export function parseDockerignore(text: string, file: string): IgnoreRules {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  try {
    // Patterns are compiled when they are first needed: now, while the file can still be named.
    for (const line of lines) rulesOf([line.replace(/^\s*!/, '')]).ignores('any')
    const rules = rulesOf(lines)
    // A `!pattern` may bring back something deep inside, so with one of those every folder has to be looked into.
    const hasExceptions = lines.some((line) => line.trim().startsWith('!'))
    return {
      ignores: (path) => rules.ignores(path),
      skipsFolder: (path) => !hasExceptions && rules.ignores(path),
    }
  } catch (error) {
    throw new FaasError('BUILD_FAILED', {
      message: `${file} has a pattern that cannot be read: ${(error as Error).message}`,
      remedy: 'Correct the pattern; Docker’s documentation of .dockerignore lists what is accepted.',
      cause: error,
    })
  }
}

/** Whether a path, or a folder that it is in, is one of `patterns`. */
export function makeMatcher(patterns: readonly string[]): (path: string) => boolean {
  if (patterns.length === 0) return () => false
  const rules = rulesOf([...patterns])
  return (path) => rules.ignores(path)
}

function rulesOf(lines: string[]) {
  return createIgnore.default({ ignorecase: false }).add(lines)
}

/**
 * The rules of a whole build context. As the Docker client does, the Dockerfile and the .dockerignore itself are always
 * sent: the engine needs them.
 */
export function contextRules(rules: IgnoreRules): IgnoreRules {
  const isNeeded = (path: string): boolean => path === 'Dockerfile' || path === '.dockerignore'
  return {
    ignores: (path) => !isNeeded(path) && rules.ignores(path),
    skipsFolder: (path) => !isNeeded(path) && rules.skipsFolder(path),
  }
}
