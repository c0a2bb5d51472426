import { stripVTControlCharacters } from 'node:util'

const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' })
/** East Asian wide and full-width blocks, and emoji: two columns of a terminal. */
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u
const ESCAPE = /\u001b\[[0-9;?]*[A-Za-z]/y

/** Columns that `text` takes on a terminal; colour sequences take none. */
export function textWidth(text: string): number {
  const plain = stripVTControlCharacters(text)
  // Plain ASCII is nearly everything that is printed.
  if (/^[\x20-\x7e]*$/.test(plain)) return plain.length
  let width = 0
  for (const { segment } of segmenter.segment(plain)) width += WIDE.test(segment) ? 2 : 1
  return width
}

/** `text` filled with spaces on the right up to `width` columns. */
export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - textWidth(text)))
}

/** `text` on one line of at most `width` columns, with `…` for what was cut. Colours are kept and closed. */
export function fit(text: string, width: number): string {
  const line = text.replace(/[\r\n\t]+/g, ' ')
  if (textWidth(line) <= width) return line
  let out = ''
  let used = 0
  let coloured = false
  for (let at = 0; at < line.length;) {
    ESCAPE.lastIndex = at
    const escape = ESCAPE.exec(line)?.[0]
    if (escape !== undefined) {
      out += escape
      coloured = true
      at += escape.length
      continue
    }
    const segment = firstGrapheme(line, at)
    const columns = WIDE.test(segment) ? 2 : 1
    if (used + columns > width - 1) break
    out += segment
    used += columns
    at += segment.length
  }
  return width <= 0 ? '' : `${out}…${coloured ? '\u001b[0m' : ''}`
}

function firstGrapheme(text: string, at: number): string {
  // Graphemes of interest are short; a window keeps long lines linear.
  for (const { segment } of segmenter.segment(text.slice(at, at + 32))) return segment
  return ''
}

/** Lines of a text whose items stand apart by two spaces, broken between items only. */
export function wrapItems(text: string, width: number): string[] {
  const lines: string[] = []
  for (const item of text.split('  ')) {
    const longer = `${lines.at(-1) ?? ''}  ${item}`
    if (lines.length > 0 && textWidth(longer) <= width) lines[lines.length - 1] = longer
    else lines.push(item)
  }
  return lines
}
