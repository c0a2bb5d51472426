import { describe } from 'vitest'
import { watcherContract } from '../../test/contract/watcher.contract.ts'
import { ChokidarWatcher } from './chokidar-watcher.ts'

describe('by events', { timeout: 60_000 }, () => {
  watcherContract({ isByEvents: true, make: (setting) => new ChokidarWatcher(setting) })
})

describe('by looking', { timeout: 60_000 }, () => {
  watcherContract({ isByEvents: false, make: (setting) => new ChokidarWatcher({ ...setting, mode: 'poll' }) })
})
