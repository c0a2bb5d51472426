import { FaasError } from '../core/errors.ts'

/** One thing that is wrong in a stack file, or in an environment file that it names. Lines and columns count from 1. */
export interface StackMistake {
  /** Absolute path, or the address of the stack file. */
  readonly file: string
  readonly line: number
  readonly column: number
  /** What is wrong, with the value. */
  readonly message: string
  readonly accepted?: string
  /** What was probably meant. */
  readonly suggestion?: string
  /** Where the same thing stands already, in the same file. */
  readonly earlier?: { readonly line: number; readonly column: number }
  /** The line as it stands in the file. */
  readonly source: string
  /** How many characters of the line, from the column on, are meant. At least 1. */
  readonly length: number
}

/** BAD_STACK with every mistake of the file, in the order of the files and lines. */
export class StackError extends FaasError {
  readonly mistakes: readonly StackMistake[]
  /** Files that may cure it when they change. Absolute. */
  readonly inputs: readonly string[]

  constructor(shownFile: string, mistakes: readonly StackMistake[], inputs: readonly string[], cwd: string) {
    const count = mistakes.length === 1 ? '1 mistake' : `${mistakes.length} mistakes`
    const blocks = mistakes.map((mistake) => renderMistake(mistake, cwd))
    super('BAD_STACK', {
      message: [`${shownFile} has ${count}`, ...blocks].join('\n\n'),
      remedy: 'Correct the file. Until then nothing of it is built or deployed, and what runs keeps running.',
    })
    this.mistakes = mistakes
    this.inputs = inputs
  }
}

/** The mistake as people read it: where and what, the line with a caret under the value, what is accepted. */
export function renderMistake(mistake: StackMistake, cwd: string): string {
  const { line, column, message, accepted, suggestion, earlier } = mistake
  const file = shownPath(mistake.file, cwd)
  const number = String(line)
  const margin = ' '.repeat(number.length)
  const window = clip(mistake.source, column - 1, mistake.length)
  return [
    `${file}:${line}:${column}  ${message}${earlier ? `, first at ${file}:${earlier.line}:${earlier.column}` : ''}`,
    `  ${number} | ${window.text}`,
    `  ${margin} | ${blank(window.text.slice(0, window.start))}${'^'.repeat(Math.max(1, width(window.text.slice(window.start, window.end))))}`,
    ...(suggestion === undefined ? [] : [`  did you mean ${JSON.stringify(suggestion)}?`]),
    ...(accepted === undefined ? [] : [`  accepted: ${accepted}`]),
  ].join('\n')
}

/** Relative where the file is below `cwd`: short, and editors and terminals find it. */
export function shownPath(file: string, cwd: string): string {
  const folder = /[/\\]$/.test(cwd) ? cwd : cwd + (cwd.includes('\\') ? '\\' : '/')
  return file.startsWith(folder) ? file.slice(folder.length) : file
}

/** Longer lines are cut around the place: an annotation may hold a page of JSON. */
const MAX_WIDTH = 100

function clip(source: string, start: number, length: number): { text: string; start: number; end: number } {
  const end = Math.min(source.length, start + length)
  if (source.length <= MAX_WIDTH) return { text: source, start, end }
  const from = Math.max(0, Math.min(start - 20, source.length - MAX_WIDTH))
  const text = source.slice(from, from + MAX_WIDTH)
  const before = from > 0 ? '…' : ''
  const after = from + MAX_WIDTH < source.length ? '…' : ''
  const shift = before.length - from
  return {
    text: before + text + after,
    start: start + shift,
    end: Math.min(end + shift, before.length + text.length),
  }
}

/** As wide as `text` on a terminal, with nothing to see. Tabs stay, since nobody knows their width. */
function blank(text: string): string {
  return Array.from(text, (character) => (character === '\t' ? '\t' : ' '.repeat(width(character)))).join('')
}

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u

/** Columns on a terminal: Chinese, Japanese and Korean characters take two. */
function width(text: string): number {
  return Array.from(text).reduce((sum, character) => sum + (WIDE.test(character) ? 2 : 1), 0)
}
