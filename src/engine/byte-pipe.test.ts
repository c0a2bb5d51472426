import { expect, test } from 'vitest'
import { BytePipe } from './byte-pipe.ts'

test('what comes while room is made is read, also when nothing comes after it', async () => {
  const rest = [Buffer.from('second'), Buffer.from('third')]
  // As a connection that has more at hand when it is told to go on.
  const pipe: BytePipe = new BytePipe(4, () => {
    const next = rest.shift()
    if (next) pipe.push(next)
    else pipe.end()
  })
  expect(pipe.push(Buffer.from('first'))).toBe(false)
  const read: string[] = []
  for await (const piece of pipe) read.push(Buffer.from(piece).toString())
  expect(read).toEqual(['first', 'second', 'third'])
})
