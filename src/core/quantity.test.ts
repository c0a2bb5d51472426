import { describe, expect, test } from 'vitest'
import { parseCpu, parseMemory } from './quantity.ts'

describe('memory quantities', () => {
  test.each([
    ['5Mi', 5 * 2 ** 20],
    ['128M', 128e6],
    ['128m', 128 * 2 ** 20],
    ['20k', 20 * 1024],
    ['0.5Gi', 2 ** 29],
    ['1e6', 1e6],
    ['134217728', 134217728],
  ])('%s is %d bytes', (text, bytes) => expect(parseMemory(text)).toBe(bytes))

  test.each(['', 'lots', '12Q', '-5Mi', '0', '1 2Mi', 'Mi'])('%j is refused', (text) =>
    expect(() => parseMemory(text)).toThrow(/cannot be read/),
  )
})

describe('CPU quantities', () => {
  test.each([
    ['100m', 0.1],
    ['0.5', 0.5],
    ['2', 2],
    ['500000000', 0.5],
  ])('%s is %d cores', (text, cores) => expect(parseCpu(text)).toBe(cores))

  test.each(['', '1x', '0', '-1', 'm'])('%j is refused', (text) =>
    expect(() => parseCpu(text)).toThrow(/cannot be read/),
  )
})
