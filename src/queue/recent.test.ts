import { expect, test } from 'vitest'
import { Recent } from './recent.ts'

test('the last so many numbers are remembered, and no more than twice as many', () => {
  const recent = new Recent(10)
  for (let number = 1; number <= 1000; number++) {
    recent.add(number)
    const remembered = Array.from({ length: number }, (_, i) => i + 1).filter((one) => recent.has(one))
    expect(remembered).toEqual(expect.arrayContaining(lastOf(number, Math.min(number, 10))))
    expect(remembered.length).toBeLessThanOrEqual(20)
  }
})

function lastOf(number: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => number - i)
}
