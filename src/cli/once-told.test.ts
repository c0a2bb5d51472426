import { expect, test } from 'vitest'
import type { PlatformEvent } from '../engine/events.ts'
import { OnceTold } from './once-told.ts'

const ref = { name: 'a', namespace: 'openfaas-fn' }
const problem = {
  code: 'REPLICA_EXITED',
  message: 'a ended with code 1; its last lines:\n  09:30:00 start\n  Traceback: no database',
  remedy: 'Look.',
  at: '',
}
const failed = { type: 'function.failed', ref, revision: '2', serving: '1', problem } as const
const again = { type: 'function.failed-again', ref, revision: '2', tries: 2 } as const
const deploying = { type: 'function.deploying', ref, revision: '2' } as const
const ready = { type: 'function.ready', ref, revision: '2', replicas: 1, seconds: 1 } as const

function listen() {
  const once = new OnceTold()
  return {
    see: (event: PlatformEvent) => once.see({ ...event, seq: 1, at: '' }).map(({ text }) => text),
    take: (instance: string, text: string) => once.take(ref, { instance, text }),
  }
}

test('what a replica wrote before it failed is in the failure, and told by it alone', () => {
  const { see, take } = listen()
  expect(take('old', 'hello')).toEqual(['hello'])
  see(deploying)
  expect(take('new1', '09:30:00 start')).toEqual([])
  expect(take('old', 'still here')).toEqual(['still here'])
  expect(see(failed)).toEqual([])
  expect(take('new1', 'Traceback: no database')).toEqual([])
  expect(take('faasdock', '→ Look.')).toEqual([])
  expect(take('faasdock', 'Revision 1 goes on answering.')).toEqual([])
  expect(take('faasdock', 'an async call was given up')).toEqual(['an async call was given up'])
  see(deploying)
  expect(take('new2', '09:31:07 start')).toEqual([])
  expect(take('new2', 'Traceback: no database')).toEqual([])
  expect(see(again)).toEqual([])
  expect(take('new2', 'bye')).toEqual([])
})

test('what a replica wrote before it was ready is shown then', () => {
  const { see, take } = listen()
  see(deploying)
  expect(take('new', 'listening')).toEqual([])
  expect(see(ready)).toEqual(['listening'])
  expect(take('new', 'called')).toEqual(['called'])
})

test('an older revision that says its first word beside a failure is heard', () => {
  const { see, take } = listen()
  see(deploying)
  expect(take('old', 'called')).toEqual([])
  expect(take('new', '09:30:00 start')).toEqual([])
  expect(see(failed)).toEqual(['called'])
  expect(take('old', 'called again')).toEqual(['called again'])
})
