import { expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import { sourceIn } from '../../test/support/function-source.ts'
import { makePlaces } from './source-places.ts'

async function placesOf(line: string, lang = 'node'): Promise<string> {
  await using folder = await makeFolder({
    'hello/handler.js': '',
    'hello/package.json': '{\n  "name": ,\n}\n',
    'hello/handler.py': '',
    'hello/handler.go': '',
    'hello/handler.sh': '',
    'hello/lib/x.ts': '',
    'shared/y.js': '',
  })
  const place = makePlaces(sourceIn(folder, { lang, copy: ['./shared'] }))
  return place(line)
}

test.each([
  ['/home/app/function/handler.js:4', 'hello/handler.js:4'],
  [
    'package.json is no JSON: odd in JSON at position 12',
    'hello/package.json:2:11 is no JSON: odd in JSON at position 12',
  ],
  ['package.json is no JSON: Unexpected token', 'hello/package.json is no JSON: Unexpected token'],
  ['other.json is no JSON: odd in JSON at position 12', 'other.json is no JSON: odd in JSON at position 12'],
  ['# /home/app/function/handler.js:4', '# hello/handler.js:4'],
  ['    at x (/home/app/function/handler.js:5:17)', '    at x (hello/handler.js:5:17)'],
  ['    at file:///home/app/function/handler.js:5:17', '    at hello/handler.js:5:17'],
  ['./handler.go:9:1: syntax error', 'hello/handler.go:9:1: syntax error'],
  ['    handler.go:12: got 3', '    hello/handler.go:12: got 3'],
  ['function/handler.sh: line 7: syntax error', 'hello/handler.sh: line 7: syntax error'],
  ['  File "./handler.py", line 4', '  File "hello/handler.py", line 4'],
  ['lib/x.ts(3,4): error TS1005', 'hello/lib/x.ts(3,4): error TS1005'],
  ['/home/app/function/shared/y.js:2', 'shared/y.js:2'],
])('%s is %s', async (line, placed) => {
  expect(await placesOf(line)).toBe(placed)
})

test.each([
  '/home/app/function/gone.js:4',
  '/home/app/index.js:4',
  '/usr/lib/handler.js:4',
  '    at wrapSafe (node:internal/modules/cjs/loader:1713:18)',
  'handler.js is not what it was',
  'node_modules/handler.js:4',
])('%s stays what it is', async (line) => {
  expect(await placesOf(line)).toBe(line)
})

test.each([
  ['/srv/handler.js:4', 'hello/handler.js:4'],
  ['    at Object.<anonymous> (/home/app/lib/x.ts:29:8)', '    at Object.<anonymous> (hello/lib/x.ts:29:8)'],
  ['    at file:///app/handler.js:5:17', '    at hello/handler.js:5:17'],
  ['  File "/app/handler.py", line 4', '  File "hello/handler.py", line 4'],
  ['handler.go:9:1: syntax error', 'hello/handler.go:9:1: syntax error'],
])('of a Dockerfile of one’s own, wherever it puts its files: %s is %s', async (line, placed) => {
  expect(await placesOf(line, 'dockerfile')).toBe(placed)
})

test.each([
  '/usr/lib/handler.js:4',
  '/app/node_modules/other/handler.js:4',
  '/app/gone.js:4',
  'http://localhost/handler.js:4',
  '    at wrapSafe (node:internal/modules/cjs/loader:1713:18)',
])('of a Dockerfile of one’s own, too: %s stays what it is', async (line) => {
  expect(await placesOf(line, 'dockerfile')).toBe(line)
})
