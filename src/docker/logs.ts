import { Readable } from 'node:stream'
import type { LogLine, LogQuery } from '../core/provider.ts'
import type { FunctionRef } from '../core/function.ts'
import type { Engine } from './client.ts'
import { engineFailure, isMissing } from './errors.ts'

/** Longest line that is kept whole; longer ones come in pieces (pitfall 7), so that memory stays bounded. */
const MAX_LINE_BYTES = 256 * 1024
/** Docker's frame around each piece of output: stream type, three zero bytes, length. */
const FRAME_HEADER_BYTES = 8

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
    for await (const line of splitLines(unframe(stream))) {
      const space = line.indexOf(' ')
      yield { ref, instance, timestamp: line.slice(0, space), text: line.slice(space + 1) }
    }
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

/** Takes Docker's frames apart; what is inside is passed on as it comes. */
async function* unframe(stream: Readable): AsyncGenerator<Buffer> {
  let pending: Buffer = Buffer.alloc(0)
  let left = 0
  for await (const chunk of stream) {
    pending = pending.length === 0 ? (chunk as Buffer) : Buffer.concat([pending, chunk as Buffer])
    for (;;) {
      if (left === 0) {
        if (pending.length < FRAME_HEADER_BYTES) break
        left = pending.readUInt32BE(4)
        pending = pending.subarray(FRAME_HEADER_BYTES)
        continue
      }
      if (pending.length === 0) break
      const piece = pending.subarray(0, left)
      left -= piece.length
      pending = pending.subarray(piece.length)
      yield piece
    }
  }
}

async function* splitLines(pieces: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let pending: Buffer = Buffer.alloc(0)
  for await (const piece of pieces) {
    pending = pending.length === 0 ? piece : Buffer.concat([pending, piece])
    for (let end = pending.indexOf(10); end >= 0; end = pending.indexOf(10)) {
      yield withoutReturn(pending.subarray(0, end))
      pending = pending.subarray(end + 1)
    }
    if (pending.length > MAX_LINE_BYTES) {
      yield withoutReturn(pending)
      pending = Buffer.alloc(0)
    }
  }
  if (pending.length > 0) yield withoutReturn(pending)
}

function withoutReturn(line: Buffer): string {
  return line.at(-1) === 13 ? line.toString('utf8', 0, line.length - 1) : line.toString('utf8')
}
