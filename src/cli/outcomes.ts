import { asFaasError } from '../core/errors.ts'
import type { ErrorCode } from '../core/errors.ts'
import type { Context } from './command.ts'
import { exitCodeOfAll } from './exit-codes.ts'

/** What became of one function of several. */
export type Outcome<Result> = { readonly name: string } & (
  { readonly ok: true; readonly result: Result } | { readonly ok: false; readonly error: unknown }
)

/** Settles `work` as an outcome, so that one function's failure does not stop the others; being stopped does. */
export async function settle<Result>(
  name: string,
  signal: AbortSignal,
  work: () => Promise<Result>,
): Promise<Outcome<Result>> {
  try {
    return { name, ok: true, result: await work() }
  } catch (error) {
    signal.throwIfAborted()
    return { name, ok: false, error }
  }
}

/**
 * Says every failure, one after the other, and gives the exit code of the whole. What several failed for (no gateway, a full
 * disk) people are told once.
 */
export function reportFailures({ print }: Context, outcomes: readonly Outcome<unknown>[]): number {
  const codes: ErrorCode[] = []
  const told = new Map<string, { readonly error: unknown; readonly names: string[] }>()
  for (const outcome of outcomes) {
    if (outcome.ok) continue
    const { code, message, remedy } = asFaasError(outcome.error)
    codes.push(code)
    if (print.json) print.error(outcome.error)
    const key = JSON.stringify([code, message, remedy])
    const same = told.get(key)
    if (same) same.names.push(outcome.name)
    else told.set(key, { error: outcome.error, names: [outcome.name] })
  }
  if (print.json) return exitCodeOfAll(codes)
  for (const { error, names } of told.values()) {
    print.note(`\n${names.join(', ')}:`)
    print.error(error)
  }
  return exitCodeOfAll(codes)
}
