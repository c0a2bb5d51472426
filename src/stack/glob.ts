/**
 * A shell pattern as an anchored regular expression: `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before a literal character.
 * `*` and `?` match slashes too, as in faas-cli. Undefined when the pattern is malformed.
 */
export function globExpression(pattern: string): RegExp | undefined {
  const parts = pattern.match(PART) ?? []
  if (parts.join('').length !== pattern.length) return undefined
  try {
    return new RegExp(`^${parts.map(expressionOf).join('')}$`, 'su')
  } catch {
    // A range that runs backwards, as in [z-a].
    return undefined
  }
}

/** Stars, one of anything, an escaped character, a class, or literal text. */
const PART = /\*+|\?|\\[^]|\[\^?(?:\\[^]|[^\]\\-])(?:\\[^]|[^\]\\])*\]|[^*?[\\]+/gu

function expressionOf(part: string): string {
  if (part.startsWith('*')) return '.*'
  if (part === '?') return '.'
  if (part.startsWith('\\')) return literal(part.slice(1))
  if (!part.startsWith('[')) return literal(part)
  const negated = part[1] === '^'
  const inside = part.slice(negated ? 2 : 1, -1)
  const members = inside.replace(/\\([^])|[^\\-]/gu, (member, escaped?: string) => literal(escaped ?? member))
  return `[${negated ? '^' : ''}${members}]`
}

/** Every character by its number: means itself wherever it stands in an expression. */
function literal(text: string): string {
  return Array.from(text, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`).join('')
}
