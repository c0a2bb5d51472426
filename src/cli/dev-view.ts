import { basename } from 'node:path'
import { formatRef } from '../core/function.ts'
import type { FunctionRef, Problem } from '../core/function.ts'
import type { StampedEvent } from '../engine/events.ts'
import type { LiveRow } from './live.ts'
import { formatSpan } from './time-words.ts'

/** A line for people about what happened. `bad` stays in sight until it is put right. */
export interface DevLine {
  readonly tone: 'good' | 'bad' | 'plain' | 'detail'
  readonly text: string
}

interface Turn {
  phase: 'building' | 'starting' | undefined
  since: number
  step: string
  /** Files that were saved since it was last ready, by their base names. */
  saved: Set<string>
  savedAt: number | undefined
  built: 'built' | 'cached' | undefined
  warning: string | undefined
  /** How often it failed in the same way. */
  tries: number
  /** The last build failed. */
  isBroken: boolean
  /** Somebody asked for a build, and is owed its result. */
  isAsked: boolean
}

/** Saves that are further apart are not one save. */
const BURST_MS = 1000

/** What the developer sees of a platform, worked out from its events and nothing else. */
export class DevView {
  readonly #turns = new Map<string, Turn>()
  readonly #verbose: boolean
  #stackWarning: string | undefined
  #engineWarning: string | undefined

  constructor({ verbose }: { verbose: boolean }) {
    this.#verbose = verbose
  }

  /** Takes an event in and gives the lines to print about it. */
  see(event: StampedEvent): DevLine[] {
    const at = Date.parse(event.at)
    switch (event.type) {
      case 'source.changed':
        return this.#saved(this.#turn(event.ref), event.path, at)
      case 'build.started':
        Object.assign(this.#turn(event.ref), { phase: 'building', since: at, step: '' })
        return [{ tone: 'detail', text: `${event.ref.name}  building` }]
      case 'build.output':
        return this.#output(event.ref, event.line)
      case 'build.done':
        return this.#built(event)
      case 'build.failed':
        this.#turn(event.ref).isBroken = true
        return this.#failed(event.ref, 'build failed', event.problem, undefined)
      case 'function.deploying':
        Object.assign(this.#turn(event.ref), { phase: 'starting', since: at, step: '' })
        return []
      case 'function.ready':
        return this.#ready(event.ref, at, event.seconds)
      case 'function.failed':
        return this.#failed(event.ref, 'did not start', event.problem, event.serving)
      case 'function.failed-again':
        return this.#failedAgain(event.ref, event.tries)
      case 'function.removed':
        this.#turns.delete(formatRef(event.ref))
        return [{ tone: 'plain', text: `- ${event.ref.name}  removed` }]
      case 'replica.died':
        return [{ tone: 'bad', text: `! ${event.ref.name}  a replica ended: ${event.reason}` }]
      case 'stack.read':
        this.#stackWarning = undefined
        return [
          {
            tone: 'detail',
            text: `${basename(event.file)}  read, ${event.functions} ${event.functions === 1 ? 'function' : 'functions'}`,
          },
        ]
      case 'stack.failed':
        this.#stackWarning = `✗ ${basename(event.file)}  ${firstLine(event.problem.message)}`
        return problemLines(
          `✗ ${basename(event.file)}  cannot be used; what was read before goes on`,
          event.problem,
        )
      case 'notice':
        return [{ tone: event.level === 'info' ? 'plain' : 'bad', text: event.message }]
      case 'engine.lost':
        this.#engineWarning = `✗ the Docker engine went away: ${firstLine(event.reason)}`
        return [{ tone: 'bad', text: this.#engineWarning }]
      case 'engine.back':
        this.#engineWarning = undefined
        return [{ tone: 'good', text: '✓ the Docker engine is back' }]
    }
  }

  /** The next build of a function was asked for: also that it changes nothing is said. */
  expect(ref: FunctionRef): void {
    this.#turn(ref).isAsked = true
  }

  /** Functions that something is happening to, for the live region. */
  rows(now: number): LiveRow[] {
    return [...this.#turns].flatMap(([ref, { phase, step, since }]) =>
      phase
        ? [
            {
              name: ref.slice(0, ref.lastIndexOf('.')),
              phase,
              step,
              seconds: Math.max(0, now - since) / 1000,
            },
          ]
        : [],
    )
  }

  /** What is wrong just now, one line each. */
  warnings(): string[] {
    const all = [
      this.#engineWarning,
      this.#stackWarning,
      ...[...this.#turns.values()].map(({ warning, tries }) =>
        warning === undefined || tries === 1 ? warning : `${warning} (${tries} tries)`,
      ),
    ]
    return all.filter((line) => line !== undefined)
  }

  /** Whether the image of a function was built in this run, or was there. */
  builtOf(ref: FunctionRef): string {
    switch (this.#turns.get(formatRef(ref))?.built) {
      case 'built':
        return 'built now'
      case 'cached':
        return 'up to date'
      case undefined:
        return ''
    }
  }

  #turn(ref: FunctionRef): Turn {
    const key = formatRef(ref)
    const known = this.#turns.get(key)
    if (known) return known
    const turn: Turn = {
      phase: undefined,
      since: 0,
      step: '',
      saved: new Set(),
      savedAt: undefined,
      built: undefined,
      warning: undefined,
      tries: 1,
      isBroken: false,
      isAsked: false,
    }
    this.#turns.set(key, turn)
    return turn
  }

  #saved(turn: Turn, path: string, at: number): DevLine[] {
    // A save that changed nothing is never followed by `ready`: it does not belong to the next one.
    if (!turn.phase && turn.savedAt !== undefined && at - turn.savedAt > BURST_MS) turn.saved.clear()
    turn.saved.add(basename(path))
    turn.savedAt = at
    return []
  }

  #output(ref: FunctionRef, line: string): DevLine[] {
    this.#turn(ref).step = line
    // Steps tell that a long build lives; all of it is for those who ask.
    const isStep = /^(Step \d+\/\d+|#\d+ \[)/.test(line)
    return this.#verbose || isStep ? [{ tone: 'detail', text: `${ref.name}  ${line}` }] : []
  }

  #built({ ref, cached, seconds }: StampedEvent & { type: 'build.done' }): DevLine[] {
    const turn = this.#turn(ref)
    // Where the fix only undoes a mistake, what runs is right already: nothing else would tell that it was seen.
    const isMended = turn.isBroken
    const isAnswer = turn.isAsked && cached && !isMended
    Object.assign(turn, {
      phase: undefined,
      built: cached ? 'cached' : 'built',
      warning: undefined,
      isBroken: false,
      isAsked: false,
    })
    return [
      ...(cached ? [] : [{ tone: 'detail', text: `${ref.name}  built in ${formatSpan(seconds)}` } as const]),
      ...(isMended ? [{ tone: 'good', text: `✓ ${ref.name}  builds again` } as const] : []),
      ...(isAnswer ? [{ tone: 'good', text: `✓ ${ref.name}  up to date` } as const] : []),
    ]
  }

  #ready(ref: FunctionRef, at: number, seconds: number): DevLine[] {
    const turn = this.#turn(ref)
    const { saved, savedAt, built } = turn
    Object.assign(turn, { phase: undefined, warning: undefined, saved: new Set(), savedAt: undefined })
    if (savedAt === undefined)
      return [{ tone: 'good', text: `✓ ${ref.name}  ready in ${formatSpan(seconds)}` }]
    const took = formatSpan(Math.max(0, at - savedAt) / 1000)
    return [
      {
        tone: 'good',
        text: `↻ ${ref.name}  ${savedText(saved)}  ${built === 'built' ? 'rebuilt' : 'replaced'} in ${took}`,
      },
    ]
  }

