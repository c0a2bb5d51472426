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
  ])('of %s is %s', (word, expected) => expect(nearest(word, FIELDS)).toBe(expected))

  test.each(['volumes', 'x', '', '--', 'replicas'])('of %j there is none', (word) =>
    expect(nearest(word, FIELDS)).toBeUndefined(),
  )
})
