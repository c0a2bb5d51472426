import { describe, expect, test } from 'vitest'
import { Flights, makeTurns } from './turns.ts'

const never = new AbortController().signal

/** A work that ends when it is told. */
function makeGate<T>() {
  let open!: (value: T) => void
  let fail!: (error: Error) => void
  const passed = new Promise<T>((resolve, reject) => ([open, fail] = [resolve, reject]))
  return { passed, open, fail }
}

const soon = () => new Promise((resolve) => setImmediate(resolve))

describe('turns', () => {
  test('no more works than allowed run at once, and all of them run', async () => {
    const takeTurn = makeTurns(2)
    let [running, most] = [0, 0]
    const work = async () => {
      most = Math.max(most, ++running)
      await soon()
      running--
    }
    await Promise.all(Array.from({ length: 7 }, () => takeTurn(work, never)))
    expect(most).toBe(2)
  })

  test('a work that is aborted while it waits leaves at once and never runs', async () => {
    const takeTurn = makeTurns(1)
    const gate = makeGate<string>()
    const first = takeTurn(() => gate.passed, never)
    const abort = new AbortController()
    let ran = false
    const second = takeTurn(() => Promise.resolve((ran = true)), abort.signal)
    abort.abort(new Error('saved again'))
    await expect(second).rejects.toThrow('saved again')
    gate.open('done')
    expect(await first).toBe('done')
    await soon()
    expect(ran).toBe(false)
  })

  test('a work that is aborted while it runs ends when it has cleaned up', async () => {
    const takeTurn = makeTurns(1)
    const gate = makeGate<string>()
    const abort = new AbortController()
    let ended = false
    const work = takeTurn(() => gate.passed, abort.signal).finally(() => (ended = true))
    await soon()
    abort.abort(new Error('stop'))
    await soon()
    expect(ended).toBe(false)
    gate.fail(new Error('cleaned up'))
    await expect(work).rejects.toThrow('cleaned up')
  })
})

describe('flights', () => {
  test('many who want the same get one work’s result', async () => {
    const flights = new Flights<string>()
    let works = 0
    const work = async () => {
      works++
      await soon()
      return 'image'
    }
    const results = await Promise.all(Array.from({ length: 5 }, () => flights.join('hash', work, never)))
    expect(results).toEqual(Array(5).fill('image'))
    expect(works).toBe(1)
    await flights.join('hash', work, never)
    expect(works).toBe(2)
  })

  test('a failure is everybody’s', async () => {
    const flights = new Flights<string>()
    const gate = makeGate<string>()
    const joined = [1, 2].map(() => flights.join('hash', () => gate.passed, never))
    gate.fail(new Error('step 3'))
    const outcomes = await Promise.allSettled(joined)
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  })

  test('who waited takes over when the first one’s caller gives up', async () => {
    const flights = new Flights<string>()
    const abort = new AbortController()
    const gate = makeGate<string>()
    const first = flights.join('hash', () => gate.passed, abort.signal)
    const second = flights.join('hash', () => Promise.resolve('mine'), never)
    abort.abort(new Error('gave up'))
    gate.fail(new Error('gave up'))
    await expect(first).rejects.toThrow('gave up')
    expect(await second).toBe('mine')
  })

  test('who waits and gives up leaves at once, and the work goes on for the others', async () => {
    const flights = new Flights<string>()
    const gate = makeGate<string>()
    const first = flights.join('hash', () => gate.passed, never)
    const abort = new AbortController()
    const second = flights.join('hash', () => gate.passed, abort.signal)
    abort.abort(new Error('not me'))
    await expect(second).rejects.toThrow('not me')
    gate.open('image')
    expect(await first).toBe('image')
  })
})
