import { readdirSync, statSync, utimesSync, writeFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolder } from '../../../test/support/folder.ts'
import type { RawLine } from '../../docker/log-frames.ts'
import { LogArchive } from './log-archive.ts'
import { makePlatformLines, withHints } from './platform-lines.ts'

const ref = { name: 'a', namespace: 'openfaas-fn' }
const line = (moment: number, text = `line ${moment}`, source = 1): RawLine => ({
  timestamp: `2026-01-31T09:30:00.${String(moment).padStart(9, '0')}Z`,
  source,
  text,
})

async function* batches(...lines: readonly RawLine[][]): AsyncGenerator<readonly RawLine[]> {
  for (const batch of lines) yield await Promise.resolve(batch)
}

async function read(archive: LogArchive, instance: string, query: object = {}): Promise<RawLine[]> {
  const lines: RawLine[] = []
  for await (const batch of archive.read(ref, instance, query)) lines.push(...batch)
  return lines
}

test('lines come back as they were: their times, their stream, their text', async () => {
  await using folder = await makeFolder()
  const archive = new LogArchive(folder.path)
  const lines = [line(1, ''), line(2, ' spaces and ☃ ', 2), line(3, 'x'.repeat(200_000)), line(4)]
  await archive.keep(ref, 'r1', batches(lines.slice(0, 2), lines.slice(2)))
  expect(await read(archive, 'r1')).toEqual(lines)
  expect(await read(archive, 'r1', { tail: 2 })).toEqual(lines.slice(-2))
  expect(await read(archive, 'r1', { since: new Date('2026-01-31T09:30:00.001Z') })).toEqual([])
  expect(await archive.instances(ref)).toEqual(['r1'])
  expect(await read(archive, 'r2')).toEqual([])
  expect(statSync(join(folder.path, 'openfaas-fn/a/r1.1.log')).mode & 0o777).toBe(0o600)
})

test('of a replica that wrote much, the newest lines are kept', async () => {
  await using folder = await makeFolder()
  const archive = new LogArchive(folder.path, 100_000)
  const many = Array.from({ length: 10_000 }, (_, index) => line(index + 1))
  await archive.keep(
    ref,
    'r1',
    batches(...Array.from({ length: 100 }, (_, at) => many.slice(at * 100, at * 100 + 100))),
  )
  const kept = await read(archive, 'r1')
  expect(kept).toEqual(many.slice(-kept.length))
  expect(kept.length).toBeGreaterThan(900)
  const size = readdirSync(join(folder.path, 'openfaas-fn/a')).reduce(
    (sum, name) => sum + statSync(join(folder.path, 'openfaas-fn/a', name)).size,
    0,
  )
  expect(size).toBeLessThan(110_000)
})

test('a replica that wrote nothing leaves nothing', async () => {
  await using folder = await makeFolder()
  await new LogArchive(folder.path).keep(ref, 'r1', batches())
  expect(readdirSync(folder.path)).toEqual([])
})

test('five replicas of a function are kept, the latest', async () => {
  await using folder = await makeFolder()
  const archive = new LogArchive(folder.path)
  for (let replica = 1; replica <= 7; replica++) {
    await archive.keep(ref, `r${replica}`, batches([line(replica)]))
    // Files of one moment would have no order.
    utimesSync(
      join(folder.path, `openfaas-fn/a/r${replica}.1.log`),
      replica,
      Date.now() / 1000 - 100 + replica,
    )
  }
  await archive.sweep()
  expect((await archive.instances(ref)).toSorted()).toEqual(['r3', 'r4', 'r5', 'r6', 'r7'])
})

test('reading that breaks keeps what was kept before, and leaves no half file', async () => {
  await using folder = await makeFolder()
  const archive = new LogArchive(folder.path)
  await archive.keep(ref, 'r1', batches([line(1)]))
  async function* broken(): AsyncGenerator<readonly RawLine[]> {
    yield await Promise.resolve([line(1), line(2)])
    throw new Error('the engine went away')
  }
  await expect(archive.keep(ref, 'r1', broken())).rejects.toThrow('went away')
  expect(await read(archive, 'r1')).toEqual([line(1)])
  expect(readdirSync(join(folder.path, 'openfaas-fn/a'))).toEqual(['r1.1.log'])
})

