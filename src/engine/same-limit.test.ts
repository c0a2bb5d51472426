import { expect, test } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { SameLimit } from './same-limit.ts'

function useLimit() {
  const clock = new FakeClock()
  const over: string[] = []
  const limit = new SameLimit<{ readonly name: string }>(clock, 100, ({ name }) => void over.push(name))
  return { clock, over, limit }
}

test('each is told of when its own time is over, and not when it has ended before', async () => {
  const { clock, over, limit } = useLimit()
  const [a, b, c] = [{ name: 'a' }, { name: 'b' }, { name: 'c' }]
  limit.begin(a)
  limit.begin(b)
  await clock.advance(60)
  limit.begin(c)
  limit.end(b)
  await clock.advance(39)
  expect(over).toEqual([])
  await clock.advance(1)
  expect(over).toEqual(['a'])
  await clock.advance(60)
  expect(over).toEqual(['a', 'c'])
})

test('what begins again is given all of the time again', async () => {
  const { clock, over, limit } = useLimit()
  const a = { name: 'a' }
  limit.begin(a)
  limit.end(a)
  await clock.advance(50)
  limit.begin(a)
  await clock.advance(99)
  expect(over).toEqual([])
  await clock.advance(1)
  expect(over).toEqual(['a'])
})

test('where all have ended no timer is left, and the next of the same moment gets one', async () => {
  const { clock, over, limit } = useLimit()
  const [a, b] = [{ name: 'a' }, { name: 'b' }]
  limit.begin(a)
  limit.end(a)
  expect(clock.pending).toEqual([])
  limit.begin(b)
  await clock.advance(100)
  expect(over).toEqual(['b'])
  expect(clock.pending).toEqual([])
})
