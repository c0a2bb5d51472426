// The Node runtime as a plain process: no Docker is needed here. templates.test.ts runs the same table in containers.
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { callAt, until } from './templates/call.ts'
import { expectAnswer } from './templates/expect-answer.ts'
import {
  callOf,
  eraOf,
  expectedOf,
  handlerOf,
  jsonSizeContract,
  nodeContract,
  rawContract,
} from './templates/node-contract.ts'
import type { ContractRow } from './templates/node-contract.ts'
import { startRuntime } from './templates/node-process.ts'
import type { RuntimeProcess } from './templates/node-process.ts'

const era = eraOf(Number(process.versions.node.split('.')[0]))

function contract(title: string, rows: readonly ContractRow[], env: Readonly<Record<string, string>>): void {
  describe(title, () => {
    let runtime: RuntimeProcess
    beforeAll(async () => {
      runtime = await startRuntime({ 'handler.js': handlerOf(rows) }, env)
    })
    afterAll(() => runtime[Symbol.asyncDispose]())
    it.each(rows.map((row, index) => ({ says: row.says, row, index })))('$says', async ({ row, index }) => {
      expectAnswer(await runtime.call(callOf(rows, index)), expectedOf(row, era))
    })
  })
}

contract('handler contract', nodeContract, {})
contract('handler contract with RAW_BODY', rawContract, { RAW_BODY: 'true', MAX_RAW_SIZE: '1kb' })
contract('handler contract with MAX_JSON_SIZE', jsonSizeContract, { MAX_JSON_SIZE: '200kb' })

const hello = { 'handler.js': `module.exports = async () => 'hello'` }
/** Answers when somebody calls /release, so that tests decide how long a call is in flight. */
const gated = {
  'handler.js': `
    let release = []
    module.exports = async (event) => {
      if (event.path === '/release') { release.forEach((go) => go()); release = []; return 'released' }
      await new Promise((go) => release.push(go))
      return 'done'
    }`,
}
const never = { 'handler.js': 'module.exports = () => new Promise(() => {})' }

const seriesOf = async (runtime: RuntimeProcess): Promise<string> =>
  (await callAt('127.0.0.1', runtime.metricsPort, { path: '/metrics' })).body

const inFlight = (runtime: RuntimeProcess, count: number): Promise<string> =>
  until(
    () => seriesOf(runtime),
    (text) => text.includes(`http_requests_in_flight ${String(count)}\n`),
  )