test('what a killed run left half is swept, and so is what nobody asks for any more', async () => {
  await using folder = await makeFolder()
  const archive = new LogArchive(folder.path)
  await archive.keep(ref, 'new', batches([line(1)]))
  await archive.keep(ref, 'old', batches([line(1)]))
  const path = (name: string): string => join(folder.path, 'openfaas-fn/a', name)
  writeFileSync(path('half.1.log~'), 'x')
  const weekAgo = Date.now() / 1000 - 8 * 86_400
  utimesSync(path('old.1.log'), weekAgo, weekAgo)
  await archive.sweep()
  expect(readdirSync(join(folder.path, 'openfaas-fn/a'))).toEqual(['new.1.log'])
})

test('the lines of a function that was removed stay for an hour, and for good when it is deployed again', async () => {
  await using folder = await makeFolder()
  const archive = new LogArchive(folder.path)
  const marker = join(folder.path, 'openfaas-fn/a/removed')
  const hourAgo = Date.now() / 1000 - 3700
  await archive.keep(ref, 'r1', batches([line(1)]))
  await archive.functionRemoved(ref)
  await archive.sweep()
  expect(await read(archive, 'r1')).toEqual([line(1)])
  await archive.functionIsBack(ref)
  await archive.sweep()
  expect(await read(archive, 'r1')).toEqual([line(1)])
  await archive.functionRemoved(ref)
  utimesSync(marker, hourAgo, hourAgo)
  await archive.sweep()
  expect(readdirSync(join(folder.path, 'openfaas-fn'))).toEqual([])
})

test('in a run that never ends, a removal clears away what functions removed long before left, and no file being written', async () => {
  await using folder = await makeFolder()
  const archive = new LogArchive(folder.path)
  const next = { name: 'b', namespace: 'openfaas-fn' }
  await archive.keep(next, 'r2', batches([line(1)]))
  const unfinished = join(folder.path, 'openfaas-fn/b/r3.1.log~')
  writeFileSync(unfinished, 'x')
  await archive.keep(ref, 'r1', batches([line(1)]))
  writeFileSync(join(folder.path, 'openfaas-fn/a/removed'), '')
  const hourAgo = Date.now() / 1000 - 3700
  utimesSync(join(folder.path, 'openfaas-fn/a/removed'), hourAgo, hourAgo)
  await archive.functionRemoved(next)
  expect(readdirSync(join(folder.path, 'openfaas-fn'))).toEqual(['b'])
  expect(readdirSync(join(folder.path, 'openfaas-fn/b')).toSorted()).toEqual([
    'r2.1.log',
    'r3.1.log~',
    'removed',
  ])
})

test('the platform’s words are kept in their order, and bounded', async () => {
  await using folder = await makeFolder()
  const archive = new LogArchive(folder.path)
  const linesOf = makePlatformLines()
  archive.note(ref, linesOf('one\n\ntwo'))
  archive.note(ref, linesOf('three'))
  const lines = await read(archive, 'faasdock')
  expect(lines.map(({ text }) => text)).toEqual(['one', 'two', 'three'])
  expect(new Set(lines.map(({ timestamp }) => timestamp)).size).toBe(3)
  expect(await archive.instances(ref)).toEqual([])
  for (let round = 0; round < 30; round++) archive.note(ref, linesOf('x'.repeat(100_000)))
  const size = (await read(archive, 'faasdock')).reduce((sum, { text }) => sum + text.length, 0)
  expect(size).toBeGreaterThan(400_000)
  expect(size).toBeLessThan(1_300_000)
})

test('names that lead elsewhere lead nowhere', async () => {
  await using folder = await makeFolder({
    'outside/b/r1.1.log': '2026-01-31T09:30:00.000000001Z 1 precious\n',
  })
  mkdirSync(join(folder.path, 'logs'))
  const archive = new LogArchive(join(folder.path, 'logs'))
  for (const name of ['../outside', '..', 'a/b', '', 'A'])
    for (const one of [
      { name, namespace: 'outside' },
      { name: 'b', namespace: name },
    ]) {
      expect(await archive.instances(one)).toEqual([])
      await archive.keep(one, 'r1', batches([line(1)]))
    }
  expect(readdirSync(join(folder.path, 'logs'))).toEqual([])
})

test('a watchdog that gave up on a long line is followed by what to do about it', () => {
  const lines = [line(1), line(2, 'Error: bufio.Scanner: token too long'), line(3)]
  const shown = withHints(lines)
  expect(shown).toHaveLength(4)
  expect(shown[2]).toMatchObject({ source: 0, timestamp: lines[1]?.timestamp })
  expect(shown[2]?.text).toContain('log_buffer_size')
})
