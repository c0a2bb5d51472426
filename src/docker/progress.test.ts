import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { followBuild, followPull, Lines } from './progress.ts'

// What Docker 20.10 answers, byte for byte, to a build whose fourth step ends with 3.
const FAILING = [
  { stream: 'Step 3/5 : RUN echo hello && echo oops >&2' },
  { stream: '\n' },
  { stream: ' ---> Running in 95b9a9911c24\n' },
  { stream: '\u001b[91moops\n\u001b[0m' },
  { stream: 'hello\n' },
  { stream: 'Removing intermediate container 95b9a9911c24\n' },
  { stream: ' ---> dd24eed057c4\n' },
  { stream: 'Step 4/5 : RUN echo before; exit 3' },
  { stream: '\n' },
  { stream: ' ---> Running in 2d115a8bca52\n' },
  { stream: 'before\n' },
  { stream: '\u001b[91merr\n\u001b[0m' },
  { stream: 'Removing intermediate container 2d115a8bca52\n' },
  {
    errorDetail: {
      code: 3,
      message: "The command '/bin/sh -c echo before; exit 3' returned a non-zero code: 3",
    },
    error: "The command '/bin/sh -c echo before; exit 3' returned a non-zero code: 3",
  },
]

/** A stream as it comes off a socket: cut anywhere, also inside a character. */
function streamOf(records: readonly object[], cut = 7): Readable {
  const bytes = Buffer.from(records.map((record) => `${JSON.stringify(record)}\r\n`).join(''))
  const chunks: Buffer[] = []
  for (let at = 0; at < bytes.length; at += cut) chunks.push(bytes.subarray(at, at + cut))
  return Readable.from(chunks, { objectMode: false })
}

async function follow(records: readonly object[]) {
  const lines: string[] = []
  const outcome = await followBuild(streamOf(records), {
    name: 'hello',
    onOutput: (line) => lines.push(line),
    place: (line) => line.replace('/home/app/function/', 'hello/'),
  }).catch((error: unknown) => error)
  return { lines, outcome }
}

