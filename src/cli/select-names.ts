import { FaasError } from '../core/errors.ts'
import { globExpression } from '../stack/glob.ts'
import type { GlobalFlags } from './global-flags.ts'

/** A test of names for `--filter` and `--regex`. BAD_USAGE when both are given or one cannot be read. */
export function nameTest({
  filter,
  regex,
}: Pick<GlobalFlags, 'filter' | 'regex'>): (name: string) => boolean {
  if (filter !== undefined && regex !== undefined)
    throw bad('--filter and --regex exclude each other', 'Give one of them.')
  if (filter !== undefined) {
    const expression = globExpression(filter)
    if (expression) return (name) => expression.test(name)
    throw bad(`--filter ${JSON.stringify(filter)} is no shell pattern`, 'Use *, ? and [a-z], e.g. "m-*".')
  }
  if (regex === undefined) return () => true
  try {
    const expression = new RegExp(regex)
    return (name) => expression.test(name)
  } catch (error) {
    throw bad(
      `--regex ${JSON.stringify(regex)}: ${(error as Error).message}`,
      'Correct it, or use --filter with *.',
    )
  }
}

function bad(message: string, remedy: string): FaasError {
  return new FaasError('BAD_USAGE', { message, remedy })
}
