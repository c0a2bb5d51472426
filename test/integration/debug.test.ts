// Breakpoints in functions, by real debuggers' protocols, through the ports that `faasdock debug` gives.
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createApp } from '../../src/app.ts'
import type { App } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { parseRef } from '../../src/core/function.ts'
import { MemoryQueue } from '../../src/queue/memory-queue.ts'
import { cdpBreakpoint, cdpClient, dapBreakpoint } from '../support/debug-clients.ts'
import type { CdpClient } from '../support/debug-clients.ts'
import { describeDocker, dockerAvailable } from '../support/docker.ts'
import { makeFolder } from '../support/folder.ts'
import type { TestFolder } from '../support/folder.ts'
import { until } from '../support/until.ts'
import { listensOn } from '../../src/provider/docker/readiness.ts'
import { build, docker, removeAll, tag } from './templates/images.ts'

const FOLDER = '/home/app/function'
/** Far shorter than the breakpoints of these tests hold. */
const LIMIT_MS = 1000
const nodeImage = tag('debug-node')
const pythonImage = tag('debug-python')

const nodeHandler = (n: number): string =>
  [
    'module.exports = async (event, context) => {',
    `  const x = ${n}`,
    '  if (event.query.never) return new Promise(() => {})',
    '  return context.succeed(`${x} ${globalThis.mark}`)',
    '}\n',
  ].join('\n')
const pythonHandler = (n: number): string =>
  ['def handle(event, context):', `    x = ${n}`, '    return {"statusCode": 200, "body": str(x)}\n'].join(
    '\n',
  )

