import { FaasError } from '../core/errors.ts'
import { headlineOf } from './build-headline.ts'

/**
 * Lines of a failed step that go into its error: enough for a compiler's complaint, few enough to be read. Node's test
 * runner prints 20 lines of its own after the exception that a handler threw while it was loaded.
 */
const LINES_TOLD = 40

/** Lines of a step that are kept while it runs: a test that failed may stand far above the last word of those that passed. */
const LINES_KEPT = 1000

/** Steps of a Dockerfile may be a page long; their beginning tells which it is. */
const TITLE_LIMIT = 80

/** The step a build is at, and the last lines it printed, more than an error tells. */
export class StepLog {
  readonly title: string
  readonly #lines: string[] = []

  constructor(title: string) {
    this.title = title
  }

  add(line: string): void {
    if (line.trim() === '') return
    this.#lines.push(line)
    if (this.#lines.length > LINES_KEPT) this.#lines.shift()
  }

  get lines(): readonly string[] {
    return this.#lines
  }
}

export interface StepFailure {
  /** Whose image was being built. */
  readonly name: string
  /** Undefined when the build failed before its first step. */
  readonly step?: StepLog | undefined
  /** What the builder says. */
  readonly reason: string
  readonly exitCode?: number | undefined
  /** Makes paths inside the image the developer's own. */
  readonly place?: ((line: string) => string) | undefined
}

/** BUILD_FAILED: what is wrong in the first line, then the last lines, step and exit code; DISK_FULL when that is why. */
export function buildFailure({ name, step, reason, exitCode, place }: StepFailure): FaasError {
  const printed = (step?.lines ?? []).map((line) => place?.(line) ?? line)
  const lines = printed.slice(-LINES_TOLD)
  const title = step && shortTitle(step.title)
  const at = title === undefined ? '' : ` at ${title}`
  if (isDiskFull(reason) || lines.some(isDiskFull)) {
    return new FaasError('DISK_FULL', {
      message: [`${name}: the engine ran out of disk space while building${at}: ${reason}`, ...lines].join(
        '\n',
      ),
      remedy: 'Free some with `faasdock gc` and `docker system prune`, then build again.',
    })
  }
  if (exitCode === undefined || title === undefined) {
    const message = [`${name}: ${reason}`, ...lines, ...(title === undefined ? [] : [title])].join('\n')
    return new FaasError('BUILD_FAILED', { message, remedy: remedyFor(reason) })
  }
  const end = `${title} ended with exit code ${exitCode}`
  const headline = headlineOf(lines, printed)
  const rest = lines.length === 1 && lines[0]?.trim() === headline ? [] : lines
  return new FaasError('BUILD_FAILED', {
    message: [`${name}: ${headline ?? end}`, ...rest, ...(headline === undefined ? [] : [end])].join('\n'),
    remedy: remedyFor(reason),
  })
}

/** On one line, without the mounts, which say nothing of what the step does. */
function shortTitle(title: string): string {
  const line = title
    .replace(/\s--mount=\S+/g, '')
    .replace(/\s+/g, ' ')
    .trim()
  return line.length <= TITLE_LIMIT ? line : `${line.slice(0, TITLE_LIMIT - 1)}…`
}

/** What the engine said, without the client library's `(HTTP code 400) unexpected - ` before it. */
export function saidBy(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.replace(/^\(HTTP code \d+\) .*? - /, '').trim()
}

/** What Linux, Go, Node and Docker all call it. */
function isDiskFull(text: string): boolean {
  return /no space left on device|\bENOSPC\b|disk quota exceeded/i.test(text)
}

function remedyFor(reason: string): string {
  if (
    /pull access denied|unauthorized|authentication required|manifest unknown|not found: manifest/i.test(
      reason,
    )
  ) {
    return 'Check the name in the Dockerfile’s FROM, and log in if the registry is private: docker login.'
  }
  if (/no such host|i\/o timeout|connection refused|network is unreachable|TLS handshake/i.test(reason)) {
    return 'The engine cannot reach the registry: check its network and proxy, or load the base image with docker load.'
  }
  if (/dockerfile parse error|unknown instruction/i.test(reason))
    return 'Correct the Dockerfile of the template or function.'
  return 'Correct what the step reports and build again. What runs was not touched.'
}
