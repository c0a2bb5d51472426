import type { FaasError } from './errors.ts'

/**
 * Keeps messages until somebody has dealt with them, in lanes that do not wait for each other. It decides nothing: how
 * many at once, which failures come again and when, is the engine's matter. What each comment promises,
 * test/contract/queue.contract.ts tests.
 */
export interface Queue extends AsyncDisposable {
  /** Why nothing can be published or taken just now; undefined when it can, or will in a moment. */
  readonly problem: FaasError | undefined
  /** Head and body of one message together may have so many bytes; larger bodies are stored apart. */
  readonly maxMessageBytes: number
  /** What follows from a message, its next attempt or its dead letter, tells what became of it besides: so many bytes. */
  readonly maxFollowingBytes: number
  /** Rises when what was stored is gone, and with it the meaning of positions: they begin anew. */
  readonly epoch: number
  /**
   * Resolves once the message is durable. The same id twice within the window is one message: `duplicate` then.
   * Waits a few seconds for a queue that is coming up or back. QUEUE_UNAVAILABLE, DISK_FULL.
   */
  publish(message: NewMessage): Promise<Published>
  /**
   * Up to `count` messages of a lane that are due, oldest first. Does not wait for more. At least once: what is neither
   * acknowledged nor released comes again after a crash, and not before. QUEUE_UNAVAILABLE.
   */
  take(lane: string, count: number): Promise<Taken>
  /** Ends a message wherever it stands, even one that was taken. False when it is not there any more. */
  remove(position: number): Promise<boolean>
  /** The newest position of the queue. QUEUE_UNAVAILABLE. */
  newest(): Promise<number>
  /** Ends every message of a lane up to a position, even ones that were taken; gives how many. QUEUE_UNAVAILABLE. */
  purge(lane: string, upTo: number): Promise<number>
  /** How many messages each lane holds, taken ones included. */
  depths(): Promise<ReadonlyMap<string, number>>
  /** What a lane holds from a position on, taken ones included, oldest first; one by one, so slow. QUEUE_UNAVAILABLE. */
  list(lane: string, from?: number): AsyncIterable<Pick<Delivery, 'position' | 'head'>>
  readonly bodies: BodyStore
  readonly dead: DeadLetters
  /** Tells when messages can be taken (again), and when no longer; at once when they can already. */
  watch(onChange: (isUp: boolean) => void): Disposable
}

export interface NewMessage {
  /** Lower-case letters, digits, `-`, and `.` between words: `call.openfaas-fn.hello`. */
  readonly lane: string
  /** What makes two messages of the queue the same one. */
  readonly id: string
  /** Without line feeds. */
  readonly head: string
  readonly body: Uint8Array
  /** Not taken before; milliseconds since the epoch. */
  readonly dueAt?: number
}

export interface Published {
  /** Where the message stands in the queue: rises from message to message, over all lanes. */
  readonly position: number
  readonly duplicate: boolean
  /** Of a duplicate: perhaps of this very message, which was sent before without an answer being heard. */
  readonly mayBeOwn?: boolean
}

export interface Taken {
  readonly deliveries: readonly Delivery[]
  /** When there may be more without anybody publishing: the moment that the next waiting message is due. */
  readonly nextDueAt: number | undefined
}

/** A message that is ours until it is acknowledged or released. Its lease is extended by itself meanwhile. */
export interface Delivery {
  readonly position: number
  readonly head: string
  readonly body: Uint8Array
  /** True when somebody may have dealt with it before a crash. */
  readonly mayHaveRun: boolean
  /** It is done, for ever. */
  ack(): void
  /** Puts it back, to be taken again in `ms` milliseconds. */
  release(ms: number): void
}

/** Bodies too large for a message. */
export interface BodyStore {
  /** Resolves once all of it is durable. What the source throws is thrown, and nothing is kept. DISK_FULL. */
  put(name: string, source: AsyncIterable<Uint8Array>): Promise<number>
  /** Its bytes in order; rejects when it is not there. */
  open(name: string): Promise<AsyncIterable<Uint8Array>>
  /** No error when it is not there. */
  remove(name: string): Promise<void>
  list(): Promise<readonly string[]>
  /** Clears away what no name leads to: pieces of bodies that a crash broke off before `before`, milliseconds since the epoch. */
  tidy(before: number): Promise<void>
}

/** Messages that nobody will deal with by themselves, kept to be looked at. Bounded: the oldest go first. */
export interface DeadLetters {
  put(letter: NewMessage): Promise<number>
  get(position: number): Promise<DeadLetter | undefined>
  remove(position: number): Promise<boolean>
  /** Oldest first. */
  list(): Promise<readonly Pick<DeadLetter, 'position' | 'lane' | 'id'>[]>
}

export interface DeadLetter extends NewMessage {
  readonly position: number
}
