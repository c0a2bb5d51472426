import { describe, expect, test } from 'vitest'
import { nearest } from './nearest.ts'

const FIELDS = [
  'lang',
  'handler',
  'image',
  'skip_build',
  'environment',
  'environment_file',
  'secrets',
  'labels',
]

describe('the nearest name', () => {
  test.each([
    ['hander', 'handler'],
    ['handlre', 'handler'],
    ['Image', 'image'],
    ['skipBuild', 'skip_build'],
    ['skip-build', 'skip_build'],
    ['enviroment', 'environment'],
    ['environment-files', 'environment_file'],
    ['env', 'environment'],
    ['language', 'lang'],
    ['secret', 'secrets'],
    ['lable', 'labels'],
  ])('of %s is %s', (word, expected) => expect(nearest(word, FIELDS)[0]).toBe(expected))

  test.each(['volumes', 'x', '', '--', 'replicas'])('of %j there is none', (word) =>
    expect(nearest(word, FIELDS)).toEqual([]),
  )
})

const LANGS = ['node20', 'node22', 'python3', 'python3-http', 'golang-middleware']

test('a typing mistake finds the name that was meant', () =>
  expect(nearest('pyhton3', LANGS)[0]).toBe('python3'))
test('case does not count', () => expect(nearest('Node20', LANGS)[0]).toBe('node20'))
test('the beginning of a name finds it', () =>
  expect(nearest('golang', LANGS)).toEqual(['golang-middleware']))
test('a word that is like none finds none', () => expect(nearest('cobol', LANGS)).toEqual([]))
test('at most as many as asked for are named', () => expect(nearest('node21', LANGS, 1)).toHaveLength(1))
