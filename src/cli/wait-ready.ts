import { setTimeout as pause } from 'node:timers/promises'
import { asFaasError, ERROR_CODES, FaasError } from '../core/errors.ts'
import type { ErrorCode } from '../core/errors.ts'
import type { Problem } from '../core/function.ts'
import type { GatewayClient } from './gateway-client.ts'
import { stateOf } from './wire.ts'
import type { WireFunction } from './wire.ts'

/** How often the gateway is asked: soon at first, because most functions answer within half a second. */
const INTERVALS = [50, 100, 200, 400]

/**
 * Resolves with the function once its newest revision answers, or at once when it is meant to be at zero; with
 * `replicas`, once as many of them answer. Rejects with the function's own problem unless it is the `known` one, which
 * others have to mend; FUNCTION_NOT_READY after `limit` milliseconds; or the signal's reason.
 */
export async function waitReady(
  client: GatewayClient,
  {
    name,
    namespace,
    replicas,
    known,
    limit,
    signal,
  }: {
    name: string
    namespace?: string | undefined
    replicas?: number
    known?: Problem | undefined
    limit: number
    signal: AbortSignal
  },
): Promise<WireFunction> {
  const end = performance.now() + limit
  for (let turn = 0; ; turn++) {
    const fn = await client.get(name, namespace)
    const state = stateOf(fn)
    const isAll = replicas === undefined || (fn.availableReplicas ?? 0) === replicas
    const isKnown = state === 'failing' && known !== undefined && fn.problem?.at === known.at
    if (isAll && (state === 'ready' || state === 'idle' || isKnown)) return fn
    if (state === 'failing' && !isKnown) throw problemOf(fn)
    if (performance.now() > end)
      throw new FaasError('FUNCTION_NOT_READY', {
        message: `${name} did not become ready within ${limit / 1000} s`,
        remedy: `See "faasdock describe ${name}" and "faasdock logs ${name}", or wait longer with --timeout.`,
      })
    const wait = INTERVALS[Math.min(turn, INTERVALS.length - 1)]
    await pause(wait, undefined, { signal }).catch((error: unknown) => {
      signal.throwIfAborted()
      throw asFaasError(error)
    })
  }
}

/** The error of a function that is failing, as the gateway keeps it. */
function problemOf(fn: WireFunction): FaasError {
  const code = fn.problem?.code ?? ''
  return new FaasError(code in ERROR_CODES ? (code as ErrorCode) : 'FUNCTION_NOT_READY', {
    message: fn.problem?.message ?? `${fn.name} does not answer`,
    remedy: fn.problem?.remedy ?? `See "faasdock logs ${fn.name}".`,
  })
}
