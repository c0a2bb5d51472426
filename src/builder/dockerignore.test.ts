import { describe, expect, test } from 'vitest'
import { contextRules, parseDockerignore } from './dockerignore.ts'

describe('Docker’s matching', () => {
  test.each([
    ['node_modules', 'node_modules/a/b.js', true],
    ['node_modules', 'lib/node_modules/a.js', false],
    ['**/node_modules', 'lib/node_modules/a.js', true],
    ['*.log', 'a.log', true],
    ['*.log', 'sub/a.log', false],
    ['*.LOG', 'a.log', false],
    ['*\n!keep.txt', 'keep.txt', false],
    ['*\n!keep.txt', 'drop.txt', true],
    ['secret\r\nother\r\n', 'secret', true],
    ['\uFEFFsecret', 'secret', true],
    ['# secret\n\n', '# secret', false],
    ['/rooted', 'rooted', true],
  ])('%j and %s: ignored is %s', (text, path, ignored) =>
    expect(parseDockerignore(text, '.dockerignore').ignores(path)).toBe(ignored),
  )
})

test('an ignored folder is not read, unless an exception may bring something in it back', () => {
  expect(parseDockerignore('data', 'f').skipsFolder('data')).toBe(true)
  expect(parseDockerignore('data\n!data/keep', 'f').skipsFolder('data')).toBe(false)
})

test('what the engine needs is sent although a pattern matches it', () => {
  const rules = contextRules(parseDockerignore('*', 'f'))
  expect(['Dockerfile', '.dockerignore', 'sub/Dockerfile'].map((path) => rules.ignores(path))).toEqual([
    false,
    false,
    true,
  ])
})

test('a pattern that cannot be read names the file', () => {
  expect(() => parseDockerignore('[', '/p/.dockerignore')).toThrow(
    expect.objectContaining({
      code: 'BUILD_FAILED',
      message: expect.stringContaining('/p/.dockerignore') as string,
    }),
  )
})
