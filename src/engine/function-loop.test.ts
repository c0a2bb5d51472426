import { expect, test } from 'vitest'
import { FakeClock, settle } from '../../test/support/fake-clock.ts'
import { FunctionLoop } from './function-loop.ts'

interface Turn {
  readonly signal: AbortSignal
  end(error?: Error): void
}

/** A loop whose turns the test ends. */
function makeLoop(retries: boolean): { loop: FunctionLoop; turns: Turn[]; clock: FakeClock } {
  const clock = new FakeClock()
  const turns: Turn[] = []
  const loop = new FunctionLoop(
    clock,
    retries,
    (signal) =>
      new Promise((resolve, reject) => {
        turns.push({ signal, end: (error) => (error ? reject(error) : resolve()) })
      }),
  )
  return { loop, turns, clock }
}

const outcome = (promise: Promise<void>): Promise<string> =>
  promise.then(
    () => 'done',
    (error: unknown) => (error as Error).message,
  )

test('a request during a turn gives that turn up and asks for exactly one more, however many there are', async () => {
  const { loop, turns } = makeLoop(false)
  const first = loop.request()
  expect(turns).toHaveLength(1)
  const later = Array.from({ length: 50 }, () => loop.request())
  expect(turns[0]?.signal.aborted).toBe(true)
  expect(turns).toHaveLength(1)
  turns[0]?.end(new Error('aborted'))
  await settle()
  expect(turns).toHaveLength(2)
  expect(turns[1]?.signal.aborted).toBe(false)
  turns[1]?.end()
  await Promise.all([first, ...later])
  await settle()
  expect(turns).toHaveLength(2)
  expect(loop.isBusy).toBe(false)
})

test('who asked before a turn that was given up gets the outcome of the next one', async () => {
  const { loop, turns } = makeLoop(false)
  const outcomes = Promise.all([outcome(loop.request()), outcome(loop.request())])
  turns[0]?.end(new Error('aborted'))
  await settle()
  turns[1]?.end(new Error('does not build'))
  expect(await outcomes).toEqual(['does not build', 'does not build'])
})

test('a turn that ends well although it was given up does not answer for the newer wish', async () => {
  const { loop, turns } = makeLoop(false)
  const first = loop.request()
  const second = loop.request()
  let isSecondDone = false
  second.then(
    () => (isSecondDone = true),
    () => undefined,
  )
  turns[0]?.end()
  await first
  await settle()
  expect(isSecondDone).toBe(false)
  turns[1]?.end()
  await second
})

test('a failed turn is repeated after 1, 2, 4 … at most 60 seconds, until one succeeds', async () => {
  const { loop, turns, clock } = makeLoop(true)
  const asked = outcome(loop.request())
  const pauses: number[] = []
  for (let n = 0; n < 9; n++) {
    turns.at(-1)?.end(new Error('not yet'))
    await settle()
    pauses.push(...clock.pending)
    await clock.advance(clock.pending[0] ?? 0)
  }
  expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1000))
  expect(await asked).toBe('not yet')
  turns.at(-1)?.end()
  await settle()
  expect(clock.pending).toEqual([])
  expect(turns).toHaveLength(10)
  // A new wish starts over.
  loop.request().catch(() => undefined)
  turns.at(-1)?.end(new Error('again'))
  await settle()
  expect(clock.pending).toEqual([1000])
  await loop[Symbol.asyncDispose]()
})

test('where nothing is to be repeated a failed turn is not', async () => {
  const { loop, turns, clock } = makeLoop(false)
  const asked = outcome(loop.request())
  turns[0]?.end(new Error('does not build'))
  expect(await asked).toBe('does not build')
  expect(clock.pending).toEqual([])
})

test('crashes are answered at once, then after 0.5, 1, 2 … at most 30 seconds', async () => {
  const { loop, turns, clock } = makeLoop(true)
  const pauses: number[] = []
  for (let n = 0; n < 10; n++) {
    loop.requestAfterCrash()
    pauses.push(...clock.pending)
    await clock.advance(clock.pending[0] ?? 0)
    turns.at(-1)?.end()
    await settle()
  }
  expect(pauses).toEqual([0, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
  expect(turns).toHaveLength(10)
})

test('a minute without a crash wipes the slate', async () => {
  const { loop, turns, clock } = makeLoop(true)
  for (let n = 0; n < 3; n++) {
    loop.requestAfterCrash()
    await clock.advance(clock.pending[0] ?? 0)
    turns.at(-1)?.end()
    await settle()
  }
  await clock.advance(60_001)
  loop.requestAfterCrash()
  expect(clock.pending).toEqual([0])
})

test('a wish does not wait for the back-off', async () => {
  const { loop, turns, clock } = makeLoop(true)
  loop.request().catch(() => undefined)
  turns[0]?.end(new Error('not yet'))
  await settle()
  expect(clock.pending).toEqual([1000])
  const asked = loop.request()
  expect(turns).toHaveLength(2)
  expect(clock.pending).toEqual([])
  turns[1]?.end()
  await asked
})

test('stopping gives up the turn, waits for it, tells who waits, and starts nothing more', async () => {
  const { loop, turns, clock } = makeLoop(true)
  const asked = outcome(loop.request())
  let isStopped = false
  const stopped = loop[Symbol.asyncDispose]().then(() => (isStopped = true))
  await settle()
  expect(turns[0]?.signal.aborted).toBe(true)
  expect(isStopped).toBe(false)
  turns[0]?.end(new Error('aborted'))
  await stopped
  expect(await asked).toBe('stopping')
  expect(clock.pending).toEqual([])
  expect(await outcome(loop.request())).toBe('stopping')
  loop.requestAfterCrash()
  await clock.advance(60_000)
  expect(turns).toHaveLength(1)
})
