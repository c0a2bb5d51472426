import { globExpression } from './glob.ts'

/** What `${X` and a form after it make of the value of X. Undefined when the form cannot be applied to it. */
type Form = (value: string, ...args: string[]) => string | undefined

/**
 * The forms of a substitution by their operators, as faas-cli's substitution has them (contract 5.2). All of `:=`,
 * `:-`, `:?`, `:+` and `=` give a default there; that differs from a shell. So does counting in bytes.
 */
export const FORMS: Readonly<Record<string, Form>> = {
  '=': orDefault,
  ':=': orDefault,
  ':-': orDefault,
  ':?': orDefault,
  ':+': orDefault,
  ':': substring,
  ',': (value) => firstCharacter(value, lower),
  ',,': lower,
  '^': (value) => firstCharacter(value, upper),
  '^^': upper,
  '#': (value, pattern = '') => trimPrefix(value, pattern, 'shortest'),
  '##': (value, pattern = '') => trimPrefix(value, pattern, 'longest'),
  '%': (value, pattern = '') => trimSuffix(value, pattern, 'shortest'),
  '%%': (value, pattern = '') => trimSuffix(value, pattern, 'longest'),
  '/': (value, text = '', by = '') => value.replace(text, () => by),
  '//': replaceAll,
  // Without a replacement (`${X/#a/}`) these two leave the value alone, unlike `/` and `//`.
  '/#': (value, ...[text = '', by]) =>
    by !== undefined && value.startsWith(text) ? by + value.slice(text.length) : value,
  '/%': (value, ...[text = '', by]) =>
    by !== undefined && value.endsWith(text) ? value.slice(0, value.length - text.length) + by : value,
}

/** Length in bytes. */
export function byteLength(value: string): string {
  return String(Buffer.byteLength(value))
}

function orDefault(value: string, ...args: string[]): string {
  return value === '' ? args.join('') : value
}

/** Undefined when the part would run backwards or begin or end inside a character. */
function substring(value: string, position = '', length?: string): string | undefined {
  const bytes = Buffer.from(value)
  const wantedStart = wholeNumber(position)
  const wantedLength = length === undefined ? bytes.length : wholeNumber(length)
  if (wantedStart === undefined || wantedLength === undefined) return value
  const start = wantedStart < 0 ? Math.max(0, bytes.length + wantedStart) : wantedStart
  const end = start + wantedLength
  if (end >= bytes.length) return utf8(bytes.subarray(start))
  return end < start ? undefined : utf8(bytes.subarray(start, end))
}

function wholeNumber(text: string): number | undefined {
  return /^[+-]?[0-9]+$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : undefined
}

function utf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

function lower(text: string): string {
  return eachCharacter(text, (character) => character.toLowerCase())
}

function upper(text: string): string {
  return eachCharacter(text, (character) => character.toUpperCase())
}

/** Changes character by character: one that would become several (ß) stays, as in Go. */
function eachCharacter(text: string, change: (character: string) => string): string {
  return Array.from(text, (character) => {
    const changed = change(character)
    return Array.from(changed).length === 1 ? changed : character
  }).join('')
}

function firstCharacter(text: string, change: (text: string) => string): string {
  const [first = ''] = text
  return change(first) + text.slice(first.length)
}

function replaceAll(value: string, text = '', by = ''): string {
  if (text !== '') return value.split(text).join(by)
  return by + Array.from(value, (character) => character + by).join('')
}

/** Takes away the shortest or longest beginning that matches; a match is at least one character. */
function trimPrefix(value: string, pattern: string, which: 'shortest' | 'longest'): string {
  const expression = globExpression(pattern)
  if (!expression) return value
  const characters = Array.from(value)
  const lengths = characters.map((_, index) => index + 1)
  if (which === 'longest') lengths.reverse()
  const length = lengths.find((count) => expression.test(characters.slice(0, count).join('')))
  return characters.slice(length ?? 0).join('')
}

/** Turns value and pattern around, as faas-cli's substitution does: a class such as `[ab]` does not work here. */
function trimSuffix(value: string, pattern: string, which: 'shortest' | 'longest'): string {
  return reversed(trimPrefix(reversed(value), reversed(pattern), which))
}

function reversed(text: string): string {
  return Array.from(text).reverse().join('')
}