describe('watchdog', () => {
  it('tells its health to GET alone, and never asks the handler', async () => {
    await using runtime = await startRuntime(never)
    expect(await runtime.call({ path: '/_/health' })).toMatchObject({ status: 200, body: 'OK' })
    expect((await runtime.call({ path: '/_/health', method: 'POST' })).status).toBe(405)
    expect(await runtime.call({ path: '/_/ready' })).toMatchObject({ status: 200, body: 'OK' })
  })

  it('says how long a call took, six decimals', async () => {
    await using runtime = await startRuntime(hello)
    expect((await runtime.call()).headers['x-duration-seconds']).toMatch(/^\d+\.\d{6}$/)
  })

  it('answers 429 above max_inflight, and is not ready meanwhile', async () => {
    await using runtime = await startRuntime(gated, { max_inflight: '1' })
    const first = runtime.call()
    await inFlight(runtime, 1)
    const second = await runtime.call()
    expect(second).toMatchObject({
      status: 429,
      body: 'Concurrent request limit exceeded. Max concurrent requests: 1\n',
    })
    expect(second.headers).toMatchObject({
      'content-type': 'text/plain',
      'x-openfaas-internal': 'faas-middleware',
    })
    expect(await runtime.call({ path: '/_/ready' })).toMatchObject({ status: 429, body: '' })
    expect((await runtime.call({ path: '/_/health' })).status).toBe(200)
    runtime.child.kill('SIGKILL')
    await expect(first).rejects.toThrow()
  })

  it.each(['true', '1'])('does not run unprotected where protection is asked for (%s)', async (jwt_auth) => {
    await using runtime = await startRuntime(hello, { jwt_auth })
    expect(await runtime.ended()).toBe(1)
    expect(runtime.output()).toContain('jwt_auth is not supported here')
  })

  it('takes jwt_auth_local alone for nothing', async () => {
    await using runtime = await startRuntime(hello, { jwt_auth: 'false', jwt_auth_local: 'true' })
    expect((await runtime.call()).status).toBe(200)
  })

  it('takes calls again when the one in flight has ended', async () => {
    await using runtime = await startRuntime(hello, { max_inflight: '1' })
    for (let i = 0; i < 5; i += 1) expect((await runtime.call()).status).toBe(200)
  })

  it('asks ready_path of the handler', async () => {
    await using runtime = await startRuntime(
      { 'handler.js': `module.exports = (event, context) => context.status(503).succeed(event.path)` },
      { ready_path: '/warm' },
    )
    expect(await runtime.call({ path: '/_/ready' })).toMatchObject({ status: 503, body: '/warm' })
  })

  it.each([
    ['a Go duration', '150ms', '150ms'],
    ['mixed units', '0m0.15s', '0m0.15s'],
  ])('ends a call at exec_timeout, %s', async (_, value, text) => {
    await using runtime = await startRuntime(never, { exec_timeout: value })
    const answer = await runtime.call()
    expect(answer).toMatchObject({
      status: 504,
      body: `the function gave no answer within its exec_timeout of ${text}`,
    })
    expect(answer.headers['x-openfaas-internal']).toBe('of-watchdog')
  })

  it('reads whole seconds, and falls back on what does not parse', async () => {
    await using runtime = await startRuntime(never, { exec_timeout: '1', write_timeout: 'soon' })
    expect((await runtime.call()).body).toContain('exec_timeout of 1s')
    expect(runtime.output()).toContain('write_timeout=soon is no duration')
  })

  it('takes limits of months and of fractions of a millisecond', async () => {
    const months = { read_timeout: '2000h', write_timeout: '9999999', exec_timeout: '2000h' }
    const body = { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body: 'x' }
    for (const env of [months, { read_timeout: '1234.5ms' }]) {
      await using runtime = await startRuntime(
        { 'handler.js': `module.exports = () => new Promise((done) => setTimeout(done, 50, 'hello'))` },
        env,
      )
      expect(await runtime.call(body)).toMatchObject({ status: 200, body: 'hello' })
    }
  })

  it('lets X-Timeout shorten the limit of one call, not lengthen it', async () => {
    await using runtime = await startRuntime(never, { exec_timeout: '300ms' })
    expect((await runtime.call({ headers: { 'X-Timeout': '50ms' } })).body).toContain('X-Timeout of 50ms')
    expect((await runtime.call({ headers: { 'X-Timeout': '1h' } })).body).toContain('exec_timeout of 300ms')
    expect((await runtime.call({ headers: { 'X-Timeout': '+.05s' } })).body).toContain('X-Timeout of +.05s')
  })

  it('lets an X-Timeout of 0s take the limit away, and leaves write_timeout', async () => {
    await using runtime = await startRuntime(never, { exec_timeout: '100ms', write_timeout: '300ms' })
    expect((await runtime.call({ headers: { 'X-Timeout': '0s' } })).body).toContain('write_timeout of 300ms')
  })

  it('ends a call at write_timeout where exec_timeout is off', async () => {
    await using runtime = await startRuntime(never, { exec_timeout: '0', write_timeout: '100ms' })
    expect(await runtime.call()).toMatchObject({
      status: 504,
      body: expect.stringContaining('write_timeout of 100ms') as string,
    })
  })

  it('ends a call whose body does not arrive within read_timeout', async () => {
    await using runtime = await startRuntime(hello, { read_timeout: '100ms' })
    const socket = connect(runtime.port, '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf')
    let text = ''
    for await (const chunk of socket) text += String(chunk)
    expect(text).toMatch(/^HTTP\/1.1 408 /)
    expect(text).toContain('read_timeout of 100ms')
  })

  it.each([
    ['a length', 'Content-Length: 10\r\n\r\nhalf'],
    ['chunks', 'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
  ])('bounds a body of %s that no parser reads by read_timeout too', async (_, rest) => {
    const head = `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n${rest}`
    const said = async (port: number): Promise<string> => {
      const socket = connect(port, '127.0.0.1')
      socket.write(head)
      let text = ''
      try {
        for await (const chunk of socket) text += String(chunk)
      } catch {
        // Reset, which is an end of the connection too.
      }
      return text
    }
    await using waiting = await startRuntime(never, { read_timeout: '100ms', exec_timeout: '10s' })
    expect(await said(waiting.port)).toMatch(/^HTTP\/1.1 408 [\s\S]*read_timeout of 100ms/)
    // Where the handler has answered, the connection ends.
    await using quick = await startRuntime(hello, { read_timeout: '100ms' })
    expect(await said(quick.port)).toMatch(/^HTTP\/1.1 200 /)
  })

  it('lets a handler take longer than read_timeout once a body that no parser reads has arrived', async () => {
    const late = {
      'handler.js': `module.exports = () => new Promise((done) => setTimeout(done, 300, 'late'))`,
    }
    await using runtime = await startRuntime(late, { read_timeout: '100ms' })
    const answer = await runtime.call({
      method: 'POST',
      headers: { 'Content-Type': 'application/octet-stream' },
      body: Buffer.alloc(1_000_000),
    })
    expect(answer).toMatchObject({ status: 200, body: 'late' })
  })

  it('answers 500 for the calls in flight when the handler ends the process', async () => {
    await using runtime = await startRuntime({ 'handler.js': 'module.exports = () => process.exit(3)' })
    expect(await runtime.call()).toMatchObject({
      status: 500,
      body: "the function's process ended with code 3 during the call",
    })
    expect(await runtime.ended()).toBe(3)
  })

  it('answers 500 for the calls in flight when an error is caught by nobody, and shows where it was', async () => {
    await using runtime = await startRuntime({
      'handler.js': `module.exports = () => new Promise(() => {\n  setTimeout(() => { throw new Error('loose') }, 1)\n})`,
    })
    expect((await runtime.call()).status).toBe(500)
    expect(await runtime.ended()).toBe(1)
    expect(runtime.output()).toMatch(/handler\.js:2[\s\S]*Error: loose/)
  })

  it('survives a synchronous throw and an answer after the time limit', async () => {
    await using runtime = await startRuntime(
      {
        'handler.js': `module.exports = (event, context) => {
          if (event.path === '/throw') throw new Error('sync')
          if (event.path === '/late') return new Promise((done) => setTimeout(done, 120, 'late'))
          return 'fine'
        }`,
      },
      { exec_timeout: '40ms' },
    )
    expect((await runtime.call({ path: '/throw' })).status).toBe(500)
    expect((await runtime.call({ path: '/late' })).status).toBe(504)
    await until(
      () => Promise.resolve(runtime.output()),
      (text) => text.includes('504 Gateway Timeout'),
    )
    expect(await runtime.call()).toMatchObject({ status: 200, body: 'fine' })
  })

  it('logs a line per call, with the call id where that is wanted', async () => {
    await using runtime = await startRuntime(hello, { log_callid: 'true' })
    await runtime.call({ path: '/a?b=1', headers: { 'X-Call-Id': 'id-1' } })
    await until(
      () => Promise.resolve(runtime.output()),
      (text) =>
        /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d GET \/a\?b=1 - 200 OK - ContentLength: 5B \(\d+\.\d{4}s\) \[id-1\]$/m.test(
          text,
        ),
    )
  })

  it('prefixes what the handler prints where prefix_logs is on', async () => {
    await using runtime = await startRuntime(
      {
        'handler.js': `module.exports = async () => { console.log('one\\ntwo'); console.error('three'); return 'x' }`,
      },
      { prefix_logs: 'true' },
    )
    await runtime.call()
    await until(
      () => Promise.resolve(runtime.output()),
      (text) => /\d stdout: one\n.*\d stdout: two\n/.test(text) && /\d stderr: three\n/.test(text),
    )
  })

  it('prefixes characters that come in pieces, and the line that never ended', async () => {
    await using runtime = await startRuntime(
      {
        'handler.js': `module.exports = async () => {
          const text = Buffer.from('caf\u00e9')
          process.stdout.write(text.subarray(0, 4))
          process.stdout.write(text.subarray(4))
          process.stdout.write('\\n6f6b0a', 'utf8')
          process.stdout.write('6f6b0a', 'hex')
          process.stderr.write('last words')
          return 'x'
        }`,
      },
      { prefix_logs: 'true' },
    )
    await runtime.call()
    runtime.child.kill('SIGTERM')
    expect(await runtime.ended()).toBe(0)
    expect(runtime.output()).toMatch(/\d stdout: caf\u00e9\n/)
    expect(runtime.output()).toMatch(/\d stdout: 6f6b0aok\n/)
    expect(runtime.output()).toMatch(/\d stderr: last words\n/)
  })

  it('does not keep a line that never ends', async () => {
    await using runtime = await startRuntime(
      {
        'handler.js': `module.exports = async () => { process.stdout.write('x'.repeat(70000)); return 'x' }`,
      },
      { prefix_logs: 'true' },
    )
    await runtime.call()
    await until(
      () => Promise.resolve(runtime.output()),
      (text) => /\d stdout: x{65536}\n/.test(text),
    )
  })

  it('counts calls for Prometheus', async () => {
    await using runtime = await startRuntime(hello)
    await runtime.call()
    await runtime.call({ method: 'POST' })
    const text = await until(
      () => seriesOf(runtime),
      (seen) => seen.includes('method="post"'),
    )
    expect(text).toContain('http_requests_total{code="200",method="get"} 1')
    expect(text).toContain('http_request_duration_seconds_bucket{code="200",method="get",le="10"} 1')
    expect(text).toContain('http_request_duration_seconds_count{code="200",method="post"} 1')
    expect(text).toContain('http_requests_in_flight 0')
  })
})

describe('SIGTERM', () => {
  it('ends an idle process at once, kept-alive connections or not', async () => {
    await using runtime = await startRuntime(hello)
    const socket = connect(runtime.port, '127.0.0.1')
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await new Promise((resolve) => socket.once('data', resolve))
    const start = performance.now()
    runtime.child.kill('SIGTERM')
    expect(await runtime.ended()).toBe(0)
    // Node keeps an idle connection for five seconds.
    expect(performance.now() - start).toBeLessThan(4500)
    socket.destroy()
  })

  it('finishes what is in flight, then ends', async () => {
    await using runtime = await startRuntime({
      'handler.js': `module.exports = async (event) => new Promise((done) => process.on('SIGTERM', () => setTimeout(done, 100, 'finished')))`,
    })
    const call = runtime.call()
    await inFlight(runtime, 1)
    runtime.child.kill('SIGTERM')
    const answer = await call
    expect(answer).toMatchObject({ status: 200, body: 'finished' })
    expect(answer.headers.connection).toBe('close')
    expect(await runtime.ended()).toBe(0)
  })

  it('does not wait longer than write_timeout', async () => {
    await using runtime = await startRuntime(never, { exec_timeout: '0', write_timeout: '200ms' })
    const call = runtime.call().catch(() => undefined)
    await inFlight(runtime, 1)
    runtime.child.kill('SIGTERM')
    expect(await runtime.ended()).toBe(0)
    await call
  })
})

describe('loading the handler', () => {
  it.each([
    [
      '"type": "module"',
      { 'handler.js': `export default async () => 'esm'`, 'package.json': '{"type":"module"}' },
    ],
    ['handler.mjs', { 'handler.mjs': `export default async () => 'esm'` }],
    [
      'top-level await',
      { 'handler.mjs': `const text = await Promise.resolve('esm')\nexport default () => text` },
    ],
    [
      'compiled TypeScript',
      { 'handler.js': `exports.__esModule = true\nexports.default = async () => 'esm'` },
    ],
    ['a folder', { 'handler/index.js': `module.exports = async () => 'esm'` }],
  ])('takes %s', async (_, files) => {
    await using runtime = await startRuntime(files)
    expect(await runtime.call()).toMatchObject({ status: 200, body: 'esm' })
  })

  it('listens only when the handler is there', async () => {
    await using runtime = await startRuntime({
      'handler.mjs': `import { connect } from 'node:net'
        export const refused = await new Promise((done) => {
          connect(Number(process.env.port), '127.0.0.1').on('error', (error) => done(error.code)).on('connect', () => done('connected'))
        })
        export default () => refused`,
    })
    expect((await runtime.call()).body).toBe('ECONNREFUSED')
  })

  it.each([
    ['throws', { 'handler.js': `\n\nthrow new Error('at load')` }, /Error: at load\n.*handler\.js:3:7/],
    [
      'has a syntax error',
      { 'handler.js': 'module.exports = {\n  a: ;\n}' },
      /handler\.js:2[\s\S]*SyntaxError/,
    ],
    [
      'has a syntax error in an ES module',
      { 'handler.mjs': 'export default () => {\n  let let = 1\n}' },
      /handler\.mjs:2[\s\S]*SyntaxError/,
    ],
    [
      'imports a missing package',
      { 'handler.js': `require('not-there')` },
      /Cannot find module 'not-there'[\s\S]*handler\.js/,
    ],
    ['exports nothing', { 'handler.js': '' }, /handler\.js exports no function: write module\.exports/],
    [
      'awaits for ever',
      { 'handler.mjs': 'await new Promise(() => {})\nexport default 1' },
      /before the handler is loaded: it called process\.exit, or awaits for ever/,
    ],
    [
      'ends the process',
      { 'handler.js': 'process.exit(1)' },
      /ends with code 1 before the handler is loaded/,
    ],
    ['throws no error', { 'handler.js': `throw 'text'` }, /the handler failed to load[\s\S]*text/],
    ['is missing', { 'other.js': '' }, /no handler: one of handler\.js/],
  ])('says what is wrong with one that %s, and exits 1', async (_, files, message) => {
    await using runtime = await startRuntime(files)
    expect(await runtime.ended()).toBe(1)
    expect(runtime.output()).toMatch(message)
    expect(runtime.output()).not.toContain('listening')
  })
})
