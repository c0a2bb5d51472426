import { expect, test } from 'vitest'
import { dropUnusedStages } from './unused-stages.ts'

const dockerfile = [
  'ARG WATCHDOG=built',
  'FROM golang AS built',
  'RUN go build',
  'FROM ${WATCHDOG} AS watchdog',
  'FROM alpine AS tests',
  'RUN exit 1',
  'FROM alpine',
  'COPY --from=watchdog /a /a',
]
const without = (...lines: number[]) =>
  dockerfile.map((line, index) => (lines.includes(index) ? '' : line)).join('\n')

test('a stage that nothing needs goes, and every line keeps its number', () =>
  expect(dropUnusedStages(dockerfile.join('\n'), {})).toBe(without(4, 5)))

test('build arguments decide which stages are needed', () =>
  expect(dropUnusedStages(dockerfile.join('\n'), { WATCHDOG: 'far/away:1' })).toBe(without(1, 2, 4, 5)))

test('an image of a later stage’s name is no stage', () =>
  expect(dropUnusedStages('FROM a AS b\nFROM x\nCOPY --from=c / /\nFROM z AS c\nFROM b AS d', {})).toBe(
    'FROM a AS b\n\n\n\nFROM b AS d',
  ))

test.each([
  'FROM a\nRUN x',
  'FROM a\nFROM b\nCOPY --from=0 / /',
  'FROM a AS x\nFROM $UNKNOWN',
  'FROM a AS Base\nFROM BASE',
  'FROM a AS x\nFROM b\nRUN --mount=type=bind,from=x,target=/x true',
  '',
])('%j stays as it is', (text) => expect(dropUnusedStages(text, {})).toBe(text))
