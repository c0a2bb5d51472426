import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import { pause, systemClock } from '../core/clock.ts'
import type { Engine } from './client.ts'
import { engineFailure, isMissing } from './errors.ts'
import { LogFrames } from './log-frames.ts'
import type { RawLine } from './log-frames.ts'
import { SeenLines } from './seen-lines.ts'

/** How long a pause in reading may be until the engine's stream is not trusted any more. Milliseconds. */
const BEHIND_MS = 1500
/** Standard output and error get their times before they take turns to be written: a line may be behind a younger one. */
const OVERLAP_MS = 100
/** How long the engine's stream may be silent before it is looked whether there is more; doubles up to the maximum. */
const SILENCE_FIRST_MS = 2000
const SILENCE_MAX_MS = 30_000
/** How often a container is looked for whose engine went away. */
const RETRY_MS = 250

export interface OutputQuery {
  /** Last lines only; absent or ≤ 0 means all. */
  readonly tail?: number
  readonly since?: Date
}

/** Why a followed container has no more lines. */
export type OutputEnd = 'ended' | 'gone'

/**
 * The output of one container, read as slowly as the reader likes without losing a line: what waits, waits in the
 * engine's files. Lines come in batches, in the order in which they were written.
 */
export class ContainerOutput {
  readonly #engine: Engine
  readonly #id: string
  readonly #query: OutputQuery
  /** What was read so far; whoever reads the same lines from another place takes out what was there before. */
  readonly seen = new SeenLines()

  constructor(engine: Engine, id: string, query: OutputQuery) {
    this.#engine = engine
    this.#id = id
    this.#query = query
  }

  /**
   * What there is now and was not read yet. Nothing when the container is gone. `isAll` false: more is read later, so
   * a line that is not at its end waits until it is.
   */
  async *past(signal: AbortSignal, isAll = true): AsyncGenerator<RawLine[]> {
    const latest = this.seen.latest
    const stream = await openLogs(this.#engine, this.#id, this.#from(latest), false)
    if (!stream) return
    this.seen.again()
    let isFirst = true
    for await (const lines of readLines(stream, signal, isAll)) {
      // The line of `latest` itself is asked for too: where it is missing, others may be missing as well.
      const [first] = lines
      if (isFirst && latest !== undefined && first && first.timestamp > latest)
        yield [missing(first.timestamp)]
      isFirst = false
      const fresh = this.seen.fresh(lines)
      if (fresh.length > 0) yield fresh
    }
  }

  /** What comes from now on, until the container ends or is gone. An engine that goes away is waited for. */
  async *live(signal: AbortSignal): AsyncGenerator<RawLine[], OutputEnd> {
    while (!signal.aborted) {
      try {
        const began = performance.now()
        yield* this.past(signal, false)
        // A slow reader: meanwhile there may be more than the engine's stream would begin with.
        if (performance.now() - began > BEHIND_MS) continue
        const end = yield* this.#follow(signal)
        if (end === 'behind') continue
        const state = await this.#state()
        if (state === 'gone') return 'gone'
        if (state === 'ended') {
          yield* this.past(signal)
          return 'ended'
        }
      } catch (error) {
        if (isOver(signal)) break
        if (isMissing(error)) return 'gone'
      }
      await pause(systemClock, RETRY_MS, signal)
    }
    return 'ended'
  }

  async *#follow(signal: AbortSignal): AsyncGenerator<RawLine[], 'behind' | 'over'> {
    const stream = await openLogs(this.#engine, this.#id, this.#from(this.seen.latest), true)
    if (!stream) return 'over'
    this.seen.again()
    const lag = new Lag(stream)
    const silent = new AbortController()
    const silence = this.#watchSilence(() => silent.abort())
    try {
      for await (const lines of readLines(stream, AbortSignal.any([signal, silent.signal]), false)) {
        silence.isOver()
        const fresh = this.seen.fresh(lines)
        const isBehind = lag.isBehind(fresh)
        const offered = performance.now()
        if (fresh.length > 0) yield fresh
        // The engine's stream goes from the log file that it reads straight to the newest one: whoever is so far behind
        // that there may be files between has to read them all.
        if (isBehind || performance.now() - offered > BEHIND_MS) return 'behind'
      }
      return silent.signal.aborted ? 'behind' : 'over'
    } finally {
      silence[Symbol.dispose]()
      stream.destroy()
    }
  }

  /**
   * The engine's stream may stay for ever with a log file that no more is written to, when several were begun while it
   * read. `onDeaf` is called when it is silent although there are lines.
   */
  #watchSilence(onDeaf: () => void): Disposable & { isOver(): void } {
    let [heardAt, waitMs] = [performance.now(), SILENCE_FIRST_MS]
    const look = async (): Promise<void> => {
      const since = heardAt
      if (performance.now() - since >= waitMs) {
        const hasMore = await this.#hasMore().catch(() => false)
        if (hasMore && since === heardAt) {
          onDeaf()
          return
        }
        waitMs = Math.min(waitMs * 2, SILENCE_MAX_MS)
      }
      arm()
    }
    let isDisposed = false
    let timer: NodeJS.Timeout | undefined
    const arm = (): void => {
      if (isDisposed) return
      timer = setTimeout(() => {
        look().catch(() => undefined)
      }, waitMs)
    }
    arm()
    return {
      isOver: () => {
        heardAt = performance.now()
        waitMs = SILENCE_FIRST_MS
      },
      [Symbol.dispose]: () => {
        isDisposed = true
        clearTimeout(timer)
      },
    }
  }

