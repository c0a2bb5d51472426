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

/** Says every failure, one after the other, and gives the exit code of the whole. */
export function reportFailures({ print }: Context, outcomes: readonly Outcome<unknown>[]): number {
  const codes: ErrorCode[] = []
  for (const outcome of outcomes) {
    if (outcome.ok) continue
    codes.push(asFaasError(outcome.error).code)
    if (!print.json) print.note(`\n${outcome.name}:`)
    print.error(outcome.error)
  }
  return exitCodeOfAll(codes)
}
