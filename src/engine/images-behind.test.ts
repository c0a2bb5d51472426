import { expect, test } from 'vitest'
import { FakeClock, settle } from '../../test/support/fake-clock.ts'
import { ImagesBehind } from './images-behind.ts'

/** Work that lasts until it is let through or given up. */
function makeBehind() {
  const clock = new FakeClock()
  const behind = new ImagesBehind(clock)
  const log: string[] = []
  let letThrough: () => void = () => undefined
  const work = (name: string) => async (signal: AbortSignal) => {
    log.push(`${name} begins`)
    await new Promise<void>((resolve) => {
      letThrough = resolve
      signal.addEventListener('abort', () => resolve())
    })
    log.push(`${name} ${signal.aborted ? 'given up' : 'done'}`)
  }
  return {
    clock,
    behind,
    log,
    want: (key: string, name = key) => behind.want(key, work(name)),
    finish: async () => {
      letThrough()
      await settle()
    },
  }
}

test('is done a while after the last wish for it, with what was wished for last', async () => {
  const { clock, want, log } = makeBehind()
  want('a', 'a1')
  await clock.advance(1000)
  want('a', 'a2')
  await clock.advance(1000)
  expect(log).toEqual([])
  await clock.advance(500)
  expect(log).toEqual(['a2 begins'])
})

test('goes one after the other', async () => {
  const { clock, want, log, finish } = makeBehind()
  for (const key of ['a', 'b']) want(key)
  await clock.advance(2000)
  expect(log).toEqual(['a begins'])
  await finish()
  expect(log).toEqual(['a begins', 'a done', 'b begins'])
})

test('is given up for newer code of its function, and for nobody else’s', async () => {
  const { clock, behind, want, log } = makeBehind()
  for (const key of ['a', 'b']) want(key)
  await clock.advance(2000)
  behind.drop('b')
  expect(log).toEqual(['a begins'])
  behind.drop('a')
  await settle()
  await clock.advance(10_000)
  expect(log).toEqual(['a begins', 'a given up'])
})

test('makes way for a build that somebody waits for, and begins again later', async () => {
  const { clock, behind, want, log, finish } = makeBehind()
  want('a')
  await clock.advance(1500)
  behind.makeWay()
  await clock.advance(1499)
  expect(log).toEqual(['a begins', 'a given up'])
  await clock.advance(1)
  await finish()
  expect(log.slice(2)).toEqual(['a begins', 'a done'])
})

test('ends with the session: what runs is given up and waited for, nothing begins', async () => {
  const { clock, behind, want, log } = makeBehind()
  for (const key of ['a', 'b']) want(key)
  await clock.advance(1500)
  await behind[Symbol.asyncDispose]()
  want('c')
  await clock.advance(10_000)
  expect(log).toEqual(['a begins', 'a given up'])
  expect(clock.pending).toEqual([])
})