  /** Whether there are lines after those that were read. */
  async #hasMore(): Promise<boolean> {
    const { latest } = this.seen
    const limit = AbortSignal.timeout(BEHIND_MS * 4)
    const stream = await openLogs(this.#engine, this.#id, { ...this.#from(latest), tail: 1 }, false)
    if (!stream) return false
    for await (const lines of readLines(stream, limit, false))
      if (lines.some(({ timestamp }) => latest === undefined || timestamp > latest)) return true
    return false
  }

  #from(latest: string | undefined): LogOptions {
    if (latest !== undefined) return { since: secondsOf(latest, OVERLAP_MS) }
    const { tail, since } = this.#query
    return {
      ...(tail !== undefined && tail > 0 && { tail }),
      ...(since !== undefined && { since: secondsOf(since.toISOString()) }),
    }
  }

  async #state(): Promise<'running' | 'ended' | 'gone'> {
    try {
      const { State } = await this.#engine.getContainer(this.#id).inspect()
      return State.Running ? 'running' : 'ended'
    } catch (error) {
      if (isMissing(error)) return 'gone'
      throw error
    }
  }
}

/** The last lines of a container's output as one text; empty when there are none or it is gone. */
export async function lastLines(engine: Engine, id: string, count: number): Promise<string> {
  const texts: string[] = []
  for await (const lines of new ContainerOutput(engine, id, { tail: count }).past(AbortSignal.timeout(5000)))
    texts.push(...lines.map(({ text }) => text.replace(TERMINAL_CODES, '')))
  return texts.join('\n')
}

/** Colours, and whatever else would steer the terminal that shows the error these lines become a part of. */
const TERMINAL_CODES = /\u001b\[[0-9;:]*m|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g

/** A call, because the compiler does not expect a signal to abort during an await. */
function isOver(signal: AbortSignal): boolean {
  return signal.aborted
}

interface LogOptions {
  readonly tail?: number
  readonly since?: string
}

/** Not the client library's `logs`: that one puts all of a log that is not followed into memory. */
async function openLogs(
  engine: Engine,
  id: string,
  options: LogOptions,
  follow: boolean,
): Promise<Readable | undefined> {
  const { modem } = engine as unknown as { modem: Dial }
  const ask = { stdout: true, stderr: true, timestamps: true, follow, ...options }
  try {
    return await new Promise<Readable>((resolve, reject) => {
      const call = {
        path: `/containers/${id}/logs?`,
        method: 'GET',
        isStream: true,
        statusCodes: { 200: true },
        options: ask,
      }
      modem.dial(call, (error, stream) => {
        if (error) reject(error)
        else resolve(stream as Readable)
      })
    })
  } catch (error) {
    if (isMissing(error) || saysDead(error)) return undefined
    throw engineFailure(error, 'read logs')
  }
}

interface Dial {
  dial(call: object, done: (error: Error | null, stream: unknown) => void): void
}

/** What the engine says of a container that it is about to remove. */
function saysDead(error: unknown): boolean {
  return error instanceof Error && /dead or marked for removal/.test(error.message)
}

/** The lines of the engine's answer, a batch for each chunk. Ends early, without an error, when the signal aborts. */
async function* readLines(stream: Readable, signal: AbortSignal, isAll: boolean): AsyncGenerator<RawLine[]> {
  const stop = (): void => void stream.destroy()
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  const frames = new LogFrames()
  try {
    for await (const chunk of stream) {
      const lines = frames.push(chunk as Buffer)
      if (lines.length > 0) yield lines
    }
    const rest = isAll ? frames.end() : []
    if (rest.length > 0) yield rest
  } catch (error) {
    if (!signal.aborted) throw engineFailure(error, 'read logs')
  } finally {
    signal.removeEventListener('abort', stop)
    stream.destroy()
  }
}

/** How old lines are when they come, by the engine's clock. */
class Lag {
  /** The engine's clock minus ours, milliseconds; its answer says the time in whole seconds. */
  readonly #skew: number

  constructor(stream: Readable) {
    const { headers } = stream as Readable & { readonly headers?: IncomingHttpHeaders }
    const date = headers?.date
    const difference = date === undefined ? 0 : Date.parse(date) - Date.now()
    this.#skew = Math.abs(difference) > 2000 ? difference : 0
  }

  isBehind(lines: readonly RawLine[]): boolean {
    const newest = lines.at(-1)
    if (!newest) return false
    return Date.now() + this.#skew - Date.parse(newest.timestamp) > BEHIND_MS
  }
}

/** The engine's form of the moment `less` milliseconds before: seconds with nine decimals. */
function secondsOf(timestamp: string, less = 0): string {
  const nanoseconds = BigInt(Date.parse(`${timestamp.slice(0, 19)}Z`) - less) * 1_000_000n
  const text = String(nanoseconds + BigInt(timestamp.slice(20, -1).padEnd(9, '0')))
  return `${text.slice(0, -9)}.${text.slice(-9)}`
}

/** Told where lines are lost, rather than nothing. */
function missing(timestamp: string): RawLine {
  return {
    timestamp,
    source: 0,
    text: 'faasdock: lines are missing here: they were written faster than they were read, and the engine keeps only the newest.',
  }
}
