import { isUtf8 } from 'node:buffer'
import type { StackMistake } from './mistakes.ts'
import type { SourceMap } from './source-map.ts'
import { leaveAsIs, substitute } from './substitute.ts'
import type { Environment, Fault } from './substitute.ts'

/** A file as it was written, and as YAML sees it after substitution. */
export interface SourceText {
  /** What YAML is read from. Places in it are what `mistake` takes. */
  readonly text: string
  /** Mistakes of reading and substituting the text itself. */
  readonly mistakes: readonly StackMistake[]
  /** Leads a fault in `text` back to its line in the file. */
  readonly mistake: (fault: Fault) => StackMistake
}

/** Decodes a file and, unless `env` is undefined, substitutes variables. Never throws. */
export function readSourceText(file: string, bytes: Uint8Array, env: Environment | undefined): SourceText {
  const original = new TextDecoder().decode(bytes)
  const substituted = env ? substitute(original, env) : leaveAsIs(original)
  const starts = lineStarts(original)
  const inOriginal = (fault: Fault): StackMistake => mistakeAt(file, original, starts, fault)
  return {
    text: substituted.text,
    mistakes: [...encodingFaults(original, bytes), ...substituted.faults].map(inOriginal),
    mistake: (fault) => inOriginal(originally(fault, substituted.map)),
  }
}

function originally(fault: Fault, map: SourceMap): Fault {
  const place = map.original(fault.place)
  return fault.earlier ? { ...fault, place, earlier: map.original(fault.earlier) } : { ...fault, place }
}

function encodingFaults(original: string, bytes: Uint8Array): Fault[] {
  const at = original.indexOf('\uFFFD')
  if (at < 0 || isUtf8(bytes)) return []
  return [{ place: { start: at, end: at + 1 }, message: 'this is not UTF-8 text', accepted: 'UTF-8' }]
}

function lineStarts(text: string): number[] {
  const starts = [0]
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return starts
}

function mistakeAt(file: string, text: string, starts: readonly number[], fault: Fault): StackMistake {
  const { place, earlier, ...rest } = fault
  const at = position(text, starts, place.start)
  const lineStart = starts[at.line - 1] ?? 0
  const source = text.slice(lineStart, (starts[at.line] ?? text.length + 1) - 1).replace(/\r$/, '')
  const column = Math.min(at.column, source.length + 1)
  const length = Math.max(1, Math.min(place.end - lineStart, source.length) - column + 1)
  const first = earlier && { earlier: position(text, starts, earlier.start) }
  return { file, line: at.line, column, ...rest, ...first, source, length }
}

/** Line and column, from 1. */
function position(text: string, starts: readonly number[], offset: number): { line: number; column: number } {
  let line = starts.findLastIndex((start) => start <= offset)
  // A place behind the last newline is nowhere to look at: take the end of the last line instead.
  if (line > 0 && starts[line] === text.length) line -= 1
  return { line: line + 1, column: offset - (starts[line] ?? 0) + 1 }
}
