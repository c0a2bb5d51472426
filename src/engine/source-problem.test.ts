import { expect, test } from 'vitest'
import type { Code } from '../core/code.ts'
import type { Problem } from '../core/function.ts'
import { sourceProblem } from './source-problem.ts'

const never = new AbortController().signal
const looked = 'const a = 1\nmodule.exports = ]\n'
const problem: Problem = { code: 'BUILD_FAILED', message: '', remedy: '-', at: '2030-01-01T00:00:00Z' }
const code: Code = {
  hash: 'h',
  way: 'swap',
  folder: '/home/app/function',
  files: new Map([
    [
      'handler.js',
      {
        hash: 'f',
        mode: 0o644,
        size: looked.length,
        source: '/project/fn/handler.js',
        read: () => Promise.resolve(Buffer.from(looked)),
      },
    ],
  ]),
}
const disk = new Map([['/project/fn/main.go', Buffer.from('package main\n\nfunc main() {\n')]])
const setting = { root: '/project', readSource: (file: string) => Promise.resolve(disk.get(file)) }
const told = (message: string, of: Code | undefined = code) =>
  sourceProblem({ ...problem, message }, of, setting, never)

test('a place that is given is made relative to the stack file, and the lines around it are those that were looked at', async () => {
  const place = { file: '/project/fn/handler.js', line: 2, column: 18 }
  expect(await sourceProblem({ ...problem, place }, code, setting, never)).toMatchObject({
    place: { file: 'fn/handler.js', line: 2, column: 18 },
    frame: '  1 | const a = 1\n> 2 | module.exports = ]\n    |                  ^',
  })
})

test('of a build that failed, what a compiler says of the code goes before the step of the Dockerfile', async () => {
  const place = { file: '/project/fn/Dockerfile', line: 1 }
  const readSource = (file: string) => Promise.resolve(Buffer.from(`FROM x\n${file}\n`))
  const said = { ...problem, place, message: 'fn/main.go:2:13: syntax error' }
  expect(await sourceProblem(said, undefined, { ...setting, readSource }, never)).toMatchObject({
    place: { file: 'fn/main.go', line: 2 },
  })
  const mute = { ...problem, place, message: '/usr/lib/x.js:4: it is gone' }
  expect(await sourceProblem(mute, undefined, { ...setting, readSource }, never)).toMatchObject({
    place: { file: 'fn/Dockerfile', line: 1 },
    frame: expect.stringContaining('> 1 | FROM x') as string,
  })
})

test('a place that is given stays where its file cannot be read', async () => {
  const place = { file: '/elsewhere/x.js', line: 2 }
  const shown = await sourceProblem({ ...problem, place }, undefined, setting, never)
  expect(shown.place).toEqual(place)
  expect(shown).not.toHaveProperty('frame')
})

test.each([
  ['as the builder names it', 'fn/handler.js:2:18 SyntaxError: Unexpected token', 'fn/handler.js', 2],
  [
    'inside a container',
    'it exited:\n  at x (node:vm:1:2)\n/home/app/function/handler.js:2\nmodule',
    'fn/handler.js',
    2,
  ],
  ['relative to the handler', 'handler.js:1 is odd', 'fn/handler.js', 1],
  ['as shells name it', '/home/app/function/handler.js: line 2: syntax error', 'fn/handler.js', 2],
  ['of a file that is no code', 'fn/main.go:3:13: syntax error', 'fn/main.go', 3],
])('a place is found in a message: %s', async (_what, message, file, line) => {
  const shown = await told(message)
  expect(shown.place).toMatchObject({ file, line })
  expect(shown.frame).toContain(`> ${line} |`)
})

test('of a Python traceback it is the last frame in the function’s own code', async () => {
  const python: Code = {
    ...code,
    files: new Map(
      ['handler.py', 'lib.py'].map((path) => [
        path,
        {
          hash: path,
          mode: 0o644,
          size: 1,
          source: `/project/py/${path}`,
          read: () => Promise.resolve(Buffer.from('a\nb\nc\nd\n')),
        },
      ]),
    ),
  }
  const message = `it exited
  File "/home/app/function/handler.py", line 1, in <module>
  File "/home/app/function/lib.py", line 3, in load
  File "/usr/lib/python3/json.py", line 4, in loads`
  expect((await told(message, python)).place).toEqual({ file: 'py/lib.py', line: 3 })
})

test.each([
  ['no place', 'npm error 404'],
  ['a file that nobody has', 'fn/none.js:3:1 x'],
  ['an address', 'connect ECONNREFUSED 10.0.0.1:8080'],
  ['a module of the runtime', 'node:internal/modules/cjs/loader.js:1080'],
  ['a file outside of the project', '/etc/passwd.txt:1'],
])('a message with %s stays as it is', async (_what, message) => {
  expect(await told(message)).toEqual({ ...problem, message })
})

test('a long output is looked at without taking long', async () => {
  const began = performance.now()
  await told(`${'a/'.repeat(200_000)}\n${'x.'.repeat(200_000)}\n${'-'.repeat(400_000)}`)
  expect(performance.now() - began).toBeLessThan(5000)
})
