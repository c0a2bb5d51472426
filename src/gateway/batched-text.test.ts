import { once } from 'node:events'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { expect, test } from 'vitest'
import { until } from '../../test/support/until.ts'
import { batchedText } from './batched-text.ts'

const asItIs = (text: string): string => text

test('texts that come together go out together, in their order and whole', async () => {
  async function* texts(): AsyncGenerator<string> {
    for (let number = 0; number < 50_000; number++) yield await Promise.resolve(`line ${number}\n`)
  }
  const chunks: string[] = []
  for await (const chunk of batchedText(texts(), asItIs)) chunks.push(String(chunk))
  expect(chunks.join('')).toBe(Array.from({ length: 50_000 }, (_, number) => `line ${number}\n`).join(''))
  expect(chunks.length).toBeLessThan(50)
})

test('a text with nothing after it goes out at once', async () => {
  async function* texts(): AsyncGenerator<string> {
    yield 'one\n'
    await new Promise(() => undefined)
  }
  const stream = batchedText(texts(), asItIs)
  const [chunk] = (await once(stream, 'data')) as [Buffer]
  expect(String(chunk)).toBe('one\n')
  stream.destroy()
})

test('a reader that does not read stops the source, and gets everything when it reads', async () => {
  let given = 0
  async function* texts(): AsyncGenerator<string> {
    while (given < 10_000) yield await Promise.resolve(`${given++}${'x'.repeat(1000)}\n`)
  }
  const stream = batchedText(texts(), asItIs)
  let steady = -1
  await until(() => {
    const isSteady = given > 0 && given === steady
    steady = given
    return isSteady
  })
  expect(given).toBeLessThan(300)
  let size = 0
  const slow = new Writable({
    write(chunk: Buffer, _encoding, done) {
      size += chunk.length
      setImmediate(done)
    },
  })
  await pipeline(stream, slow)
  expect(size).toBe(
    Array.from({ length: 10_000 }, (_, number) => String(number).length + 1001).reduce((a, b) => a + b),
  )
})

test('closing the stream ends the source; a source that fails ends the stream with its error', async () => {
  let ended = false
  async function* endless(): AsyncGenerator<string> {
    try {
      for (;;) yield await Promise.resolve('x'.repeat(10_000))
    } finally {
      ended = true
    }
  }
  const stream = batchedText(endless(), asItIs)
  await once(stream, 'readable')
  stream.destroy()
  await until(() => ended)
  async function* failing(): AsyncGenerator<string> {
    await Promise.resolve()
    throw new Error('the engine went away')
  }
  const [error] = (await once(batchedText(failing(), asItIs), 'error')) as [Error]
  expect(error.message).toBe('the engine went away')
})
