import { createReadStream } from 'node:fs'
import { appendFile, mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { FunctionRef } from '../../core/function.ts'
import { isDnsLabel } from '../../core/function.ts'
import type { OutputQuery } from '../../docker/logs.ts'
import type { RawLine } from '../../docker/log-frames.ts'

/** Of each function, so many replicas that are gone keep their lines. */
const KEPT_REPLICAS = 5
/** Of each of them, its newest lines: two files of half as much. */
const MAX_REPLICA_BYTES = 10 * 2 ** 20
/** Of the platform's own words about a function, as well in two files. */
const MAX_NOTES_BYTES = 2 ** 20
/** Lines nobody asked for in that time are not asked for any more. */
const KEPT_MS = 7 * 86_400_000
/** How long the lines of a function outlive the function. */
const KEPT_AFTER_REMOVAL_MS = 3_600_000
/** How often it is looked for functions whose lines outlived them long enough: whenever one is removed, but not more often. */
const LOOK_MS = 600_000

/** The instance of lines that the platform itself writes into a function's log (pitfall 5). */
export const PLATFORM_INSTANCE = 'faasdock'
const REMOVED = 'removed'
const UNFINISHED = '~'

/**
 * Lines of replicas that are gone, as files `FOLDER/NAMESPACE/FUNCTION/INSTANCE.{0,1}.log`, each line with its time and
 * stream before it. Written when a replica is removed: a replica that runs costs nothing here, and what Docker has is
 * not kept twice.
 */
export class LogArchive {
  readonly #folder: string
  readonly #maxBytes: number
  #notes: Promise<void> = Promise.resolve()
  #lookedAt = 0

  constructor(folder: string, maxReplicaBytes = MAX_REPLICA_BYTES) {
    this.#folder = folder
    this.#maxBytes = maxReplicaBytes
  }

  /** Keeps all lines of a replica, under its id, in place of what was kept of it before. */
  async keep(ref: FunctionRef, instance: string, lines: AsyncIterable<readonly RawLine[]>): Promise<void> {
    const folder = this.#folderOf(ref)
    if (folder === undefined) return
    const name = join(folder, instance)
    let written = 0
    let out: FileHandle | undefined
    try {
      for await (const batch of lines) {
        if (out === undefined) {
          await mkdir(folder, { recursive: true, mode: 0o700 })
          out = await openPart(name)
        }
        written += (await out.write(batch.map(writeLine).join(''))).bytesWritten
        if (written < this.#maxBytes / 2) continue
        await out.close()
        await rename(`${name}.1.log${UNFINISHED}`, `${name}.0.log${UNFINISHED}`)
        out = await openPart(name)
        written = 0
      }
      if (out === undefined) return
      await out.close()
      // In this order: the second file says that both are whole.
      await rename(`${name}.0.log${UNFINISHED}`, `${name}.0.log`).catch(() => undefined)
      await rename(`${name}.1.log${UNFINISHED}`, `${name}.1.log`)
    } catch (error) {
      await out?.close().catch(() => undefined)
      for (const part of ['0', '1']) await rm(`${name}.${part}.log${UNFINISHED}`, { force: true })
      throw error
    }
    await this.#prune(folder)
  }

  /** Ids of the replicas of a function whose lines are kept. */
  async instances(ref: FunctionRef): Promise<readonly string[]> {
    const folder = this.#folderOf(ref)
    const files = folder === undefined ? [] : await readdir(folder).catch(() => [])
    return files
      .flatMap((file) => /^([^.~]+)\.1\.log$/.exec(file)?.[1] ?? [])
      .filter((id) => id !== PLATFORM_INSTANCE)
  }

  /** Lines of a replica that is gone, oldest first, in batches. None when nothing is kept of it. */
  async *read(ref: FunctionRef, instance: string, query: OutputQuery = {}): AsyncGenerator<RawLine[]> {
    const folder = this.#folderOf(ref)
    if (folder === undefined) return
    if (instance === PLATFORM_INSTANCE) await this.#notes
    const { tail = 0, since } = query
    const from = since === undefined ? '' : momentText(since)
    let last: RawLine[] = []
    for (const part of ['0', '1']) {
      for await (const lines of readFile(join(folder, `${instance}.${part}.log`))) {
        const wanted = lines.filter(({ timestamp }) => timestamp >= from)
        if (tail > 0) last = [...last, ...wanted].slice(-tail)
        else if (wanted.length > 0) yield wanted
      }
    }
    if (last.length > 0) yield last
  }

  /** Writes words of the platform into a function's log, one after the other; whoever reads then has them. */
  note(ref: FunctionRef, lines: readonly RawLine[]): void {
    const folder = this.#folderOf(ref)
    if (folder === undefined) return
    const file = join(folder, `${PLATFORM_INSTANCE}.1.log`)
    this.#notes = this.#notes
      .then(async () => {
        await mkdir(folder, { recursive: true, mode: 0o700 })
        const size = (await stat(file).catch(() => undefined))?.size ?? 0
        if (size > MAX_NOTES_BYTES / 2) await rename(file, join(folder, `${PLATFORM_INSTANCE}.0.log`))
        await appendFile(file, lines.map(writeLine).join(''), { mode: 0o600 })
      })
      // A full disk must not stop what was to be told of.
      .catch(() => undefined)
  }

  /**
   * The function was removed: its lines stay for a while, for whoever asks why. Those of functions that were removed
   * before it go, if their time has come: a run may last for months.
   */
  async functionRemoved(ref: FunctionRef): Promise<void> {
    const folder = this.#folderOf(ref)
    if (folder !== undefined) await writeFile(join(folder, REMOVED), '').catch(() => undefined)
    if (Date.now() < this.#lookedAt + LOOK_MS) return
    this.#lookedAt = Date.now()
    await this.#pruneAll(false)
  }

  /** The function is deployed again. */
  async functionIsBack(ref: FunctionRef): Promise<void> {
    const folder = this.#folderOf(ref)
    if (folder !== undefined) await rm(join(folder, REMOVED), { force: true }).catch(() => undefined)
  }

  /** Removes what was kept long enough, and what a crash left unfinished. */
  async sweep(): Promise<void> {
    await this.#pruneAll(true)
  }

  async #pruneAll(isStart: boolean): Promise<void> {
    for (const namespace of await readdir(this.#folder).catch(() => []))
      for (const name of await readdir(join(this.#folder, namespace)).catch(() => []))
        await this.#prune(join(this.#folder, namespace, name), isStart).catch(() => undefined)
  }

  async #prune(folder: string, isStart = false): Promise<void> {
    const names = await readdir(folder)
    const files = await Promise.all(
      names.map(async (name) => ({
        name,
        age: Date.now() - ((await stat(join(folder, name)).catch(() => undefined))?.mtimeMs ?? 0),
      })),
    )
    const removed = files.find(({ name }) => name === REMOVED)
    if (removed && removed.age > KEPT_AFTER_REMOVAL_MS) {
      await rm(folder, { recursive: true, force: true })
      return
    }
    const replicas = files
      .filter(({ name }) => name.endsWith('.1.log') && !name.startsWith(`${PLATFORM_INSTANCE}.`))
      .toSorted((a, b) => a.age - b.age)
    for (const { name, age } of files) {
      const surplus =
        replicas.findIndex((one) => name.startsWith(`${one.name.split('.')[0] ?? ''}.`)) >= KEPT_REPLICAS
      const isUnfinished = isStart && name.endsWith(UNFINISHED)
      if (surplus || isUnfinished || age > KEPT_MS) await rm(join(folder, name), { force: true })
    }
  }

  /** Undefined for names that are none: they come from outside, and must lead nowhere. */
  #folderOf({ name, namespace }: FunctionRef): string | undefined {
    return isDnsLabel(name) && isDnsLabel(namespace) ? join(this.#folder, namespace, name) : undefined
  }
}

/** A moment as lines have it, with nine decimals. */
export function momentText(moment: Date): string {
  return `${moment.toISOString().slice(0, -1)}000000Z`
}

function openPart(name: string): Promise<FileHandle> {
  return open(`${name}.1.log${UNFINISHED}`, 'w', 0o600)
}

function writeLine({ timestamp, source, text }: RawLine): string {
  return `${timestamp} ${source} ${text}\n`
}

async function* readFile(file: string): AsyncGenerator<RawLine[]> {
  let rest = ''
  try {
    for await (const chunk of createReadStream(file, 'utf8')) {
      const texts = (rest + String(chunk)).split('\n')
      rest = texts.pop() ?? ''
      yield texts.map(parseLine)
    }
  } catch (error) {
    // Removed in this very moment, or never there.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

function parseLine(line: string): RawLine {
  const space = line.indexOf(' ')
  const next = line.indexOf(' ', space + 1)
  return {
    timestamp: line.slice(0, space),
    source: Number(line.slice(space + 1, next)),
    text: line.slice(next + 1),
  }
}
