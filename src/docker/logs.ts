import { Readable } from 'node:stream'
import type { LogLine, LogQuery } from '../core/provider.ts'
import type { FunctionRef } from '../core/function.ts'
import type { Engine } from './client.ts'
import { engineFailure, isMissing } from './errors.ts'

/** Longest line that is kept whole; longer ones come in pieces (pitfall 7), so that memory stays bounded. */
const MAX_LINE_BYTES = 256 * 1024
/** Docker's frame around each piece of output: stream type, three zero bytes, length. */
const FRAME_HEADER_BYTES = 8
const NEWLINE = 10

/** Lines of one container, oldest first. Ends with the container's output, or at `signal`. */
export async function* containerLogs(
  engine: Engine,
  id: string,
  ref: FunctionRef,
  query: Pick<LogQuery, 'tail' | 'since' | 'follow'>,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  const stream = await openLogs(engine, id, query)
  if (stream === undefined) return
  const stop = (): void => void stream.destroy()
  signal.addEventListener('abort', stop, { once: true })
  const instance = id.slice(0, 12)
  try {
    for await (const line of joinLines(readFrames(stream))) yield { ref, instance, ...line }
  } catch (error) {
    if (!signal.aborted) throw engineFailure(error, `read the logs of ${ref.name}`)
  } finally {
    signal.removeEventListener('abort', stop)
    stream.destroy()
  }
}

/** The last lines of a container's output as one text; empty when there are none or it is gone. */
export async function lastLines(engine: Engine, id: string, count: number): Promise<string> {
  const ref = { name: '', namespace: '' }
  const lines: string[] = []
  const signal = AbortSignal.timeout(5000)
  for await (const line of containerLogs(engine, id, ref, { tail: count, follow: false }, signal))
    lines.push(line.text)
  return lines.join('\n')
}

async function openLogs(
  engine: Engine,
  id: string,
  query: Pick<LogQuery, 'tail' | 'since' | 'follow'>,
): Promise<Readable | undefined> {
  const options = {
    stdout: true,
    stderr: true,
    timestamps: true,
    ...(query.tail !== undefined && query.tail > 0 && { tail: query.tail }),
    ...(query.since !== undefined && { since: query.since.getTime() / 1000 }),
  }
  try {
    const container = engine.getContainer(id)
    if (query.follow) return (await container.logs({ ...options, follow: true })) as unknown as Readable
    return Readable.from([await container.logs({ ...options, follow: false })])
  } catch (error) {
    if (isMissing(error)) return undefined
    throw engineFailure(error, 'read logs')
  }
}

/** One message as the engine kept it: a line, or, of a line longer than 16 KiB, a piece. */
interface Frame {
  /** Standard output or error: their lines may be mixed, piece by piece. */
  readonly source: number
  readonly payload: Buffer
}

async function* readFrames(stream: Readable): AsyncGenerator<Frame> {
  let pending: Buffer = Buffer.alloc(0)
  for await (const chunk of stream) {
    pending = pending.length === 0 ? (chunk as Buffer) : Buffer.concat([pending, chunk as Buffer])
    while (pending.length >= FRAME_HEADER_BYTES) {
      const end = FRAME_HEADER_BYTES + pending.readUInt32BE(4)
      if (pending.length < end) break
      yield { source: pending[0] ?? 0, payload: pending.subarray(FRAME_HEADER_BYTES, end) }
      pending = pending.subarray(end)
    }
  }
}

interface OpenLine {
  readonly timestamp: string
  readonly pieces: Buffer[]
}

/** Puts lines together again. Each of their pieces comes with a time of its own; the first one is the line's. */
async function* joinLines(frames: AsyncIterable<Frame>): AsyncGenerator<Pick<LogLine, 'timestamp' | 'text'>> {
  const open = new Map<number, OpenLine>()
  for await (const { source, payload } of frames) {
    const space = payload.indexOf(' ')
    const timestamp = payload.toString('latin1', 0, space)
    const line = open.get(source) ?? { timestamp, pieces: [] }
    line.pieces.push(payload.subarray(space + 1))
    const isWhole = payload.at(-1) === NEWLINE
    if (isWhole) open.delete(source)
    else open.set(source, line)
    if (isWhole || sizeOf(line) > MAX_LINE_BYTES) yield { timestamp: line.timestamp, text: takeText(line) }
  }
  for (const line of open.values())
    if (line.pieces.length > 0) yield { timestamp: line.timestamp, text: takeText(line) }
}

function sizeOf({ pieces }: OpenLine): number {
  return pieces.reduce((sum, { length }) => sum + length, 0)
}

/** The text so far, without its end of line; what comes after it begins anew. */
function takeText({ pieces }: OpenLine): string {
  return Buffer.concat(pieces.splice(0))
    .toString('utf8')
    .replace(/\r?\n?$/, '')
}
