import { describe, expect, test } from 'vitest'
import { renderMistake, shownPath, StackError } from './mistakes.ts'

const mistake = {
  file: '/app/stack.yml',
  line: 7,
  column: 12,
  message: 'wrong',
  source: '    image: x y',
  length: 3,
}

describe('a mistake on a terminal', () => {
  test('has its place, the line, a caret under the value, the suggestion and what is accepted', () => {
    const text = renderMistake({ ...mistake, suggestion: 'right', accepted: 'this' }, '/app')
    expect(text.split('\n')).toEqual([
      'stack.yml:7:12  wrong',
      '  7 |     image: x y',
      '    |            ^^^',
      '  did you mean "right"?',
      '  accepted: this',
    ])
  })

  test('names the earlier place of what is given twice', () => {
    const text = renderMistake({ ...mistake, earlier: { line: 3, column: 5 } }, '/app')
    expect(text).toContain('stack.yml:7:12  wrong, first at stack.yml:3:5')
  })

  test('keeps tabs before the caret, and counts two columns for a Chinese character', () => {
    const text = renderMistake({ ...mistake, source: '\t中: 拼音', column: 5, length: 2 }, '/app')
    expect(text.split('\n')[2]).toBe('    | \t    ^^^^')
  })

  test('shows the part of a long line that matters', () => {
    const source = `${'a'.repeat(500)}WRONG${'b'.repeat(500)}`
    const [, line = '', caret = ''] = renderMistake(
      { ...mistake, source, column: 501, length: 5 },
      '/app',
    ).split('\n')
    expect(line.length).toBeLessThan(120)
    expect(line.slice(caret.indexOf('^'), caret.lastIndexOf('^') + 1)).toBe('WRONG')
  })

  test('a place longer than its line ends with the line', () => {
    const source = `a: ${'b'.repeat(300)}`
    const [, line = '', caret = ''] = renderMistake(
      { ...mistake, source, column: 4, length: 9999 },
      '/app',
    ).split('\n')
    expect(caret.length).toBeLessThanOrEqual(line.length)
  })
})

test('a path below the working directory is shown from there, any other in full', () => {
  expect(shownPath('/app/a/stack.yml', '/app')).toBe('a/stack.yml')
  expect(shownPath('/application/stack.yml', '/app')).toBe('/application/stack.yml')
  expect(shownPath('/stack.yml', '/')).toBe('stack.yml')
  expect(shownPath('https://example.com/stack.yml', '/app')).toBe('https://example.com/stack.yml')
})

test('the error is a BAD_STACK that counts its mistakes and lists them for machines', () => {
  const error = new StackError('stack.yml', [mistake, mistake], ['/app/stack.yml'], '/app')
  expect(error.code).toBe('BAD_STACK')
  expect(error.message).toMatch(/^stack\.yml has 2 mistakes\n\n/)
  expect(error.mistakes).toHaveLength(2)
})
