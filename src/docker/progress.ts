import { StringDecoder } from 'node:string_decoder'
import { stripVTControlCharacters } from 'node:util'
import type { ImageBuild } from './image-build.ts'
import { buildFailure, StepLog } from './step-log.ts'

/** One record of the stream that the engine answers builds and pulls with. */
export interface ProgressRecord {
  readonly stream?: string
  readonly status?: string
  readonly id?: string
  readonly progressDetail?: { readonly total?: number }
  readonly error?: string
  readonly errorDetail?: { readonly code?: number; readonly message?: string }
  readonly aux?: { readonly ID?: string }
}

/** The JSON records of a progress stream, however they were cut into chunks. */
export async function* progressRecords(stream: NodeJS.ReadableStream): AsyncGenerator<ProgressRecord> {
  const decoder = new StringDecoder('utf8')
  let pending = ''
  for await (const chunk of stream) {
    const lines = (pending + (typeof chunk === 'string' ? chunk : decoder.write(chunk))).split('\n')
    pending = lines.pop() ?? ''
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line) as ProgressRecord
  }
  if (pending.trim() !== '') yield JSON.parse(pending) as ProgressRecord
}

/**
 * Follows a classic build to its end; resolves with the image's id. The engine answers 200 and reports failures *inside*
 * the stream: those reject with BUILD_FAILED or DISK_FULL.
 */
export async function followBuild(
  stream: NodeJS.ReadableStream,
  { name, onOutput, place }: Pick<ImageBuild, 'name' | 'onOutput' | 'place'>,
): Promise<string> {
  let step: StepLog | undefined
  let id: string | undefined
  const lines = new Lines((line) => {
    if (isNoise(line)) return
    if (/^Step \d+\/\d+ : /.test(line)) step = new StepLog(line)
    else step?.add(line)
    onOutput(line)
  })
  for await (const record of progressRecords(stream)) {
    if (record.error !== undefined || record.errorDetail !== undefined) {
      lines.end()
      const reason = record.errorDetail?.message ?? record.error ?? 'the engine gave no reason'
      const exitCode = record.errorDetail?.code ?? exitCodeIn(reason)
      throw buildFailure({ name, step, reason, exitCode, place })
    }
    if (record.stream !== undefined) lines.write(record.stream)
    if (record.status !== undefined && record.progressDetail?.total === undefined)
      lines.write(`${statusLine(record)}\n`)
    if (record.aux?.ID !== undefined) id = record.aux.ID
  }
  lines.end()
  if (id !== undefined) return id
  throw buildFailure({ name, step, reason: 'the engine ended the build without an image', place })
}

/** Follows a pull to its end. Rejects with a plain Error of what the engine says inside the stream. */
export async function followPull(
  stream: NodeJS.ReadableStream,
  onOutput: (line: string) => void,
): Promise<void> {
  for await (const record of progressRecords(stream)) {
    if (record.error !== undefined) throw new Error(record.errorDetail?.message ?? record.error)
    if (record.status !== undefined && record.progressDetail?.total === undefined)
      onOutput(statusLine(record))
  }
}

function statusLine({ id, status }: ProgressRecord): string {
  return id === undefined ? (status ?? '') : `${id}: ${status ?? ''}`
}

/** Docker gives the code apart only where the step was a command. */
function exitCodeIn(reason: string): number | undefined {
  const code = /non-zero code: (\d+)/.exec(reason)?.[1]
  return code === undefined ? undefined : Number(code)
}

/** The classic builder's bookkeeping, which hides what a step says. */
function isNoise(line: string): boolean {
  return /^ ---> (Running in )?[0-9a-f]{12}$|^Removing intermediate container |^Successfully (built|tagged) /.test(
    line,
  )
}

/** Longest line kept whole, so that a step which never ends its line cannot fill the memory. */
const MAX_LINE = 64 * 1024

/** Cuts text that comes in pieces into lines without colours; of a progress bar only its last state is a line. */
export class Lines {
  readonly #onLine: (line: string) => void
  #pending = ''

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine
  }

  write(text: string): void {
    const lines = (this.#pending + text).split('\n')
    this.#pending = lines.pop() ?? ''
    for (const line of lines) this.#tell(line)
    if (this.#pending.length > MAX_LINE) this.end()
  }

  end(): void {
    const rest = this.#pending
    this.#pending = ''
    if (rest !== '') this.#tell(rest)
  }

  #tell(raw: string): void {
    const line = stripVTControlCharacters(raw).replace(/\r+$/, '')
    const shown = line.slice(line.lastIndexOf('\r') + 1).trimEnd()
    if (shown !== '') this.#onLine(shown)
  }
}
