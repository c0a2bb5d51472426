import { queueContract } from '../../test/contract/queue.contract.ts'
import { makeMemoryStore, MemoryQueue } from './memory-queue.ts'

queueContract('a queue in memory', () => {
  const store = makeMemoryStore()
  return Promise.resolve({
    queue: new MemoryQueue(store),
    crash: () => Promise.resolve(new MemoryQueue(store)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  })
})