  #failed(ref: FunctionRef, what: string, problem: Problem, serving: string | undefined): DevLine[] {
    const turn = this.#turn(ref)
    const cause = turn.savedAt === undefined ? '' : `  ${savedText(turn.saved)}`
    const older = serving === undefined ? '' : '; the older revision answers'
    Object.assign(turn, { phase: undefined, saved: new Set(), savedAt: undefined, tries: 1 })
    turn.warning = `✗ ${ref.name}${cause}  ${what}: ${firstLine(problem.message)}`
    return problemLines(`✗ ${ref.name}${cause}  ${what}${older}`, problem)
  }

  /** Its reason stands above, and in what stays in sight. */
  #failedAgain(ref: FunctionRef, tries: number): DevLine[] {
    Object.assign(this.#turn(ref), { phase: undefined, tries })
    return [{ tone: 'detail', text: `✗ ${ref.name}  failed as before (${tries} tries)` }]
  }
}

function problemLines(head: string, { code, message, remedy }: Problem): DevLine[] {
  return [
    { tone: 'bad', text: head },
    ...`${code}: ${message}`.split('\n').map((line) => ({ tone: 'plain', text: `  ${line}` }) as const),
    { tone: 'plain', text: `  → ${remedy}` },
  ]
}

function savedText(saved: ReadonlySet<string>): string {
  const [first = '', ...others] = saved
  return others.length === 0 ? first : `${first} +${others.length}`
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}
