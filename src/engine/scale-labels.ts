import type { FunctionSpec } from '../core/function.ts'

/** More than one machine runs of one function. A number that asks for more is a mistake, and must not be tried. */
export const MAX_REPLICAS = 1000

/** `com.openfaas.scale.min`: initial replicas, and how many a wake-up starts. 1 when absent or unreadable (contract 4.1), at most MAX_REPLICAS. */
export function minReplicas(spec: FunctionSpec): number {
  const text = spec.labels['com.openfaas.scale.min']
  const min = text === undefined ? NaN : Number(text)
  return Number.isInteger(min) && min >= 1 ? Math.min(min, MAX_REPLICAS) : 1
}
