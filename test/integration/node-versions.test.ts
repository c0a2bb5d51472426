// What hangs on the Node that runs it: the end of the process, and limits that Node keeps itself, on every version.
import { chmod } from 'node:fs/promises'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeFolder } from '../support/folder.ts'
import { callAt, until } from './templates/call.ts'
import { majors, nodeBinaries } from './templates/node-binaries.ts'
import type { NodeBinaries } from './templates/node-binaries.ts'
import { startRuntime, swapEnv } from './templates/node-process.ts'
import type { RuntimeProcess } from './templates/node-process.ts'

const hello = { 'handler.js': `module.exports = async () => 'hello'` }
/** Takes every file descriptor for a second, and never answers that call. */
const greedy = `const fs = require('fs')
  module.exports = async (event) => {
    if (event.path === '/fine') return 'fine'
    const taken = []
    try { for (;;) taken.push(fs.openSync('/dev/null')) } catch (error) { console.log(error.code) }
    setTimeout(() => taken.forEach((one) => fs.closeSync(one)), 1000)
    return new Promise(() => {})
  }`

let binaries: NodeBinaries
beforeAll(async () => {
  binaries = await nodeBinaries()
})
afterAll(() => binaries[Symbol.asyncDispose]())

const inFlight = (runtime: RuntimeProcess): Promise<string> =>
  until(
    async () => (await callAt('127.0.0.1', runtime.metricsPort, { path: '/metrics' })).body,
    (text) => text.includes('http_requests_in_flight 1\n'),
  )

describe.each(majors)('node%i', (major) => {
  const onThisNode = (title: string, test: (node: string) => Promise<void>): void => {
    it(title, async ({ skip }) => {
      const node = binaries.paths.get(major)
      if (node === undefined) return skip(`no program of Node ${String(major)} that runs here`)
      await test(node)
    })
  }

  onThisNode('answers 504 at the time limit where no file descriptor is left, and goes on', async (node) => {
    await using folder = await makeFolder({ 'few-files': `#!/bin/sh\nulimit -n 64\nexec ${node} "$@"\n` })
    const program = join(folder.path, 'few-files')
    await chmod(program, 0o755)
    await using runtime = await startRuntime(
      { 'handler.js': greedy },
      { exec_timeout: '200ms' },
      { node: program },
    )
    expect(await runtime.call()).toMatchObject({ status: 504 })
    expect(runtime.output()).toContain('EMFILE')
    expect(
      await until(
        () => runtime.call({ path: '/fine' }),
        ({ status }) => status === 200,
      ),
    ).toMatchObject({
      body: 'fine',
    })
  })

  onThisNode('holds exec_timeout while somebody debugs a process that swaps nothing', async (node) => {
    const handler = { 'handler.js': 'module.exports = () => new Promise(() => {})' }
    const env = { exec_timeout: '200ms', NODE_OPTIONS: '--inspect=127.0.0.1:0' }
    await using runtime = await startRuntime(handler, env, { node })
    expect(await runtime.call()).toMatchObject({ status: 504 })
  })

  if (major >= 18) {
    onThisNode('bounds the head of a request by read_timeout, and no idle connection', async (node) => {
      await using runtime = await startRuntime(hello, { read_timeout: '300ms' }, { node })
      const kept = connect(runtime.port, '127.0.0.1')
      const ask = async (socket: Socket, text: string): Promise<string> => {
        const answer = new Promise<string>((resolve, reject) => {
          socket.once('data', (chunk: Buffer) => resolve(chunk.toString()))
          socket.once('close', () => reject(new Error('closed without an answer')))
        })
        socket.write(text)
        return await answer
      }
      const whole = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
      expect(await ask(kept, whole)).toMatch(/^HTTP\/1.1 200/)
      for (let i = 0; i < 2; i += 1) {
        const slow = connect(runtime.port, '127.0.0.1')
        expect(await ask(slow, 'GET / HTTP/1.1\r\nHost:')).toMatch(/^HTTP\/1.1 408/)
        slow.destroy()
      }
      expect(await ask(kept, whole)).toMatch(/^HTTP\/1.1 200/)
      kept.destroy()
    })
  }

  describe.each([
    ['without swapping', {}],
    ['with swapping', swapEnv],
  ] as const)("the handler's own SIGTERM listener, %s", (_, env) => {
    onThisNode('runs when no call is in flight', async (node) => {
      const handler = `process.on('SIGTERM', () => console.log('last words'))\nmodule.exports = async () => 'x'`
      await using runtime = await startRuntime({ 'handler.js': handler }, env, { node })
      expect((await runtime.call()).status).toBe(200)
      runtime.child.kill('SIGTERM')
      expect(await runtime.ended()).toBe(0)
      expect(runtime.output()).toContain('last words')
    })

    onThisNode('may take a moment for what it closes, and says with which code it ends', async (node) => {
      const handler = `process.once('SIGTERM', async () => {
          await new Promise((done) => setTimeout(done, 200))
          console.log('closed')
          process.exit(3)
        })
        module.exports = async () => 'x'`
      await using runtime = await startRuntime({ 'handler.js': handler }, env, { node })
      runtime.child.kill('SIGTERM')
      expect(await runtime.ended()).toBe(3)
      expect(runtime.output()).toContain('closed')
    })

    onThisNode('may call process.exit: calls in flight are answered first', async (node) => {
      const handler = `let done
        const finish = () => setTimeout(done, 300, 'finished')
        process.on('SIGTERM', () => { finish(); console.log('asked'); process.exit(0) })
        module.exports = () => new Promise((resolve) => { done = resolve })`
      await using runtime = await startRuntime({ 'handler.js': handler }, env, { node })
      const call = runtime.call()
      await inFlight(runtime)
      runtime.child.kill('SIGTERM')
      expect(await call).toMatchObject({ status: 200, body: 'finished' })
      expect(await runtime.ended()).toBe(0)
      expect(runtime.output()).toContain('asked')
    })
  })
})

it('keeps the process 5 s at most for what listeners for SIGTERM leave running', async () => {
  const handler = `setInterval(() => {}, 50)\nprocess.on('SIGTERM', () => {})\nmodule.exports = async () => 'x'`
  await using runtime = await startRuntime({ 'handler.js': handler })
  runtime.child.kill('SIGTERM')
  expect(await runtime.ended()).toBe(0)
  expect(runtime.output()).toContain("the handler's own listeners for the end are not done after 5 s")
})
