import type { FunctionSpec } from '../core/function.ts'
import { functionUrl } from './deploy-functions.ts'
import { shellWord } from './shell-word.ts'

/**
 * Annotation of a function that says how to try it: path and query behind the function's address, as a person writes
 * them (`?q=中文`). Guessing would mean to call people's functions unasked.
 */
const EXAMPLE_ANNOTATION = 'com.faasdock.example'

/** The command to paste: for the first function that says an example, else for the first. Undefined without functions. */
export function curlLine(gateway: string, specs: readonly FunctionSpec[]): string | undefined {
  const spec = specs.find((one) => one.annotations[EXAMPLE_ANNOTATION] !== undefined) ?? specs[0]
  if (!spec) return undefined
  // URL encodes what must not stand in an address as it is: spaces, quotes, letters beyond ASCII.
  const { href } = new URL(`${functionUrl(gateway, spec)}${spec.annotations[EXAMPLE_ANNOTATION] ?? ''}`)
  return `curl ${shellWord(href)}`
}
