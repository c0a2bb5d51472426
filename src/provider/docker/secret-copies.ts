import { FaasError } from '../../core/errors.ts'
import type { FunctionSpec } from '../../core/function.ts'
import { formatRef } from '../../core/function.ts'
import type { Engine } from '../../docker/client.ts'
import type { ListedContainer } from '../../docker/containers.ts'
import { listContainers } from '../../docker/containers.ts'
import { putFiles } from '../../docker/files.ts'
import { LABEL } from '../../docker/labels.ts'
import { SECRETS_FOLDER } from './container-plan.ts'

export interface SecretCopiesOptions {
  readonly engine: Engine
  readonly instance: string
  readonly readSecret: (namespace: string, name: string) => Uint8Array | undefined
}

/**
 * The copies of secrets inside replicas. They are sent through the engine's own connection, always: a path of this
 * machine means nothing to an engine on another one, or when we run in a container ourselves.
 */
export class SecretCopies {
  readonly #options: SecretCopiesOptions
  /** Counts the changes, so that a value that changed while it was on its way is sent again. */
  #changes = 0

  constructor(options: SecretCopiesOptions) {
    this.#options = options
  }

  /** Puts all secrets of a function into a replica that is about to start. SECRET_NOT_FOUND. */
  async fill(spec: FunctionSpec, container: string): Promise<void> {
    const { engine } = this.#options
    for (;;) {
      const seen = this.#changes
      const files = this.#read(spec.namespace, spec.secrets ?? [])
      const missing = spec.secrets?.find((name) => !files.has(name))
      if (missing !== undefined) throw noLonger(spec, missing)
      await putFiles(engine, container, SECRETS_FOLDER, files)
      if (seen === this.#changes) return
    }
  }

  /** Brings a new value into every replica that has the secret, those on their way up included. */
  async changed(namespace: string, name: string): Promise<void> {
    const { engine, instance } = this.#options
    this.#changes++
    const all = await listContainers(engine, instance, 'function')
    const concerned = all.filter(
      ({ labels }) => labels[LABEL.namespace] === namespace && namesIn(labels).includes(name),
    )
    for (;;) {
      const seen = this.#changes
      const files = this.#read(namespace, [name])
      const copies = concerned.map(({ id }) => putFiles(engine, id, SECRETS_FOLDER, files))
      // One that cannot be reached keeps nobody from waiting for the others.
      await Promise.allSettled(copies)
      await Promise.all(copies)
      if (seen === this.#changes) return
    }
  }

  /** Sends all values again to a replica that somebody else started, or that could not be reached for a while. */
  async refresh({ id, labels }: ListedContainer): Promise<void> {
    const files = this.#read(labels[LABEL.namespace] ?? '', namesIn(labels))
    await putFiles(this.#options.engine, id, SECRETS_FOLDER, files)
  }

  /** Those that are there: a secret that was deleted stays in the functions that run with it. */
  #read(namespace: string, names: readonly string[]): ReadonlyMap<string, Uint8Array> {
    const values = names.map((name) => [name, this.#options.readSecret(namespace, name)] as const)
    return new Map(values.filter((entry): entry is [string, Uint8Array] => entry[1] !== undefined))
  }
}

function namesIn(labels: ListedContainer['labels']): readonly string[] {
  return labels[LABEL.secrets]?.split(',') ?? []
}

/** It was there when the spec came in. */
function noLonger(spec: FunctionSpec, name: string): FaasError {
  return new FaasError('SECRET_NOT_FOUND', {
    message: `${formatRef(spec)} asks for the secret ${JSON.stringify(name)}, which does not exist in ${spec.namespace} any more`,
    remedy: `Create it again: faasdock secret create ${name} --from-file FILE.`,
  })
}
