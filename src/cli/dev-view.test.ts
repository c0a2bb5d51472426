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
  }
}

test('a save is one line: function, file, what was done, how long from the save', () => {
  const { see } = makeView()
  see({ type: 'source.changed', ref, path: '/p/m-search/handler.js' })
  see({ type: 'build.started', ref }, 30)
  see({ type: 'build.done', ref, image: 'x', cached: false, seconds: 0.8 }, 800)
  see({ type: 'function.deploying', ref, revision: '1' })
  expect(see({ type: 'function.ready', ref, revision: '1', replicas: 1, seconds: 0.4 }, 400)).toEqual([
    '↻ m-search  handler.js  rebuilt in 1.2 s',
  ])
})

test('several saved files are counted', () => {
  const { see } = makeView()
  for (const file of ['handler.js', 'package.json', 'lib.js'])
    see({ type: 'source.changed', ref, path: `/p/m-search/${file}` })
  see({ type: 'build.done', ref, image: 'x', cached: false, seconds: 1 })
  const [line] = see({ type: 'function.ready', ref, revision: '1', replicas: 1, seconds: 1 }, 1000)
  expect(line).toContain('handler.js +2')
})

test('a save that changed nothing is not counted to the next one', () => {
  const { see } = makeView()
  see({ type: 'source.changed', ref, path: '/p/m-search/README.md' })
  see({ type: 'build.done', ref, image: 'x', cached: true, seconds: 0 })
  see({ type: 'source.changed', ref, path: '/p/m-search/handler.js' }, 60_000)
  see({ type: 'build.done', ref, image: 'x', cached: false, seconds: 1 })
  expect(see({ type: 'function.ready', ref, revision: '1', replicas: 1, seconds: 1 }, 1000)).toEqual([
    '↻ m-search  handler.js  rebuilt in 1.0 s',
  ])
})

test('a function that was not saved is ready, not rebuilt', () => {
  const { see } = makeView()
  expect(see({ type: 'function.ready', ref, revision: '1', replicas: 1, seconds: 0.4 })).toEqual([
    '✓ m-search  ready in 400 ms',
  ])
})

test('a failed build shows the error and stays in sight until a good save', () => {
  const { see, view } = makeView()
  see({ type: 'source.changed', ref, path: '/p/m-search/handler.js' })
  see({ type: 'build.started', ref })
  expect(see({ type: 'build.failed', ref, problem })).toEqual([
    '✗ m-search  handler.js  build failed',
    '  BUILD_FAILED: RUN npm install failed',
    '  npm ERR! 404',
    '  → Correct package.json and save.',
  ])
  see({ type: 'source.changed', ref, path: '/p/m-search/handler.js' })
  expect(view.warnings()).toEqual(['✗ m-search  handler.js  build failed: RUN npm install failed'])
  see({ type: 'build.done', ref, image: 'x', cached: false, seconds: 1 })
  see({ type: 'function.ready', ref, revision: '2', replicas: 1, seconds: 1 })
  expect(view.warnings()).toEqual([])
})

test('a fix that only undoes a mistake is said too', () => {
  const { see, view } = makeView()
  see({ type: 'build.failed', ref, problem })
  const good = { type: 'build.done', ref, image: 'x', cached: true, seconds: 0 } as const
  expect(see(good)).toEqual(['✓ m-search  builds again'])
  expect(view.warnings()).toEqual([])
  expect(see(good)).toEqual([])
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
  expect(line).toBe('✗ m-search  did not start; the older revision answers')
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
