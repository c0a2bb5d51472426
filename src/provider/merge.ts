import { pause, systemClock } from '../core/clock.ts'

/** What is merged: `timestamp` orders as text. */
export interface Stamped {
  readonly timestamp: string
  readonly text: string
}

type Batches<T> = AsyncIterable<readonly T[]>

interface Cursor<T> {
  readonly iterator: AsyncIterator<readonly T[]>
  batch: readonly T[]
  index: number
}

/** So many items are given out together. */
const BATCH_ITEMS = 500

/** Merges sources that end, each in the order of its times, into one such order. Holds one batch of each at a time. */
export async function* mergeSorted<T extends Stamped>(
  sources: readonly Batches<T>[],
): AsyncGenerator<readonly T[]> {
  const cursors: Cursor<T>[] = []
  try {
    for (const source of sources) {
      const cursor = { iterator: source[Symbol.asyncIterator](), batch: [], index: 0 }
      cursors.push(cursor)
    }
    const open = new Set<Cursor<T>>()
    await Promise.all(
      cursors.map(async (cursor) => {
        if (await refill(cursor)) open.add(cursor)
      }),
    )
    let batch: T[] = []
    while (open.size > 0) {
      let first: Cursor<T> | undefined
      for (const cursor of open) if (first === undefined || headOf(cursor) < headOf(first)) first = cursor
      if (first === undefined) break
      batch.push(first.batch[first.index] as T)
      first.index++
      if (batch.length >= BATCH_ITEMS) {
        yield batch
        batch = []
      }
      if (first.index >= first.batch.length && !(await refill(first))) open.delete(first)
    }
    if (batch.length > 0) yield batch
  } finally {
    await Promise.allSettled(cursors.map(async ({ iterator }) => iterator.return?.()))
  }
}

function headOf<T extends Stamped>({ batch, index }: Cursor<T>): string {
  return batch[index]?.timestamp ?? ''
}

/** False when the source has no more. */
async function refill<T>(cursor: Cursor<T>): Promise<boolean> {
  for (;;) {
    const next = await cursor.iterator.next()
    if (next.done === true) return false
    if (next.value.length === 0) continue
    cursor.batch = next.value
    cursor.index = 0
    return true
  }
}

/** The last `count` of the items. */
export async function* lastOf<T>(batches: Batches<T>, count: number): AsyncGenerator<readonly T[]> {
  let kept: T[] = []
  for await (const batch of batches) {
    kept.push(...batch)
    if (kept.length > 2 * count + BATCH_ITEMS) kept = kept.slice(-count)
  }
  yield kept.slice(-count)
}

/**
 * The items of batches, one by one. By hand: of ten thousand items a second, each step through a generator is a good
 * part of the cost.
 */
export function oneByOne<T>(batches: AsyncGenerator<readonly T[]>): AsyncIterableIterator<T> {
  let batch: readonly T[] = []
  let index = 0
  const more = async (): Promise<IteratorResult<T>> => {
    for (;;) {
      const next = await batches.next()
      if (next.done === true) return { done: true, value: undefined }
      batch = next.value
      index = 0
      if (batch.length > 0) return { done: false, value: batch[index++] as T }
    }
  }
  return {
    next: () =>
      index < batch.length ? Promise.resolve({ done: false, value: batch[index++] as T }) : more(),
    return: async () => {
      batch = []
      index = 0
      await batches.return(undefined)
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}

/** Kept for a slow reader; beyond that the sources wait, so that memory stays bounded. Characters. */
const MAX_WAITING = 2 ** 20
/** How long an item waits for older ones of other sources, milliseconds. */
const HOLD_MS = 20

/**
 * Merges sources as their items come, in the order of their times where those are close. Sources may be added while it
 * runs; it ends when it was closed and all of them have ended. A source that fails ends it with its error.
 */
export class LiveMerge<T extends Stamped> implements AsyncIterable<readonly T[]> {
  #items: T[] = []
  #size = 0
  /** Where the waiting items come from. */
  readonly #origins = new Set<object>()
  readonly #waitingForSpace: (() => void)[] = []
  #running = 0
  #isClosed = false
  #failure: { readonly error: unknown } | undefined
  #wake: (() => void) | undefined

  add(source: Batches<T>): void {
    this.#running++
    this.#take(source)
      .catch((error: unknown) => {
        this.#failure = { error }
      })
      .finally(() => {
        this.#running--
        this.#wake?.()
      })
  }

  /** An item that no source brings. */
  push(item: T): void {
    this.#put([item], this)
  }

  /** No more sources will be added. */
  close(): void {
    this.#isClosed = true
    this.#wake?.()
  }

  async #take(source: Batches<T>): Promise<void> {
    for await (const batch of source) {
      while (this.#size >= MAX_WAITING) {
        await new Promise<void>((resolve) => {
          this.#waitingForSpace.push(resolve)
        })
      }
      this.#put(batch, source)
    }
  }

  #put(batch: readonly T[], origin: object): void {
    this.#origins.add(origin)
    for (const item of batch) {
      this.#items.push(item)
      this.#size += item.text.length + item.timestamp.length
    }
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly T[]> {
    try {
      for (;;) {
        if (this.#items.length > 0 && this.#running > 1) await pause(systemClock, HOLD_MS)
        const items = this.#items
        // One source is in order by itself.
        const isMixed = this.#origins.size > 1
        this.#items = []
        this.#size = 0
        this.#origins.clear()
        if (isMixed)
          items.sort((a, b) => (a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0))
        if (items.length > 0) yield items
        // Only now: what waits in the sources and what is being read together stay within the bound.
        for (const resume of this.#waitingForSpace.splice(0)) resume()
        if (this.#items.length > 0) continue
        if (this.#failure) throw this.#failure.error
        if (this.#isClosed && this.#running === 0) return
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    } finally {
      // Nobody reads any more: sources that wait for space go on, and find that out.
      for (const resume of this.#waitingForSpace.splice(0)) resume()
    }
  }
}
