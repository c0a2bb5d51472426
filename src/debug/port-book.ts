import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import type { DebugBook, DebugEntry } from '../core/debug.ts'
import { FaasError } from '../core/errors.ts'
import { formatRef } from '../core/function.ts'

const file = z.array(
  z.object({
    ref: z.object({ name: z.string(), namespace: z.string() }),
    port: z.number().int().min(1).max(65535),
    isOn: z.boolean(),
  }),
)

/**
 * Which function has which port, in a file. What somebody broke, or cannot be read, is begun anew: ports can be given again.
 */
export function openPortBook(path: string): DebugBook {
  const entries = new Map(read(path).map((entry) => [formatRef(entry.ref), entry]))
  return {
    all: () => [...entries.values()],
    put(entry) {
      entries.set(formatRef(entry.ref), entry)
      write(path, [...entries.values()])
    },
  }
}

function read(path: string): readonly DebugEntry[] {
  try {
    return file.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return []
  }
}

function write(path: string, entries: readonly DebugEntry[]): void {
  try {
    writeFileSync(`${path}.new`, `${JSON.stringify(entries, undefined, 2)}\n`, { mode: 0o600 })
    renameSync(`${path}.new`, path)
  } catch (cause) {
    throw new FaasError('DATA_BROKEN', {
      message: `the ports of debuggers cannot be written to ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
      remedy: 'Check permissions and disk space.',
      cause,
    })
  }
}
