import { FaasError } from '../core/errors.ts'

/** The record of repeated `KEY=VALUE` arguments; the last of a key wins, a value may hold `=`. BAD_USAGE. */
export function readKeyValues(pairs: readonly string[] | undefined, flag: string): Record<string, string> {
  return Object.fromEntries(readPairs(pairs, flag))
}

/** The same in order, with every value of a key that comes several times. BAD_USAGE. */
export function readPairs(pairs: readonly string[] | undefined, flag: string): [string, string][] {
  return (pairs ?? []).map((pair) => splitPair(pair, /=/, flag, 'KEY=VALUE'))
}

/** Headers of repeated `Name: value` or, as older faas-cli wrote it, `Name=value`. A name may come twice. BAD_USAGE. */
export function readHeaders(pairs: readonly string[] | undefined): Record<string, string[]> {
  const headers: Record<string, string[]> = {}
  for (const pair of pairs ?? []) {
    const [name, value] = splitPair(pair, /[:=]/, '--header', '"Name: value"')
    ;(headers[name.toLowerCase()] ??= []).push(value.trim())
  }
  return headers
}

function splitPair(pair: string, separator: RegExp, flag: string, form: string): [string, string] {
  const at = pair.search(separator)
  if (at > 0) return [pair.slice(0, at).trim(), pair.slice(at + 1)]
  throw new FaasError('BAD_USAGE', {
    message: `${flag} ${JSON.stringify(pair)} has no name and value`,
    remedy: `Write it as ${form}.`,
  })
}
