import { Option } from 'commander'
import { expect, test } from 'vitest'
import { rewriteSwitches } from './cobra-booleans.ts'

const OPTIONS = [
  new Option('-t, --tail'),
  new Option('--no-tail'),
  new Option('--quiet'),
  new Option('--since <duration>'),
]

test.each([
  ['--tail=false', ['--no-tail']],
  ['-t=false', ['--no-tail']],
  ['--tail=true', ['--tail']],
  ['--quiet=false', []],
  ['--quiet=maybe', ['--quiet=maybe']],
  ['--since=1', ['--since=1']],
  ['--unknown=false', ['--unknown=false']],
])('%s becomes %j', (arg, expected) => expect(rewriteSwitches([arg], OPTIONS)).toEqual(expected))

test('nothing behind -- is touched', () => {
  expect(rewriteSwitches(['--', '--tail=false'], OPTIONS)).toEqual(['--', '--tail=false'])
})
