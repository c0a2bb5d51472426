import { expect, test } from 'vitest'
import { Known } from './known.ts'

test('what was found is not looked for again, each key for itself', async () => {
  const known = new Known<{ key: string }>()
  const asked: string[] = []
  const of = (key: string): Promise<unknown> =>
    known.of(key, () => {
      asked.push(key)
      return Promise.resolve({ key })
    })
  expect([await of('a'), await of('b'), await of('a')]).toEqual([{ key: 'a' }, { key: 'b' }, { key: 'a' }])
  expect(asked).toEqual(['a', 'b'])
})

test('what has no key, was not found or could not be looked up is looked for each time', async () => {
  const known = new Known<{ is: string }>()
  const finds = [{ is: 'one' }, { is: 'two' }]
  for (const find of finds) expect(await known.of(undefined, () => Promise.resolve(find))).toBe(find)
  expect(await known.of('a', () => Promise.resolve(undefined))).toBeUndefined()
  await expect(known.of('a', () => Promise.reject(new Error('the engine is away')))).rejects.toThrow('away')
  expect(await known.of('a', () => Promise.resolve({ is: 'three' }))).toEqual({ is: 'three' })
})

test('the oldest is forgotten, so that it does not grow for as long as the program runs', async () => {
  const known = new Known<object>()
  let looks = 0
  const of = (n: number): Promise<unknown> => known.of(String(n), () => Promise.resolve({ n: looks++ }))
  for (let n = 0; n < 2000; n++) await of(n)
  await of(1999)
  expect(looks).toBe(2000)
  await of(0)
  expect(looks).toBe(2001)
})