const held = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describeDocker('debuggers of functions', () => {
  let folder: TestFolder
  let app: App
  let token: string

  beforeAll(async () => {
    folder = await makeFolder()
    token = randomBytes(8).toString('hex')
    await Promise.all([
      build({ template: 'node', handler: { 'handler.js': nodeHandler(1) } }, nodeImage),
      build({ template: 'python3', handler: { 'handler.py': pythonHandler(1) } }, pythonImage, {
        CONTRACT: 'http',
      }),
    ])
    app = await open()
  })
  afterAll(async () => {
    await app.stop({ removeFunctions: true })
    await folder[Symbol.asyncDispose]()
    if (dockerAvailable) await removeAll()
  })

  /** A gateway and functions that give calls up after a second. */
  const open = (flags: Readonly<Record<string, string>> = {}): Promise<App> =>
    createApp(
      readConfig({
        env: process.env,
        cwd: folder.path,
        flags: {
          port: 0,
          metricsPort: 'off',
          data: folder.path,
          upstreamTimeout: `${LIMIT_MS}ms`,
          drainTimeout: '2s',
          ...flags,
        },
      }),
      { queue: new MemoryQueue() },
    )

  const deploy = async (
    name: string,
    image: string,
    more: Readonly<Record<string, string>> = {},
  ): Promise<void> => {
    await app.functions.deploy({
      name,
      namespace: 'openfaas-fn',
      image,
      labels: {},
      annotations: {},
      envVars: {
        exec_timeout: `${LIMIT_MS}ms`,
        write_timeout: `${LIMIT_MS}ms`,
        read_timeout: `${LIMIT_MS}ms`,
        ...more,
      },
    }).settled
  }
  const call = (name: string): Promise<Response> => fetch(`${app.url}/function/${name}`)
  const debug = async (name: string): Promise<number> => {
    const answer = await fetch(`${app.url}/system/debug`, {
      method: 'PUT',
      body: JSON.stringify({ functions: [{ name }] }),
    })
    expect(answer.status, await answer.clone().text()).toBe(200)
    const all = (await answer.json()) as { name: string; port: number }[]
    return all.find((one) => one.name === name)?.port ?? 0
  }
  const clients = async (name: string): Promise<number | undefined> => {
    const all = (await (await fetch(`${app.url}/system/debug`)).json()) as { name: string; clients: number }[]
    return all.find((one) => one.name === name)?.clients
  }
  /** Holds a call at a breakpoint for longer than anything may take, and lets it go on. */
  const holdsAndAnswers = async (name: string, client: CdpClient, answer: RegExp): Promise<void> => {
    const answered = call(name)
    await client.event('Debugger.paused')
    await held(3 * LIMIT_MS)
    await client.ask('Debugger.resume')
    const got = await answered
    expect(await got.text()).toMatch(answer)
    expect(got.status).toBe(200)
  }
  const replicasOf = async (name: string): Promise<string[]> =>
    (
      await docker(
        'ps',
        '--quiet',
        '--filter',
        `label=com.faasdock.instance=${app.instance}`,
        '--filter',
        `label=com.faasdock.function=${name}`,
      )
    )
      .split('\n')
      .filter(Boolean)

  /** As the provider does, from inside of the container. */
  const swap = async (replica: string, files: Readonly<Record<string, string>>): Promise<void> => {
    const encoded = Object.entries(files).map(([name, text]) => [name, Buffer.from(text).toString('base64')])
    const body = JSON.stringify({ hash: 'two', from: '', files: Object.fromEntries(encoded) as object })
    const address = await docker(
      'inspect',
      '--format',
      '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}',
      replica,
    )
    const headers = { 'X-Faasdock-Token': token }
    const answer = await fetch(`http://${address}:8080/_/generation`, { method: 'PUT', headers, body })
    expect(answer.status, await answer.text()).toBe(200)
  }

  test('a breakpoint in Node holds a call for as long as somebody looks', async () => {
    await deploy('held', nodeImage, { FAASDOCK_SWAP_TOKEN: token })
    const port = await debug('held')
    using client = await cdpBreakpoint(port, `${FOLDER}/handler.js`, 4)
    await holdsAndAnswers('held', client, /^1 undefined$/)
  })

  test('the port of a function stays its own when its replica ends, and when it sleeps', async () => {
    await deploy('lasting', nodeImage, { FAASDOCK_SWAP_TOKEN: token })
    const port = await debug('lasting')
    using first = await cdpBreakpoint(port, `${FOLDER}/handler.js`, 4)
    const [replica = ''] = await replicasOf('lasting')
    await docker('kill', replica)
    await first.closed
    using second = await cdpBreakpoint(port, `${FOLDER}/handler.js`, 4)
    await holdsAndAnswers('lasting', second, /^1 undefined$/)
    app.functions.scale(parseRef('lasting'), 0)
    await second.closed
    await until(async () => (await replicasOf('lasting')).length === 0)
    using third = await cdpBreakpoint(port, `${FOLDER}/handler.js`, 4)
    await holdsAndAnswers('lasting', third, /^1 undefined$/)
    expect(await debug('lasting')).toBe(port)
  })

  test('a breakpoint meets the code that is swapped in', async () => {
    await deploy('swapped', nodeImage, { FAASDOCK_SWAP_TOKEN: token })
    using client = await cdpBreakpoint(await debug('swapped'), `${FOLDER}/handler.js`, 4)
    await holdsAndAnswers('swapped', client, /^1 /)
    const [replica = ''] = await replicasOf('swapped')
    await swap(replica, { 'handler.js': nodeHandler(2) })
    await holdsAndAnswers('swapped', client, /^2 /)
  })

  test('all calls go to the replica that is debugged', async () => {
    await deploy('several', nodeImage, { FAASDOCK_SWAP_TOKEN: token })
    app.functions.scale(parseRef('several'), 3)
    await until(async () => (await replicasOf('several')).length === 3)
    using client = await cdpClient(await debug('several'))
    await client.ask('Runtime.evaluate', { expression: 'globalThis.mark = "debugged"' })
    const answers = await Promise.all(Array.from({ length: 12 }, () => call('several')))
    expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual(Array(12).fill('1 debugged'))
  })

  test('limits are back when nobody debugs any more', async () => {
    await deploy('limits', nodeImage, { FAASDOCK_SWAP_TOKEN: token })
    const client = await cdpBreakpoint(await debug('limits'), `${FOLDER}/handler.js`, 4)
    await holdsAndAnswers('limits', client, /^1 /)
    client[Symbol.dispose]()
    await until(async () => (await clients('limits')) === 0)
    const [replica = ''] = await replicasOf('limits')
    await until(async () => !listensOn(await docker('exec', replica, 'cat', '/proc/net/tcp'), 9229))
    const never = await call('limits?never=1')
    expect(never.status).toBe(504)
  })

  test('a function without our route is debugged by Node’s own signal', async () => {
    await deploy('foreign', nodeImage)
    using client = await cdpBreakpoint(await debug('foreign'), `${FOLDER}/handler.js`, 4)
    await holdsAndAnswers('foreign', client, /^1 undefined$/)
  })

  test('a breakpoint in Python holds a call, and debugpy is brought along', async () => {
    await deploy('snake', pythonImage, { FAASDOCK_SWAP_TOKEN: token })
    const port = await debug('snake')
    const roots = { localRoot: '/somewhere/else', remoteRoot: FOLDER }
    for (let round = 0; round < 2; round++) {
      using client = await dapBreakpoint(port, roots, 'handler.py', 3)
      const answered = call('snake')
      const { threadId } = await client.event('stopped')
      const { stackFrames } = (await client.ask('stackTrace', { threadId })) as {
        stackFrames: { source: { path: string }; line: number }[]
      }
      expect(stackFrames[0]).toMatchObject({ source: { path: '/somewhere/else/handler.py' }, line: 3 })
      await held(3 * LIMIT_MS)
      await client.ask('continue', { threadId })
      const got = await answered
      expect(await got.text()).toBe('1')
      expect(got.status).toBe(200)
    }
  })

  test('a breakpoint meets the Python code that is swapped in', async () => {
    await deploy('snake-two', pythonImage, { FAASDOCK_SWAP_TOKEN: token })
    const roots = { localRoot: '/somewhere/else', remoteRoot: FOLDER }
    using client = await dapBreakpoint(await debug('snake-two'), roots, 'handler.py', 3)
    for (const n of [1, 2]) {
      if (n === 2) {
        const [replica = ''] = await replicasOf('snake-two')
        await swap(replica, { 'handler.py': pythonHandler(2) })
      }
      const answered = call('snake-two')
      const { threadId } = await client.event('stopped')
      await client.ask('continue', { threadId })
      expect(await (await answered).text()).toBe(String(n))
    }
  })

  test('ports are open again when the platform is', async () => {
    await deploy('again', nodeImage, { FAASDOCK_SWAP_TOKEN: token })
    const port = await debug('again')
    await app.stop({ removeFunctions: false })
    app = await open()
    using client = await cdpBreakpoint(port, `${FOLDER}/handler.js`, 4)
    await holdsAndAnswers('again', client, /^1 undefined$/)
  })

  test('a breakpoint holds where containers are reached by published ports alone', async () => {
    await using apart = await makeFolder()
    const usual = app
    app = await open({ reach: 'published', data: apart.path })
    try {
      await deploy('published', nodeImage, { FAASDOCK_SWAP_TOKEN: token })
      using client = await cdpBreakpoint(await debug('published'), `${FOLDER}/handler.js`, 4)
      await holdsAndAnswers('published', client, /^1 undefined$/)
    } finally {
      await app.stop({ removeFunctions: true })
      app = usual
    }
  })

  test('what is neither Node nor Python is not debugged, and why is said', async () => {
    const answer = await fetch(`${app.url}/system/debug`, {
      method: 'PUT',
      body: '{"functions":[{"name":"none"}]}',
    })
    expect(answer.status).toBe(404)
  })
})
