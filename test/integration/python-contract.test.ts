// The Python contracts of the official templates, and the watchdog around them, in real containers.
import { request } from 'node:http'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describeDocker, dockerAvailable } from '../support/docker.ts'
import { makeFolder } from '../support/folder.ts'
import type { TestFolder } from '../support/folder.ts'
import { callAt, until } from './templates/call.ts'
import { expectAnswer } from './templates/expect-answer.ts'
import { build, docker, exitCode, removeAll, start, tag } from './templates/images.ts'
import type { Container } from './templates/images.ts'
import { swapEnv } from './templates/node-process.ts'
import {
  pythonCallOf,
  pythonContract,
  pythonHandlerOf,
  rawFlaskContract,
} from './templates/python-contract.ts'
import type { PythonContract, PythonRow } from './templates/python-contract.ts'

afterAll(async () => {
  if (dockerAvailable) await removeAll()
})

interface Table {
  readonly title: string
  readonly contract: PythonContract
  readonly rows: readonly PythonRow[]
  readonly env: Readonly<Record<string, string>>
  /** The environment variable that names an image of the official template. */
  readonly official?: string
}

const tables: readonly Table[] = [
  { title: 'python3', contract: 'classic', rows: pythonContract.classic, env: {} },
  {
    title: 'python3-http',
    contract: 'http',
    rows: pythonContract.http,
    env: {},
    official: 'OFFICIAL_PYTHON3_HTTP_IMAGE',
  },
  {
    title: 'python3-http-debian',
    contract: 'http-debian',
    rows: pythonContract['http-debian'],
    env: {},
    official: 'OFFICIAL_PYTHON3_HTTP_DEBIAN_IMAGE',
  },
  {
    title: 'python3-flask',
    contract: 'flask',
    rows: pythonContract.flask,
    env: {},
    official: 'OFFICIAL_PYTHON3_FLASK_IMAGE',
  },
  {
    title: 'python3-flask with RAW_BODY',
    contract: 'flask',
    rows: rawFlaskContract,
    env: { RAW_BODY: 'true' },
    official: 'OFFICIAL_PYTHON3_FLASK_IMAGE',
  },
]

describeDocker('contract of the Python handlers', () => {
  describe.each(tables)('$title', ({ title, contract, rows, env }) => {
    const image = tag(title.replaceAll(' ', '-').toLowerCase())
    let container: Container
    beforeAll(async () => {
      const handler = { 'handler.py': pythonHandlerOf(contract, rows) }
      await build({ template: 'python3', handler }, image, { CONTRACT: contract })
      container = await start(image, { env })
    })
    afterAll(() => container[Symbol.asyncDispose]())
    it.each(rows.map((row, index) => ({ says: row.says, row, index })))('$says', async ({ row, index }) => {
      const answer = await container.call(pythonCallOf(row, index))
      expectAnswer(answer, row.answers)
      if (answer.status !== 405) expect(answer.headers['x-duration-seconds']).toMatch(/^\d+\.\d{6}$/)
    })
  })
})

