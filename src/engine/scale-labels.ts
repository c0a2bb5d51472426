import type { FunctionSpec } from '../core/function.ts'

/** `com.openfaas.scale.min`: initial replicas, and how many a wake-up starts. 1 when absent or unreadable (contract 4.1). */
export function minReplicas(spec: FunctionSpec): number {
  const text = spec.labels['com.openfaas.scale.min']
  const min = text === undefined ? NaN : Number(text)
  return Number.isInteger(min) && min >= 1 ? min : 1
}
