import type { Clock } from '../core/clock.ts'
import { pause } from '../core/clock.ts'
import { asFaasError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { Provider } from '../core/provider.ts'
import type { SecretStore } from '../core/registry.ts'

/** How long an answer may wait for copies: a change that an engine is too busy for is not worth a client's patience. */
const WAIT_LIMIT_MS = 2000

export interface SecretDeliveryParts {
  readonly secrets: Pick<SecretStore, 'watch'>
  readonly provider: Pick<Provider, 'secretChanged'>
  readonly clock: Clock
  readonly log: Log
}

/** Has every new value of a secret brought into the replicas that have the secret, and knows which are still on their way. */
export class SecretDelivery implements Disposable {
  readonly #parts: SecretDeliveryParts
  readonly #underWay = new Map<string, Promise<void>>()
  readonly #watch: Disposable

  constructor(parts: SecretDeliveryParts) {
    this.#parts = parts
    this.#watch = parts.secrets.watch((namespace, name) => this.#deliver(keyOf(namespace, name)))
  }

  /**
   * Resolves once the latest value is in the replicas that have the secret, and after two seconds anyway: the rest goes on
   * behind. Never rejects: where the engine is away, replicas get the value when it is back.
   */
  async settled(namespace: string, name: string): Promise<void> {
    const underWay = this.#underWay.get(keyOf(namespace, name))
    if (underWay === undefined) return
    const waiting = new AbortController()
    try {
      await Promise.race([underWay, pause(this.#parts.clock, WAIT_LIMIT_MS, waiting.signal)])
    } finally {
      waiting.abort()
    }
  }

  #deliver(key: string): void {
    const { provider, log } = this.#parts
    const [namespace = '', name = ''] = key.split('/')
    const delivery = provider
      .secretChanged(namespace, name)
      .catch((error: unknown) => log.warn(asFaasError(error).message))
      .finally(() => {
        if (this.#underWay.get(key) === delivery) this.#underWay.delete(key)
      })
    this.#underWay.set(key, delivery)
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]()
  }
}

/** A slash is in neither. */
function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`
}
