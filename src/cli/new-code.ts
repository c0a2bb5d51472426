import { setTimeout as wait } from 'node:timers/promises'
import { asFaasError } from '../core/errors.ts'
import { formatRef } from '../core/function.ts'
import type { FunctionRef, Problem } from '../core/function.ts'
import type { GatewayClient } from './gateway-client.ts'

/** A gateway that is away is looked for this often. Milliseconds. */
const RETRY_MS = 500

/** What happened to a function that matters to whoever waits for its new code. */
interface SeenEvent {
  readonly type: string
  readonly ref?: FunctionRef
  readonly revision?: string
  /** Set by a save, also where the revision stays. */
  readonly by?: string
  readonly problem?: Problem
}

export interface CodeWatcher {
  /** New code answers. */
  onCode(): void
  /** What was saved does not; the code before it goes on answering. */
  onBadSave(problem: Problem): void
  onAway(): void
}

/**
 * Tells of each save of a function once the function answers with it. `revision`: the one that answers now, if known.
 * Never resolves. Rejects when the gateway refuses, or with the signal's reason; one that goes away is waited for.
 */
export async function watchCode(
  client: GatewayClient,
  ref: FunctionRef,
  revision: string | undefined,
  watcher: CodeWatcher,
  signal: AbortSignal,
): Promise<never> {
  const name = formatRef(ref)
  let known = revision
  for (let isAway = false; ;) {
    try {
      for await (const event of client.events() as AsyncGenerator<SeenEvent>) {
        if (!event.ref || formatRef(event.ref) !== name) continue
        if (event.type === 'function.ready') {
          // The same revision is ready again after a scaling or a death: that is no new code.
          if (event.by !== undefined || event.revision !== known) watcher.onCode()
          known = event.revision
        } else if (BAD_SAVE.has(event.type) && event.problem) watcher.onBadSave(event.problem)
      }
      signal.throwIfAborted()
    } catch (error) {
      signal.throwIfAborted()
      if (asFaasError(error).code !== 'GATEWAY_UNREACHABLE') throw error
    }
    if (!isAway) watcher.onAway()
    isAway = true
    await wait(RETRY_MS, undefined, { signal }).catch(() => signal.throwIfAborted())
    if (!(await client.isHealthy(RETRY_MS * 4).catch(() => false))) continue
    isAway = false
    known = undefined
    // It may have been changed in between.
    watcher.onCode()
  }
}

const BAD_SAVE: ReadonlySet<string> = new Set(['build.failed', 'code.failed', 'function.failed'])
