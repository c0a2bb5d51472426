import { FaasError } from '../core/errors.ts'
import { nearest } from '../core/nearest.ts'

export interface Selection {
  /** A pattern of function names, with `*` for anything. */
  readonly filter?: string | undefined
  /** A regular expression that a part of the name has to match. */
  readonly regex?: string | undefined
}

/** Which names a selection takes; all when it is empty. Throws BAD_USAGE for both at once, or a broken expression. */
export function makeSelector({ filter, regex }: Selection): (name: string) => boolean {
  if (filter && regex)
    throw new FaasError('BAD_USAGE', {
      message: `--filter ${JSON.stringify(filter)} and --regex ${JSON.stringify(regex)} are given at once`,
      remedy: 'Give one of them.',
    })
  if (regex) {
    const expression = compile(regex)
    return (name) => expression.test(name)
  }
  if (!filter) return () => true
  const expression = new RegExp(`^${filter.split('*').map(escaped).join('.*')}$`, 's')
  return (name) => expression.test(name)
}

/** Throws BAD_USAGE when a selection takes none of the names of a file. */
export function checkSelected(
  selected: readonly string[],
  all: readonly string[],
  selection: Selection,
): void {
  if (selected.length > 0) return
  const { filter, regex } = selection
  const asked = filter ? `--filter ${JSON.stringify(filter)}` : `--regex ${JSON.stringify(regex ?? '')}`
  const [meant] = nearest((filter ?? regex ?? '').replaceAll('*', ''), all)
  throw new FaasError('BAD_USAGE', {
    message: `no function of the stack file matches ${asked}`,
    remedy: `${meant === undefined ? '' : `Did you mean ${JSON.stringify(meant)}? `}The functions are ${all.join(', ')}.`,
  })
}

function compile(regex: string): RegExp {
  try {
    return new RegExp(regex)
  } catch (cause) {
    throw new FaasError('BAD_USAGE', {
      message: `--regex ${JSON.stringify(regex)} is not a regular expression`,
      remedy: 'Give one such as "^m-" or "search$", or use --filter with a pattern such as "m-*".',
      cause,
    })
  }
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}
