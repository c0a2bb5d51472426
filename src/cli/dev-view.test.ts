import { expect, test } from 'vitest'
import type { PlatformEvent } from '../engine/events.ts'
import { DevView } from './dev-view.ts'

const ref = { name: 'm-search', namespace: 'openfaas-fn' }
const problem = {
  code: 'BUILD_FAILED',
  message: 'RUN npm install failed\nnpm ERR! 404',
  remedy: 'Correct package.json and save.',
  at: '2026-01-31T09:30:00Z',
}

/** A view fed with events, a number of milliseconds apart. */
function makeView(verbose = false) {
  const view = new DevView({ verbose })
  let seq = 0
  let at = Date.parse('2026-01-31T09:30:00Z')
  return {
    view,
    see: (event: PlatformEvent, later = 0) => {
      at += later
      return view.see({ ...event, seq: ++seq, at: new Date(at).toISOString() }).map(({ text }) => text)
    },
    rows: () => view.rows(at),
    saved: (path: string, files = 1): PlatformEvent => ({
      type: 'source.changed',
      ref,
      path,
      files,
      seenAt: new Date(at).toISOString(),
    }),
  }
}

const ready = (by?: 'swap' | 'files' | 'build' | 'spec') =>
  ({
    type: 'function.ready',
    ref,
    revision: '1',
    replicas: 1,
    seconds: 1,
    ...(by && { by }),
  }) as const

test('a save is one line: function, file, what was done, how long from the save', () => {
  const { see, saved } = makeView()
  see(saved('/p/m-search/handler.js'))
  see({ type: 'build.started', ref }, 30)
  see({ type: 'build.done', ref, image: 'x', cached: false, seconds: 0.8 }, 800)
  see({ type: 'function.deploying', ref, revision: '1' })
  expect(see(ready('build'), 400)).toEqual(['↻ m-search  handler.js  rebuilt in 1.2 s'])
})

test.each([
  ['swap', 'swapped'],
  ['files', 'replaced'],
  ['build', 'rebuilt'],
  ['spec', 'reconfigured'],
] as const)('a save that was taken by %s says that it was %s', (by, word) => {
  const { see, saved } = makeView()
  see(saved('/p/m-search/handler.js'))
  expect(see({ type: 'function.ready', ref, revision: '1', replicas: 1, seconds: 0.01, by }, 24)).toEqual([
    `↻ m-search  handler.js  ${word} in 24 ms`,
  ])
})

test('several saved files are counted', () => {
  const { see, saved } = makeView()
  see(saved('/p/m-search/handler.js', 3))
  const [line] = see(ready('swap'), 1000)
  expect(line).toContain('handler.js +2')
})

test('a change of the stack file alone is said without a file of the function', () => {
  const { see } = makeView()
  expect(see(ready('spec'))).toEqual(['↻ m-search  reconfigured in 1.0 s'])
})

test('a save of a function that is scaled to zero is said, too', () => {
  const { see, saved } = makeView()
  see(saved('/p/m-search/handler.js'))
  expect(see({ ...ready('swap'), replicas: 0 }, 20)).toEqual([
    '↻ m-search  handler.js  taken, for its next call, in 20 ms',
  ])
})

test('a function that was not saved is ready, not rebuilt', () => {
  const { see } = makeView()
  expect(see({ type: 'function.ready', ref, revision: '1', replicas: 1, seconds: 0.4 })).toEqual([
    '✓ m-search  ready in 400 ms',
  ])
})

test('a failed build shows the error and stays in sight until a good save', () => {
  const { see, view, saved } = makeView()
  see(saved('/p/m-search/handler.js'))
  see({ type: 'build.started', ref })
  expect(see({ type: 'build.failed', ref, problem })).toEqual([
    '✗ m-search  handler.js  build failed',
    '  BUILD_FAILED: RUN npm install failed',
    '  npm ERR! 404',
    '  → Correct package.json and save.',
  ])
  see(saved('/p/m-search/handler.js'))
  expect(view.warnings()).toEqual(['✗ m-search  handler.js  build failed: RUN npm install failed'])
  see({ type: 'build.done', ref, image: 'x', cached: false, seconds: 1 })
  see(ready())
  expect(view.warnings()).toHaveLength(1)
  see(ready('build'))
  expect(view.warnings()).toEqual([])
})

test('a fix that only undoes a mistake is said too', () => {
  const { see, view } = makeView()
  see({ type: 'build.failed', ref, problem })
  expect(see({ type: 'source.mended', ref })).toEqual(['✓ m-search  what answers is what is saved again'])
  expect(view.warnings()).toEqual([])
})

test('code that was saved while a function slept, and does not load when it wakes, is told as such', () => {
  const { see } = makeView()
  const told = { ...problem, code: 'CODE_NOT_LOADED' }
  expect(see({ type: 'function.failed', ref, revision: 'r', serving: 'r', problem: told })[0]).toBe(
    '✗ m-search  does not load; the last good version answers',
  )
})

