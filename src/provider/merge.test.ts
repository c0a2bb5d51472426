import { expect, test } from 'vitest'
import { until } from '../../test/support/until.ts'
import { lastOf, LiveMerge, mergeSorted, oneByOne } from './merge.ts'
import type { Stamped } from './merge.ts'

const item = (timestamp: string, text = timestamp): Stamped => ({ timestamp, text })

async function* source(...batches: readonly Stamped[][]): AsyncGenerator<readonly Stamped[]> {
  for (const batch of batches) yield await Promise.resolve(batch)
}

async function all<T>(batches: AsyncIterable<readonly T[]>): Promise<T[]> {
  const found: T[] = []
  for await (const batch of batches) found.push(...batch)
  return found
}

test('sources that are in order are merged into one order', async () => {
  const merged = mergeSorted([
    source([item('1'), item('4')], [], [item('5')]),
    source(),
    source([item('2')], [item('3'), item('6')]),
  ])
  expect((await all(merged)).map(({ text }) => text)).toEqual(['1', '2', '3', '4', '5', '6'])
})

test('a merge that is left early lets go of its sources', async () => {
  let ended = 0
  async function* endless(): AsyncGenerator<readonly Stamped[]> {
    try {
      for (let number = 0; ; number++) yield await Promise.resolve([item(String(number))])
    } finally {
      ended++
    }
  }
  for await (const _ of mergeSorted([endless(), endless()])) break
  expect(ended).toBe(2)
})

test('the last ones are the last ones', async () => {
  const many = Array.from({ length: 1000 }, (_, number) => item(String(number)))
  const items = (): AsyncGenerator<readonly Stamped[]> =>
    source(many.slice(0, 10), many.slice(10, 800), many.slice(800))
  expect(await all(lastOf(items(), 3))).toEqual(many.slice(-3))
  expect(await all(lastOf(items(), 5000))).toEqual(many)
})

test('what comes at the same time from several sources is put in order; sources may come later', async () => {
  const merge = new LiveMerge<Stamped>()
  merge.add(source([item('2'), item('3')]))
  merge.add(source([item('1')]))
  merge.push(item('0'))
  const seen: string[] = []
  const reading = (async () => {
    for await (const batch of merge) seen.push(...batch.map(({ text }) => text))
  })()
  await until(() => seen.length === 4)
  expect(seen).toEqual(['0', '1', '2', '3'])
  merge.add(source([item('4')]))
  merge.close()
  await reading
  expect(seen.at(-1)).toBe('4')
})

test('a reader that does not read makes the sources wait', async () => {
  const merge = new LiveMerge<Stamped>()
  let given = 0
  async function* endless(): AsyncGenerator<readonly Stamped[]> {
    for (;;) yield await Promise.resolve([item(String(given++).padStart(9, '0'), 'x'.repeat(10_000))])
  }
  merge.add(endless())
  const reader = oneByOne(merge[Symbol.asyncIterator]())
  await reader.next()
  let steady = 0
  await until(() => {
    const isSteady = given === steady
    steady = given
    return isSteady
  })
  expect(given).toBeLessThan(500)
  for (let read = 1; read < 2000; read++)
    expect(((await reader.next()).value as Stamped).timestamp).toBe(String(read).padStart(9, '0'))
  await reader.return?.()
})

test('a source that fails ends the merge with its error', async () => {
  const merge = new LiveMerge<Stamped>()
  async function* failing(): AsyncGenerator<readonly Stamped[]> {
    yield await Promise.resolve([item('1')])
    throw new Error('the engine went away')
  }
  merge.add(failing())
  await expect(all(merge)).rejects.toThrow('the engine went away')
})
