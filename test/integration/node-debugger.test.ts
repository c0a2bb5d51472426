// The runtime's own route /_/debugger (docs/runtime.md), on the real program of every Node that the template offers.
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cdpBreakpoint } from '../support/debug-clients.ts'
import { callAt, until } from './templates/call.ts'
import { majors, nodeBinaries } from './templates/node-binaries.ts'
import type { NodeBinaries } from './templates/node-binaries.ts'
import { startRuntime, swapEnv, swapping } from './templates/node-process.ts'
import type { RuntimeProcess } from './templates/node-process.ts'

const token = { 'X-Faasdock-Token': swapEnv['FAASDOCK_SWAP_TOKEN'] ?? '' }
/** Answers after as many milliseconds as it is asked to. */
const handler = [
  'module.exports = async (event, context) => {',
  '  const word = "one"',
  '  await new Promise((resolve) => setTimeout(resolve, Number(event.query.ms || 0)))',
  '  return context.succeed(word + " " + event.method + " " + event.path)',
  '}\n',
].join('\n')

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

let binaries: NodeBinaries
beforeAll(async () => {
  binaries = await nodeBinaries()
})
afterAll(() => binaries[Symbol.asyncDispose]())

describe.each(majors)('the debugger of node%i', (major) => {
  const onThisNode = (
    title: string,
    env: Readonly<Record<string, string>>,
    test: (runtime: RuntimeProcess) => Promise<void>,
  ): void => {
    it(title, async ({ skip }) => {
      const node = binaries.paths.get(major)
      if (node === undefined) return skip(`no program of Node ${String(major)} that runs here`)
      await using runtime = await startRuntime({ 'handler.js': handler }, { ...swapEnv, ...env }, { node })
      await test(runtime)
    })
  }
  const ask = async (runtime: RuntimeProcess, method: string, body?: string): Promise<unknown> => {
    const answer = await runtime.call({
      method,
      path: '/_/debugger',
      headers: token,
      ...(body !== undefined && { body }),
    })
    return { status: answer.status, ...(JSON.parse(answer.body) as object) }
  }
  const listens = (port: number): Promise<boolean> =>
    callAt('127.0.0.1', port, { path: '/json/version' }).then(
      ({ status }) => status === 200,
      () => false,
    )

  onThisNode('is opened and closed while it runs, and says where it is', {}, async (runtime) => {
    const port = await freePort()
    expect(await ask(runtime, 'GET')).toEqual({ status: 200, language: 'node' })
    expect(await ask(runtime, 'PUT', JSON.stringify({ port }))).toEqual({
      status: 200,
      language: 'node',
      port,
    })
    expect(await listens(port)).toBe(true)
    // The one that is open stays.
    expect(await ask(runtime, 'PUT')).toEqual({ status: 200, language: 'node', port })
    expect(await ask(runtime, 'GET')).toEqual({ status: 200, language: 'node', port })
    expect(await ask(runtime, 'DELETE')).toEqual({ status: 200, language: 'node' })
    await until(
      () => listens(port),
      (open) => !open,
    )
    expect(await ask(runtime, 'GET')).toEqual({ status: 200, language: 'node' })
  })

  onThisNode('is nothing to those who have no token', {}, async (runtime) => {
    for (const headers of [{}, { 'X-Faasdock-Token': 'a guess' }]) {
      const answer = await runtime.call({ method: 'PUT', path: '/_/debugger', headers })
      expect(answer.body).toBe('one PUT /_/debugger')
    }
    expect(await ask(runtime, 'GET')).toEqual({ status: 200, language: 'node' })
  })

  onThisNode('says what it does not take', {}, async (runtime) => {
    expect(await ask(runtime, 'PUT', '{')).toMatchObject({ status: 400 })
    expect(await ask(runtime, 'PUT', '{"port":"x"}')).toMatchObject({ status: 400 })
    expect(await ask(runtime, 'PUT', '{"port":70000}')).toMatchObject({ status: 400 })
    expect(await ask(runtime, 'POST')).toMatchObject({ status: 405 })
  })

  onThisNode(
    'keeps limits from ending calls, until it is closed',
    { exec_timeout: '200ms' },
    async (runtime) => {
      const port = await freePort()
      expect((await runtime.call({ path: '/?ms=60000' })).status).toBe(504)
      await ask(runtime, 'PUT', JSON.stringify({ port }))
      expect((await runtime.call({ path: '/?ms=1000' })).body).toBe('one GET /')
      await ask(runtime, 'DELETE')
      expect((await runtime.call({ path: '/?ms=60000' })).status).toBe(504)
    },
  )

  onThisNode('keeps its breakpoints through swaps', {}, async (runtime) => {
    const port = await freePort()
    await ask(runtime, 'PUT', JSON.stringify({ port }))
    using client = await cdpBreakpoint(port, `${runtime.folder}/function/handler.js`, 4)
    for (const word of ['one', 'two', 'three']) {
      if (word !== 'one') {
        const swapped = await swapping(runtime.call).put({ 'handler.js': handler.replace('one', word) })
        expect(swapped.status).toBe(200)
      }
      const called = runtime.call()
      await client.event('Debugger.paused')
      await client.ask('Debugger.resume')
      expect((await called).body).toBe(`${word} GET /`)
    }
  })
})
