import { expect, test } from 'vitest'
import type { RawLine } from './log-frames.ts'
import { SeenLines } from './seen-lines.ts'

const line = (moment: number, text = `line ${moment}`, source = 1): RawLine => ({
  timestamp: `2026-01-31T09:30:00.${String(moment).padStart(9, '0')}Z`,
  source,
  text,
})
const range = (from: number, to: number): RawLine[] =>
  Array.from({ length: to - from + 1 }, (_, index) => line(from + index))

test('lines that the engine sends again when it begins a new file are left out', () => {
  const seen = new SeenLines()
  const sent = [...range(1, 100), ...range(60, 150), ...range(150, 200)]
  expect(seen.fresh(sent)).toEqual(range(1, 200))
})

test('a whole file that the engine sends again is left out', () => {
  const seen = new SeenLines()
  seen.fresh(range(1, 120_000))
  expect(seen.fresh([...range(1, 120_000), line(120_001)])).toEqual([line(120_001)])
})

test('whoever reads on from before the latest line gets what is new, once', () => {
  const seen = new SeenLines()
  seen.fresh([...range(1, 50), line(51, 'error', 2)])
  seen.again()
  // A line of the other stream that was written late.
  expect(
    seen.fresh([line(40, 'line 40'), line(49), line(50), line(51, 'error', 2), line(52, 'x', 2), line(53)]),
  ).toEqual([line(52, 'x', 2), line(53)])
})

test('two lines of one moment are two lines, unless they are the same', () => {
  const seen = new SeenLines()
  expect(seen.fresh([line(1, 'a'), line(1, 'b'), line(1, 'a'), line(1, 'b')])).toEqual([
    line(1, 'a'),
    line(1, 'b'),
  ])
})

test('equal pieces of one long line are all kept', () => {
  const seen = new SeenLines()
  const pieces = [line(1, 'xx'), { ...line(1, 'xx'), piece: 1 }, { ...line(1, 'xx'), piece: 2 }]
  expect(seen.fresh(pieces)).toEqual(pieces)
  seen.again()
  expect(seen.fresh([...pieces, line(2)])).toEqual([line(2)])
})

test('a clock that is set back loses no line', () => {
  const seen = new SeenLines()
  expect(seen.fresh([line(1000), line(5), line(6)])).toEqual([line(1000), line(5), line(6)])
})

test('what was not asked for does not come in by reading on', () => {
  const seen = new SeenLines()
  seen.fresh([line(50), line(51)])
  seen.again()
  expect(seen.fresh([line(49, 'too old', 2), line(50), line(51), line(52)])).toEqual([line(52)])
})
