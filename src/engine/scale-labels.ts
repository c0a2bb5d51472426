import type { FunctionSpec } from '../core/function.ts'

/** More than one machine runs of one function. A number that asks for more is a mistake, and must not be tried. */
export const MAX_REPLICAS = 1000

/** What the labels of contract 4.1 say when they are absent or cannot be read: as the last MIT gateway. */
const DEFAULT_MAX = 20
const DEFAULT_FACTOR = 20
const DEFAULT_TARGET = 50
const DEFAULT_TYPE = 'rps'

/** `com.openfaas.scale.min`: initial replicas, and how many a wake-up starts. 1 when absent or unreadable (contract 4.1), at most MAX_REPLICAS. */
export function minReplicas(spec: FunctionSpec): number {
  return Math.min(wholeNumber(spec, 'min', 1) ?? 1, MAX_REPLICAS)
}

/** `com.openfaas.scale.max`: how far alerts scale up. 20 by default, never below the minimum, at most MAX_REPLICAS. */
export function maxReplicas(spec: FunctionSpec): number {
  const max = Math.min(wholeNumber(spec, 'max', 1) ?? DEFAULT_MAX, MAX_REPLICAS)
  return Math.max(max, minReplicas(spec))
}

/** `com.openfaas.scale.factor`: percent of the maximum that one alert adds; 20 by default, at most 100. 0 means: not by alerts. */
export function scaleFactor(spec: FunctionSpec): number {
  return Math.min(wholeNumber(spec, 'factor', 0) ?? DEFAULT_FACTOR, 100)
}

/** `com.openfaas.scale.target` and `.type`: how much load one replica should carry, of what kind (contract 4.1). */
export function targetLoad(spec: FunctionSpec): { readonly target: number; readonly type: string } {
  return {
    target: wholeNumber(spec, 'target', 1) ?? DEFAULT_TARGET,
    type: spec.labels['com.openfaas.scale.type'] || DEFAULT_TYPE,
  }
}

function wholeNumber(spec: FunctionSpec, label: string, least: number): number | undefined {
  const text = spec.labels[`com.openfaas.scale.${label}`]
  const value = text === undefined || text.trim() === '' ? NaN : Number(text)
  return Number.isInteger(value) && value >= least ? value : undefined
}
