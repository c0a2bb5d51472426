import type { Colors } from 'picocolors/types.js'
import type { Output } from './io.ts'
import { fit, padEnd, textWidth, wrapItems } from './text-width.ts'
import { formatSpan } from './time-words.ts'

/** What is drawn at the bottom of the terminal and redrawn in place. */
export interface LiveState {
  /** Functions something is happening to. */
  readonly rows: readonly LiveRow[]
  /** What must stay in sight until it is put right. */
  readonly warnings: readonly string[]
  /** A question to answer with a key, items apart by two spaces: as many lines as it needs, in place of the last one. */
  readonly question?: string
  /** The last line; absent while there is nothing to say. */
  readonly status?: string
}

export interface LiveRow {
  readonly name: string
  /** One word: `building`, `starting`. */
  readonly phase: string
  /** What the phase does just now. */
  readonly step: string
  readonly seconds: number
}

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const MAX_ROWS = 12

/** The lines of `state`, none wider than `width` columns. `frame` counts up to turn the spinner. */
export function liveLines(state: LiveState, width: number, frame: number, colors: Colors): string[] {
  const shown = state.rows.slice(0, MAX_ROWS)
  const names = Math.max(0, ...shown.map((row) => textWidth(row.name)))
  const spinner = FRAMES[frame % FRAMES.length] ?? ''
  const lines = shown.map((row) =>
    [
      colors.cyan(spinner),
      padEnd(row.name, names),
      padEnd(row.phase, 8),
      colors.dim(`${formatSpan(row.seconds)}  ${row.step}`),
    ].join('  '),
  )
  const hidden = state.rows.length - shown.length
  if (hidden > 0) lines.push(colors.dim(`   and ${hidden} more`))
  for (const warning of state.warnings) lines.push(colors.red(warning))
  if (state.question !== undefined) lines.push(...wrapItems(state.question, width).map(colors.bold))
  else if (state.status !== undefined) lines.push(state.status)
  return lines.map((line) => fit(line, width))
}

/** Draws at most this often: more is not seen, slow terminals (ssh) fall behind, and logs may come by the thousand. */
const REDRAW_MS = 50
const SPIN_MS = 120

/**
 * A region at the bottom of a terminal, with lines scrolling above it. Where the output is no terminal there is no
 * region: lines are written as they come, and nothing is ever erased.
 */
export class LiveRegion implements Disposable {
  readonly #output: Output
  readonly #state: () => LiveState
  readonly #colors: Colors
  readonly #live: boolean
  #drawn = 0
  #drawnAt = -Infinity
  readonly #waiting: string[] = []
  #frame = 0
  #pending: NodeJS.Timeout | undefined
  readonly #spin: NodeJS.Timeout | undefined
  readonly #onResize = (): void => this.refresh()

  /** `live: false` refuses the region although the output is a terminal (CI, `--verbose`). */
  constructor(output: Output, colors: Colors, state: () => LiveState, live = true) {
    this.#output = output
    this.#state = state
    this.#colors = colors
    this.#live = live && output.isTTY === true
    if (!this.#live) return
    output.on('resize', this.#onResize)
    this.#spin = setInterval(() => {
      this.#frame++
      if (this.#state().rows.length > 0) this.refresh()
    }, SPIN_MS).unref()
  }

  get live(): boolean {
    return this.#live
  }

  /** Writes lines that stay, above the region: at once, or together with others when there are many. */
  print(...lines: readonly string[]): void {
    if (!this.#live) {
      for (const line of lines) this.#output.write(`${line}\n`)
      return
    }
    this.#waiting.push(...lines)
    this.#drawSoon()
  }

  /** Draws the present state soon. */
  refresh(): void {
    if (this.#live) this.#drawSoon()
  }

  /** Wipes the screen above the region: the `c` key. */
  clear(): void {
    if (!this.#live) return
    this.#output.write('\u001b[2J\u001b[3J\u001b[H')
    this.#drawn = 0
    this.#draw()
  }

  /** Takes the region away and leaves the cursor where the next line belongs. */
  [Symbol.dispose](): void {
    clearTimeout(this.#pending)
    clearInterval(this.#spin)
    if (!this.#live) return
    this.#output.off('resize', this.#onResize)
    this.#output.write(this.#eraser() + this.#linesAbove())
    this.#drawn = 0
  }

  #drawSoon(): void {
    if (this.#pending) return
    const wait = this.#drawnAt + REDRAW_MS - performance.now()
    if (wait <= 0) this.#draw()
    else this.#pending = setTimeout(() => this.#draw(), wait).unref()
  }

  #draw(): void {
    clearTimeout(this.#pending)
    this.#pending = undefined
    this.#drawnAt = performance.now()
    // One column is left free: a full line makes some terminals wrap.
    const width = (this.#output.columns ?? 80) - 1
    const region = liveLines(this.#state(), width, this.#frame, this.#colors)
    this.#output.write(this.#eraser() + this.#linesAbove() + region.join('\n'))
    this.#drawn = region.length
  }

  #linesAbove(): string {
    return this.#waiting
      .splice(0)
      .map((line) => `${line}\n`)
      .join('')
  }

  /** Moves to the region's first column and erases to the end of the screen. */
  #eraser(): string {
    if (this.#drawn === 0) return ''
    return `\r${this.#drawn > 1 ? `\u001b[${this.#drawn - 1}A` : ''}\u001b[J`
  }
}
