import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { EventEmitter } from 'node:events'
import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pack } from 'tar-stream'
import type { Header, Pack } from 'tar-stream'
import { FaasError } from '../core/errors.ts'
import type { ContextEntry, FileEntry } from './tree.ts'

/**
 * The time of everything that has none of its own. Not the epoch: zip files, and with them Python wheels, have no
 * years before 1980.
 */
const NO_TIME = new Date('1980-01-02T00:00:00Z')

/**
 * A tar of the context, made while it is read: memory does not grow with it. Sorted, owned by root, files with the
 * time they have on disk, since web servers make ETags of it. Ends with BUILD_FAILED when a file is no longer what
 * `fileHashes` says: an image labelled with one hash and made of another would be found for ever after.
 */
export function tarContext(
  entries: readonly ContextEntry[],
  fileHashes: ReadonlyMap<string, string>,
): Readable {
  const tar = pack()
  // Whoever reads is told below; an event that nobody hears would end the program.
  tar.on('error', () => undefined)
  write(tar, entries, fileHashes).then(
    () => tar.finalize(),
    (error: unknown) => tar.destroy(error as Error),
  )
  return Readable.from(tar, { objectMode: false })
}

async function write(
  tar: Pack,
  entries: readonly ContextEntry[],
  fileHashes: ReadonlyMap<string, string>,
): Promise<void> {
  const closed = new AbortController()
  tar.once('close', () => closed.abort())
  for (const entry of entries) {
    if (closed.signal.aborted) return
    await add(
      tar,
      headerOf(entry),
      contentOf(entry, fileHashes.get(entry.path), closed.signal),
      closed.signal,
    )
  }
}

type EntryHeader = Pick<Header, 'name'> & Partial<Header>

function headerOf(entry: ContextEntry): EntryHeader {
  const { mode, path } = entry
  const base = { mode, uid: 0, gid: 0, uname: '', gname: '' }
  if (entry.kind === 'folder') return { ...base, name: `${path}/`, type: 'directory', mtime: NO_TIME }
  if (entry.kind === 'text')
    return { ...base, name: path, type: 'file', size: entry.content.length, mtime: NO_TIME }
  const mtime = new Date(Math.max(Number(entry.stamp.mtimeNs / 1_000_000n), NO_TIME.getTime()))
  return { ...base, name: path, type: 'file', size: entry.stamp.size, mtime }
}

/** One entry: resolves once it is through, rejects when reading fails or the tar is closed before. */
async function add(
  tar: Pack,
  header: EntryHeader,
  content: AsyncIterable<Buffer>,
  closed: AbortSignal,
): Promise<void> {
  const { promise: through, resolve, reject } = withResolvers()
  const sink = tar.entry(header, (error) => (error ? reject(error) : resolve()))
  sink.on('error', reject)
  // When reading fails first, nobody looks at this one any more.
  through.catch(() => undefined)
  for await (const chunk of content) {
    if (!sink.write(chunk)) await once(sink as unknown as EventEmitter, 'drain', { signal: closed })
  }
  sink.end(null)
  await through
}

async function* contentOf(
  entry: ContextEntry,
  expected: string | undefined,
  closed: AbortSignal,
): AsyncGenerator<Buffer> {
  if (entry.kind === 'text') yield entry.content
  if (entry.kind !== 'file') return
  const hash = createHash('sha256')
  let size = 0
  for await (const bytes of readBytes(entry, closed)) {
    size += bytes.length
    // More than the header announced would corrupt the tar before the end is seen.
    if (size > entry.stamp.size) throw changed(entry)
    hash.update(bytes)
    yield bytes
  }
  if (size !== entry.stamp.size || (expected !== undefined && hash.digest('hex') !== expected))
    throw changed(entry)
}

async function* readBytes(entry: FileEntry, closed: AbortSignal): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of createReadStream(entry.file, { signal: closed })) yield chunk as Buffer
  } catch (error) {
    throw closed.aborted ? error : changed(entry, error)
  }
}

function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  let resolve = (): void => undefined
  let reject = (_error: Error): void => undefined
  const promise = new Promise<void>((fulfil, fail) => ([resolve, reject] = [fulfil, fail]))
  return { promise, resolve, reject }
}

function changed(entry: FileEntry, cause?: unknown): FaasError {
  return new FaasError('BUILD_FAILED', {
    message: `${entry.file} changed while it was read for a build`,
    remedy: 'Build again once nothing writes to it.',
    cause,
  })
}
