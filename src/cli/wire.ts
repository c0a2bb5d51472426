import { DEFAULT_NAMESPACE } from '../core/function.ts'
import type { FunctionPhase, FunctionSpec, Problem, Resources } from '../core/function.ts'

// The gateway's JSON as a client meets it (contract 1.3). Fields that only faasdock's gateway sends are optional: a
// command must work against any OpenFaaS gateway.

export interface WireDeployment {
  readonly service: string
  readonly image: string
  readonly namespace?: string
  readonly envProcess?: string
  readonly envVars?: Readonly<Record<string, string>>
  readonly constraints?: readonly string[]
  readonly secrets?: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly limits?: Resources
  readonly requests?: Resources
  readonly readOnlyRootFilesystem?: boolean
}

export interface WireFunction extends Omit<WireDeployment, 'service' | 'labels' | 'annotations'> {
  readonly name: string
  readonly labels?: Readonly<Record<string, string>> | null
  readonly annotations?: Readonly<Record<string, string>> | null
  readonly invocationCount?: number
  readonly replicas?: number
  readonly availableReplicas?: number
  readonly createdAt?: string
  readonly usage?: { readonly cpu?: number; readonly totalMemoryBytes?: number }
  readonly state?: FunctionPhase
  readonly problem?: Problem
  readonly revision?: string
}

interface WireVersion {
  readonly release?: string
  readonly sha?: string
  readonly commit_message?: string
}

export interface WireInfo {
  readonly provider?: {
    readonly provider?: string
    readonly orchestration?: string
    readonly version?: WireVersion
  }
  readonly version?: WireVersion
  readonly arch?: string
  /** Only while the stack file of its dev loop cannot be used. */
  readonly stack?: { readonly file: string; readonly problem: Problem }
  /** Functions of its dev loop that there is nothing of yet, and why. */
  readonly undeployed?: readonly {
    readonly name: string
    readonly namespace: string
    readonly problem: Problem
  }[]
}

export interface WireLog {
  readonly name: string
  readonly namespace?: string
  readonly instance?: string
  readonly timestamp: string
  readonly text: string
}

export interface WireNamespace {
  readonly name: string
  readonly labels?: Readonly<Record<string, string>> | null
  readonly annotations?: Readonly<Record<string, string>> | null
}

/**
 * The namespace that a request names: what `--namespace` says, else what the stack file says. Where nobody said
 * anything nothing is named, and the gateway takes its own default (contract 1.13).
 */
export function wireNamespace(
  { namespace }: { readonly namespace?: string | undefined },
  flag: string | undefined,
): string | undefined {
  return flag ?? (namespace === DEFAULT_NAMESPACE ? undefined : namespace)
}

/** The body of a deployment. */
export function toDeployment(spec: FunctionSpec, flag?: string): WireDeployment {
  const { name, namespace: _, ...rest } = spec
  const namespace = wireNamespace(spec, flag)
  return { service: name, ...rest, ...(namespace !== undefined && { namespace }) }
}

/** The state of a function in one word; worked out from the replicas where the gateway does not say. */
export function stateOf(fn: WireFunction): FunctionPhase {
  if (fn.state) return fn.state
  if ((fn.availableReplicas ?? 0) > 0) return 'ready'
  return (fn.replicas ?? 0) === 0 ? 'idle' : 'deploying'
}
