/** One line of a container's output. */
export interface RawLine {
  /** RFC 3339 with nine decimals, in UTC: the order of these texts is the order of the moments. */
  readonly timestamp: string
  /** Standard output (1) or error (2). Each of them is in order; together they are almost. */
  readonly source: number
  /** Without its end of line. */
  readonly text: string
  /** Counts the further pieces of a line that was too long, from 1. */
  readonly piece?: number
}

/** Longest line that is kept whole; longer ones come in pieces (pitfall 7), so that memory stays bounded. */
const MAX_LINE_BYTES = 2 ** 20
/** Docker's frame around each piece of output: stream type, three zero bytes, length. */
const FRAME_HEADER_BYTES = 8
/**
 * The stream type of what the engine itself has to say, without a time: `Error grabbing logs: open …: no such file`, of a
 * container that is being removed. No output of the container's.
 */
const ENGINES_OWN = 3
/** What engines cut long lines into. */
const PIECE_SIZES = new Set([16_384, 8192])
const NEWLINE = 10
const SPACE = 32
const EMPTY = Buffer.alloc(0)

interface OpenLine {
  readonly timestamp: string
  readonly pieces: Buffer[]
  /** Of each piece but the last. */
  readonly pieceSize: number
  size: number
  /** Pieces that were given out already. */
  given: number
}

/** Cuts the engine's stream of frames into lines. A line longer than 16 KiB comes in several frames. */
export class LogFrames {
  #rest: Buffer = EMPTY
  readonly #open = new Map<number, OpenLine>()

  /** The lines that `chunk` completes. */
  push(chunk: Buffer): RawLine[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const lines: RawLine[] = []
    let at = 0
    while (bytes.length - at >= FRAME_HEADER_BYTES) {
      const end = at + FRAME_HEADER_BYTES + bytes.readUInt32BE(at + 4)
      if (bytes.length < end) break
      const source = bytes[at] ?? 0
      const line =
        source === ENGINES_OWN ? undefined : this.#take(source, bytes, at + FRAME_HEADER_BYTES, end)
      if (line) lines.push(line)
      at = end
    }
    this.#rest = at === bytes.length ? EMPTY : bytes.subarray(at)
    return lines
  }

  /** What was written without an end of line, when nothing more comes. */
  end(): RawLine[] {
    const lines = [...this.#open].flatMap(([source, line]) => (line.size > 0 ? [finish(source, line)] : []))
    this.#open.clear()
    return lines
  }

  #take(source: number, bytes: Buffer, start: number, end: number): RawLine | undefined {
    const space = bytes.indexOf(SPACE, start)
    const size = end - space - 1
    const open = this.#open.get(source)
    // The `local` log driver loses the end of line of whatever came in pieces: there, a piece that is not full is the last.
    const isWhole = bytes[end - 1] === NEWLINE || size !== (open?.pieceSize ?? fullSize(size))
    if (!open && isWhole) {
      const text = bytes.toString('utf8', space + 1, end)
      return { timestamp: bytes.toString('latin1', start, space), source, text: withoutEnd(text) }
    }
    // Each piece has a time before it; the first one is the line's.
    const line = open ?? {
      timestamp: bytes.toString('latin1', start, space),
      pieces: [],
      pieceSize: size,
      size: 0,
      given: 0,
    }
    // A copy: a piece must not keep the whole chunk that it came in.
    line.pieces.push(Buffer.from(bytes.subarray(space + 1, end)))
    line.size += size
    if (isWhole) this.#open.delete(source)
    else this.#open.set(source, line)
    // A line that was as long as a piece of one may be: what is left of it is its end, and nothing more.
    if (isWhole && line.given > 0 && line.pieces.length === 1 && isEndOfLine(bytes, space + 1, end))
      return undefined
    return isWhole || line.size >= MAX_LINE_BYTES ? finish(source, line) : undefined
  }
}

/** How long the first piece of a line in several has to be: in Docker, in Podman. Undefined for what is no such piece. */
function fullSize(size: number): number | undefined {
  return PIECE_SIZES.has(size) ? size : undefined
}

/** The text so far; what comes after it begins anew. Pieces are joined before they are decoded: they cut characters. */
function finish(source: number, line: OpenLine): RawLine {
  const text = Buffer.concat(line.pieces.splice(0)).toString('utf8')
  const piece = line.given++
  line.size = 0
  return { timestamp: line.timestamp, source, text: withoutEnd(text), ...(piece > 0 && { piece }) }
}

function isEndOfLine(bytes: Buffer, start: number, end: number): boolean {
  return start === end || (end - start === 1 && bytes[start] === NEWLINE)
}

function withoutEnd(text: string): string {
  if (!text.endsWith('\n')) return text
  return text.slice(0, text.endsWith('\r\n') ? -2 : -1)
}
