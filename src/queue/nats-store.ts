import { mkdirSync, readdirSync, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { FaasError } from '../core/errors.ts'

/** Of the free space, what messages may take. */
const SHARE_OF_DISK = 0.8
/** What is left on the disk when no more is accepted: the server has to write of what it delivers, too. */
const LEFT_BYTES = 8 * 2 ** 20
const LOOK_AT_DISK_MS = 200
/** A message with its headers; bodies beyond it are stored apart. */
const MAX_PAYLOAD_BYTES = 2 * 2 ** 20

/** The folder of a server of our own that JetStream keeps its files in. */
export function storeOf(folder: string): string {
  return join(folder, 'jetstream')
}

/** Makes the store where it is missing, and says how many bytes it may have. */
export function storeLimit(folder: string): number {
  const store = storeOf(folder)
  mkdirSync(store, { recursive: true, mode: 0o700 })
  const { bavail, bsize } = statfsSync(store)
  return Math.floor(folderBytes(store) + bavail * bsize * SHARE_OF_DISK)
}

/** Whether a server has kept anything in the store. */
export function hasStore(folder: string): boolean {
  try {
    return readdirSync(storeOf(folder)).length > 0
  } catch {
    return false
  }
}

/** What every server of ours is told, as its configuration file. JSON is one, and quotes every path. */
export function natsConfig(
  token: string,
  store: { readonly folder: string; readonly limit?: number },
  more: Readonly<Record<string, unknown>>,
): string {
  const { folder, limit } = store
  return JSON.stringify(
    {
      ...more,
      max_payload: MAX_PAYLOAD_BYTES,
      authorization: { token },
      jetstream: {
        store_dir: folder,
        ...(limit !== undefined && { max_file_store: limit }),
        max_memory_store: 64 * 2 ** 20,
      },
    },
    undefined,
    2,
  )
}

/** Looks at the disk that a store is on, now and then. */
export class DiskWatch {
  readonly #folder: string
  #lookedAt = 0
  #shortage: FaasError | undefined

  constructor(folder: string) {
    this.#folder = folder
  }

  /** DISK_FULL: a server that meets a full disk stops answering (2.9), and what it had not written yet is lost. */
  shortage(): FaasError | undefined {
    const now = Date.now()
    if (now - this.#lookedAt < LOOK_AT_DISK_MS) return this.#shortage
    this.#lookedAt = now
    this.#shortage = this.#look()
    return this.#shortage
  }

  #look(): FaasError | undefined {
    try {
      const { bavail, bsize } = statfsSync(this.#folder)
      if (bavail * bsize > LEFT_BYTES) return undefined
    } catch {
      return undefined
    }
    return new FaasError('DISK_FULL', {
      message: `the queue has no space left: less than ${LEFT_BYTES / 2 ** 20} MiB are free at ${this.#folder}`,
      remedy: 'Free some space there; queued calls are kept, and async calls go on by themselves then.',
    })
  }
}

function folderBytes(folder: string): number {
  let bytes = 0
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    try {
      bytes += statSync(join(entry.parentPath, entry.name)).size
    } catch {
      // Gone meanwhile.
    }
  }
  return bytes
}
