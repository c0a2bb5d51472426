import type { FunctionRef } from '../../core/function.ts'
import { formatRef } from '../../core/function.ts'
import type { LogLine, LogQuery } from '../../core/provider.ts'
import type { Engine } from '../../docker/client.ts'
import { listContainers } from '../../docker/containers.ts'
import { LABEL } from '../../docker/labels.ts'
import { ContainerOutput } from '../../docker/logs.ts'
import type { OutputQuery } from '../../docker/logs.ts'
import type { RawLine } from '../../docker/log-frames.ts'
import { lastOf, LiveMerge, mergeSorted, oneByOne } from '../merge.ts'
import { PLATFORM_INSTANCE } from './log-archive.ts'
import type { LogArchive } from './log-archive.ts'
import { makePlatformLines, withHints } from './platform-lines.ts'

/** How much of a replica's id is shown. */
const SHOWN_ID = 12

export interface FunctionLogsOptions {
  readonly engine: Engine
  readonly instance: string
  readonly archive: LogArchive
}

interface Follower {
  readonly key: string
  onStarted(id: string): void
  onNote(line: LogLine): void
}

/** The logs of functions: what replicas write, what replicas that are gone wrote, and what the platform has to say. */
export class FunctionLogs {
  readonly #options: FunctionLogsOptions
  readonly #followers = new Set<Follower>()
  readonly #platformLines = makePlatformLines()

  constructor(options: FunctionLogsOptions) {
    this.#options = options
  }

