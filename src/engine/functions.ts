import type { Clock } from '../core/clock.ts'
import { FaasError } from '../core/errors.ts'
import { checkHealthPaths, checkImage, checkProgram } from './spec-rules.ts'
import { checkName, formatRef, isDnsLabel } from '../core/function.ts'
import type { RevisionCode } from '../core/code.ts'
import type { FunctionPhase, FunctionRef, FunctionSpec, FunctionStatus, Revision } from '../core/function.ts'
import type { Provider, Usage } from '../core/provider.ts'
import { parseCpu, parseMemory } from '../core/quantity.ts'
import type { DesiredFunction, Registry } from '../core/registry.ts'
import type { CodeBook } from './code-book.ts'
import type { Events } from './events.ts'
import type { InvocationCounts } from './invocation-counts.ts'
import { notFound } from './reconciler.ts'
import type { Problems, Undeployed } from './problems.ts'
import type { Reconciler } from './reconciler.ts'
import type { Rung } from './rung.ts'
import { MAX_REPLICAS, minReplicas } from './scale-labels.ts'

export interface FunctionsParts {
  readonly registry: Registry
  readonly provider: Provider
  readonly reconciler: Reconciler
  readonly counts: InvocationCounts
  readonly events: Events
  readonly problems: Problems
  readonly codes: CodeBook
  readonly clock: Clock
  /** Names a revision from its content and a moment. */
  readonly revisionId: (content: string) => string
}

/** A wish that was written down; `settled` tells whether it came true, and may be ignored. */
export interface Accepted {
  readonly revision: string
  readonly settled: Promise<void>
}

/** What a dev loop asks for besides a spec. */
export interface Origin {
  /** The stack file that it is from. */
  readonly origin: string
  readonly imageId?: string
  /** What replicas are to run, where it is known. */
  readonly code?: RevisionCode
  /** What brings it. */
  readonly by?: Rung
}

/** The faas-provider operations, with their rules. Every wish is durable before the call returns. */
export class Functions {
  readonly #parts: FunctionsParts

  constructor(parts: FunctionsParts) {
    this.#parts = parts
  }

  /** Sorted by name; one namespace, or all. */
  list(namespace?: string): FunctionStatus[] {
    return this.#parts.registry.functions.list(namespace).map((desired) => this.#status(desired))
  }

  /** Functions of the stack file that have never been deployed, and why: their source cannot be used. By name. */
  undeployed(): readonly Undeployed[] {
    const { registry, problems } = this.#parts
    return problems
      .sources()
      .filter(({ ref }) => !registry.functions.get(ref))
      .sort((a, b) => formatRef(a.ref).localeCompare(formatRef(b.ref)))
  }

  get(ref: FunctionRef): FunctionStatus | undefined {
    const desired = this.#parts.registry.functions.get(ref)
    return desired && this.#status(desired)
  }

  usage(ref: FunctionRef): Promise<Usage> {
    return this.#parts.provider.usage(ref)
  }

  /** A new function. FUNCTION_EXISTS, and what `#check` throws. */
  deploy(spec: FunctionSpec): Accepted {
    if (this.#parts.registry.functions.get(spec)) {
      throw new FaasError('FUNCTION_EXISTS', {
        message: `${formatRef(spec)} is already deployed`,
        remedy: 'Update it with PUT, or remove it first.',
      })
    }
    return this.#put(spec, undefined)
  }

  /** Replaces a function's whole spec, and its replicas even when nothing changed (contract 1.5). FUNCTION_NOT_FOUND. */
  update(spec: FunctionSpec): Accepted {
    const desired = this.#parts.registry.functions.get(spec)
    if (!desired) throw notFound(spec)
    return this.#put(spec, desired)
  }

