import type { RevisionCode, SourcePlace } from './code.ts'
import { FaasError } from './errors.ts'

/** The namespace of a function whose deployer named none. */
export const DEFAULT_NAMESPACE = 'openfaas-fn'

/** Identifies a function; written `name.namespace`. */
export interface FunctionRef {
  readonly name: string
  readonly namespace: string
}

/** What may be asked for (contract 1.3); the engine gives memory and cpu, and the others are for clusters that have them. */
export const RESOURCES = ['memory', 'cpu', 'nvidia.com/gpu', 'amd.com/gpu', 'intel.com/gpu'] as const

/** Kubernetes quantities, exactly as the deployer wrote them. `core/quantity.ts` reads them. */
export type Resources = Readonly<Partial<Record<(typeof RESOURCES)[number], string>>>

/** What a user deploys. An absent field was not given; it is never an empty object (contract 0, item 8). */
export interface FunctionSpec extends FunctionRef {
  readonly image: string
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

/** One deployed version of a function: its spec, pinned to the image it was deployed with. */
export interface Revision {
  readonly id: string
  readonly spec: FunctionSpec
  /** The engine's own id of the image; absent until the image has been found or pulled. */
  readonly imageId?: string
  /** Absent where replicas run what is in their image. Never written to the registry: a dev loop knows it anew. */
  readonly code?: RevisionCode
  /** RFC 3339. */
  readonly createdAt: string
}

/** What the outside sees of a function: what is wanted, and what is there. */
export interface FunctionStatus {
  readonly spec: FunctionSpec
  readonly revision: string
  /** Wanted. */
  readonly replicas: number
  /** Ready to receive invocations, of whichever revision answers. */
  readonly availableReplicas: number
  readonly invocationCount: number
  readonly createdAt: string
  readonly state: FunctionPhase
  /** Why the newest revision is not the one that answers, or why none does. */
  readonly problem?: Problem
}

/**
 * `ready`: the wanted revision answers. `deploying`: it is on its way. `idle`: scaled to zero.
 * `failing`: the wanted revision did not get ready; an older one may still answer (availableReplicas > 0).
 */
export type FunctionPhase = 'ready' | 'deploying' | 'idle' | 'failing'

/** A failure kept for display: the error's message and remedy, and the function's last log lines. */
export interface Problem {
  readonly code: string
  readonly message: string
  readonly remedy: string
  /** Where in the developer's source it went wrong, where that is known. */
  readonly place?: SourcePlace
  /** The lines around `place`, for people. */
  readonly frame?: string
  /** RFC 3339. */
  readonly at: string
}

/**
 * Reads `name` or `name.namespace`, split at the *last* dot (contract 2.1).
 * The name may come out empty (`.openfaas-fn`); callers answer that as "no such function".
 */
export function parseRef(text: string, defaultNamespace = DEFAULT_NAMESPACE): FunctionRef {
  const dot = text.lastIndexOf('.')
  if (dot < 0) return { name: text, namespace: defaultNamespace }
  return { name: text.slice(0, dot), namespace: text.slice(dot + 1) }
}

/** Writes a ref as `name.namespace`: the form of metrics, logs and map keys. */
export function formatRef(ref: FunctionRef): string {
  return `${ref.name}.${ref.namespace}`
}

/** Writes a ref for people and addresses: the default namespace needs no mention. */
export function shortRef(ref: FunctionRef): string {
  return ref.namespace === DEFAULT_NAMESPACE ? ref.name : formatRef(ref)
}

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/

/** True for a DNS label: lower-case letters, digits and hyphens, at most 63, alphanumeric at both ends (RFC 1123). */
export function isDnsLabel(text: string): boolean {
  return DNS_LABEL.test(text)
}

/** Throws BAD_NAME unless `name` can be the name of a function or a namespace. */
export function checkName(name: string, what: 'function' | 'namespace'): void {
  if (isDnsLabel(name)) return
  throw new FaasError('BAD_NAME', {
    message: `${what} name ${JSON.stringify(name)} is not a DNS label`,
    remedy:
      'Use 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends, e.g. "m-search".',
  })
}
