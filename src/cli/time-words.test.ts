import { expect, test } from 'vitest'
import { formatSpan, parseDuration } from './time-words.ts'

test.each([
  ['10m', 600_000],
  ['1h2m3.5s', 3_723_500],
  ['250ms', 250],
  ['30', 30_000],
])('%s is %d ms', (text, ms) => expect(parseDuration(text, '--since')).toBe(ms))

test.each(['', 'soon', '10 m', '5x', '-3s', '1m2'])('%j is refused with the name of the flag', (text) =>
  expect(() => parseDuration(text, '--since')).toThrow(/--since .* is not a duration/),
)

test.each([
  [0.0241, '24 ms'],
  [1.24, '1.2 s'],
  [59.96, '1 min 0 s'],
  [125, '2 min 5 s'],
])('%d seconds are shown as %s', (seconds, text) => expect(formatSpan(seconds)).toBe(text))