  /**
   * Makes the function so, new or not; replicas that are so already stay. What a dev loop asks for: a namespace that
   * its stack file names comes with it, as the secrets beside the file do. New code is the same revision where it can be
   * swapped in, and a new one where it takes new replicas; the last good revision, wished for again, is itself.
   */
  apply(spec: FunctionSpec, wish: Origin): Accepted {
    const { registry, provider, problems, codes } = this.#parts
    const { namespaces, functions } = registry
    if (isDnsLabel(spec.namespace) && !namespaces.get(spec.namespace))
      namespaces.put({ name: spec.namespace, labels: { openfaas: '1' }, annotations: {} })
    const desired = functions.get(spec)
    if (!desired) return this.#put(spec, undefined, wish)
    const { origin, code, by } = wish
    if (!this.#isSame(desired.revision, spec, wish)) {
      const { lastGood } = desired
      const isBack =
        lastGood && provider.actual(spec)?.revision === lastGood.id && this.#isSame(lastGood, spec, wish)
      if (!isBack) return this.#put(spec, desired, wish)
      functions.put({ ...desired, revision: lastGood, origin })
      problems.clear(spec, 'deploy')
      if (code) codes.want(spec, lastGood.id, code)
      return this.#accepted(desired.ref, lastGood.id)
    }
    functions.put({ ...desired, origin })
    const isNews = codes.get(spec, desired.revision.id)?.wanted.hash !== code?.wanted.hash
    if (code) codes.want(spec, desired.revision.id, code, isNews ? by : undefined)
    return this.#accepted(desired.ref, desired.revision.id)
  }

