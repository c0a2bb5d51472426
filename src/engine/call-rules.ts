import type { Clock } from '../core/clock.ts'
import type { FunctionRef } from '../core/function.ts'
import type { Provider } from '../core/provider.ts'
import type { Registry } from '../core/registry.ts'
import { laneOf, refOfLane } from './queued-call.ts'
import { DEFAULT_RETRY, readRetryPolicy } from './retry-policy.ts'
import type { RetryPolicy } from './retry-policy.ts'

/** How async calls of one function are made. */
export interface CallRule {
  readonly queue: string
  /** At once, over all replicas. */
  readonly maxInflight: number
  readonly retry: RetryPolicy
}

export interface CallRulesParts {
  readonly registry: Pick<Registry, 'functions'>
  readonly provider: Pick<Provider, 'actual'>
  readonly clock: Clock
  /** Calls of one function at once, where it says nothing itself. */
  readonly maxInflight: number
}

/** OpenFaaS' name of the queue that every function is in that names none. */
const DEFAULT_QUEUE = 'faas-request'
const QUEUE_ANNOTATION = 'com.openfaas.queue'
const QUEUE_NAME = /^[-a-zA-Z0-9_.]{1,63}$/
/** A deploy shows within so many milliseconds; reading the registry for every call would be felt. */
const REMEMBER_MS = 500
const MOST_INFLIGHT = 1000
const MOST_KNOWN = 10_000

/** The rules that functions give themselves by annotations and environment. */
export class CallRules {
  readonly #parts: CallRulesParts
  readonly #known = new Map<string, { readonly rule: CallRule; readonly until: number }>()

  constructor(parts: CallRulesParts) {
    this.#parts = parts
  }

  of(ref: FunctionRef): CallRule {
    return this.#of(laneOf(ref), ref)
  }

  /** The rule of the function that a lane is for. */
  ofLane(lane: string): CallRule {
    return this.#of(lane)
  }

  #of(lane: string, ref?: FunctionRef): CallRule {
    const known = this.#known.get(lane)
    const now = this.#parts.clock.now()
    if (known && known.until > now) return known.rule
    if (this.#known.size > MOST_KNOWN) this.#known.clear()
    const rule = this.#read(ref ?? refOfLane(lane) ?? { name: '', namespace: '' })
    this.#known.set(lane, { rule, until: now + REMEMBER_MS })
    return rule
  }

  #read(ref: FunctionRef): CallRule {
    const { registry, provider, maxInflight } = this.#parts
    const spec = registry.functions.get(ref)?.revision.spec
    if (!spec) return { queue: DEFAULT_QUEUE, maxInflight, retry: DEFAULT_RETRY }
    const { annotations, envVars } = spec
    const queue = annotations[QUEUE_ANNOTATION] ?? ''
    // The watchdog's own limit counts for one replica; more would only be told 429.
    const own = readLimit(envVars?.['max_inflight'])
    const replicas = Math.max(1, provider.actual(ref)?.available ?? 1)
    return {
      queue: QUEUE_NAME.test(queue) ? queue : DEFAULT_QUEUE,
      maxInflight: own === undefined ? maxInflight : Math.min(own * replicas, MOST_INFLIGHT),
      retry: readRetryPolicy(annotations),
    }
  }
}

/** Undefined for what is no number, and for 0, which means no limit (contract 6). */
function readLimit(text: string | undefined): number | undefined {
  return text !== undefined && /^[1-9]\d{0,5}$/.test(text) ? Number(text) : undefined
}
