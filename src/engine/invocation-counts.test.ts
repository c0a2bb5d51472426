import { expect, test } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { silentLog } from '../core/log.ts'
import type { FunctionStore } from '../core/registry.ts'
import { InvocationCounts } from './invocation-counts.ts'

test('counts that cannot be saved are kept, said once, and saved when there is room again', async () => {
  const clock = new FakeClock()
  const saved: number[] = []
  const said: string[] = []
  let isFull = true
  const store = {
    addInvocations: (counts: ReadonlyMap<unknown, number>) => {
      if (isFull) throw new Error('database or disk is full')
      saved.push(...counts.values())
    },
  } as unknown as FunctionStore
  const log = { ...silentLog, error: (message: string) => void said.push(message) }
  using counts = new InvocationCounts(store, clock, log)
  counts.finished('a.openfaas-fn')
  await clock.advance(5000)
  counts.finished('a.openfaas-fn')
  await clock.advance(5000)
  expect(said).toEqual(['invocation counts could not be saved: database or disk is full'])
  expect(counts.unsaved({ name: 'a', namespace: 'openfaas-fn' })).toBe(2)
  isFull = false
  await clock.advance(5000)
  expect(saved).toEqual([2])
})
