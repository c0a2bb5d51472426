import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Ring } from './ring.ts'

test('what comes out is what is oldest, however it is filled and emptied', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.boolean(), { maxLength: 50 }), (size, pushes) => {
      const ring = new Ring<number>(size)
      const expected: number[] = []
      for (const [i, isPush] of pushes.entries()) {
        if (!isPush || ring.isFull) expect(ring.takeOldest()).toBe(expected.shift())
        if (isPush) {
          ring.push(i)
          expected.push(i)
        }
        expect([ring.length, ring.isFull]).toEqual([expected.length, expected.length === size])
      }
    }),
  )
})
