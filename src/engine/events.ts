import type { Clock } from '../core/clock.ts'
import type { FunctionRef, Problem } from '../core/function.ts'
import type { Log, LogFields } from '../core/log.ts'
import type { Rung } from './rung.ts'

/** What the CLI, the API's event stream and the UI can watch. `name` is a function's `name.namespace`. */
export type PlatformEvent =
  | { readonly type: 'function.deploying'; readonly ref: FunctionRef; readonly revision: string }
  | {
      readonly type: 'function.ready'
      readonly ref: FunctionRef
      readonly revision: string
      readonly replicas: number
      /** From the wish to the first answer. */
      readonly seconds: number
      /** What brought a save; absent where none did. */
      readonly by?: Rung
    }
  /** The wanted revision did not get ready; `serving` is the older one that still answers. */
  | {
      readonly type: 'function.failed'
      readonly ref: FunctionRef
      readonly revision: string
      readonly serving?: string
      readonly problem: Problem
    }
  /** It was tried again, and failed as it was told before. `tries` counts the first one. */
  | {
      readonly type: 'function.failed-again'
      readonly ref: FunctionRef
      readonly revision: string
      readonly tries: number
    }
  | { readonly type: 'function.removed'; readonly ref: FunctionRef }
  | {
      readonly type: 'replica.died'
      readonly ref: FunctionRef
      readonly replica: string
      readonly reason: string
    }
  /** A save was seen that changes something. `path`, absolute, is one of the `files` that were touched. */
  | {
      readonly type: 'source.changed'
      readonly ref: FunctionRef
      readonly path: string
      readonly files: number
      /** When the first of them was seen, RFC 3339. */
      readonly seenAt: string
    }
  /** What was wrong with the last save is no longer so, and what answers is what is saved. */
  | { readonly type: 'source.mended'; readonly ref: FunctionRef }
  | { readonly type: 'build.started'; readonly ref: FunctionRef }
  | { readonly type: 'build.output'; readonly ref: FunctionRef; readonly line: string }
  | {
      readonly type: 'build.done'
      readonly ref: FunctionRef
      readonly image: string
      readonly cached: boolean
      readonly seconds: number
    }
  /** `serving`, here and below: the revision that still answers. */
  | {
      readonly type: 'build.failed'
      readonly ref: FunctionRef
      readonly problem: Problem
      readonly serving?: string
    }
  /** What was saved does not load; the code before it answers. */
  | {
      readonly type: 'code.failed'
      readonly ref: FunctionRef
      readonly problem: Problem
      readonly serving?: string
    }
  /** The image of code that was put into replicas is there: whatever starts from now on starts with it. */
  | {
      readonly type: 'image.done'
      readonly ref: FunctionRef
      readonly image: string
      readonly cached: boolean
      readonly seconds: number
    }
  /** The code answers, but makes no image. */
  | { readonly type: 'image.failed'; readonly ref: FunctionRef; readonly problem: Problem }
  | { readonly type: 'stack.read'; readonly file: string; readonly functions: number }
  /** The stack file could not be read; what was read before goes on. */
  | { readonly type: 'stack.failed'; readonly file: string; readonly problem: Problem }
  /** Something to know that belongs to no function in particular. */
  | {
      readonly type: 'notice'
      readonly level: 'info' | 'warn' | 'error'
      readonly message: string
      readonly fields?: LogFields
    }
  | { readonly type: 'engine.lost'; readonly reason: string }
  | { readonly type: 'engine.back' }

export type StampedEvent = PlatformEvent & {
  /** Counts up from 1 in one run. */
  readonly seq: number
  /** RFC 3339. */
  readonly at: string
}

/** How many past events a late watcher can still ask for. */
const KEPT = 1000

/** One stream of everything that happens. A watcher that throws is the watcher's defect: it surfaces, others are told first. */
export class Events {
  readonly #watchers = new Set<(event: StampedEvent) => void>()
  readonly #past: StampedEvent[] = []
  readonly #clock: Clock
  #seq = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  emit(event: PlatformEvent): void {
    const stamped: StampedEvent = {
      ...event,
      seq: ++this.#seq,
      at: new Date(this.#clock.now()).toISOString(),
    }
    this.#past.push(stamped)
    if (this.#past.length > KEPT) this.#past.shift()
    const failures: unknown[] = []
    for (const watcher of [...this.#watchers]) {
      try {
        watcher(stamped)
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, `a watcher of ${event.type} failed`)
  }

  /** Calls `watcher` for every later event, and first for the kept ones after `since` when it is given. */
  watch(watcher: (event: StampedEvent) => void, since?: number): Disposable {
    if (since !== undefined) for (const event of this.#past) if (event.seq > since) watcher(event)
    this.#watchers.add(watcher)
    return { [Symbol.dispose]: () => void this.#watchers.delete(watcher) }
  }
}

/** A log that is a part of the events, so that terminal, API and UI see it alike. */
export function eventLog(events: Events): Log {
  const write =
    (level: 'info' | 'warn' | 'error') =>
    (message: string, fields?: LogFields): void =>
      events.emit({ type: 'notice', level, message, ...(fields && { fields }) })
  return { info: write('info'), warn: write('warn'), error: write('error'), debug() {} }
}
