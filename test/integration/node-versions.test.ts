// What hangs on the Node that runs it: the end of the process, and limits that Node keeps itself, on every version.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { callAt, until } from './templates/call.ts'
import { majors, nodeBinaries } from './templates/node-binaries.ts'
import type { NodeBinaries } from './templates/node-binaries.ts'
import { startRuntime, swapEnv } from './templates/node-process.ts'
import type { RuntimeProcess } from './templates/node-process.ts'

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
