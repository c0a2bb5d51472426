import { expect, test } from 'vitest'
import { formatGoTime } from './go-time.ts'

const DATE = new Date('2026-02-03T16:05:06.000Z')

test.each([
  ['2006-01-02T15:04:05Z07:00', '2026-02-03T16:05:06Z'],
  ['2006-01-02T15:04:05.000Z07:00', '2026-02-03T16:05:06.120Z'],
  ['2006-01-02T15:04:05.999999999Z07:00', '2026-02-03T16:05:06.12Z'],
  ['Mon Jan _2 15:04:05 2006', 'Tue Feb  3 16:05:06 2026'],
  ['Monday, 02-Jan-06 15:04:05 MST', 'Tuesday, 03-Feb-26 16:05:06 UTC'],
  ['Mon, 02 Jan 2006 15:04:05 -0700', 'Tue, 03 Feb 2026 16:05:06 +0000'],
  ['3:04PM', '4:05PM'],
  ['1/2/06 3:4:5 pm', '2/3/26 4:5:6 pm'],
  ['January 2', 'February 3'],
  ['at 15h', 'at 16h'],
  ['', ''],
])('%j is written %j, as Go writes it', (layout, written) => {
  expect(formatGoTime(DATE, layout, '12')).toBe(written)
})
