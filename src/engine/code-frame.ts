import type { SourcePlace } from '../core/code.ts'

/** Lines shown before and after the one that is meant. */
const AROUND = 2
/** What fits on a terminal; a line of minified code is longer. */
const WIDTH = 160

/**
 * The lines around a place, for people; undefined where the text has no such line.
 *
 *     23 | module.exports = async (event) => {
 *   > 24 |   return { body: event.
 *        |                        ^
 */
export function codeFrame(text: string, { line, column }: SourcePlace): string | undefined {
  const lines = text.split(/\r\n|\r|\n/)
  // Where a file ends too early, the place is behind its last line.
  if (lines.at(-1) === '') lines.pop()
  if (line === undefined || lines.length === 0 || line < 1 || line > lines.length + 1) return undefined
  const at = Math.min(line, lines.length)
  const first = Math.max(1, at - AROUND)
  const last = Math.min(lines.length, at + AROUND)
  const width = String(last).length
  const shown: string[] = []
  for (let number = first; number <= last; number++) {
    const source = (lines[number - 1] ?? '').replaceAll('\t', '  ')
    const mark = number === at ? '>' : ' '
    shown.push(`${mark} ${String(number).padStart(width)} | ${cut(source)}`.trimEnd())
    if (number !== at || column === undefined || column < 1 || at !== line) continue
    const before = (lines[number - 1] ?? '').slice(0, column - 1).replaceAll('\t', '  ')
    if (before.length < WIDTH) shown.push(`  ${' '.repeat(width)} | ${' '.repeat(before.length)}^`)
  }
  return shown.join('\n')
}

function cut(text: string): string {
  return text.length <= WIDTH ? text : `${text.slice(0, WIDTH - 1)}…`
}
