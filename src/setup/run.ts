import { spawn } from 'node:child_process'
import { FaasError } from '../core/errors.ts'

export interface RunOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly onLine?: (line: string) => void
}

/** How many last lines of a failed program are shown. */
const EVIDENCE_LINES = 15

/**
 * Runs a program and resolves with what it wrote to its output. SETUP_FAILED with its last lines when it cannot be
 * started or ends with another status than 0.
 */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      ...(options.env && { env: options.env }),
    })
    let output = ''
    const last: string[] = []
    const keep = (text: string): void => {
      for (const line of text.split('\n')) {
        if (line.trim() === '') continue
        last.push(line)
        if (last.length > EVIDENCE_LINES) last.shift()
        options.onLine?.(line)
      }
    }
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
      keep(text)
    })
    child.stderr.setEncoding('utf8').on('data', keep)
    child.once('error', (error) => reject(failed(command, args, error.message, error)))
    child.once('close', (status, signal) => {
      if (status === 0) resolve(output)
      else
        reject(
          failed(command, args, [`it ended with ${signal ?? `status ${status ?? '?'}`}`, ...last].join('\n')),
        )
    })
  })
}

function failed(command: string, args: readonly string[], why: string, cause?: unknown): FaasError {
  return new FaasError('SETUP_FAILED', {
    message: `${[command, ...args].join(' ')}: ${why}`,
    remedy: 'Run that command yourself to see more, or put right what its last lines say, then start again.',
    cause,
  })
}
