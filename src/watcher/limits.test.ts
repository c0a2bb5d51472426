import { expect, test } from 'vitest'
import { isLimit, limitText } from './limits.ts'

test('the errors of a reached limit are told from others', () => {
  expect(['ENOSPC', 'EMFILE', 'ENOENT', 'EACCES', undefined].map(isLimit)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ])
})

test.runIf(process.platform === 'linux')(
  'a reached limit is told with its value, the need and the line that raises it',
  async () => {
    const text = await limitText('ENOSPC', 400_000)
    expect(text).toMatch(/fs\.inotify\.max_user_watches is \d+/)
    expect(text).toContain('faasdock needs 400000')
    expect(text).toMatch(/sudo sysctl fs\.inotify\.max_user_watches=\d+ /)
    expect(Number(/sysctl fs\.inotify\.max_user_watches=(\d+)/.exec(text)?.[1])).toBeGreaterThanOrEqual(
      800_000,
    )
    expect(await limitText('EMFILE', 10)).toMatch(/sudo sysctl fs\.inotify\.max_user_instances=\d+ /)
  },
)
