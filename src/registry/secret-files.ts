import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { FaasError } from '../core/errors.ts'
import { checkName, isDnsLabel } from '../core/function.ts'
import type { SecretStore } from '../core/registry.ts'

/** DNS-1123 subdomain (contract 1.10): no slash and no `..` can be written with it. */
const SECRET_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

/** Not a character of secret names. */
const COPY = '~new'

/**
 * Secret values as files `FOLDER/NAMESPACE/NAME` that only this user reads (0600 below 0700). Functions have copies: the
 * engine may be on another machine, where these paths mean nothing.
 */
export class SecretFiles implements SecretStore {
  readonly #folder: string
  readonly #watchers = new Set<(namespace: string, name: string) => void>()

  constructor(folder: string) {
    this.#folder = folder
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    chmodSync(folder, 0o700)
    this.#removeCopies()
  }

  #path(namespace: string, name: string): string {
    checkName(namespace, 'namespace')
    return join(this.#folder, namespace, checked(name))
  }

  has(namespace: string, name: string): boolean {
    if (!isDnsLabel(namespace) || !isSecretName(name)) return false
    return statSync(this.#path(namespace, name), { throwIfNoEntry: false })?.isFile() ?? false
  }

  list(namespace: string): readonly string[] {
    if (!isDnsLabel(namespace)) return []
    const folder = join(this.#folder, namespace)
    if (!existsSync(folder)) return []
    return readdirSync(folder)
      .filter((name) => this.has(namespace, name))
      .sort()
  }

  put(namespace: string, name: string, value: Uint8Array): void {
    const file = this.#path(namespace, name)
    mkdirSync(join(this.#folder, namespace), { recursive: true, mode: 0o700 })
    // A crash leaves the old value or the new one, and nothing between.
    const copy = `${file}${COPY}`
    writeFileSync(copy, value, { mode: 0o600, flush: true })
    renameSync(copy, file)
    for (const watcher of [...this.#watchers]) watcher(namespace, name)
  }

  watch(onPut: (namespace: string, name: string) => void): Disposable {
    this.#watchers.add(onPut)
    return { [Symbol.dispose]: () => void this.#watchers.delete(onPut) }
  }

  /** What a crash in the middle of a write left: nobody was told that it was saved. */
  #removeCopies(): void {
    for (const entry of readdirSync(this.#folder, { recursive: true, withFileTypes: true }))
      if (entry.isFile() && entry.name.endsWith(COPY)) rmSync(join(entry.parentPath, entry.name))
  }

  read(namespace: string, name: string): Uint8Array | undefined {
    return this.has(namespace, name) ? readFileSync(this.#path(namespace, name)) : undefined
  }

  delete(namespace: string, name: string): boolean {
    if (!this.has(namespace, name)) return false
    rmSync(this.#path(namespace, name))
    return true
  }
}

function isSecretName(name: string): boolean {
  return name.length <= 253 && SECRET_NAME.test(name)
}

function checked(name: string): string {
  if (isSecretName(name)) return name
  throw new FaasError('BAD_NAME', {
    message: `secret name ${JSON.stringify(name)} cannot be used`,
    remedy:
      'Use lower-case letters, digits, hyphens and dots, with a letter or digit at both ends, e.g. "api-key".',
  })
}
