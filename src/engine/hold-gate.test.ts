import { expect, test } from 'vitest'
import { FakeClock, settle } from '../../test/support/fake-clock.ts'
import { HoldGate } from './hold-gate.ts'

const ref = { name: 'fn', namespace: 'openfaas-fn' }
const other = { name: 'other', namespace: 'openfaas-fn' }
const never = new AbortController().signal

/** A gate, and what became of a call that came at once. */
function makeGate(limitMs = 2000) {
  const clock = new FakeClock()
  const gate = new HoldGate(clock, limitMs)
  const call = () => {
    const seen = { passed: false, gone: false }
    const waits = gate.passed(ref, never)
    if (!waits) seen.passed = true
    waits?.then(
      () => (seen.passed = true),
      () => (seen.gone = true),
    )
    return seen
  }
  return { clock, gate, call }
}

test('nobody waits where nothing is saved, and nobody waits for a neighbour', () => {
  const { gate } = makeGate()
  expect(gate.of(ref)).toBeUndefined()
  expect(gate.passed(ref, never)).toBeUndefined()
  gate.hold(other)
  expect(gate.of(ref)).toBeUndefined()
  expect(gate.passed(ref, never)).toBeUndefined()
})

test('calls wait from the save until what was saved answers', async () => {
  const { clock, gate, call } = makeGate()
  gate.hold(ref)
  expect(gate.of(ref)).toBe('held')
  const waiting = call()
  await clock.advance(1999)
  expect(waiting.passed).toBe(false)
  gate.open(ref)
  await settle()
  expect(waiting.passed).toBe(true)
  expect(gate.of(ref)).toBeUndefined()
  expect(clock.pending).toEqual([])
})

test('after the limit they pass, marked, until what was saved answers; further saves do not prolong it', async () => {
  const { clock, gate, call } = makeGate()
  gate.hold(ref)
  const waiting = call()
  await clock.advance(1500)
  gate.hold(ref)
  await clock.advance(500)
  expect(waiting.passed).toBe(true)
  expect(gate.of(ref)).toBe('building')
  gate.hold(ref)
  expect(gate.of(ref)).toBe('building')
  gate.open(ref)
  expect(gate.of(ref)).toBeUndefined()
})

test('a bad save lets them go at once, marked, until the next save', async () => {
  const { gate, call } = makeGate()
  gate.hold(ref)
  const waiting = call()
  gate.fail(ref)
  await settle()
  expect(waiting.passed).toBe(true)
  expect(gate.of(ref)).toBe('failing')
  expect(call().passed).toBe(true)
  gate.hold(ref)
  expect(gate.of(ref)).toBe('held')
  expect(call().passed).toBe(false)
})

test('with a limit of 0 nobody ever waits', () => {
  const { gate, call } = makeGate(0)
  gate.hold(ref)
  expect(gate.of(ref)).toBe('building')
  expect(call().passed).toBe(true)
})

test('a caller who goes away waits no longer, and closing lets everybody go', async () => {
  const { gate, call } = makeGate()
  gate.hold(ref)
  const caller = new AbortController()
  const leaves = gate.passed(ref, caller.signal)
  const stays = call()
  caller.abort(new Error('left'))
  await expect(leaves).rejects.toThrow('left')
  await expect(gate.passed(ref, caller.signal)).rejects.toThrow('left')
  expect(stays.passed).toBe(false)
  gate[Symbol.dispose]()
  await settle()
  expect(stays.passed).toBe(true)
})
