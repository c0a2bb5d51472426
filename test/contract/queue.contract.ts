import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Delivery, NewMessage, Queue } from '../../src/core/queue.ts'
import { until } from '../support/until.ts'

/** What a queue is tried with. Lanes are the test's own; everything else may be shared. */
export interface QueueUnderTest {
  readonly queue: Queue
  /** Ends whoever took messages without a word, and gives another one over the same store. */
  readonly crash: () => Promise<Queue>
}

let counter = 0
const text = new TextDecoder()

/** What every queue promises. `limitMs`: how long a change may take to show. */
export function queueContract(title: string, make: () => Promise<QueueUnderTest & AsyncDisposable>): void {
  describe(title, () => {
    const newLane = (): string => `call.test.f${++counter}-${Date.now().toString(36)}`
    const message = (lane: string, id: string, more: Partial<NewMessage> = {}): NewMessage => ({
      lane,
      id: `${lane}/${id}`,
      head: JSON.stringify({ id }),
      body: Buffer.from(`body of ${id}`),
      ...more,
    })
    const idOf = ({ head }: Delivery): string => (JSON.parse(head) as { id: string }).id
    const take = async (queue: Queue, lane: string, count: number): Promise<Delivery[]> => [
      ...(await queue.take(lane, count)).deliveries,
    ]

    test('what is published is taken in its order, whole, and is gone when acknowledged', async () => {
      await using given = await make()
      const { queue } = given
      const lane = newLane()
      for (const id of ['a', 'b', 'c']) await queue.publish(message(lane, id))
      expect((await queue.depths()).get(lane)).toBe(3)
      const deliveries = await take(queue, lane, 10)
      expect(deliveries.map(idOf)).toEqual(['a', 'b', 'c'])
      expect(deliveries.map(({ body }) => text.decode(body))).toEqual(['body of a', 'body of b', 'body of c'])
      expect(deliveries.map(({ mayHaveRun }) => mayHaveRun)).toEqual([false, false, false])
      for (const delivery of deliveries) delivery.ack()
      await until(async () => ((await queue.depths()).get(lane) ?? 0) === 0)
      expect(await take(queue, lane, 10)).toEqual([])
    })

    test('no more is taken than was asked for, and what is taken is not taken again', async () => {
      await using given = await make()
      const { queue } = given
      const lane = newLane()
      for (const id of ['a', 'b', 'c']) await queue.publish(message(lane, id))
      const first = await take(queue, lane, 2)
      const second = await take(queue, lane, 2)
      expect([first.map(idOf), second.map(idOf)]).toEqual([['a', 'b'], ['c']])
      for (const delivery of [...first, ...second]) delivery.ack()
    })

    test('lanes do not wait for each other', async () => {
      await using given = await make()
      const { queue } = given
      const [slow, quick] = [newLane(), newLane()]
      for (let i = 0; i < 50; i++) await queue.publish(message(slow, `s${i}`))
      await queue.publish(message(quick, 'q'))
      const held = await take(queue, slow, 1)
      const [delivery] = await take(queue, quick, 1)
      expect(delivery && idOf(delivery)).toBe('q')
      delivery?.ack()
      for (const one of held) one.ack()
    })

    test('the same id twice is one message, and says so', async () => {
      await using given = await make()
      const { queue } = given
      const lane = newLane()
      const first = await queue.publish(message(lane, 'a'))
      const second = await queue.publish(message(lane, 'a'))
      expect([first.duplicate, second.duplicate]).toEqual([false, true])
      expect((await queue.depths()).get(lane)).toBe(1)
      for (const delivery of await take(queue, lane, 10)) delivery.ack()
      // Also when the first one is done already.
      expect(await queue.publish(message(lane, 'a'))).toMatchObject({ duplicate: true })
    })

    test('positions rise', async () => {
      await using given = await make()
      const { queue } = given
      const one = await queue.publish(message(newLane(), 'a'))
      const other = await queue.publish(message(newLane(), 'b'))
      expect(other.position).toBeGreaterThan(one.position)
    })

    test('what is released comes again after its time, before what was published later', async () => {
      await using given = await make()
      const { queue } = given
      const lane = newLane()
      await queue.publish(message(lane, 'a'))
      const [delivery] = await take(queue, lane, 1)
      delivery?.release(300)
      await queue.publish(message(lane, 'b'))
      const { deliveries, nextDueAt } = await queue.take(lane, 5)
      expect(deliveries.map(idOf)).toEqual(['b'])
      expect(nextDueAt).toBeGreaterThan(Date.now())
      deliveries[0]?.ack()
      const again = await until(async () => (await take(queue, lane, 5))[0], { limitMs: 3000 })
      expect(idOf(again)).toBe('a')
      expect(again.mayHaveRun).toBe(true)
      again.ack()
    })

    test('a message with a due time is not taken before it, not even after a crash, and a later one is not held up', async () => {
      await using given = await make()
      const lane = newLane()
      const dueAt = Date.now() + 900
      await given.queue.publish(message(lane, 'later', { dueAt }))
      await given.queue.publish(message(lane, 'now'))
      const first = await given.queue.take(lane, 5)
      expect(first.deliveries.map(idOf)).toEqual(['now'])
      first.deliveries[0]?.ack()
      expect(first.nextDueAt).toBeGreaterThanOrEqual(dueAt)
      const queue = await given.crash()
      const delivery = await until(
        async () => {
          const { deliveries } = await queue.take(lane, 5)
          return deliveries.find((one) => idOf(one) === 'later')
        },
        { limitMs: 5000, everyMs: 20 },
      )
      expect(Date.now()).toBeGreaterThanOrEqual(dueAt)
      delivery.ack()
    })

    test('what was taken and not acknowledged comes again after a crash, at once; what was, does not', async () => {
      await using given = await make()
      const lane = newLane()
      for (const id of ['a', 'b']) await given.queue.publish(message(lane, id))
      const [a, b] = await take(given.queue, lane, 2)
      a?.ack()
      await until(async () => (await given.queue.depths()).get(lane) === 1)
      expect(b && idOf(b)).toBe('b')
      const queue = await given.crash()
      const again = await until(async () => (await take(queue, lane, 5))[0], { limitMs: 3000 })
      expect([idOf(again), again.mayHaveRun]).toEqual(['b', true])
      again.ack()
      await until(async () => ((await queue.depths()).get(lane) ?? 0) === 0)
    })

    test('a message can be removed where it stands: waiting, not due yet, or taken', async () => {
      await using given = await make()
      const { queue } = given
      const lane = newLane()
      const taken = await queue.publish(message(lane, 'taken'))
      const [held] = await take(queue, lane, 1)
      const waiting = await queue.publish(message(lane, 'waiting'))
      const later = await queue.publish(message(lane, 'later', { dueAt: Date.now() + 60_000 }))
      for (const { position } of [taken, waiting, later]) expect(await queue.remove(position)).toBe(true)
      expect(await queue.remove(waiting.position)).toBe(false)
      held?.ack()
      expect(await take(queue, lane, 5)).toEqual([])
      await until(async () => ((await queue.depths()).get(lane) ?? 0) === 0)
    })

    test('a lane can be emptied up to a position, of what waits, is not due yet, or was taken', async () => {
      await using given = await make()
      const { queue } = given
      const [lane, other] = [newLane(), newLane()]
      for (const id of ['a', 'b', 'c']) await queue.publish(message(lane, id))
      await queue.publish(message(lane, 'later', { dueAt: Date.now() + 60_000 }))
      await queue.publish(message(other, 'other'))
      const [held] = await take(queue, lane, 1)
      expect(held && idOf(held)).toBe('a')
      const upTo = await queue.newest()
      const { position } = await queue.publish(message(lane, 'new'))
      expect(position).toBeGreaterThan(upTo)
      expect(await queue.purge(lane, upTo)).toBe(4)
      expect(await queue.purge(lane, upTo)).toBe(0)
      held?.ack()
      const deliveries = await take(queue, lane, 5)
      expect(deliveries.map(idOf)).toEqual(['new'])
      const others = await take(queue, other, 5)
      expect(others.map(idOf)).toEqual(['other'])
      for (const delivery of [...deliveries, ...others]) delivery.ack()
      await until(async () => ((await queue.depths()).get(lane) ?? 0) === 0)
    })

    test('a message that was published while nobody found any is found', async () => {
      await using given = await make()
      const { queue } = given
      const lane = newLane()
      for (let i = 0; i < 100; i++) {
        expect(await take(queue, lane, 4)).toEqual([])
        await queue.publish(message(lane, `m${i}`))
        const [delivery] = await take(queue, lane, 4)
        expect(delivery && idOf(delivery)).toBe(`m${i}`)
        delivery?.ack()
      }
    })

    test('a thousand messages at once are each taken once', async () => {
      await using given = await make()
      const { queue } = given
      const lane = newLane()
      await Promise.all(Array.from({ length: 1000 }, (_, i) => queue.publish(message(lane, `m${i}`))))
      const seen: string[] = []
      while (seen.length < 1000) {
        const deliveries = await take(queue, lane, 64)
        if (deliveries.length === 0) break
        for (const delivery of deliveries) {
          seen.push(idOf(delivery))
          delivery.ack()
        }
      }
      expect(seen.length).toBe(1000)
      expect(new Set(seen).size).toBe(1000)
    })

    test('a lane that is taken from little by little keeps its order, also beside large messages', async () => {
      await using given = await make()
      const { queue } = given
      const lane = newLane()
      const ids = Array.from({ length: 150 }, (_, i) => `m${i}`)
      for (const [i, id] of ids.entries())
        await queue.publish(message(lane, id, i % 10 === 3 ? { body: Buffer.alloc(700_000, id) } : {}))
      const seen: string[] = []
      for (let count = 1; seen.length < ids.length; count = (count % 7) + 1) {
        const deliveries = await take(queue, lane, count)
        expect(deliveries.length).toBe(Math.min(count, ids.length - seen.length))
        for (const delivery of deliveries) {
          seen.push(idOf(delivery))
          delivery.ack()
        }
      }
      expect(seen).toEqual(ids)
      await until(async () => ((await queue.depths()).get(lane) ?? 0) === 0)
    })

    test('a message that is removed right before its turn is not handed out', async () => {
      await using given = await make()
      const { queue } = given
      const lane = newLane()
      const positions: number[] = []
      for (const id of ['a', 'b', 'c', 'd']) positions.push((await queue.publish(message(lane, id))).position)
      const [a] = await take(queue, lane, 1)
      const [b] = await take(queue, lane, 1)
      expect(await queue.remove(positions[2] ?? 0)).toBe(true)
      const rest = await take(queue, lane, 5)
      expect([a, b, ...rest].map((one) => one && idOf(one))).toEqual(['a', 'b', 'd'])
      for (const one of [a, b, ...rest]) one?.ack()
      await until(async () => ((await queue.depths()).get(lane) ?? 0) === 0)
    })

    test('what nobody had begun comes again after a crash, in its order', async () => {
      await using given = await make()
      const lane = newLane()
      for (const id of ['a', 'b', 'c', 'd', 'e']) await given.queue.publish(message(lane, id))
      const [a] = await take(given.queue, lane, 1)
      const [b] = await take(given.queue, lane, 1)
      for (const one of [a, b]) one?.ack()
      await until(async () => (await given.queue.depths()).get(lane) === 3)
      const queue = await given.crash()
      const rest: Delivery[] = []
      await until(async () => rest.push(...(await take(queue, lane, 5))) >= 3)
      expect(rest.map(idOf)).toEqual(['c', 'd', 'e'])
      for (const one of rest) one.ack()
    })

    test('heads and bodies come back byte for byte, empty ones and the largest ones too', async () => {
      await using given = await make()
      const { queue } = given
      const lane = newLane()
      const head = JSON.stringify({ id: 'ä\n\u0000"', list: ['x'] })
      const size = queue.maxMessageBytes - Buffer.byteLength(head)
      const bodies = [new Uint8Array(0), Buffer.from([0, 10, 13, 10, 255, 0]), Buffer.alloc(size, 'abcdefg')]
      for (const [i, body] of bodies.entries()) await queue.publish(message(lane, `b${i}`, { head, body }))
      const deliveries = await take(queue, lane, 5)
      expect(deliveries.map((one) => one.head)).toEqual([head, head, head])
      for (const [i, { body }] of deliveries.entries()) {
        expect(Buffer.from(body).equals(bodies[i]!)).toBe(true)
        deliveries[i]?.ack()
      }
    })

    test('what follows from the largest message has room for what became of it', async () => {
      await using given = await make()
      const { queue } = given
      const { maxMessageBytes, maxFollowingBytes } = queue
      expect(maxFollowingBytes - maxMessageBytes).toBeGreaterThanOrEqual(64 * 1024)
      const lane = newLane()
      const head = JSON.stringify({ id: 'next' })
      const body = Buffer.alloc(maxFollowingBytes - Buffer.byteLength(head), 'x')
      // The longest id, of letters that need the most room.
      await queue.publish(message(lane, 'ÿ'.repeat(256), { head, body, dueAt: Date.now() }))
      const [delivery] = await take(queue, lane, 1)
      expect(delivery?.body.length).toBe(body.length)
      delivery?.ack()
      const position = await queue.dead.put(message(lane, 'dead', { head, body }))
      expect((await queue.dead.get(position))?.body.length).toBe(body.length)
      await queue.dead.remove(position)
    })

    test('a list tells what a lane holds, taken and not due ones included, and nothing of other lanes', async () => {
      await using given = await make()
      const { queue } = given
      const [lane, other] = [newLane(), newLane()]
      const heads = async (): Promise<string[]> => {
        const found: string[] = []
        const positions: number[] = []
        for await (const { position, head } of queue.list(lane)) {
          found.push((JSON.parse(head) as { id: string }).id)
          positions.push(position)
        }
        expect(positions).toEqual([...positions].sort((a, b) => a - b))
        return found
      }
      expect(await heads()).toEqual([])
      await queue.publish(message(lane, 'a'))
      await queue.publish(message(other, 'x'))
      await queue.publish(message(lane, 'later', { dueAt: Date.now() + 60_000 }))
      await queue.publish(message(lane, 'b'))
      const [a] = await take(queue, lane, 1)
      expect(await heads()).toEqual(['a', 'later', 'b'])
      a?.ack()
      await until(async () => (await heads()).length === 2)
    })

    test('large bodies are stored, read and removed', async () => {
      await using given = await make()
      const { bodies } = given.queue
      const name = newLane()
      const content = Buffer.alloc(5_000_001, '0123456789')
      expect(await bodies.put(name, pieces(content))).toBe(content.length)
      const got: Uint8Array[] = []
      for await (const piece of await bodies.open(name)) got.push(piece)
      expect(Buffer.concat(got).equals(content)).toBe(true)
      expect(await bodies.list()).toContain(name)
      await bodies.remove(name)
      await bodies.remove(name)
      expect(await bodies.list()).not.toContain(name)
      await expect(bodies.open(name)).rejects.toThrow()
    })

    test('of a body that breaks off, nothing is kept', async () => {
      await using given = await make()
      const { bodies } = given.queue
      const name = newLane()
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield Buffer.alloc(300_000)
        await wait(1)
        throw new Error('cut off')
      }
      await expect(bodies.put(name, broken())).rejects.toThrow('cut off')
      await expect(bodies.open(name)).rejects.toThrow()
      expect(await bodies.list()).not.toContain(name)
    })

    test('dead letters are kept, listed, read and removed, also after a crash', async () => {
      await using given = await make()
      const lane = newLane()
      const one = await given.queue.dead.put(message(lane, 'one'))
      const two = await given.queue.dead.put(message(lane, 'two'))
      const { dead } = await given.crash()
      const listed = (await dead.list()).filter((letter) => letter.lane === lane)
      expect(listed).toEqual([
        { position: one, lane, id: `${lane}/one` },
        { position: two, lane, id: `${lane}/two` },
      ])
      const letter = await dead.get(one)
      expect(letter && [letter.id, letter.head, text.decode(letter.body)]).toEqual([
        `${lane}/one`,
        '{"id":"one"}',
        'body of one',
      ])
      expect(await dead.remove(one)).toBe(true)
      expect(await dead.remove(one)).toBe(false)
      expect(await dead.get(one)).toBeUndefined()
      expect((await dead.list()).filter((other) => other.lane === lane)).toHaveLength(1)
      // A letter takes nothing from the lane that it came from.
      expect((await given.queue.depths()).get(lane)).toBeUndefined()
    })

    test('whoever watches a queue that is up is told so at once', async () => {
      await using given = await make()
      const told: boolean[] = []
      using _watch = given.queue.watch((isUp) => told.push(isUp))
      await until(() => told.includes(true))
      expect(given.queue.problem).toBeUndefined()
    })
  })
}

async function* pieces(content: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += 70_001) {
    await Promise.resolve()
    yield content.subarray(at, at + 70_001)
  }
}