describe('a classic build', () => {
  test('that works gives the image’s id, and its lines without colours and bookkeeping', async () => {
    const { lines, outcome } = await follow([
      { status: 'Pulling from library/node', id: '20' },
      { status: 'Downloading', progressDetail: { current: 1, total: 9 }, id: 'abc' },
      { stream: 'Step 1/2 : FROM node:20' },
      { stream: '\n' },
      { stream: ' ---> f15617adc86f\n' },
      { stream: 'Step 2/2 : RUN ü' },
      { stream: '\n' },
      { stream: ' ---> Using cache\n' },
      { stream: 'half ' },
      { stream: 'a line\nand a bar: 10%\rand a bar: 100%\n' },
      { aux: { ID: 'sha256:1234' } },
      { stream: 'Successfully built 1234\n' },
      { stream: 'Successfully tagged hello:latest\n' },
    ])
    expect(outcome).toBe('sha256:1234')
    expect(lines).toEqual([
      '20: Pulling from library/node',
      'Step 1/2 : FROM node:20',
      'Step 2/2 : RUN ü',
      ' ---> Using cache',
      'half a line',
      'and a bar: 100%',
    ])
  })

  test('that fails inside the stream names the step, its exit code and its last lines', async () => {
    const { outcome } = await follow(FAILING)
    expect(outcome).toMatchObject({
      code: 'BUILD_FAILED',
      message: 'hello: err\nbefore\nerr\nStep 4/5 : RUN echo before; exit 3 ended with exit code 3',
    })
  })

  test('that fails without a command says what the engine says', async () => {
    const { outcome } = await follow([
      { stream: 'Step 1/2 : FROM nosuch/thing:1\n' },
      {
        error: 'pull access denied for nosuch/thing',
        errorDetail: { message: 'pull access denied for nosuch/thing' },
      },
    ])
    expect(outcome).toMatchObject({
      message: 'hello: pull access denied for nosuch/thing\nStep 1/2 : FROM nosuch/thing:1',
      remedy: expect.stringContaining('docker login') as string,
    })
  })

  test('keeps only the last forty lines of the failing step', async () => {
    const noise = Array.from({ length: 500 }, (_, index) => ({ stream: `line ${index}\n` }))
    const { outcome, lines } = await follow([
      { stream: 'Step 1/1 : RUN x\n' },
      ...noise,
      { error: 'x returned a non-zero code: 7' },
    ])
    const message = (outcome as Error).message.split('\n')
    expect(message[0]).toBe('hello: line 499')
    expect(message.at(-1)).toBe('Step 1/1 : RUN x ended with exit code 7')
    expect(message.slice(1, -1)).toHaveLength(40)
    expect(message.at(-2)).toBe('line 499')
    expect(lines).toHaveLength(501)
  })

  test('is headed by the test that failed, however much those that pass print after it', async () => {
    const passed = Array.from({ length: 500 }, (_, index) => [
      `# Error: expected ${index}`,
      `ok ${index + 2} - x`,
    ])
    const printed = [
      'not ok 1 - says hello',
      '  ---',
      "  error: '1 == 2'",
      "  name: 'AssertionError'",
      '  stack: |-',
      '    TestContext.<anonymous> (/home/app/function/handler.test.js:3:35)',
      '  ...',
      ...passed.flat().slice(0, 900),
    ]
    const { outcome } = await follow([
      { stream: 'Step 1/1 : RUN npm test\n' },
      ...printed.map((line) => ({ stream: `${line}\n` })),
      { error: 'npm test returned a non-zero code: 1' },
    ])
    const message = (outcome as Error).message.split('\n')
    expect(message[0]).toBe('hello: hello/handler.test.js:3:35 says hello: AssertionError: 1 == 2')
    expect(message.slice(1, -1)).toEqual(printed.slice(-40))
  })

  test('shows the line of a syntax error that Node’s test runner wrote a report behind', async () => {
    const stack = Array.from({ length: 10 }, (_, index) => `#     at frame ${index}`)
    const report = Array.from({ length: 20 }, (_, index) => `# report ${index}`)
    const printed = [
      'TAP version 13',
      '# /home/app/function/handler.js:11',
      '# SyntaxError: oops',
      ...stack,
      ...report,
    ]
    const { outcome } = await follow([
      { stream: 'Step 1/1 : RUN npm test\n' },
      ...printed.map((line) => ({ stream: `${line}\n` })),
      { error: 'npm test returned a non-zero code: 1' },
    ])
    expect((outcome as Error).message).toContain('handler.js:11\n# SyntaxError: oops')
    expect((outcome as Error).message).toMatch(/^hello: hello\/handler\.js:11 SyntaxError: oops\n/)
  })

  test('that fails with one line says it once, and names its step on one line of at most eighty characters', async () => {
    const mounts = '--mount=type=cache,target=/root/.cache     --mount=type=secret,id=netrc'
    const { outcome } = await follow([
      { stream: `Step 1/1 : RUN ${mounts}     sh build.sh ${'check '.repeat(50)}\n` },
      { stream: './handler.go:9:1: expected )\n' },
      { error: 'sh build.sh returned a non-zero code: 1' },
    ])
    const [first, step = '', ...more] = (outcome as Error).message.split('\n')
    expect(first).toBe('hello: ./handler.go:9:1: expected )')
    expect(step).toMatch(/^Step 1\/1 : RUN sh build\.sh check [a-z ]*… ended with exit code 1$/)
    expect(step.indexOf('…')).toBeLessThan(80)
    expect(more).toEqual([])
  })

  test('that fails without a word names the step and the exit code', async () => {
    const { outcome } = await follow([
      { stream: 'Step 1/1 : RUN false\n' },
      { error: 'false returned a non-zero code: 1' },
    ])
    expect(outcome).toMatchObject({ message: 'hello: Step 1/1 : RUN false ended with exit code 1' })
  })

  test.each([
    'write /var/lib/docker/tmp/docker-builder1/x: no space left on device',
    'Error processing tar file(exit status 1): write /blob: no space left on device',
    'failed to copy files: copy file range failed: no space left on device',
  ])('that ran out of disk is told apart: %s', async (reason) => {
    const { outcome } = await follow([{ stream: 'Step 2/3 : COPY . .\n' }, { error: reason }])
    expect(outcome).toMatchObject({
      code: 'DISK_FULL',
      message: expect.stringContaining('Step 2/3 : COPY . .') as string,
      remedy: expect.stringContaining('docker system prune') as string,
    })
  })

  test('whose command ran out of disk is told apart by what it printed', async () => {
    const { outcome } = await follow([
      { stream: 'Step 2/3 : RUN npm i\n' },
      { stream: 'npm ERR! nospc ENOSPC: no space left on device, write\n' },
      { error: 'x returned a non-zero code: 228' },
    ])
    expect(outcome).toMatchObject({ code: 'DISK_FULL' })
  })

  test('whose stream ends without an image is no success', async () => {
    const { outcome } = await follow([{ stream: 'Step 1/2 : FROM a\n' }])
    expect(outcome).toMatchObject({ code: 'BUILD_FAILED' })
  })
})

test('a pull that fails inside its stream rejects with what the engine says', async () => {
  const stream = streamOf([
    { status: 'Pulling' },
    { error: 'manifest unknown', errorDetail: { message: 'manifest unknown' } },
  ])
  await expect(followPull(stream, () => undefined)).rejects.toThrow('manifest unknown')
})

test('output that never ends its line does not fill the memory', () => {
  const lines: string[] = []
  const cutter = new Lines((line) => lines.push(line))
  for (let i = 0; i < 300; i++) cutter.write('x'.repeat(1024))
  expect(lines.length).toBeGreaterThan(3)
  cutter.end()
  expect(lines.join('')).toHaveLength(300 * 1024)
})
