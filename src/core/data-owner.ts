/** Beside what a data directory holds: which process has it, and where its gateway is. */
export const OWNER_FILE = 'owner.json'

/** Who holds a data directory. */
export interface DataOwner {
  readonly pid: number
  /** The gateway's address, once it is known. */
  readonly url?: string
  readonly startedAt: string
}

/** What an owner's file says; undefined for one that says nothing that can be used. */
export function parseOwner(text: string): DataOwner | undefined {
  try {
    const owner = JSON.parse(text) as DataOwner | null
    return typeof owner?.pid === 'number' ? owner : undefined
  } catch {
    return undefined
  }
}