  /** A replica runs: who follows its function hears it from its first word on, ready or not. */
  started(ref: FunctionRef, id: string): void {
    for (const follower of [...this.#followers]) if (follower.key === formatRef(ref)) follower.onStarted(id)
  }

  /** Words of the platform, one line or more. */
  note(ref: FunctionRef, words: string): void {
    const lines = this.#platformLines(words)
    this.#options.archive.note(ref, lines)
    for (const follower of [...this.#followers])
      if (follower.key === formatRef(ref)) for (const line of lines) follower.onNote(asPlatform(ref, line))
  }

  /** Keeps what a replica wrote, before it is removed. */
  async keep(ref: FunctionRef, id: string): Promise<void> {
    const { engine, archive } = this.#options
    // A replica may have written more than is worth to wait for.
    const lines = new ContainerOutput(engine, id, {}).past(AbortSignal.timeout(60_000))
    await archive.keep(ref, id.slice(0, SHOWN_ID), lines)
  }

  /** See Provider.logs. */
  read(query: LogQuery, signal: AbortSignal): AsyncIterableIterator<LogLine> {
    return oneByOne(this.#batches(query, signal))
  }

  async *#batches(query: LogQuery, signal: AbortSignal): AsyncGenerator<readonly LogLine[]> {
    if (!query.follow) {
      yield* this.#past(query, await this.#sources(query), signal)
      return
    }
    const live = new LiveMerge<LogLine>()
    const known = new Set<string>()
    let lastNote = ''
    const follower: Follower = {
      key: formatRef(query.ref),
      onStarted: (id) => {
        if (known.has(id) || !isWanted(query, id)) return
        known.add(id)
        live.add(this.#replica(query.ref, id, {}).live(signal))
      },
      onNote: (line) => {
        if (line.timestamp > lastNote && isWanted(query, PLATFORM_INSTANCE)) live.push(line)
      },
    }
    this.#followers.add(follower)
    const close = (): void => live.close()
    signal.addEventListener('abort', close, { once: true })
    if (signal.aborted) close()
    const stop = new AbortController()
    const either = AbortSignal.any([signal, stop.signal])
    try {
      const sources = await this.#sources(query)
      for (const { id } of sources.replicas) known.add(id)
      for await (const lines of this.#past(query, sources, either)) {
        lastNote = lines.findLast((line) => line.instance === PLATFORM_INSTANCE)?.timestamp ?? lastNote
        yield lines
      }
      for (const replica of sources.replicas) live.add(replica.live(either))
      yield* live
    } finally {
      stop.abort()
      this.#followers.delete(follower)
      signal.removeEventListener('abort', close)
    }
  }

  #past(
    { tail = 0, follow }: LogQuery,
    { replicas, gone }: LogSources,
    signal: AbortSignal,
  ): AsyncGenerator<readonly LogLine[]> {
    const lines = mergeSorted([...replicas.map((one) => one.past(signal, !follow)), ...gone])
    return tail <= 0 ? lines : lastOf(lines, tail)
  }

  async #sources(query: LogQuery): Promise<LogSources> {
    const { engine, instance, archive } = this.#options
    const { ref } = query
    // In this order: a replica that is removed meanwhile is in the second list.
    const containers = await listContainers(engine, instance, 'function')
    const ids = containers
      .filter(
        ({ labels }) => labels[LABEL.function] === ref.name && labels[LABEL.namespace] === ref.namespace,
      )
      .map(({ id }) => id)
    const there = new Set(ids.map((id) => id.slice(0, SHOWN_ID)))
    const gone = (await archive.instances(ref)).filter((id) => !there.has(id))
    return {
      replicas: ids.filter((id) => isWanted(query, id)).map((id) => this.#replica(ref, id, query)),
      gone: [...gone, PLATFORM_INSTANCE]
        .filter((id) => isWanted(query, id))
        .map((id) => asLines(ref, id, archive.read(ref, id, query))),
    }
  }

  #replica(ref: FunctionRef, id: string, query: OutputQuery): ReplicaLog {
    return new ReplicaLog(this.#options, ref, id, query)
  }
}

interface LogSources {
  readonly replicas: readonly ReplicaLog[]
  readonly gone: readonly AsyncIterable<readonly LogLine[]>[]
}

/** One replica's lines, in the engine as long as it is there, and kept by us from the moment when it is not. */
class ReplicaLog {
  readonly id: string
  readonly #archive: LogArchive
  readonly #ref: FunctionRef
  readonly #query: OutputQuery
  readonly #output: ContainerOutput

  constructor({ engine, archive }: FunctionLogsOptions, ref: FunctionRef, id: string, query: OutputQuery) {
    this.id = id
    this.#archive = archive
    this.#ref = ref
    this.#query = query
    this.#output = new ContainerOutput(engine, id, query)
  }

  /** `isAll` false: `live` comes after it. */
  past(signal: AbortSignal, isAll: boolean): AsyncGenerator<LogLine[]> {
    return asLines(this.#ref, this.#shown, this.#past(signal, isAll))
  }

  live(signal: AbortSignal): AsyncGenerator<LogLine[]> {
    return asLines(this.#ref, this.#shown, this.#live(signal))
  }

  get #shown(): string {
    return this.id.slice(0, SHOWN_ID)
  }

  async *#past(signal: AbortSignal, isAll: boolean): AsyncGenerator<RawLine[]> {
    yield* this.#output.past(signal, isAll)
    yield* this.#kept()
  }

  async *#live(signal: AbortSignal): AsyncGenerator<RawLine[]> {
    yield* this.#output.live(signal)
    if (!signal.aborted) yield* this.#kept()
  }

  /** What was kept of it and could not be read before: it may have been removed in the middle. */
  async *#kept(): AsyncGenerator<RawLine[]> {
    const { seen } = this.#output
    const query = seen.latest === undefined ? this.#query : {}
    seen.again()
    for await (const lines of this.#archive.read(this.#ref, this.#shown, query)) yield seen.fresh(lines)
  }
}

/** Whether a query means that replica: all, or the one whose id begins so. */
function isWanted({ instance }: LogQuery, id: string): boolean {
  return instance === undefined || id.startsWith(instance)
}

async function* asLines(
  ref: FunctionRef,
  instance: string,
  batches: AsyncIterable<readonly RawLine[]>,
): AsyncGenerator<LogLine[]> {
  const { name, namespace } = ref
  const shown = { name, namespace }
  for await (const batch of batches)
    yield withHints(batch).map(({ timestamp, source, text }) => ({
      ref: shown,
      instance: source === 0 ? PLATFORM_INSTANCE : instance,
      timestamp,
      text,
    }))
}

function asPlatform({ name, namespace }: FunctionRef, { timestamp, text }: RawLine): LogLine {
  return { ref: { name, namespace }, instance: PLATFORM_INSTANCE, timestamp, text }
}
