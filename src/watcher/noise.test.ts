import { expect, test } from 'vitest'
import { isBuildOutput, isNoise } from './noise.ts'

test.each([
  '.git',
  'node_modules',
  '__pycache__',
  '.venv',
  '.handler.js.swp',
  '.handler.js.swx',
  '.swp',
  '4913',
  'handler.js~',
  '.#handler.js',
  '#handler.js#',
  'handler.js___jb_tmp___',
  'handler.js___jb_old___',
  '.goutputstream-X1Y2Z3',
  '.handler.py.kate-swp',
  'sedQ1w2E3',
  'handler.js.tmp',
  'handler.js.tmp.1234.5f3a',
  '.subl1a2.tmp',
  'handler.js.bak',
  '.nfs000000000123abcd00000001',
  '.DS_Store',
])('%s is nobody’s work', (name) => {
  expect(isNoise(name)).toBe(true)
})

test.each([
  'handler.js',
  '.env',
  '.dockerignore',
  '.gitignore',
  '.github',
  'movie.swf',
  'swp',
  '#1.md',
  'sedate.js',
  'sedative',
  'tmp',
  'template',
  'build',
  'dist',
  'target',
  'package-lock.json',
  '49130',
])('%s is somebody’s', (name) => {
  expect(isNoise(name)).toBe(false)
})

test('a folder is build output when it says so', () => {
  expect(isBuildOutput(new Set(['CACHEDIR.TAG', 'debug']))).toBe(true)
  expect(isBuildOutput(new Set(['pyvenv.cfg', 'bin']))).toBe(true)
  expect(isBuildOutput(new Set(['main.rs']))).toBe(false)
})
