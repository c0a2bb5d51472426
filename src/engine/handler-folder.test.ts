import { expect, test } from 'vitest'
import type { Code } from '../core/code.ts'
import { handlerFolder } from './handler-folder.ts'

function codeOf(folder: string, files: Readonly<Record<string, string>>): Code {
  const file = (source: string) => ({
    hash: '',
    mode: 0,
    size: 0,
    source,
    read: () => Promise.reject(new Error('unread')),
  })
  return {
    hash: '',
    way: 'files',
    folder,
    files: new Map(Object.entries(files).map(([path, source]) => [path, file(source)])),
  }
}

test.each([
  ['/home/app/function', { 'handler.js': '/p/fn/handler.js' }, '/home/app/function'],
  [
    '/srv',
    { 'index.js': '/p/template/x/index.js', 'function/handler.js': '/p/fn/handler.js' },
    '/srv/function',
  ],
  ['/srv', { 'fn/lib/a.js': '/p/fn/lib/a.js' }, '/srv/fn'],
  ['/', { 'handler.py': 'C:\\p\\fn\\handler.py' }, '/'],
  ['/', { 'app/handler.py': '/p/fn/handler.py' }, '/app'],
])('in %s, of %j, the handler is in %s', (folder, files, found) => {
  const handler = Object.values(files).some((file) => file.startsWith('C:')) ? 'C:\\p\\fn' : '/p/fn'
  expect(handlerFolder(codeOf(folder, files), handler)).toBe(found)
})

test('of a handler whose files have other names in the image, or that is in no image, nothing is said', () => {
  expect(handlerFolder(codeOf('/srv', { 'main.js': '/p/fn/handler.js' }), '/p/fn')).toBeUndefined()
  expect(handlerFolder(codeOf('/srv', { 'handler.js': '/p/fn2/handler.js' }), '/p/fn')).toBeUndefined()
})
