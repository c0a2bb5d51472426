import { expect, test } from 'vitest'
import type { Code, RevisionCode } from '../core/code.ts'
import { CodeBook } from './code-book.ts'

const ref = { name: 'fn', namespace: 'openfaas-fn' }
const codeOf = (hash: string): Code => ({ hash, way: 'swap', folder: '/f', files: new Map() })
const over = (hash: string, inImage = 'image'): RevisionCode => ({ wanted: codeOf(hash), inImage })

test('keeps the code of the last revision that answered until another one does', () => {
  const book = new CodeBook()
  book.want(ref, '1', over('a'))
  book.made(ref, '1', true)
  book.want(ref, '2', over('b'))
  expect([book.get(ref, '1'), book.get(ref, '2')].map((code) => code?.wanted.hash)).toEqual(['a', 'b'])
  book.made(ref, '2', true)
  expect(book.get(ref, '1')).toBeUndefined()
})

test('goes back to the code that a revision answered with, if there was one', () => {
  const book = new CodeBook()
  book.want(ref, '1', over('a'))
  expect(book.revert(ref, '1')).toBe(false)
  book.made(ref, '1', true)
  expect(book.revert(ref, '1')).toBe(false)
  book.want(ref, '1', over('b'), 'swap')
  expect(book.revert(ref, '1')).toBe(true)
  expect(book.get(ref, '1')?.wanted.hash).toBe('a')
  expect(book.made(ref, '1', true)).toBeUndefined()
})

test('what has no replica has proved nothing', () => {
  const book = new CodeBook()
  book.want(ref, '1', over('a'))
  book.made(ref, '1', true)
  book.want(ref, '1', over('b'), 'swap')
  expect(book.made(ref, '1', false)).toBe('swap')
  expect(book.revert(ref, '1')).toBe(true)
})

test('says what brought a revision once', () => {
  const book = new CodeBook()
  book.want(ref, '1', undefined, 'build')
  expect(book.made(ref, '1', true)).toBe('build')
  expect(book.made(ref, '1', true)).toBeUndefined()
})

test('the image that follows is what the good code is in, too', () => {
  const book = new CodeBook()
  book.want(ref, '1', over('a'))
  book.made(ref, '1', true)
  book.imaged(ref, '1', over('a', 'a'))
  book.want(ref, '1', over('b', 'a'))
  book.revert(ref, '1')
  expect(book.get(ref, '1')).toMatchObject({ wanted: { hash: 'a' }, inImage: 'a' })
})

test('a function that is removed is forgotten', () => {
  const book = new CodeBook()
  book.want(ref, '1', over('a'))
  book.forget(ref)
  expect(book.get(ref, '1')).toBeUndefined()
})

test('what brings a revision is not forgotten when the same is wished for again before it answers', () => {
  const book = new CodeBook()
  book.want(ref, '1', over('a'), 'files')
  book.want(ref, '1', over('a'))
  expect(book.made(ref, '1', true)).toBe('files')
  book.want(ref, '1', over('b'), 'swap')
  book.want(ref, '1', over('c'))
  expect(book.made(ref, '1', true)).toBeUndefined()
})
