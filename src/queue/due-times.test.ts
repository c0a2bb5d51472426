import { expect, test } from 'vitest'
import { DueTimes } from './due-times.ts'

test('the soonest of many moments is found, whatever their order', () => {
  const due = new DueTimes()
  const moments = Array.from({ length: 500 }, (_, i) => (i * 7919) % 1009)
  for (const [message, at] of moments.entries()) due.set(message, at)
  const left = new Map(moments.entries())
  while (left.size > 0) {
    const soonest = due.soonest(-1)
    expect(soonest).toBe(Math.min(...left.values()))
    const message = [...left].find(([, at]) => at === soonest)![0]
    left.delete(message)
    due.delete(message)
  }
  expect(due.soonest(-1)).toBeUndefined()
})

test('a message that is set again has one moment, the new one', () => {
  const due = new DueTimes()
  due.set(1, 10)
  due.set(1, 30)
  due.set(2, 20)
  expect(due.soonest(0)).toBe(20)
  due.delete(2)
  expect(due.soonest(0)).toBe(30)
  expect(due.size).toBe(1)
})

test('moments long past are forgotten', () => {
  const due = new DueTimes()
  due.set(1, 10)
  due.set(2, 50)
  expect(due.soonest(40)).toBe(50)
  expect(due.size).toBe(1)
})