test('code that does not load is shown with its place and the lines around it', () => {
  const { see, saved, view } = makeView()
  const frame = '  1 | module.exports = () => {\n> 2 |   retrun 1\n    |          ^'
  const place = { file: 'm-search/handler.js', line: 2, column: 10 }
  see(saved('/p/m-search/handler.js'))
  const told = {
    ...problem,
    code: 'CODE_NOT_LOADED',
    message: 'SyntaxError: Unexpected number',
    place,
    frame,
  }
  expect(see({ type: 'code.failed', ref, problem: told, serving: '1' })).toEqual([
    '✗ m-search  handler.js  does not load; the last good version answers',
    '  CODE_NOT_LOADED: m-search/handler.js:2:10 SyntaxError: Unexpected number',
    '      1 | module.exports = () => {',
    '    > 2 |   retrun 1',
    '        |          ^',
    '  → Correct package.json and save.',
  ])
  expect(view.warnings()).toEqual([
    '✗ m-search  handler.js  does not load: m-search/handler.js:2:10 SyntaxError: Unexpected number',
  ])
})

test('an image behind that does not build stays in sight while the code answers, until it does', () => {
  const { see, view } = makeView()
  expect(see({ type: 'image.failed', ref, problem })[0]).toBe('✗ m-search  the image behind does not build')
  see(ready('swap'))
  expect(view.warnings()).toHaveLength(1)
  const done = { type: 'image.done', ref, image: 'x', cached: false, seconds: 2 } as const
  expect(see(done)).toEqual(['✓ m-search  the image behind builds again'])
  expect(view.warnings()).toEqual([])
  expect(see(done)).toEqual(['m-search  its image follows, built in 2.0 s'])
})

test('a build that was asked for and changes nothing is said, once', () => {
  const { see, view } = makeView()
  const cached = { type: 'build.done', ref, image: 'x', cached: true, seconds: 0 } as const
  view.expect(ref)
  expect(see(cached)).toEqual(['✓ m-search  up to date'])
  expect(see(cached)).toEqual([])
  view.expect(ref)
  expect(see({ ...cached, cached: false })).toEqual(['m-search  built in 0 ms'])
  expect(see(cached)).toEqual([])
})

test('a revision that does not start says whether an older one answers', () => {
  const { see, view } = makeView()
  const [line] = see({ type: 'function.failed', ref, revision: '2', serving: '1', problem })
  expect(line).toBe('✗ m-search  did not start; the last good version answers')
  expect(view.warnings()).toHaveLength(1)
})

test('the same failure again is one line with the count of tries', () => {
  const { see, view, rows } = makeView()
  see({ type: 'function.failed', ref, revision: '2', problem })
  see({ type: 'function.deploying', ref, revision: '2' })
  expect(see({ type: 'function.failed-again', ref, revision: '2', tries: 2 })).toEqual([
    '✗ m-search  failed as before (2 tries)',
  ])
  expect(rows()).toEqual([])
  expect(view.warnings()).toEqual(['✗ m-search  did not start: RUN npm install failed (2 tries)'])
  see({ type: 'function.failed', ref, revision: '3', problem })
  expect(view.warnings()).toEqual(['✗ m-search  did not start: RUN npm install failed'])
})

test('what is under way is a row with its last line of output', () => {
  const { see, rows } = makeView()
  see({ type: 'build.started', ref })
  see({ type: 'build.output', ref, line: 'Step 3/9 : RUN npm install' }, 1000)
  expect(rows()).toEqual([
    { name: 'm-search', phase: 'building', step: 'Step 3/9 : RUN npm install', seconds: 1 },
  ])
  see({ type: 'build.done', ref, image: 'x', cached: false, seconds: 1 })
  expect(rows()).toEqual([])
})

test('only the steps of a build are printed, and everything when asked', () => {
  const quiet = makeView()
  expect(quiet.see({ type: 'build.output', ref, line: 'Step 1/9 : FROM node' })).toHaveLength(1)
  expect(quiet.see({ type: 'build.output', ref, line: 'added 12 packages' })).toEqual([])
  const line = 'warning: handler.js comes from the template: /p/m-search has none'
  expect(quiet.see({ type: 'build.output', ref, line })).toEqual([`! m-search  ${line}`])
  expect(makeView(true).see({ type: 'build.output', ref, line: 'added 12 packages' })).toHaveLength(1)
})

test('a notice is one line, and is not kept in sight', () => {
  const { see, view } = makeView()
  const message = 'port 8080 is in use; the gateway is on 8081'
  expect(see({ type: 'notice', level: 'info', message })).toEqual([message])
  expect(see({ type: 'notice', level: 'error', message: 'x' })).toEqual(['x'])
  expect(view.warnings()).toEqual([])
})

test('a broken stack file and a lost engine stay in sight until they are back', () => {
  const { see, view } = makeView()
  see({ type: 'stack.failed', file: '/p/mobile.yml', problem })
  see({ type: 'engine.lost', reason: 'connection refused' })
  expect(view.warnings()).toHaveLength(2)
  see({ type: 'stack.read', file: '/p/mobile.yml', functions: 4 })
  see({ type: 'engine.back' })
  expect(view.warnings()).toEqual([])
})
