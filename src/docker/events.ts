import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { pause, systemClock } from '../core/clock.ts'
import type { Engine } from './client.ts'
import { LABEL, ownedBy } from './labels.ts'

/** A container of ours ended or went away, whoever did it. */
export interface ContainerEvent {
  readonly id: string
  readonly action: 'die' | 'destroy' | 'oom'
  readonly exitCode: number | undefined
}

export interface EngineWatch {
  onEvent(event: ContainerEvent): void
  onLost(reason: string): void
  /** The engine answers again; events may have been missed meanwhile. */
  onBack(): void
}

/** How often a lost engine is looked for, milliseconds. */
const RETRY_MS = 250

/**
 * Follows the engine's events for one instance until `signal` aborts; outlives restarts of the engine.
 * Resolves once the engine has accepted the subscription, so that nothing after it is missed.
 */
export async function watchContainers(
  engine: Engine,
  instance: string,
  watch: EngineWatch,
  signal: AbortSignal,
): Promise<void> {
  const stream = await subscribe(engine, instance)
  follow(engine, instance, watch, signal, stream).catch((error: unknown) => watch.onLost(String(error)))
}

function subscribe(engine: Engine, instance: string): Promise<Readable> {
  const filters = { ...ownedBy(instance, 'function'), type: ['container'], event: ['die', 'destroy', 'oom'] }
  return engine.getEvents({ filters: JSON.stringify(filters) }) as Promise<unknown> as Promise<Readable>
}

async function follow(
  engine: Engine,
  instance: string,
  watch: EngineWatch,
  signal: AbortSignal,
  first: Readable,
): Promise<void> {
  let stream: Readable | undefined = first
  while (!signal.aborted) {
    const reason: string = await readEvents(stream, watch, signal)
    if (isOver(signal)) return
    watch.onLost(reason)
    stream = undefined
    while (stream === undefined) {
      await pause(systemClock, RETRY_MS, signal)
      if (isOver(signal)) return
      stream = await subscribe(engine, instance).catch(() => undefined)
    }
    watch.onBack()
  }
}

/** A call, because the compiler does not expect a signal to abort during an await. */
function isOver(signal: AbortSignal): boolean {
  return signal.aborted
}

/** Reads events until the stream ends; resolves with why. */
async function readEvents(stream: Readable, watch: EngineWatch, signal: AbortSignal): Promise<string> {
  const stop = (): void => void stream.destroy()
  signal.addEventListener('abort', stop, { once: true })
  let reason = 'its event stream ended'
  stream.once('error', (error) => (reason = wordsFor(error)))
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
      const event = parseEvent(line)
      if (event) watch.onEvent(event)
    }
  } catch (error) {
    reason = wordsFor(error)
  } finally {
    signal.removeEventListener('abort', stop)
  }
  return reason
}

/** Node calls a connection that the other side closed "aborted". */
function wordsFor(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return (error as NodeJS.ErrnoException).code === 'ECONNRESET' ? 'it closed the connection' : error.message
}

interface RawEvent {
  readonly Action?: string
  readonly Actor?: { readonly ID?: string; readonly Attributes?: Readonly<Record<string, string>> }
}

function parseEvent(line: string): ContainerEvent | undefined {
  if (line.trim() === '') return undefined
  const { Action: action, Actor } = JSON.parse(line) as RawEvent
  if (Actor?.ID === undefined || Actor.Attributes?.[LABEL.function] === undefined) return undefined
  if (action !== 'die' && action !== 'destroy' && action !== 'oom') return undefined
  const exitCode = Actor.Attributes['exitCode']
  return { id: Actor.ID, action, exitCode: exitCode === undefined ? undefined : Number(exitCode) }
}