  #isSame(revision: Revision, spec: FunctionSpec, { imageId, code }: Origin): boolean {
    if (imageId !== undefined && revision.imageId !== imageId) return false
    if (canonical(revision.spec) !== canonical(spec)) return false
    const before = this.#parts.codes.get(spec, revision.id)
    // What an earlier run left knows itself what code it has: the provider asks it.
    return code?.wanted.way !== 'files' || !before || before.wanted.hash === code.wanted.hash
  }

  /** Runs a function as it was last wished for: what there is while its source cannot be used. FUNCTION_NOT_FOUND. */
  resume(ref: FunctionRef): Accepted {
    const desired = this.#parts.registry.functions.get(ref)
    if (!desired) throw notFound(ref)
    return this.#accepted(desired.ref, desired.revision.id)
  }

  /** The image of the code that a revision runs is there now. False when the revision is wanted no more. */
  imaged(ref: FunctionRef, revision: string, imageId: string, code: RevisionCode | undefined): boolean {
    const { registry, codes } = this.#parts
    return registry.transaction(() => {
      const desired = registry.functions.get(ref)
      if (desired?.revision.id !== revision) return false
      registry.functions.pinImage(ref, revision, imageId)
      if (desired.lastGood?.id === revision) registry.functions.setGood(ref, revision)
      if (code) codes.imaged(ref, revision, code)
      return true
    })
  }

  /** FUNCTION_NOT_FOUND. */
  remove(ref: FunctionRef): Accepted {
    const { registry, events, counts, codes } = this.#parts
    const desired = registry.functions.get(ref)
    if (!desired) throw notFound(ref)
    counts.forget(ref)
    codes.forget(ref)
    registry.functions.delete(ref)
    events.emit({ type: 'function.removed', ref: desired.ref })
    return this.#accepted(desired.ref, desired.revision.id)
  }

  /** Any number from 0; the min and max labels bind the autoscaler, not people (contract 1.8). FUNCTION_NOT_FOUND. */
  scale(ref: FunctionRef, replicas: number): Accepted {
    const { registry } = this.#parts
    const desired = registry.functions.get(ref)
    if (!desired) throw notFound(ref)
    if (!Number.isInteger(replicas) || replicas < 0 || replicas > MAX_REPLICAS) {
      throw new FaasError('BAD_REQUEST', {
        message: `replicas is ${JSON.stringify(replicas)}`,
        remedy: `Give a whole number from 0 to ${MAX_REPLICAS}.`,
      })
    }
    registry.functions.setReplicas(ref, replicas)
    return this.#accepted(desired.ref, desired.revision.id)
  }

  #put(spec: FunctionSpec, before: DesiredFunction | undefined, wish: Partial<Origin> = {}): Accepted {
    this.#check(spec)
    const { registry, problems, codes, clock, revisionId } = this.#parts
    const { imageId, origin, code } = wish
    // Nothing of a new one is there that could be given another spec.
    const by = wish.by === 'spec' && !before ? 'build' : wish.by
    const now = new Date(clock.now()).toISOString()
    const revision: Revision = {
      id: revisionId(canonical({ spec, imageId })),
      spec,
      ...(imageId !== undefined && { imageId }),
      createdAt: now,
    }
    const ref = { name: spec.name, namespace: spec.namespace }
    registry.functions.put({
      ref,
      revision,
      replicas: replicasAfter(spec, before),
      createdAt: before?.createdAt ?? now,
      ...(origin !== undefined && { origin }),
    })
    // What the revision before did wrong is not said of this one: whoever waits for it would take it for its outcome.
    problems.clear(ref, 'deploy')
    if (code || by !== undefined) codes.want(ref, revision.id, code, by)
    return this.#accepted(ref, revision.id)
  }

  #accepted(ref: FunctionRef, revision: string): Accepted {
    const settled = this.#parts.reconciler.converge(ref)
    // Whoever does not wait sees the outcome in the status and the events.
    settled.catch(() => undefined)
    return { revision, settled }
  }

  #check(spec: FunctionSpec): void {
    checkName(spec.name, 'function')
    const { registry } = this.#parts
    if (!registry.namespaces.get(spec.namespace)) throw noNamespace(spec.namespace, registry)
    checkProgram(spec)
    checkImage(spec.image)
    checkHealthPaths(spec)
    for (const { memory, cpu } of [spec.limits ?? {}, spec.requests ?? {}]) {
      if (memory !== undefined) parseMemory(memory)
      if (cpu !== undefined) parseCpu(cpu)
    }
    for (const secret of spec.secrets ?? []) {
      if (registry.secrets.has(spec.namespace, secret)) continue
      throw new FaasError('SECRET_NOT_FOUND', {
        message: `${formatRef(spec)} asks for the secret ${JSON.stringify(secret)}, which does not exist in ${spec.namespace}`,
        remedy: `Create it: faasdock secret create ${secret} --from-file FILE. ("faasdock dev" takes the files of the folder .secrets next to the stack file by itself.)`,
      })
    }
  }

  #status(desired: DesiredFunction): FunctionStatus {
    const { provider, problems, counts } = this.#parts
    const actual = provider.actual(desired.ref)
    const failure = problems.get(desired.ref)
    const problem = failure ?? problems.of(desired.ref, 'image')
    const available = actual?.available ?? 0
    const isCurrent = actual?.revision === desired.revision.id
    let state: FunctionPhase = 'deploying'
    if (failure) state = 'failing'
    else if (desired.replicas === 0) state = 'idle'
    else if (isCurrent && available >= desired.replicas) state = 'ready'
    return {
      spec: desired.revision.spec,
      revision: desired.revision.id,
      replicas: desired.replicas,
      availableReplicas: available,
      invocationCount: desired.invocationCount + counts.unsaved(desired.ref),
      createdAt: desired.createdAt,
      state,
      ...(problem && { problem }),
    }
  }
}

/** The answer for a namespace that nobody created. */
export function noNamespace(name: string, { namespaces }: Registry): FaasError {
  const known = namespaces.list().map((namespace) => namespace.name)
  return new FaasError('NAMESPACE_NOT_FOUND', {
    message: `namespace not valid: there is no ${JSON.stringify(name)}`,
    remedy: `Use one of: ${known.join(', ')}; or create it: faasdock namespace create NAME.`,
  })
}

/**
 * Replica count after a deploy: the minimum for a new one. An update goes to the minimum when the label is given, and
 * otherwise keeps what there is, so that a function at zero stays there (contract 1.5).
 */
function replicasAfter(spec: FunctionSpec, before: DesiredFunction | undefined): number {
  return before && spec.labels['com.openfaas.scale.min'] === undefined ? before.replicas : minReplicas(spec)
}

/** JSON with sorted keys, so that equal things are equal texts. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}
