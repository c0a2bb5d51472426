import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readTree } from './yaml-tree.ts'

describe('scalars, as Go reads them into texts', () => {
  test.each([
    ['1.0', '1.0'],
    ['yes', 'yes'],
    ['0x10', '0x10'],
    ['010', '010'],
    ['1_000', '1_000'],
    ['1e3', '1e3'],
    ['.inf', '.inf'],
    ['2001-01-01', '2001-01-01'],
    ['true', 'true'],
    ['=', '='],
    ['!!str 5', '5'],
    ['"null"', 'null'],
    ["'~'", '~'],
    ['!!str null', 'null'],
    ['""', ''],
    ['"a\\tb"', 'a\tb'],
    ['|\n  two\n  lines', 'two\nlines\n'],
    ['folded\n  text', 'folded text'],
    ['', null],
    ['~', null],
    ['null', null],
    ['NULL', null],
    ['# comment', null],
  ])('%j is %j', (text, expected) => {
    const tree = readTree(`a: ${text}\n`)
    expect(tree.faults).toEqual([])
    expect(tree.root).toEqual({ a: expected })
  })

  test('an empty item of a list is left out', () => {
    expect(readTree('[a, ~, 1.0]').root).toEqual(['a', '1.0'])
  })
})

describe('anchors', () => {
  test('stand for their value, and merged entries give way to own ones', () => {
    const tree = readTree('x: &x {a: 1, b: 2}\ny: *x\nz:\n  <<: *x\n  b: 3\nw: {<<: [*x, {c: 4}]}\n')
    expect(tree.faults).toEqual([])
    expect(tree.root).toEqual({
      x: { a: '1', b: '2' },
      y: { a: '1', b: '2' },
      z: { a: '1', b: '3' },
      w: { a: '1', b: '2', c: '4' },
    })
  })

  test('lead to the place where the value is written', () => {
    const text = 'x: &x {a: wrong}\nz:\n  <<: *x\n'
    const { start, end } = readTree(text).place(['z', 'a'])
    expect(text.slice(start, end)).toBe('wrong')
  })

  test.each([
    ['a: *x\n', '*x names nothing'],
    ['a: &x [*x]\n', '*x stands inside of what it names'],
    ['a:\n  <<: text\n', 'only a map can be merged with <<'],
  ])('%j is a mistake', (text, message) => {
    expect(readTree(text).faults.map((fault) => fault.message)).toEqual([message])
  })

  test('that double themselves thirty times take no time', () => {
    const lines = Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`)
    expect(readTree(`a0: &a0 x\n${lines.join('\n')}`).faults).toEqual([])
  })
})

test('a name that is given twice is told with both places', () => {
  const text = 'a: 1\nb: 2\na: 3\n'
  expect(readTree(text).faults).toEqual([
    { message: '"a" is given twice', place: { start: 10, end: 11 }, earlier: { start: 0, end: 1 } },
  ])
})

describe('text that is not YAML', () => {
  test.each([
    ['a:\n\tb: 1\n', 'not YAML: tabs are not allowed as indentation'],
    ['a: "x\nb: 1\n', 'not YAML: missing closing quote'],
    ['a: b: c\n', 'not YAML: a second ":" in one line'],
    ['a:\n  b: 1\n c: 2\n', 'not YAML: all mapping items must start at the same column'],
    ['a: 1\nb\nc: 2\n', 'not YAML: a key without a colon and a value'],
    ['a: @x\n', 'not YAML: plain value cannot start with reserved character @'],
    ['a: 1\n---\nb: 2\n', 'not YAML: a second document begins here'],
    ['a:b\nc: d\n', 'not YAML: implicit keys need to be on a single line'],
    [`a: ${'['.repeat(20_000)}`, 'not YAML: nested too deeply'],
  ])('%#', (text, message) => {
    expect(readTree(text).faults[0]?.message).toBe(message)
  })

  test('never makes it throw', () => {
    const token = fc.constantFrom(
      ...'&a *a - : ? [ ] { } " \' | > # ! % @ , <<: a: \n'.split(' '),
      '\n',
      '  ',
      '\t',
    )
    const soup = fc.array(token, { maxLength: 40 }).map((tokens) => tokens.join(''))
    fc.assert(fc.property(fc.oneof(soup, fc.string()), (text) => void readTree(text)))
  })
})

describe('places', () => {
  const text = 'a:\n  b: [x, y]\n  c:\n'
  const tree = readTree(text)
  const at = ({ start, end }: { start: number; end: number }): string => text.slice(start, end)

  test('of a value, an item, a key, an empty value, and what is not there', () => {
    expect(at(tree.place(['a', 'b', 1]))).toBe('y')
    expect(at(tree.keyPlace(['a', 'b']))).toBe('b')
    expect(at(tree.place(['a', 'c']))).toBe('c')
    expect(at(tree.keyPlace(['a', 'missing']))).toBe('a')
    expect(tree.place(['missing'])).toEqual({ start: 0, end: 1 })
  })
})
