import type { RawLine } from '../../docker/log-frames.ts'
import { momentText } from './log-archive.ts'

/** What a watchdog says when a line was longer than its buffer; afterwards it says nothing more (pitfall 7). */
const TOO_LONG = 'token too long'

/** Makes lines of the platform's words, each with a time of its own, so that none is taken for another. */
export function makePlatformLines(): (words: string) => RawLine[] {
  let last = ''
  return (words) =>
    words
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((text) => {
        const now = momentText(new Date())
        last = now > last ? now : after(last)
        return { timestamp: last, source: 0, text }
      })
}

/** A nanosecond later; no more than a million of them fit, which no failure has. */
function after(timestamp: string): string {
  const fraction = String(Number(timestamp.slice(20, 29)) + 1).padStart(9, '0')
  return `${timestamp.slice(0, 20)}${fraction}Z`
}

/** The lines, and after each that says how a watchdog lost its voice, what to do about it. */
export function withHints(lines: readonly RawLine[]): readonly RawLine[] {
  if (!lines.some(({ text }) => text.includes(TOO_LONG))) return lines
  return lines.flatMap((line) => (line.text.includes(TOO_LONG) ? [line, hint(line.timestamp)] : [line]))
}

function hint(timestamp: string): RawLine {
  return {
    timestamp,
    source: 0,
    text: 'warning: a line was longer than the watchdog’s buffer; this replica logs nothing more, and may block. Set log_buffer_size in the function’s environment to more bytes than its longest line has (faasdock sets 4194304 where it is not set), and deploy again.',
  }
}