// The same tables against images built from the official templates: OFFICIAL_PYTHON3_HTTP_IMAGE=… and so on.
for (const { title, contract, rows, env, official = '' } of tables.filter(
  (table) => table.official !== undefined,
)) {
  const image = process.env[official] ?? ''
  const same = rows
    .map((row, index) => ({ says: row.says, row, index }))
    .filter(({ row }) => row.differs === undefined)
  if (image === '') {
    it.skip(`the official ${title}: name an image in ${official}`)
    continue
  }
  describe.skipIf(!dockerAvailable)(`the official ${title}, named by ${official} [docker]`, () => {
    let container: Container
    let folder: TestFolder
    beforeAll(async () => {
      folder = await makeFolder({ '__init__.py': '', 'handler.py': pythonHandlerOf(contract, rows) })
      const flags = ['--read-only=false', '--volume', `${folder.path}:/home/app/function:ro`]
      await docker(
        'run',
        '--rm',
        '--volume',
        `${folder.path}:/it`,
        '--entrypoint',
        'chmod',
        '--user',
        '0',
        image,
        '755',
        '/it',
      )
      container = await start(image, { env, flags })
      // It says that it is well before its Flask listens.
      await until(
        () => container.call({ path: '/none' }),
        ({ headers }) => headers['x-openfaas-internal'] === undefined,
      )
    })
    afterAll(async () => {
      await container[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    })
    it.each(same)('$says', async ({ row, index }) => {
      expectAnswer(await container.call(pythonCallOf(row, index)), row.answers)
    })
  })
}

describeDocker('watchdog of the Python runtime', () => {
  const handler = `import os, time, threading
def handle(req):
    path = os.environ["Http_Path"]
    if path == "/wait":
        threading.Event().wait(30)
    if path == "/pause":
        time.sleep(2)
    return path
`
  const image = tag('python-watchdog')
  beforeAll(() => build({ template: 'python3', handler: { 'handler.py': handler } }, image))

  it('answers health and 429 while every call it may take is waiting, then goes on', async () => {
    await using container = await start(image, { env: { max_inflight: '12' } })
    const waiting = Array.from({ length: 12 }, () => container.call({ path: '/wait' }).catch(() => undefined))
    await until(
      () => metricsOf(container),
      (text) => text.includes('http_requests_in_flight 12'),
    )
    const refused = await container.call({ path: '/next' })
    expect(refused.status).toBe(429)
    expect(refused.body).toBe('Concurrent request limit exceeded. Max concurrent requests: 12\n')
    expect(refused.headers).toMatchObject({
      'content-type': 'text/plain',
      'x-openfaas-internal': 'faas-middleware',
    })
    expect(await container.call({ path: '/_/health' })).toMatchObject({ status: 200, body: 'OK' })
    expect((await container.call({ path: '/_/ready' })).status).toBe(429)
    await docker('kill', '--signal', 'KILL', container.id)
    await Promise.all(waiting)
  })

  it('kills at exec_timeout as the classic watchdog does, and at X-Timeout', async () => {
    await using container = await start(image, { env: { exec_timeout: '300ms' } })
    expect(await container.call({ path: '/wait' })).toMatchObject({ status: 408, body: 'Killed process.' })
    const short = await container.call({ path: '/wait', headers: { 'X-Timeout': '50ms' } })
    expect(short.body).toContain('X-Timeout of 50ms')
    const fine = await container.call({ path: '/fine' })
    expect(fine).toMatchObject({ status: 200, body: '/fine\n' })
    expect(fine.headers['x-duration-seconds']).toMatch(/^\d+\.\d{6}$/)
  })

  it('has a lock file, and ends at once when it is idle', async () => {
    await using container = await start(image)
    expect(await container.exec('ls', '-l', '/tmp/.lock')).toMatch(/^-rw-r-----/)
    await container.exec('rm', '/tmp/.lock')
    expect((await container.call({ path: '/_/health' })).status).toBe(503)
    const started = performance.now()
    await docker('stop', '--time', '10', container.id)
    expect(performance.now() - started).toBeLessThan(5000)
    expect(await container.state('{{.State.ExitCode}}')).toBe('0')
  })

  it('finishes what is in flight before it ends, and takes no new connection', async () => {
    await using container = await start(image, { env: { write_timeout: '60s' } })
    const call = container.call({ path: '/pause' })
    await until(
      () => metricsOf(container),
      (text) => text.includes('http_requests_in_flight 1'),
    )
    await docker('kill', '--signal', 'TERM', container.id)
    await until(
      () => container.logs(),
      (text) => text.includes('SIGTERM: 1 calls in flight'),
    )
    await expect(container.call({ path: '/fine' })).rejects.toThrow()
    expect(await call).toMatchObject({ status: 200, body: '/pause\n' })
    expect(await exitCode(container)).toBe(0)
  })

  const metricsOf = (container: Container): Promise<string> =>
    container.exec(
      'python3',
      '-c',
      'import urllib.request; print(urllib.request.urlopen("http://127.0.0.1:8081/metrics").read().decode())',
    )

  it('counts calls for Prometheus', async () => {
    await using container = await start(image)
    await container.call({ path: '/x' })
    expect(await metricsOf(container)).toContain('http_requests_total{code="200",method="get"} 1')
  })

  it.each([
    ['a shorter X-Timeout counts', '50ms', /X-Timeout of 50ms/],
    ['a longer one does not', '1h', /exec_timeout of 300ms/],
    ['0s takes the limit away, and leaves write_timeout', '0s', /write_timeout of 600ms/],
    ['what is no duration is ignored', 'soon', /exec_timeout of 300ms/],
  ])('answers 504 in time: %s', async (_, wanted, text) => {
    const handler = 'import time\ndef handle(event, context):\n    time.sleep(2)\n'
    await build({ template: 'python3', handler: { 'handler.py': handler } }, tag('python-slow'), {
      CONTRACT: 'http',
    })
    await using container = await start(tag('python-slow'), {
      env: { exec_timeout: '300ms', write_timeout: '600ms' },
    })
    const answer = await container.call({ headers: { 'X-Timeout': wanted } })
    expect(answer).toMatchObject({ status: 504, headers: { 'x-openfaas-internal': 'of-watchdog' } })
    expect(answer.body).toMatch(text)
  })

  it('sends a generator as it is made, and cuts it at the limit', async () => {
    const handler = `import time
def handle(event, context):
    def parts():
        yield "data: 1\\n\\n"
        time.sleep(0.4)
        yield "data: 2\\n\\n"
        time.sleep(60 if event.path == "/endless" else 0)
    return parts(), 200, {"Content-Type": "text/event-stream"}
`
    await build({ template: 'python3', handler: { 'handler.py': handler } }, tag('python-stream'), {
      CONTRACT: 'http',
    })
    await using container = await start(tag('python-stream'), { env: { exec_timeout: '1s' } })
    expect((await container.call()).body).toBe('data: 1\n\ndata: 2\n\n')
    const port = Number((await docker('port', container.id, '8080/tcp')).split('\n')[0]?.split(':').at(-1))
    const times = await new Promise<number[]>((resolve, reject) => {
      const seen: number[] = []
      const asked = request({ host: '127.0.0.1', port, agent: false }, (res) => {
        res.on('data', () => seen.push(performance.now()))
        res.on('end', () => {
          resolve(seen)
        })
      })
      asked.on('error', reject)
      asked.end()
    })
    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(200)
    await expect(callAt('127.0.0.1', port, { path: '/endless' })).rejects.toThrow()
    expect(await container.logs()).toContain('the answer was not complete within exec_timeout of 1s')
    expect((await container.call()).status).toBe(200)
  })

  it('answers health while more calls wait than it has threads, and loses none of them', async () => {
    await using container = await start(image, { flags: ['--pids-limit', '64'] })
    const calls = Array.from({ length: 120 }, () => container.call({ path: '/pause' }))
    await until(
      () => metricsOf(container),
      (text) => /http_requests_in_flight [1-9]/.test(text),
    )
    expect(await container.call({ path: '/_/health' })).toMatchObject({ status: 200 })
    const statuses = (await Promise.all(calls)).map(({ status }) => status)
    expect(statuses.filter((status) => status !== 200 && status !== 429)).toEqual([])
    expect(statuses).toContain(200)
    expect(await container.call({ path: '/fine' })).toMatchObject({ status: 200 })
  })

  it('answers health while calls of paths like its own wait for the handler', async () => {
    const waits = 'import threading\ndef handle(req):\n    threading.Event().wait(60)\n'
    await build({ template: 'python3', handler: { 'handler.py': waits } }, tag('python-waits'))
    const paths = ['/_/generation', '/_/debugger', '/_/ready']
    const headers = [{}, { 'X-Faasdock-Token': 'wrong' }]
    for (const env of [{ ready_path: '/wait' }, { ready_path: '/wait', ...swapEnv }]) {
      await using container = await start(tag('python-waits'), { env: { write_timeout: '60s', ...env } })
      const calls = paths.flatMap((path) =>
        Array.from({ length: 20 }, (_, i) =>
          container.call({ path, headers: headers[i % 2] ?? {} }).catch(() => undefined),
        ),
      )
      await until(
        () => metricsOf(container),
        (text) => text.includes('http_requests_in_flight 60'),
      )
      expect(await container.call({ path: '/_/health' })).toMatchObject({ status: 200, body: 'OK' })
      await docker('kill', '--signal', 'KILL', container.id)
      await Promise.all(calls)
    }
  })

  it('does not run unprotected where protection is asked for', async () => {
    await using container = await start(image, { env: { jwt_auth: 'true' }, waitFor: 'none' })
    expect(await exitCode(container)).toBe(1)
    expect(await container.logs()).toContain('jwt_auth is not supported here')
    await using harmless = await start(image, { env: { jwt_auth_local: 'true' } })
    expect((await harmless.call({ path: '/fine' })).status).toBe(200)
  })

  it('answers 408 or closes where a request does not arrive within read_timeout', async () => {
    await using container = await start(image, { env: { read_timeout: '300ms' } })
    const port = Number((await docker('port', container.id, '8080/tcp')).split('\n')[0]?.split(':').at(-1))
    const socket = connect(port, '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf')
    for await (const _ of socket) expect(String(_)).toMatch(/^HTTP/)
    expect(await container.logs()).toContain('read_timeout of 300ms')
  })

  it('prefixes lines where that is asked for, and logs each call with its id', async () => {
    const talks =
      'import sys\ndef handle(req):\n    print("out")\n    print("err", file=sys.stderr)\n    print("last words", end="")\n'
    await build({ template: 'python3', handler: { 'handler.py': talks } }, tag('python-talks'))
    await using container = await start(tag('python-talks'), {
      env: { prefix_logs: 'true', log_callid: 'true' },
    })
    await container.call({ path: '/a?b=1', headers: { 'X-Call-Id': 'id-1' } })
    const line = String.raw`\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d `
    await until(
      () => container.logs(),
      (text) =>
        new RegExp(`^${line}stdout: out$`, 'm').test(text) &&
        new RegExp(`^${line}stderr: err$`, 'm').test(text) &&
        new RegExp(
          `^${line}GET /a\\?b=1 - 200 OK - ContentLength: 0B \\(\\d+\\.\\d{4}s\\) \\[id-1\\]$`,
          'm',
        ).test(text),
    )
    await docker('stop', '-t', '5', container.id)
    expect(await container.logs()).toMatch(new RegExp(`^${line}stdout: last words$`, 'm'))
  })
})
