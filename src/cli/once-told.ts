import { formatRef } from '../core/function.ts'
import type { FunctionRef } from '../core/function.ts'
import type { StampedEvent } from '../engine/events.ts'
import { lineGist } from '../engine/same-failure.ts'

/** Lines of functions while they start are kept back up to this number, then shown after all. */
const HELD_MAX = 1000
/** What the platform itself writes into a function's log. */
const PLATFORM = 'faasdock'

interface Log {
  readonly instance?: string
  readonly text: string
}

interface Start {
  phase: 'starting' | 'failed' | 'ready'
  /** What events told already, line by line. */
  told: Set<string>
  /** Replicas whose lines are shown as they come. */
  readonly shown: Set<string>
  /** Replicas whose end was told with their lines. */
  readonly ended: Set<string>
  held: { readonly instance: string; readonly text: string }[]
}

/**
 * Keeps a developer from reading why a function does not start three times: in the failure, in what its replica wrote
 * and in what the platform noted in its log; and all of it again at each try. A replica that starts is heard when it is
 * ready, or when its end was told without its lines.
 */
export class OnceTold {
  readonly #starts = new Map<string, Start>()

  /** Takes an event in and gives the lines that were kept back until now. */
  see(event: StampedEvent): { readonly ref: FunctionRef; readonly text: string }[] {
    switch (event.type) {
      case 'function.deploying':
        this.#start(event.ref).phase = 'starting'
        return []
      case 'function.ready':
        return this.#release(event.ref, 'ready')
      case 'function.failed': {
        const { message, remedy } = event.problem
        const note = `Revision ${event.serving ?? ''} goes on answering.`
        this.#start(event.ref).told = gists(`${message}\n→ ${remedy}\n${note}`)
        return this.#release(event.ref, 'failed')
      }
      case 'function.failed-again':
        return this.#release(event.ref, 'failed')
      case 'replica.died': {
        const { told } = this.#start(event.ref)
        for (const gist of gists(`replica ${event.replica.slice(0, 12)} ${event.reason}`)) told.add(gist)
        return []
      }
      case 'function.removed':
        this.#starts.delete(formatRef(event.ref))
        return []
      default:
        return []
    }
  }

  /** Takes a line of a function's log and gives what is to be shown of it now. */
  take(ref: FunctionRef, { instance = '', text }: Log): string[] {
    const start = this.#start(ref)
    const isTold = start.told.has(lineGist(text))
    if (instance === PLATFORM) return isTold ? [] : [text]
    if (start.shown.has(instance)) return [text]
    if (start.ended.has(instance)) return []
    switch (start.phase) {
      case 'ready':
        start.shown.add(instance)
        return [text]
      case 'failed':
        // The older revision may go on, and say its first word only now.
        if (isTold) start.ended.add(instance)
        return isTold ? [] : [text]
      case 'starting':
        start.held.push({ instance, text })
        return start.held.length > HELD_MAX ? start.held.splice(0).map((line) => line.text) : []
    }
  }

  #start(ref: FunctionRef): Start {
    const key = formatRef(ref)
    const known = this.#starts.get(key)
    if (known) return known
    const start: Start = { phase: 'ready', told: new Set(), shown: new Set(), ended: new Set(), held: [] }
    this.#starts.set(key, start)
    return start
  }

  #release(ref: FunctionRef, phase: 'failed' | 'ready'): { ref: FunctionRef; text: string }[] {
    const start = this.#start(ref)
    const { held, told, ended, shown } = start
    start.phase = phase
    start.held = []
    if (phase === 'ready') for (const { instance } of held) shown.add(instance)
    else for (const { instance, text } of held) if (told.has(lineGist(text))) ended.add(instance)
    return held.filter(({ instance }) => !ended.has(instance)).map(({ text }) => ({ ref, text }))
  }
}

function gists(text: string): Set<string> {
  return new Set(text.split('\n').map(lineGist).filter(Boolean))
}
