import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bundleProgram } from '../support/bundled-program.ts'
import { eventually } from '../support/cli.ts'
import { startFakeGateway } from '../support/fake-gateway.ts'

// The program as users have it: compiled, started by its bin, in a process of its own.

let program: Awaited<ReturnType<typeof bundleProgram>>
let folder = ''
let bin = ''

beforeAll(async () => {
  program = await bundleProgram()
  ;({ folder, bin } = program)
})

afterAll(() => program[Symbol.asyncDispose]())

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function start(
  args: readonly string[],
  env: Record<string, string> = {},
  nodeFlags: readonly string[] = [],
): ChildProcess {
  return spawn(process.execPath, [...nodeFlags, bin, ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: folder, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function end(child: ChildProcess): Promise<Ended> {
  let out = ''
  let err = ''
  child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (err += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, out, err }
}

describe('--help', () => {
  test('loads no room, no schema and no server', async () => {
    const hook = `import { writeSync } from 'node:fs'
export async function load(url, context, next) { writeSync(2, url + '\\n'); return next(url, context) }`
    const register = `import { register } from 'node:module'
register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hook)}))`
    const { code, err } = await end(
      start(['--help'], {}, ['--import', `data:text/javascript,${encodeURIComponent(register)}`]),
    )
    expect(code).toBe(0)
    const files = [...err.matchAll(/file:\/\/(\S+\/dist\/\S+\.js)$/gm)].map(([, file]) => file ?? '')
    expect(files.length).toBeGreaterThan(0)
    const maps = await Promise.all(files.map((file) => readFile(`${file}.map`, 'utf8')))
    const sources = maps.flatMap((map) => (JSON.parse(map) as { sources: string[] }).sources)
    const packages = sources.flatMap((source) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(source)?.[1] ?? [])
    expect([...new Set(packages)].sort()).toEqual(['commander', 'picocolors'])
    const own = sources.flatMap((source) => /\/src\/([a-z]+)\//.exec(source)?.[1] ?? [])
    expect([...new Set(own)].sort()).toEqual(['cli', 'core'])
  })
})

test('a wrong flag ends with 2 and the nearest name', async () => {
  const { code, out, err } = await end(start(['up', '--filtr', 'x']))
  expect([code, out]).toEqual([2, ''])
  expect(err).toBe("error BAD_USAGE: unknown option '--filtr'\n→ Did you mean --filter?\n")
})

test('no gateway ends with 4, and quickly', async () => {
  const began = performance.now()
  const { code, err } = await end(start(['list'], { OPENFAAS_URL: 'http://127.0.0.1:9' }))
  expect(code).toBe(4)
  expect(err).toContain('GATEWAY_UNREACHABLE')
  expect(performance.now() - began).toBeLessThan(10_000)
})

test('with --json standard output parses whatever is chattered', async () => {
  await using gateway = await startFakeGateway()
  gateway.functions.set('a', { name: 'a', image: 'x', replicas: 1, availableReplicas: 1 })
  for (const words of [['list'], ['describe', 'a'], ['secret', 'list'], ['version']]) {
    const { code, out } = await end(start([...words, '--json', '-v', '-g', gateway.url]))
    expect(code, words.join(' ')).toBe(0)
    expect(() => JSON.parse(out) as unknown, words.join(' ')).not.toThrow()
  }
  const { code, out, err } = await end(start(['describe', 'none', '--json', '-g', gateway.url]))
  expect([code, out]).toEqual([1, ''])
  expect(JSON.parse(err)).toMatchObject({ error: { code: 'FUNCTION_NOT_FOUND' } })
})

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s ends a command that follows with %d', async (signal, expected) => {
  await using gateway = await startFakeGateway()
  gateway.logs.set('a', [{ name: 'a', timestamp: '2026-01-31T09:30:00Z', text: 'hello' }])
  const child = start(['logs', 'a', '-g', gateway.url])
  let seen = ''
  child.stdout?.on('data', (chunk: Buffer) => (seen += chunk.toString()))
  const ended = end(child)
  await eventually(() => seen.includes('hello'))
  child.kill(signal)
  expect((await ended).code).toBe(expected)
})

test('a reader that has enough is no failure', async () => {
  await using gateway = await startFakeGateway()
  gateway.logs.set(
    'a',
    Array.from({ length: 20_000 }, (_, index) => ({ name: 'a', timestamp: '', text: `line ${index}` })),
  )
  const child = start(['logs', 'a', '--tail=false', '-g', gateway.url])
  child.stdout?.once('data', () => child.stdout?.destroy())
  let err = ''
  child.stderr?.on('data', (chunk: Buffer) => (err += chunk.toString()))
  const [code] = (await once(child, 'exit')) as [number]
  expect([code, err]).toEqual([0, ''])
})

test('standard input that nobody closes does not keep a finished command alive', async () => {
  const child = spawn(process.execPath, [bin, '--version'], { stdio: ['pipe', 'pipe', 'pipe'] })
  expect((await end(child)).code).toBe(0)
})
