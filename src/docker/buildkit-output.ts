import { stripVTControlCharacters } from 'node:util'
import { StepLog } from './step-log.ts'

/** A vertex of BuildKit's graph; steps of the Dockerfile are some of them. */
interface Vertex {
  readonly name: string
  readonly step: StepLog
  readonly isStep: boolean
}

/**
 * Reads what `--progress=plain` prints, line by line: `#6 [2/3] RUN make` begins a vertex, `#6 0.19 text` is its output,
 * `#6 ERROR: …` its end. Several run at once, so every line says whose it is.
 */
export class BuildkitOutput {
  readonly #onOutput: (line: string) => void
  readonly #vertices = new Map<string, Vertex>()
  #failed: { readonly step: StepLog; readonly reason: string } | undefined
  #lastLine = ''

  constructor(onOutput: (line: string) => void) {
    this.#onOutput = onOutput
  }

  /** The step that failed first, when one did. */
  get failedStep(): StepLog | undefined {
    return this.#failed?.step
  }

  /** Why the build failed: what the failed step says, or the client's last words. */
  get reason(): string {
    return withoutPreamble(this.#failed?.reason ?? this.#lastLine)
  }

  get exitCode(): number | undefined {
    const code = /exit code: (\d+)\s*$/.exec(this.reason)?.[1]
    return code === undefined ? undefined : Number(code)
  }

  readLine(raw: string): void {
    const line = stripVTControlCharacters(raw).trimEnd()
    const [, id, text = ''] = /^#(\d+) (.*)$/.exec(line) ?? []
    if (id === undefined) {
      if (line !== '') this.#lastLine = line
      return
    }
    const vertex = this.#vertices.get(id)
    if (vertex === undefined) this.#begin(id, text)
    else if (text !== vertex.name) this.#continue(vertex, text)
  }

  #begin(id: string, name: string): void {
    const isStep = /^\[(?!internal\])[^\]]*\d+\/\d+\] /.test(name)
    const title = name
      .replace(/^\[((?!internal\])[^\]]*\d+\/\d+)\] /, 'Step $1 : ')
      .replace(/^\[internal\] /, '')
    this.#vertices.set(id, { name, step: new StepLog(title), isStep })
    if (isStep) this.#onOutput(title)
  }

  #continue({ step, isStep }: Vertex, text: string): void {
    const [, output] = /^\d+(?:\.\d+)? (.*)$/.exec(text) ?? []
    if (output !== undefined) {
      const shown = output.slice(output.lastIndexOf('\r') + 1)
      step.add(shown)
      if (shown.trim() !== '') this.#onOutput(shown)
      return
    }
    if (text.startsWith('ERROR: ')) {
      // Steps that ran beside the failed one are cancelled, and say so as an error: they are not why.
      const reason = text.slice('ERROR: '.length)
      if (!/context canceled|^Canceled/.test(reason)) this.#failed ??= { step, reason }
    } else if (isStep && text === 'CACHED') {
      this.#onOutput(' ---> Using cache')
    }
  }
}

function withoutPreamble(reason: string): string {
  return reason
    .replace(/^ERROR: /, '')
    .replace(/^failed to solve(?: with frontend [\w.-]+)?: /, '')
    .replace(/^failed to create LLB definition: /, '')
}
