import { FaasError } from '../core/errors.ts'
import { systemClock } from '../core/clock.ts'
import type { Clock } from '../core/clock.ts'
import type {
  BodyStore,
  DeadLetter,
  DeadLetters,
  Delivery,
  NewMessage,
  Published,
  Queue,
  Taken,
} from '../core/queue.ts'

interface Kept extends NewMessage {
  readonly position: number
  dueAt: number
  isTaken: boolean
  mayHaveRun: boolean
}

/** What a memory queue keeps; given to the next queue, it plays the disk that survives a crash. */
export interface MemoryStore {
  messages: Map<number, Kept>
  ids: Set<string>
  letters: Map<number, DeadLetter>
  bodies: Map<string, Uint8Array[]>
  next: number
}

/** An empty store. */
export function makeMemoryStore(): MemoryStore {
  return { messages: new Map(), ids: new Set(), letters: new Map(), bodies: new Map(), next: 1 }
}

/** The queue without a server: what makes everything above it testable in milliseconds. It forgets no id. */
export class MemoryQueue implements Queue {
  problem: FaasError | undefined
  epoch = 0
  readonly maxMessageBytes = 2 ** 20
  readonly maxFollowingBytes = 2 ** 20 + 64 * 1024
  readonly bodies: BodyStore
  readonly dead: DeadLetters
  readonly #store: MemoryStore
  readonly #clock: Clock
  readonly #watchers = new Set<(isUp: boolean) => void>()

  constructor(store: MemoryStore = makeMemoryStore(), clock: Clock = systemClock) {
    this.#store = store
    this.#clock = clock
    this.bodies = memoryBodies(store)
    this.dead = memoryLetters(store, this.maxFollowingBytes)
    for (const kept of store.messages.values()) {
      kept.mayHaveRun ||= kept.isTaken
      kept.isTaken = false
    }
  }

  async publish(message: NewMessage): Promise<Published> {
    await Promise.resolve()
    if (this.problem) throw this.problem
    const { ids, messages } = this.#store
    checkSize(message, this.maxFollowingBytes)
    const position = this.#store.next++
    if (ids.has(message.id)) return { position, duplicate: true }
    ids.add(message.id)
    messages.set(position, {
      ...message,
      position,
      dueAt: message.dueAt ?? 0,
      isTaken: false,
      mayHaveRun: false,
    })
    return { position, duplicate: false }
  }

  async take(lane: string, count: number): Promise<Taken> {
    await Promise.resolve()
    if (this.problem) throw this.problem
    const now = this.#clock.now()
    const deliveries: Delivery[] = []
    let nextDueAt: number | undefined
    for (const kept of this.#store.messages.values()) {
      if (kept.lane !== lane || kept.isTaken) continue
      if (kept.dueAt > now) nextDueAt = Math.min(nextDueAt ?? Infinity, kept.dueAt)
      else if (deliveries.length < count) deliveries.push(this.#deliver(kept))
    }
    return { deliveries, nextDueAt }
  }

  remove(position: number): Promise<boolean> {
    return Promise.resolve(this.#store.messages.delete(position))
  }

  newest(): Promise<number> {
    return Promise.resolve(this.#store.next - 1)
  }

  purge(lane: string, upTo: number): Promise<number> {
    const { messages } = this.#store
    const purged = [...messages.values()].filter((one) => one.lane === lane && one.position <= upTo)
    for (const { position } of purged) messages.delete(position)
    return Promise.resolve(purged.length)
  }

  depths(): Promise<ReadonlyMap<string, number>> {
    const depths = new Map<string, number>()
    for (const { lane } of this.#store.messages.values()) depths.set(lane, (depths.get(lane) ?? 0) + 1)
    return Promise.resolve(depths)
  }

  async *list(lane: string, from = 1): AsyncGenerator<Pick<Delivery, 'position' | 'head'>> {
    for (const kept of [...this.#store.messages.values()])
      if (kept.lane === lane && kept.position >= from) yield await Promise.resolve(kept)
  }

  watch(onChange: (isUp: boolean) => void): Disposable {
    this.#watchers.add(onChange)
    onChange(this.problem === undefined)
    return { [Symbol.dispose]: () => void this.#watchers.delete(onChange) }
  }

  /** Plays a server that went away, or is back. */
  be(problem: FaasError | undefined): void {
    this.problem = problem
    for (const watcher of this.#watchers) watcher(problem === undefined)
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#watchers.clear()
    return Promise.resolve()
  }

  #deliver(kept: Kept): Delivery {
    kept.isTaken = true
    const { position, head, body, mayHaveRun } = kept
    return {
      position,
      head,
      body,
      mayHaveRun,
      ack: () => void this.#store.messages.delete(position),
      release: (ms) => {
        kept.isTaken = false
        kept.mayHaveRun = true
        kept.dueAt = this.#clock.now() + ms
      },
    }
  }
}

function memoryBodies({ bodies }: MemoryStore): BodyStore {
  return {
    put: async (name, source) => {
      const pieces: Uint8Array[] = []
      for await (const piece of source) pieces.push(piece)
      bodies.set(name, pieces)
      return pieces.reduce((sum, { length }) => sum + length, 0)
    },
    open: (name) => {
      const pieces = bodies.get(name)
      if (!pieces) return Promise.reject(bodyGone(name))
      return Promise.resolve(asStream(pieces))
    },
    remove: (name) => {
      bodies.delete(name)
      return Promise.resolve()
    },
    list: () => Promise.resolve([...bodies.keys()]),
    tidy: () => Promise.resolve(),
  }
}

/** As a server refuses what is larger than its limit. */
function checkSize({ head, body }: NewMessage, maxBytes: number): void {
  const bytes = Buffer.byteLength(head) + body.length
  if (bytes <= maxBytes) return
  throw new FaasError('QUEUE_UNAVAILABLE', {
    message: `a message of ${bytes} bytes is larger than ${maxBytes}`,
    remedy: 'Make it smaller.',
  })
}

async function* asStream(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield await Promise.resolve(piece)
}

function memoryLetters(store: MemoryStore, maxBytes: number): DeadLetters {
  const { letters } = store
  return {
    put: async (letter) => {
      await Promise.resolve()
      checkSize(letter, maxBytes)
      const position = store.next++
      letters.set(position, { ...letter, position })
      return position
    },
    get: (position) => Promise.resolve(letters.get(position)),
    remove: (position) => Promise.resolve(letters.delete(position)),
    list: () =>
      Promise.resolve([...letters.values()].map(({ position, lane, id }) => ({ position, lane, id }))),
  }
}

/** The failure of reading a stored body that is not there. */
export function bodyGone(name: string): FaasError {
  return new FaasError('CALL_NOT_FOUND', {
    message: `the stored body ${name} is gone`,
    remedy: 'Send the call again.',
  })
}
