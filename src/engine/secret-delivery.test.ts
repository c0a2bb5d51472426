import { expect, test } from 'vitest'
import { systemClock } from '../core/clock.ts'
import { SecretDelivery } from './secret-delivery.ts'

interface Change {
  readonly done: () => void
  readonly fail: (error: Error) => void
}

/** A store that is told what was written, a provider whose copies end when the test says so, and time that it turns. */
function stage() {
  let tell: (namespace: string, name: string) => void = () => undefined
  const changes: Change[] = []
  const warnings: string[] = []
  const limits: { readonly ms: number; readonly work: () => void }[] = []
  const log = { debug() {}, info() {}, error() {}, warn: (text: string) => void warnings.push(text) }
  const delivery = new SecretDelivery({
    secrets: {
      watch(onPut) {
        tell = onPut
        return { [Symbol.dispose]: () => (tell = () => undefined) }
      },
    },
    provider: {
      secretChanged: () =>
        new Promise<void>((resolve, reject) => changes.push({ done: resolve, fail: reject })),
    },
    clock: {
      ...systemClock,
      after(ms, work) {
        limits.push({ ms, work })
        return { [Symbol.dispose]: () => undefined }
      },
    },
    log,
  })
  const settled = (): { readonly promise: Promise<void>; isDone: boolean } => {
    const state = {
      promise: delivery.settled('fn', 'key').then(() => void (state.isDone = true)),
      isDone: false,
    }
    return state
  }
  return { delivery, put: () => tell('fn', 'key'), changes, warnings, limits, settled }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('who waits for a value that was written waits until replicas have it', async () => {
  const { put, changes, settled } = stage()
  put()
  const waiting = settled()
  await turn()
  expect(waiting.isDone).toBe(false)
  changes[0]?.done()
  await waiting.promise
})

test('who waits, waits for the latest value', async () => {
  const { put, changes, settled } = stage()
  put()
  put()
  const waiting = settled()
  changes[0]?.done()
  await turn()
  expect(waiting.isDone).toBe(false)
  changes[1]?.done()
  await waiting.promise
})

test('the wait ends after two seconds, and the copies go on', async () => {
  const { put, changes, settled, limits, warnings } = stage()
  put()
  const waiting = settled()
  expect(limits.map(({ ms }) => ms)).toEqual([2000])
  limits[0]?.work()
  await waiting.promise
  changes[0]?.fail(new Error('the engine is away'))
  await turn()
  expect(warnings).toEqual([expect.stringContaining('the engine is away')])
})

test('an engine that is away is warned of, and fails nobody', async () => {
  const { put, changes, settled, warnings } = stage()
  put()
  const waiting = settled()
  changes[0]?.fail(new Error('the engine is away'))
  await waiting.promise
  expect(warnings).toHaveLength(1)
})

test('nobody waits where nothing was written, or after it has arrived', async () => {
  const { put, changes, settled, limits } = stage()
  await settled().promise
  put()
  changes[0]?.done()
  await turn()
  await settled().promise
  expect(limits).toEqual([])
})
