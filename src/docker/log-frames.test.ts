import { expect, test } from 'vitest'
import { LogFrames } from './log-frames.ts'
import type { RawLine } from './log-frames.ts'

/** One frame as the engine sends it. */
function frame(source: number, second: number, text: string | Buffer): Buffer {
  const payload = Buffer.concat([Buffer.from(`${at(second)} `), Buffer.from(text)])
  const header = Buffer.alloc(8)
  header[0] = source
  header.writeUInt32BE(payload.length, 4)
  return Buffer.concat([header, payload])
}

function at(second: number): string {
  return `2026-01-31T09:30:${String(second).padStart(2, '0')}.000000001Z`
}

function read(bytes: Buffer, chunkSize = bytes.length): RawLine[] {
  const frames = new LogFrames()
  const lines: RawLine[] = []
  for (let start = 0; start < bytes.length; start += chunkSize)
    lines.push(...frames.push(bytes.subarray(start, start + chunkSize)))
  return [...lines, ...frames.end()]
}

const PIECE = 16_384

test.each([1, 7, 8, 50, 100_000])('lines are the same in chunks of %d bytes', (chunkSize) => {
  const bytes = Buffer.concat([
    frame(1, 1, 'one\n'),
    frame(2, 2, 'zwei ☃\n'),
    frame(1, 3, '\n'),
    frame(1, 4, 'windows\r\n'),
  ])
  expect(read(bytes, chunkSize)).toEqual([
    { timestamp: at(1), source: 1, text: 'one' },
    { timestamp: at(2), source: 2, text: 'zwei ☃' },
    { timestamp: at(3), source: 1, text: '' },
    { timestamp: at(4), source: 1, text: 'windows' },
  ])
})

test('what the engine says of itself in the stream is no line', () => {
  const payload = Buffer.from('Error grabbing logs: open /x/abc-json.log: no such file or directory\n')
  const own = Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 0, 0, payload.length]), payload])
  const bytes = Buffer.concat([frame(1, 1, 'one\n'), own, frame(2, 2, 'two\n'), own])
  for (const chunkSize of [1, 50, 1000])
    expect(read(bytes, chunkSize).map(({ text }) => text)).toEqual(['one', 'two'])
})

test('pieces of a long line come together, also when a character is cut and another stream writes between', () => {
  const whole = Buffer.from(`a${'汉'.repeat(12_000)}\n`)
  const bytes = Buffer.concat([
    frame(1, 1, whole.subarray(0, PIECE)),
    frame(2, 1, 'error\n'),
    frame(1, 1, whole.subarray(PIECE, 2 * PIECE)),
    frame(1, 1, whole.subarray(2 * PIECE)),
  ])
  expect(read(bytes).map(({ source, text }) => [source, text])).toEqual([
    [2, 'error'],
    [1, `a${'汉'.repeat(12_000)}`],
  ])
})

test.each([
  ['in the middle of a piece', [frame(1, 1, 'x'.repeat(PIECE)), frame(1, 1, 'end')]],
  ['at the end of a piece', [frame(1, 1, 'x'.repeat(PIECE - 3) + 'end'), frame(1, 1, '')]],
])('a long line that ends %s ends there, where the engine leaves out the end of line', (_where, pieces) => {
  const lines = read(
    Buffer.concat([...pieces, frame(1, 2, 'after\n'), frame(1, 3, ''), frame(1, 4, 'last\n')]),
  )
  expect(lines.map(({ text }) => text.slice(-5))).toEqual(['xxend', 'after', '', 'last'])
})

test('a line of more than a mebibyte comes in pieces that can be told apart', () => {
  const count = 2 * 64 + 1
  const bytes = Buffer.concat([
    ...Array.from({ length: count }, () => frame(1, 1, 'x'.repeat(PIECE))),
    frame(1, 1, 'end\n'),
    frame(1, 2, 'after\n'),
  ])
  const lines = read(bytes)
  expect(lines.map(({ text, piece }) => [text.length, piece])).toEqual([
    [2 ** 20, undefined],
    [2 ** 20, 1],
    [PIECE + 3, 2],
    [5, undefined],
  ])
})

test('bytes that are no UTF-8 do no harm', () => {
  expect(read(frame(1, 1, Buffer.from([0xff, 0xfe, 0x41, 0x0a])))[0]?.text).toBe('\ufffd\ufffdA')
})

test('what was written without an end of line comes at the end', () => {
  expect(read(frame(1, 1, 'x'.repeat(PIECE))).map(({ text }) => text.length)).toEqual([PIECE])
})
