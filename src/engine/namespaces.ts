import { FaasError } from '../core/errors.ts'
import { checkName, DEFAULT_NAMESPACE } from '../core/function.ts'
import type { Namespace, Registry } from '../core/registry.ts'
import { noNamespace } from './functions.ts'
import type { Functions } from './functions.ts'

/** Says that a namespace is for functions: in its labels or in its annotations (contract 1.11). */
const MARK = 'openfaas'
const MARK_VALUES: readonly (string | undefined)[] = ['1', 'true']

export interface NamespacesParts {
  readonly registry: Registry
  readonly functions: Functions
}

/** Groups of functions and secrets, with their rules (contract 1.11). */
export class Namespaces {
  readonly #parts: NamespacesParts

  constructor(parts: NamespacesParts) {
    this.#parts = parts
  }

  /** Sorted; the default is always there. */
  list(): readonly string[] {
    return this.#parts.registry.namespaces.list().map(({ name }) => name)
  }

  /** NAMESPACE_NOT_FOUND. */
  get(name: string): Namespace {
    const found = this.#parts.registry.namespaces.get(name)
    if (!found) throw noNamespace(name, this.#parts.registry)
    return found
  }

  /** BAD_NAME, NAMESPACE_EXISTS, or BAD_REQUEST when the mark is missing. */
  create(namespace: Namespace): void {
    const { namespaces } = this.#parts.registry
    checkName(namespace.name, 'namespace')
    if (namespaces.get(namespace.name)) {
      throw new FaasError('NAMESPACE_EXISTS', {
        message: `the namespace ${JSON.stringify(namespace.name)} exists already`,
        remedy: 'Change its labels and annotations with PUT.',
      })
    }
    checkMark(namespace)
    namespaces.put(namespace)
  }

  /** Replaces all labels and annotations. NAMESPACE_NOT_FOUND, or BAD_REQUEST when the mark is missing. */
  update(namespace: Namespace): void {
    this.get(namespace.name)
    if (namespace.name !== DEFAULT_NAMESPACE) checkMark(namespace)
    this.#parts.registry.namespaces.put(namespace)
  }

  /** With its functions and secrets. NAMESPACE_NOT_FOUND, or BAD_REQUEST for the default namespace. */
  remove(name: string): void {
    const { registry, functions } = this.#parts
    this.get(name)
    if (name === DEFAULT_NAMESPACE) {
      throw new FaasError('BAD_REQUEST', {
        message: `${name} is the default namespace and cannot be deleted`,
        remedy: 'Remove its functions one by one.',
      })
    }
    // The namespace last: after a crash in between it is still there to be removed, and no later one of its name would
    // find its secrets. Replicas that are left then are removed by the next start.
    registry.transaction(() => {
      for (const { ref } of registry.functions.list(name)) functions.remove(ref)
    })
    for (const secret of registry.secrets.list(name)) registry.secrets.delete(name, secret)
    registry.namespaces.delete(name)
  }
}

function checkMark({ name, labels, annotations }: Namespace): void {
  if (MARK_VALUES.includes(labels[MARK]) || MARK_VALUES.includes(annotations[MARK])) return
  throw new FaasError('BAD_REQUEST', {
    message: `neither labels.${MARK} nor annotations.${MARK} of the namespace ${JSON.stringify(name)} is "1"`,
    remedy: `Mark it as one for functions: "labels": {"${MARK}": "1"}.`,
  })
}
