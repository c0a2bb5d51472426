import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cli, eventually, startCli, temporaryFolder } from '../../../test/support/cli.ts'
import { startFakeGateway } from '../../../test/support/fake-gateway.ts'
import { makeFakeApp, roomsOf } from '../../../test/support/fake-rooms.ts'
import type { FakeApp } from '../../../test/support/fake-rooms.ts'

const ref = { name: 'm-search', namespace: 'openfaas-fn' }
const problem = { code: 'BUILD_FAILED', message: 'npm failed', remedy: 'Fix it.', at: '2026-01-31T09:30:00Z' }

async function makeProject(path: string): Promise<void> {
  await writeFile(
    join(path, 'mobile.yml'),
    'version: 1.0\nprovider:\n  name: openfaas\nfunctions:\n  m-search:\n    lang: node22\n    handler: ./m\n    image: m:1\n',
  )
  await mkdir(join(path, 'm'))
}

/** Lets a function of the app become ready, as the dev loop would tell it. */
function makeReady(app: FakeApp): void {
  const spec = { ...ref, image: 'm:1', labels: {}, annotations: { 'com.faasdock.example': '?q=中文' } }
  const counts = { replicas: 1, availableReplicas: 1, invocationCount: 0 }
  app.statuses.splice(0, 1, { spec, revision: '1', ...counts, createdAt: '', state: 'ready' })
  app.events.emit({ type: 'build.started', ref })
  app.events.emit({ type: 'build.done', ref, image: 'm:1', cached: false, seconds: 2 })
  app.events.emit({ type: 'function.deploying', ref, revision: '1' })
  app.events.emit({ type: 'function.ready', ref, revision: '1', replicas: 1, seconds: 0.4 })
}

