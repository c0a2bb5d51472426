import { asFaasError } from '../core/errors.ts'
import { formatRef, parseRef } from '../core/function.ts'
import type { FunctionSpec } from '../core/function.ts'
import type { Log } from '../core/log.ts'
import type { Functions } from './functions.ts'
import { maxReplicas, minReplicas, scaleFactor } from './scale-labels.ts'

/** One alert of AlertManager: a function has too much load, or no longer has. */
export interface Alert {
  readonly isFiring: boolean
  /** `name.namespace`; a bare name is in the default namespace. */
  readonly functionName: string
}

/**
 * How many replicas an alert asks for (contract 4.2): a step of the factor's percent of the maximum more while it fires,
 * the minimum once it is resolved. A factor of 0, or a minimum that is the maximum, leaves it alone.
 */
export function replicasAfterAlert(spec: FunctionSpec, current: number, isFiring: boolean): number {
  const [min, max] = [minReplicas(spec), maxReplicas(spec)]
  const step = Math.ceil((max / 100) * scaleFactor(spec))
  if (step === 0 || min === max) return current
  return isFiring ? Math.min(current + step, max) : min
}

/** Scales what alerts name, in order; functions that are not there are passed over. Gives what failed, in words. */
export function handleAlerts(
  { functions, log }: { readonly functions: Pick<Functions, 'get' | 'scale'>; readonly log: Log },
  alerts: readonly Alert[],
): readonly string[] {
  const failures: string[] = []
  for (const { functionName, isFiring } of alerts) {
    const ref = parseRef(functionName)
    try {
      const status = functions.get(ref)
      if (!status) continue
      const wanted = replicasAfterAlert(status.spec, status.replicas, isFiring)
      if (wanted === status.replicas) continue
      functions.scale(ref, wanted)
      log.info(
        `${formatRef(ref)} scaled from ${status.replicas} to ${wanted}: alert ${isFiring ? 'fires' : 'resolved'}`,
      )
    } catch (error) {
      failures.push(`${formatRef(ref)}: ${asFaasError(error).message}`)
    }
  }
  return failures
}
