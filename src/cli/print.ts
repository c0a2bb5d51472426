import pc from 'picocolors'
import type { Colors } from 'picocolors/types.js'
import type { Io, Output } from './io.ts'
import { errorJson, errorLines, errorTrail } from './show-error.ts'

/** How a command speaks. */
export interface Print {
  /** Colours of standard output; identity functions where there are none. */
  readonly colors: Colors
  readonly json: boolean
  readonly verbose: boolean
  /** One line of the answer that was asked for, on standard output. */
  line(text: string): void
  /** Bytes of the answer, as they are. Resolves when the reader can take more. */
  bytes(chunk: Uint8Array): Promise<void>
  /** Bytes that must not be taken for the answer, as they are, on standard error. */
  noteBytes(chunk: Uint8Array): Promise<void>
  /** The answer as JSON, on standard output. */
  value(value: unknown): void
  /** One JSON value on a line of its own, on standard output. */
  record(value: unknown): void
  /** Chatter: for people beside the answer. Standard output, but standard error under `--json`. */
  say(text: string): void
  /** Chatter that must never be taken for the answer: standard error. */
  note(text: string): void
  /** A failure, on standard error. */
  error(error: unknown): void
  /** Where chatter goes, for writers that draw (live.ts). */
  readonly chatter: Output
}

/** The only one that writes to the console. */
export function makePrint(io: Io, { json, verbose }: { json: boolean; verbose: boolean }): Print {
  const colors = pc.createColors(wantsColors(io, io.stdout))
  const errorColors = pc.createColors(wantsColors(io, io.stderr))
  const chatter = json ? io.stderr : io.stdout
  const write = (output: Output, text: string): void => void output.write(`${text}\n`)
  return {
    colors: json ? errorColors : colors,
    json,
    verbose,
    chatter,
    line: (text) => write(io.stdout, text),
    bytes: (chunk) => writeBytes(io.stdout, chunk),
    noteBytes: (chunk) => writeBytes(io.stderr, chunk),
    value: (value) => write(io.stdout, JSON.stringify(value, null, 2)),
    record: (value) => write(io.stdout, JSON.stringify(value)),
    say: (text) => write(chatter, text),
    note: (text) => write(io.stderr, text),
    error(error) {
      if (json) {
        write(io.stderr, JSON.stringify(errorJson(error)))
        return
      }
      for (const line of errorLines(error, errorColors)) write(io.stderr, line)
      if (verbose) for (const line of errorTrail(error)) write(io.stderr, errorColors.dim(line))
    },
  }
}

/** https://no-color.org and https://force-color.org: set to anything but empty. Otherwise: a terminal that can. */
function wantsColors({ env }: Io, output: Output): boolean {
  if (env['NO_COLOR']) return false
  if (env['FORCE_COLOR']) return env['FORCE_COLOR'] !== '0'
  return output.isTTY === true && env['TERM'] !== 'dumb'
}

function writeBytes(output: Output, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    output.write(chunk, (error) => (error ? reject(error) : resolve()))
  })
}
