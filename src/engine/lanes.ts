import type { Clock } from '../core/clock.ts'
import { asFaasError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { Delivery, Queue } from '../core/queue.ts'

export interface LanesParts {
  readonly queue: Queue
  readonly clock: Clock
  readonly log: Log
}

/** Who may run how much, and how. */
export interface LaneRules {
  /** How many messages of the lane at once. */
  limit(lane: string): number
  /** Lanes of one pool share a limit. */
  pool(lane: string): string
  poolLimit(pool: string): number
  isPaused(lane: string): boolean
  /** Deals with one message, to its acknowledgement or release. */
  run(lane: string, delivery: Delivery): Promise<void>
}

interface Lane {
  readonly name: string
  running: number
  isTaking: boolean
  /** The last look found fewer messages than there was room for, and nobody has spoken of new ones since. */
  isEmpty: boolean
  timer: Disposable | undefined
}

interface Pool {
  running: number
  /** Lanes that would take more, in the order in which they get it. */
  readonly hungry: Set<Lane>
}

/** After a queue that could not be asked. Milliseconds. */
const ASK_AGAIN_MS = 1000
/** Of a lane that has less than this share of its slots free, they are gathered for so long before they are filled. */
const GATHERED_SHARE = 8
const GATHER_MS = 1

/**
 * Takes messages as there is room, lane by lane: nothing is taken ahead, a lane that is full holds up no other, and a
 * lane without messages costs nothing.
 */
export class Lanes implements AsyncDisposable {
  readonly #parts: LanesParts
  readonly #rules: LaneRules
  readonly #lanes = new Map<string, Lane>()
  readonly #pools = new Map<string, Pool>()
  readonly #dirty = new Set<Lane>()
  #soon: NodeJS.Immediate | undefined
  #later: NodeJS.Timeout | undefined
  #isStopped = false
  /** Looks at the queue and messages that are under way, and who waits for the end of all. */
  #underWay = 0
  #onLastEnd: () => void = () => undefined

  constructor(parts: LanesParts, rules: LaneRules) {
    this.#parts = parts
    this.#rules = rules
  }

  /** There is something in the lane, or may be. */
  wake(name: string): void {
    if (this.#isStopped) return
    const lane = this.#lane(name)
    lane.isEmpty = false
    this.#pumpSoon(lane)
  }

  running(name: string): number {
    return this.#lanes.get(name)?.running ?? 0
  }

  poolRunning(pool: string): number {
    return this.#pools.get(pool)?.running ?? 0
  }

  /** Takes no more. Resolves when all that run have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#later)
    clearImmediate(this.#soon)
    for (const { timer } of this.#lanes.values()) timer?.[Symbol.dispose]()
    if (this.#underWay > 0) await new Promise<void>((resolve) => (this.#onLastEnd = resolve))
  }

  #lane(name: string): Lane {
    let lane = this.#lanes.get(name)
    if (!lane) {
      lane = { name, running: 0, isTaking: false, isEmpty: false, timer: undefined }
      this.#lanes.set(name, lane)
    }
    return lane
  }

  #poolOf(lane: Lane): Pool {
    const name = this.#rules.pool(lane.name)
    let pool = this.#pools.get(name)
    if (!pool) this.#pools.set(name, (pool = { running: 0, hungry: new Set() }))
    return pool
  }

  /** Slots are filled several at a time: a look at the queue is not free. */
  #pumpSoon(lane: Lane): void {
    this.#dirty.add(lane)
    if (this.#soon) return
    const limit = this.#rules.limit(lane.name)
    const isNearlyFull = lane.running > limit - limit / GATHERED_SHARE
    if (isNearlyFull) this.#later ??= setTimeout(() => this.#pumpDirty(), GATHER_MS)
    else this.#soon ??= setImmediate(() => this.#pumpDirty())
  }

  #pumpDirty(): void {
    clearTimeout(this.#later)
    clearImmediate(this.#soon)
    this.#later = undefined
    this.#soon = undefined
    const lanes = [...this.#dirty]
    this.#dirty.clear()
    for (const one of lanes) {
      this.#pump(one)
      this.#forgetIdle(one)
    }
  }

  #pump(lane: Lane): void {
    if (lane.isTaking) return
    const pool = this.#poolOf(lane)
    pool.hungry.delete(lane)
    if (lane.isEmpty || this.#isStopped || this.#rules.isPaused(lane.name)) return
    const own = this.#rules.limit(lane.name) - lane.running
    if (own <= 0) return
    const room = Math.min(own, this.#share(pool, lane))
    // It has been given less than it could use: it stands in line while it takes, too.
    if (room < own) pool.hungry.add(lane)
    if (room <= 0) return
    lane.isTaking = true
    lane.isEmpty = true
    lane.running += room
    pool.running += room
    // Neither this nor the runs reject: what fails is said, and comes again.
    this.#take(lane, pool, room).catch(() => undefined)
  }

  /** Of what the pool has left, what is not for those who stand in line. */
  #share(pool: Pool, lane: Lane): number {
    const left = this.#rules.poolLimit(this.#rules.pool(lane.name)) - pool.running
    if (left <= 0 || pool.hungry.size === 0) return left
    const share = Math.floor(left / (pool.hungry.size + 1))
    // The last slots are left to who is about to take; with nobody about to, they are there to be used.
    return share > 0 || [...pool.hungry].some(({ isTaking }) => isTaking) ? share : 1
  }

  async #take(lane: Lane, pool: Pool, room: number): Promise<void> {
    const { queue, clock, log } = this.#parts
    this.#underWay++
    let came = 0
    try {
      const { deliveries, nextDueAt } = await queue.take(lane.name, room)
      came = deliveries.length
      if (came === room) lane.isEmpty = false
      else pool.hungry.delete(lane)
      for (const delivery of deliveries) this.#run(lane, pool, delivery).catch(() => undefined)
      if (nextDueAt !== undefined) this.#wakeLater(lane, nextDueAt - clock.now())
    } catch (error) {
      log.debug(`${lane.name} could not be looked at: ${asFaasError(error).message}`)
      this.#wakeLater(lane, ASK_AGAIN_MS)
    } finally {
      lane.isTaking = false
      lane.running -= room - came
      pool.running -= room - came
      this.#ended()
      this.#feed(pool, lane)
    }
  }

  async #run(lane: Lane, pool: Pool, delivery: Delivery): Promise<void> {
    this.#underWay++
    try {
      await this.#rules.run(lane.name, delivery)
    } catch (error) {
      this.#parts.log.error(
        `a message of ${lane.name} could not be dealt with: ${asFaasError(error).message}`,
      )
      delivery.release(ASK_AGAIN_MS)
      this.#wakeLater(lane, ASK_AGAIN_MS)
    } finally {
      lane.running--
      pool.running--
      this.#ended()
      this.#feed(pool, lane)
    }
  }

  #ended(): void {
    this.#underWay--
    if (this.#underWay === 0) this.#onLastEnd()
  }

  /** What became free goes first to the lanes that have waited longest, then to the one that had it. */
  #feed(pool: Pool, lane: Lane): void {
    if (pool.hungry.size > 0) this.#feedHungry(pool, this.#rules.poolLimit(this.#rules.pool(lane.name)))
    this.#pumpSoon(lane)
  }

  #feedHungry(pool: Pool, limit: number): void {
    for (const next of [...pool.hungry]) {
      if (pool.running >= limit) break
      this.#pump(next)
    }
  }

  #wakeLater(lane: Lane, ms: number): void {
    if (this.#isStopped) return
    lane.timer?.[Symbol.dispose]()
    lane.timer = this.#parts.clock.after(Math.max(0, ms), () => {
      lane.timer = undefined
      this.wake(lane.name)
    })
  }

  #forgetIdle(lane: Lane): void {
    if (lane.running === 0 && lane.isEmpty && !lane.isTaking && !lane.timer && !this.#dirty.has(lane))
      this.#lanes.delete(lane.name)
  }
}
