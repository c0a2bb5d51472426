import { basename } from 'node:path'
import { formatRef } from '../core/function.ts'
import type { FunctionRef, Problem } from '../core/function.ts'
import type { StampedEvent } from '../engine/events.ts'
import { isWarning } from './build-warning.ts'
import type { LiveRow } from './live.ts'
import { frameLines, placed, problemText } from './problem-text.ts'
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
  /** What was saved since it was last ready. */
  saved: { readonly text: string; readonly at: number } | undefined
  built: 'built' | 'cached' | undefined
  /** What is wrong with its source, with what was deployed, and with the image behind the code that answers. */
  readonly warnings: { source?: string; deploy?: string; image?: string }
  /** How often it failed in the same way. */
  tries: number
  /** Somebody asked for a build, and is owed its result. */
  isAsked: boolean
}

/** How a save came to answer, for people. */
const BROUGHT = { swap: 'swapped', files: 'replaced', build: 'rebuilt', spec: 'reconfigured' } as const

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
        return this.#saved(event)
      case 'source.mended':
        return this.#mended(event.ref)
      case 'build.started':
        Object.assign(this.#turn(event.ref), { phase: 'building', since: at, step: '' })
        return [{ tone: 'detail', text: `${event.ref.name}  building` }]
      case 'build.output':
        return this.#output(event.ref, event.line)
      case 'build.done':
        return this.#built(event)
      case 'build.failed':
        return this.#failed(event.ref, 'source', failedText(event.problem), event)
      case 'code.failed':
        return this.#failed(event.ref, 'source', failedText(event.problem), event)
      case 'image.done':
        return this.#imaged(event)
      case 'image.failed':
        return this.#failed(event.ref, 'image', 'the image behind does not build', event)
      case 'function.deploying':
        Object.assign(this.#turn(event.ref), { phase: 'starting', since: at, step: '' })
        return []
      case 'function.ready':
        return this.#ready(event, at)
      case 'function.failed':
        return this.#failed(event.ref, 'deploy', deployFailedText(event.problem), event)
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
      ...[...this.#turns.values()].flatMap(({ warnings: { source, deploy, image }, tries }) => [
        source,
        deploy === undefined || tries === 1 ? deploy : `${deploy} (${tries} tries)`,
        image,
      ]),
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
      saved: undefined,
      built: undefined,
      warnings: {},
      tries: 1,
      isAsked: false,
    }
    this.#turns.set(key, turn)
    return turn
  }

  #saved({ ref, path, files, seenAt }: StampedEvent & { type: 'source.changed' }): DevLine[] {
    const others = files > 1 ? ` +${files - 1}` : ''
    this.#turn(ref).saved = { text: `${basename(path)}${others}`, at: Date.parse(seenAt) }
    return []
  }

  /** What runs is right already: nothing else would tell that the fix was seen. */
  #mended(ref: FunctionRef): DevLine[] {
    const turn = this.#turn(ref)
    Object.assign(turn, { phase: undefined, saved: undefined, tries: 1 })
    delete turn.warnings.source
    delete turn.warnings.deploy
    return [{ tone: 'good', text: `✓ ${ref.name}  what answers is what is saved again` }]
  }

  #output(ref: FunctionRef, line: string): DevLine[] {
    this.#turn(ref).step = line
    if (isWarning(line)) return [{ tone: 'plain', text: `! ${ref.name}  ${line}` }]
    // Steps tell that a long build lives; all of it is for those who ask.
    const isStep = /^(Step \d+\/\d+|#\d+ \[)/.test(line)
    return this.#verbose || isStep ? [{ tone: 'detail', text: `${ref.name}  ${line}` }] : []
  }

  #built({ ref, cached, seconds }: StampedEvent & { type: 'build.done' }): DevLine[] {
    const turn = this.#turn(ref)
    const isAnswer = turn.isAsked && cached && turn.warnings.source === undefined
    Object.assign(turn, { phase: undefined, built: cached ? 'cached' : 'built', isAsked: false })
    return [
      ...(cached ? [] : [{ tone: 'detail', text: `${ref.name}  built in ${formatSpan(seconds)}` } as const]),
      ...(isAnswer ? [{ tone: 'good', text: `✓ ${ref.name}  up to date` } as const] : []),
    ]
  }

  /** Nobody waited for it, so it is only said where it puts something right. */
  #imaged({ ref, seconds }: StampedEvent & { type: 'image.done' }): DevLine[] {
    const { warnings } = this.#turn(ref)
    const isMended = warnings.image !== undefined
    delete warnings.image
    return isMended
      ? [{ tone: 'good', text: `✓ ${ref.name}  the image behind builds again` }]
      : [{ tone: 'detail', text: `${ref.name}  its image follows, built in ${formatSpan(seconds)}` }]
  }

  #ready({ ref, replicas, seconds, by }: StampedEvent & { type: 'function.ready' }, at: number): DevLine[] {
    const turn = this.#turn(ref)
    const { saved, warnings } = turn
    Object.assign(turn, { phase: undefined, saved: undefined, tries: 1 })
    delete warnings.deploy
    // An older revision that is brought up while the source cannot be used is no cure.
    if (by !== undefined) delete warnings.source
    if (by === undefined || (saved === undefined && by !== 'spec'))
      return [{ tone: 'good', text: `✓ ${ref.name}  ready in ${formatSpan(seconds)}` }]
    const took = formatSpan(saved ? Math.max(0, at - saved.at) / 1000 : seconds)
    const cause = saved ? `  ${saved.text}` : ''
    const how = replicas === 0 ? 'taken, for its next call,' : BROUGHT[by]
    return [{ tone: 'good', text: `↻ ${ref.name}${cause}  ${how} in ${took}` }]
  }

  #failed(
    ref: FunctionRef,
    kind: keyof Turn['warnings'],
    what: string,
    { problem, serving }: { readonly problem: Problem; readonly serving?: string },
  ): DevLine[] {
    const turn = this.#turn(ref)
    const cause = turn.saved && kind !== 'image' ? `  ${turn.saved.text}` : ''
    const older = serving === undefined ? '' : '; the last good version answers'
    if (kind !== 'image') Object.assign(turn, { phase: undefined, saved: undefined, tries: 1 })
    turn.warnings[kind] = `✗ ${ref.name}${cause}  ${what}: ${firstLine(placed(problem))}`
    return problemLines(`✗ ${ref.name}${cause}  ${what}${older}`, problem)
  }

  /** Its reason stands above, and in what stays in sight. */
  #failedAgain(ref: FunctionRef, tries: number): DevLine[] {
    Object.assign(this.#turn(ref), { phase: undefined, tries })
    return [{ tone: 'detail', text: `✗ ${ref.name}  failed as before (${tries} tries)` }]
  }
}

function problemLines(head: string, problem: Problem): DevLine[] {
  const plain = (line: string): DevLine => ({ tone: 'plain', text: `  ${line}` })
  return [
    { tone: 'bad', text: head },
    ...problemText(problem).split('\n').map(plain),
    ...frameLines(problem).map((line) => plain(`  ${line}`)),
    plain(`→ ${problem.remedy}`),
  ]
}

function failedText({ code }: Problem): string {
  if (code === 'CODE_NOT_LOADED') return 'does not load'
  return code === 'BUILD_FAILED' ? 'build failed' : 'cannot be deployed'
}

/** Code that was saved while a function slept is loaded when it starts. */
function deployFailedText({ code }: Problem): string {
  return code === 'CODE_NOT_LOADED' ? 'does not load' : 'did not start'
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}
