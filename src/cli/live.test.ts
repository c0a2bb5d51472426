import { Writable } from 'node:stream'
import pc from 'picocolors'
import { expect, test } from 'vitest'
import { eventually } from '../../test/support/cli.ts'
import { liveLines, LiveRegion } from './live.ts'
import type { LiveState } from './live.ts'
import { textWidth } from './text-width.ts'

const plain = pc.createColors(false)
const building = (name: string) => ({
  name,
  phase: 'building',
  step: 'Step 3/9 : RUN npm install',
  seconds: 4.2,
})

test('one line for each function under way, then warnings, then the status', () => {
  const state = {
    rows: [building('m-search'), building('pinyin')],
    warnings: ['✗ m-notice  build failed'],
    status: '1 ready',
  }
  expect(liveLines(state, 100, 0, plain)).toEqual([
    '⠋  m-search  building  4.2 s  Step 3/9 : RUN npm install',
    '⠋  pinyin    building  4.2 s  Step 3/9 : RUN npm install',
    '✗ m-notice  build failed',
    '1 ready',
  ])
})

test('no line is wider than the terminal, and many functions do not fill it', () => {
  const rows = Array.from({ length: 50 }, (_, index) => building(`function-${index}`))
  const lines = liveLines({ rows, warnings: [], status: 'x'.repeat(200) }, 40, 0, pc.createColors(true))
  expect(lines.length).toBeLessThan(16)
  for (const line of lines) expect(textWidth(line)).toBeLessThanOrEqual(40)
  expect(lines.some((line) => line.includes('and 38 more'))).toBe(true)
})

test('a question takes as many lines as it needs, and the place of the status', () => {
  const names = Array.from({ length: 9 }, (_, index) => `${index + 1} function-${index}`)
  const question = `rebuild:  a all  ${names.join('  ')}  (Esc: none)`
  const lines = liveLines({ rows: [], warnings: [], status: '9 ready', question }, 40, 0, plain)
  expect(lines.join('  ')).toBe(question)
  expect(lines.length).toBeGreaterThan(3)
  for (const line of lines) expect(textWidth(line)).toBeLessThanOrEqual(40)
})

/** A terminal that understands what the region writes, so that tests see what a person sees. */
class Screen extends Writable {
  readonly isTTY = true
  readonly columns = 80
  lines = ['']
  row = 0
  writes = 0

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.writes++
    for (const [part] of chunk.toString().matchAll(/\u001b\[[0-9]*[A-Za-z]|\r|\n|[^\u001b\r\n]+/g))
      this.#take(part)
    done()
  }

  #take(part: string): void {
    if (part === '\n') {
      this.row++
      this.lines[this.row] ??= ''
    } else if (part === '\r') return
    else if (part === '\u001b[J') this.lines = [...this.lines.slice(0, this.row), '']
    else if (part.startsWith('\u001b[') && part.endsWith('A')) this.row -= Number(part.slice(2, -1))
    else this.lines[this.row] = `${this.lines[this.row] ?? ''}${part}`
  }
}

test('lines scroll above the region, which is always the last thing on the screen', async () => {
  const screen = new Screen()
  let state: LiveState = { rows: [building('a'), building('b')], warnings: [], status: 'status' }
  const region = new LiveRegion(screen, plain, () => state)
  region.print('first')
  expect(screen.lines[0]).toBe('first')
  region.print('second', 'third')
  await eventually(() => screen.lines.length === 6)
  expect(screen.lines.slice(0, 3)).toEqual(['first', 'second', 'third'])
  state = { rows: [], warnings: [], status: 'status' }
  region.print('fourth')
  await eventually(() => screen.lines.includes('fourth'))
  expect(screen.lines).toEqual(['first', 'second', 'third', 'fourth', 'status'])
  region.print('last words')
  region[Symbol.dispose]()
  expect(screen.lines).toEqual(['first', 'second', 'third', 'fourth', 'last words', ''])
})

test('a flood of lines is drawn in few pieces, none lost', async () => {
  const screen = new Screen()
  const region = new LiveRegion(screen, plain, () => ({ rows: [], warnings: [], status: 'status' }))
  for (let index = 0; index < 5000; index++) region.print(`line ${index}`)
  await eventually(() => screen.lines.includes('line 4999'))
  expect(screen.writes).toBeLessThan(20)
  expect(screen.lines).toHaveLength(5001)
  region[Symbol.dispose]()
})

test('where the output is no terminal, lines are written and nothing is drawn or erased', () => {
  const chunks: string[] = []
  const file = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk.toString())
      done()
    },
  })
  const region = new LiveRegion(file, plain, () => ({ rows: [building('a')], warnings: [], status: 's' }))
  region.print('line')
  region.refresh()
  region[Symbol.dispose]()
  expect(chunks.join('')).toBe('line\n')
})
