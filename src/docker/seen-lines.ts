import type { RawLine } from './log-frames.ts'

/**
 * How many of the latest lines are remembered, to tell a line that comes again from a clock that was set back. As many as
 * a log file of the engine has at most, because a busy engine gives a whole one again.
 */
const REMEMBERED = 131_072
/** A text this long that is the end of the line before it is a piece of it that comes again. */
const PIECE_LENGTH = 8192

interface Source {
  last: string
  /** The lines at that very moment. */
  lines: RawLine[]
  /** Times of the latest lines, oldest overwritten first. */
  readonly times: string[]
  next: number
  /** Lines up to `last` come once more. */
  repeats: boolean
}

/**
 * How far one container's output was read. The engine gives lines of a followed container twice when it begins a new
 * log file, and whoever reads on after a pause asks for more than is new: this takes out what was there before.
 */
export class SeenLines {
  readonly #sources = new Map<number, Source>()
  /** What is older was not asked for. */
  #first: string | undefined

  /** The time of the latest line; undefined before the first one. */
  get latest(): string | undefined {
    let latest: string | undefined
    for (const { last } of this.#sources.values()) if (latest === undefined || last > latest) latest = last
    return latest
  }

  /** What comes next is read from the line of `latest` on, or from before it: all of it was seen up to there. */
  again(): void {
    for (const source of this.#sources.values()) source.repeats = true
  }

  /** Those of the lines, in their order, that are new; remembers them. */
  fresh(lines: readonly RawLine[]): RawLine[] {
    return lines.filter((line) => this.#isFresh(line))
  }

  #isFresh(line: RawLine): boolean {
    const { source: number, timestamp } = line
    const source = this.#sources.get(number)
    if (!source) {
      if (this.#first !== undefined && timestamp < this.#first) return false
      this.#first ??= timestamp
      this.#sources.set(number, {
        last: timestamp,
        lines: [line],
        times: [timestamp],
        next: 1,
        repeats: false,
      })
      return true
    }
    if (timestamp > source.last) {
      source.repeats = false
      advance(source, line)
      return true
    }
    if (timestamp === source.last) {
      if (source.lines.some((known) => isSame(known, line))) return false
      source.lines.push(line)
      return true
    }
    if (source.repeats || source.times.includes(timestamp)) {
      source.repeats = true
      return false
    }
    // Never seen, and older: somebody set the clock back.
    advance(source, line)
    return true
  }
}

function advance(source: Source, line: RawLine): void {
  source.last = line.timestamp
  source.lines = [line]
  source.times[source.next % REMEMBERED] = line.timestamp
  source.next++
}

function isSame(known: RawLine, line: RawLine): boolean {
  if (known.piece !== line.piece) return false
  return known.text === line.text || (line.text.length >= PIECE_LENGTH && known.text.endsWith(line.text))
}
