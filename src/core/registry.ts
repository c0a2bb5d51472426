import type { FunctionRef, Revision } from './function.ts'

/** Desired state: the truth about what should run. Synchronous, because SQLite is: no interleaving to think about. */
export interface Registry extends Disposable {
  /** Identifies this data directory on the engine; made once. */
  readonly instance: string
  transaction<T>(work: () => T): T
  readonly functions: FunctionStore
  readonly namespaces: NamespaceStore
  readonly secrets: SecretStore
}

/** One function as it should be. */
export interface DesiredFunction {
  readonly ref: FunctionRef
  /** The revision that should answer. */
  readonly revision: Revision
  /** The newest revision that ever answered; what a start falls back to when `revision` does not get ready. */
  readonly lastGood?: Revision
  readonly replicas: number
  /** The stack file that it came from, when a dev loop deployed it; undefined when a client did. */
  readonly origin?: string
  readonly invocationCount: number
  /** RFC 3339: when the function, not the revision, was first deployed. */
  readonly createdAt: string
}

export interface FunctionStore {
  get(ref: FunctionRef): DesiredFunction | undefined
  /** Sorted by name. All namespaces when none is named. */
  list(namespace?: string): readonly DesiredFunction[]
  put(desired: Pick<DesiredFunction, 'ref' | 'revision' | 'replicas' | 'origin' | 'createdAt'>): void
  setReplicas(ref: FunctionRef, replicas: number): void
  /** Records what image the revision was pinned to. Ignored when the revision is no longer wanted. */
  pinImage(ref: FunctionRef, revision: string, imageId: string): void
  /** Records that the wanted revision answered. Ignored when the revision is no longer wanted. */
  setGood(ref: FunctionRef, revision: string): void
  /** Adds to the counters, many at a time. Unknown functions are ignored. */
  addInvocations(counts: ReadonlyMap<FunctionRef, number>): void
  delete(ref: FunctionRef): boolean
}

/** A group of functions and secrets. */
export interface Namespace {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

export interface NamespaceStore {
  get(name: string): Namespace | undefined
  list(): readonly Namespace[]
  put(namespace: Namespace): void
  delete(name: string): boolean
}

/** Values are files that only this store reads and writes; functions have copies, which the provider makes. */
export interface SecretStore {
  has(namespace: string, name: string): boolean
  list(namespace: string): readonly string[]
  /** Creates or replaces. The bytes are kept exactly; running functions see the new ones a moment later. */
  put(namespace: string, name: string, value: Uint8Array): void
  read(namespace: string, name: string): Uint8Array | undefined
  /** Tells of every value that was written. */
  watch(onPut: (namespace: string, name: string) => void): Disposable
  delete(namespace: string, name: string): boolean
}
