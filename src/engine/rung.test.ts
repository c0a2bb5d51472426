import { expect, test } from 'vitest'
import type { Code, CodeFile } from '../core/code.ts'
import { isEnough, MAX_CODE_BYTES } from './rung.ts'
import type { BuiltImage } from './rung.ts'

function codeOf(files: Readonly<Record<string, string>>, way: Code['way'] = 'swap', size = 1): Code {
  const file = (hash: string): CodeFile => ({
    hash,
    mode: 0o644,
    size,
    source: '/x',
    read: () => Promise.reject(new Error('not asked for')),
  })
  const entries = Object.entries(files).map(([path, hash]) => [path, file(hash)] as const)
  return { hash: JSON.stringify(files), way, folder: '/f', files: new Map(entries) }
}

const before = codeOf({ 'a.js': '1', 'b.js': '1' })
const image: BuiltImage = { imageId: 'i', content: 'c1', frame: 'f1', madeOf: 'm', code: before }
const wanted = { content: 'c2', frame: 'f1', code: codeOf({ 'a.js': '2', 'b.js': '1' }) }

test.each([
  ['the code alone changed', image, wanted, 'm', true],
  ['nothing changed', image, { content: 'c1', frame: 'f1', code: before }, 'm', true],
  [
    'nothing changed in a function that has no code to put in',
    { ...image },
    { content: 'c1', frame: 'f1' },
    'm',
    true,
  ],
  ['a file of a swap is gone', image, { ...wanted, code: codeOf({ 'a.js': '1' }) }, 'm', true],
  ['a file is new', image, { ...wanted, code: codeOf({ 'a.js': '1', 'b.js': '1', 'c.js': '1' }) }, 'm', true],
  ['there is no image', undefined, wanted, 'm', false],
  ['the frame changed', image, { ...wanted, frame: 'f2' }, 'm', false],
  ['it is made of something else now', image, { ...wanted, content: 'c1' }, 'n', false],
  ['it has no code to put in', image, { content: 'c2', frame: 'f1' }, 'm', false],
  ['it takes code in another way now', image, { ...wanted, code: codeOf({}, 'files') }, 'm', false],
  ['it is too much', image, { ...wanted, code: codeOf({ a: '2' }, 'swap', MAX_CODE_BYTES + 1) }, 'm', false],
] as const)('an image is enough or not where %s', (_what, have, want, madeOf, expected) => {
  expect(isEnough(have, want, madeOf)).toBe(expected)
})

test('what is put in before a start takes nothing away: a file that is gone needs a build', () => {
  const files = { ...image, code: codeOf({ 'a.js': '1', 'b.js': '1' }, 'files') }
  const changed = { ...wanted, code: codeOf({ 'a.js': '2', 'b.js': '1', 'c.js': '1' }, 'files') }
  expect(isEnough(files, changed, 'm')).toBe(true)
  expect(isEnough(files, { ...wanted, code: codeOf({ 'a.js': '2' }, 'files') }, 'm')).toBe(false)
})

test('what is in the image is not known: only the same content is enough', () => {
  const { code: _code, ...unknown } = image
  expect(isEnough(unknown, wanted, 'm')).toBe(false)
  expect(isEnough(unknown, { ...wanted, content: 'c1' }, 'm')).toBe(true)
})