describe('dev', () => {
  test('starts with a table and a line to paste, shows saves and logs, and removes on Ctrl-C', async () => {
    await using gateway = await startFakeGateway()
    await using folder = await temporaryFolder()
    await makeProject(folder.path)
    gateway.logs.set('m-search', [{ name: 'm-search', timestamp: '2026-01-31T09:30:00Z', text: 'listening' }])
    const app = makeFakeApp(gateway.url)
    const argv = ['dev', '-f', 'mobile.yml', '--filter', 'm-*', '--port', '0', '--no-watch']
    const started = startCli(argv, { cwd: folder.path, rooms: roomsOf({ app }) })
    await eventually(() => app.settings)
    expect(app.settings).toMatchObject({
      flags: { port: 0, watch: false },
      stack: { file: join(folder.path, 'mobile.yml'), filter: 'm-*', substitute: true },
    })
    makeReady(app)
    app.undeployed.push({ ref: { name: 'broken', namespace: 'openfaas-fn' } })
    app.settle()
    await eventually(() => started.stdout.text.includes('Try  '))
    expect(started.stdout.text).toMatch(/\nFUNCTION .*\nbroken +failing\nm-search /)
    expect(started.stdout.text).toContain('m-search  built in 2.0 s\n✓ m-search  ready in 400 ms\n')
    expect(started.stdout.text).toMatch(/^m-search +http:.*\/function\/m-search +ready +m:1 +built now$/m)
    expect(started.stdout.text).toContain(`Try  curl '${gateway.url}/function/m-search?q=%E4%B8%AD%E6%96%87'`)
    await eventually(() => started.stdout.text.includes('m-search │ listening'))

    const seenAt = '2026-01-31T09:30:00.000Z'
    app.events.emit({ type: 'source.changed', ref, path: '/p/m/handler.js', files: 1, seenAt })
    app.events.emit({ type: 'build.failed', ref, problem })
    expect(started.stdout.text).toContain(
      '✗ m-search  handler.js  build failed\n  BUILD_FAILED: npm failed\n  → Fix it.\n',
    )

    started.interrupt()
    expect(await started.exit).toBe(0)
    expect(app.stopped).toEqual([true])
    expect(started.stdout.text.trimEnd().split('\n').at(-1)).toBe('stopped; removed 1 function: m-search')
    expect(started.stdout.text).not.toContain('\u001b')
    expect(started.forced).toEqual([])
  })

  test('flags that nobody gave are left to the environment', async () => {
    await using folder = await temporaryFolder()
    await makeProject(folder.path)
    const app = makeFakeApp('http://127.0.0.1:1')
    const started = startCli(['dev', '-f', 'mobile.yml'], { cwd: folder.path, rooms: roomsOf({ app }) })
    await eventually(() => app.settings)
    expect(app.settings?.flags).toEqual({})
    started.interrupt()
    await started.exit
  })

  test('a second Ctrl-C does not wait for the stop', async () => {
    await using folder = await temporaryFolder()
    await makeProject(folder.path)
    const app = makeFakeApp('http://127.0.0.1:1')
    const slow = { ...app, stop: () => new Promise<void>(() => undefined) }
    const started = startCli(['dev', '-f', 'mobile.yml'], { cwd: folder.path, rooms: roomsOf({ app: slow }) })
    await eventually(() => slow.settings)
    started.interrupt()
    await eventually(() => started.stdout.text.includes('stopping'))
    // npm passes on what the terminal has sent already: that is no second one.
    started.interrupt()
    expect(started.forced).toEqual([])
    await eventually(() => {
      started.interrupt()
      return started.forced.length > 0
    })
    expect(started.forced).toEqual([130])
  })

  test('with --json standard output is events, one on each line', async () => {
    await using gateway = await startFakeGateway()
    await using folder = await temporaryFolder()
    await makeProject(folder.path)
    const app = makeFakeApp(gateway.url)
    const argv = ['dev', '-f', 'mobile.yml', '--json']
    const started = startCli(argv, { cwd: folder.path, rooms: roomsOf({ app }) })
    await eventually(() => app.settings)
    makeReady(app)
    app.settle()
    await eventually(() => started.stdout.text.includes('start.done'))
    started.interrupt()
    await started.exit
    const events = started.stdout.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; curl?: string })
    expect(events.map(({ type }) => type)).toEqual([
      'build.started',
      'build.done',
      'function.deploying',
      'function.ready',
      'start.done',
    ])
    expect(events.at(-1)?.curl).toContain('curl ')
    expect(started.stderr.text).toContain('stopped')
  })

  test('a stack with mistakes starts nothing', async () => {
    await using folder = await temporaryFolder()
    await writeFile(
      join(folder.path, 'stack.yml'),
      'provider:\n  name: openfaas\nfunctions:\n  A_B:\n    lagn: x\n',
    )
    const app = makeFakeApp('http://127.0.0.1:1')
    const { code, err } = await cli(['dev'], { cwd: folder.path, rooms: roomsOf({ app }) })
    expect([code, err]).toEqual([2, expect.stringContaining('BAD_STACK')])
    expect(app.settings).toBeUndefined()
  })

  test('on a terminal keys answer: help, rebuild of one function, errors only, quit', async () => {
    await using gateway = await startFakeGateway()
    await using folder = await temporaryFolder()
    await makeProject(folder.path)
    const app = makeFakeApp(gateway.url)
    const started = startCli(['dev', '-f', 'mobile.yml'], {
      cwd: folder.path,
      rooms: roomsOf({ app }),
      tty: true,
      env: { NO_COLOR: '1', TERM: 'xterm' },
    })
    await eventually(() => app.settings)
    makeReady(app)
    app.settle()
    await eventually(() => started.stdout.text.includes('Try  '))
    await eventually(() => started.stdout.text.includes(`1 ready · ${gateway.url} · ? help`))
    started.stdin.write('?')
    await eventually(() => started.stdout.text.includes('rebuild a function, or all'))
    started.stdin.write('r')
    await eventually(() => started.stdout.text.includes('rebuild:  a all  1 m-search'))
    started.stdin.write('1')
    await eventually(() => app.rebuilt.length === 1)
    started.stdin.write('ra')
    await eventually(() => app.rebuilt.length === 2)
    expect(app.rebuilt).toEqual(['m-search.openfaas-fn', undefined])
    started.stdin.write('e')
    await eventually(() => started.stdout.text.includes('errors only'))
    started.stdin.write('q')
    expect(await started.exit).toBe(0)
    expect(app.stopped).toEqual([true])
  })

  test('in CI a terminal is a log: nothing is drawn and no key is read', async () => {
    await using folder = await temporaryFolder()
    await makeProject(folder.path)
    const app = makeFakeApp('http://127.0.0.1:1')
    const started = startCli(['dev', '-f', 'mobile.yml'], {
      cwd: folder.path,
      rooms: roomsOf({ app }),
      tty: true,
      env: { CI: 'true', NO_COLOR: '1' },
    })
    await eventually(() => app.settings)
    app.settle()
    await eventually(() => started.stdout.text.includes('API  '))
    started.stdin.write('q')
    app.events.emit({ type: 'build.started', ref })
    expect(started.stdout.text).not.toContain('\u001b')
    expect(app.stopped).toEqual([])
    started.interrupt()
    expect(await started.exit).toBe(0)
  })
})

describe('serve', () => {
  test('hosts without a stack and leaves the functions when it stops', async () => {
    const app = makeFakeApp('http://127.0.0.1:1')
    const started = startCli(['serve', '--port', '0', '--data', '/d'], { rooms: roomsOf({ app }) })
    await eventually(() => started.stdout.text.includes('API   http://127.0.0.1:1'))
    expect(app.settings?.flags).toEqual({ port: 0, data: '/d' })
    expect(app.settings?.stack).toBeUndefined()
    started.interrupt('SIGTERM')
    expect(await started.exit).toBe(0)
    expect(app.stopped).toEqual([false])
  })

  test('says that the functions ended with it where it was told to end them', async () => {
    const app = { ...makeFakeApp('http://127.0.0.1:1'), keepsFunctions: false }
    const started = startCli(['serve', '--stop-functions'], { rooms: roomsOf({ app }) })
    await eventually(() => started.stdout.text.includes('API   http://127.0.0.1:1'))
    expect(app.settings?.flags).toEqual({ stopFunctions: true })
    started.interrupt('SIGTERM')
    expect(await started.exit).toBe(0)
    expect(started.stdout.text).toContain('functions ended too, and are served again')
  })
})
