import { expect, test } from 'vitest'
import { readTree } from './yaml-tree.ts'

const functions = ['a', 'b', 'c', 'd']
  .map((name) => `  ${name}:\n    lang: node22\n    image: ${name}:1\n    handler: ./${name}\n`)
  .join('')

/** What stands where each fault is, and what it says. */
function faults(text: string): [string, string][] {
  return readTree(text).faults.map(({ place, message }) => [text.slice(place.start, place.end), message])
}

test.each([
  ['alone in a line', `functions:\n[\n${functions}`],
  ['behind a key', `functions:\n  x:\n    environment: [\n      a: 1\n${functions}`],
  ['at the end of the file', `functions:\n${functions}  x: [`],
  ['around a list that is closed', `a: [[1], 2\nfunctions:\n${functions}`],
])('a stray [ %s is one mistake, at the bracket', (_where, text) => {
  expect(faults(text)).toEqual([['[', 'not YAML: this "[" is never closed']])
  expect(readTree(text).faults[0]?.place.start).toBe(text.indexOf('['))
})

test('a stray { is one, too; what is wrong before it is told before', () => {
  expect(faults(`a: {\nfunctions:\n${functions}`)).toEqual([['{', 'not YAML: this "{" is never closed']])
  const [first, second] = faults(`x: a: 1\ny: [\nfunctions:\n${functions}`)
  expect(first?.[1]).toBe('not YAML: a second ":" in one line')
  expect(second?.[1]).toBe('not YAML: this "[" is never closed')
})

test('of many mistakes the first ones are told', () => {
  expect(readTree('a: b: c\n'.repeat(30)).faults).toHaveLength(5)
})
