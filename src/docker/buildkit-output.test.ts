import { describe, expect, test } from 'vitest'
import { BuildkitOutput } from './buildkit-output.ts'

// As the client of Docker 20.10 prints it.
const FAILING_20 = `#1 [internal] load remote build context
#1 sha256:efe49b91979626a15235ec5858b86e61cc364133588cdcb2610d8a5617fa25a8
#1 DONE 0.0s

#3 [internal] load metadata for node:20-alpine
#3 DONE 0.0s

#4 [1/3] FROM node:20-alpine
#4 CACHED

#5 [2/3] RUN echo hello && echo oops >&2
#5 sha256:6b735e2265e20cf361f634fc138fed7e8808a5cb39d47bf1d71f3402e059c5c5
#5 0.197 hello
#5 0.198 oops
#5 DONE 0.2s

#6 [3/3] RUN echo before; exit 3
#6 0.195 \u001b[91merr\u001b[0m
#6 0.196 before
#6 ERROR: executor failed running [/bin/sh -c echo before; exit 3]: exit code: 3
------
 > [3/3] RUN echo before; exit 3:
------
executor failed running [/bin/sh -c echo before; exit 3]: exit code: 3`

// As buildx prints it, with two stages that run at once.
const FAILING_BUILDX = `#0 building with "default" instance using docker driver

#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 166B done
#1 DONE 0.0s

#5 [build 2/3] RUN sleep 9
#5 0.051 waiting
#5 ...

#6 [ship 2/4] RUN false
#6 ERROR: process "/bin/sh -c false" did not complete successfully: exit code: 1

#5 [build 2/3] RUN sleep 9
#5 CANCELED
------
 > [ship 2/4] RUN false:
------
Dockerfile:4
--------------------
   4 | >>> RUN false
--------------------
ERROR: failed to solve: process "/bin/sh -c false" did not complete successfully: exit code: 1`

function read(text: string) {
  const lines: string[] = []
  const output = new BuildkitOutput((line) => lines.push(line))
  for (const line of text.split('\n')) output.readLine(line)
  return { lines, output }
}

describe('what a BuildKit client prints', () => {
  test('becomes steps and their output, without the bookkeeping', () => {
    expect(read(FAILING_20).lines).toEqual([
      'Step 1/3 : FROM node:20-alpine',
      ' ---> Using cache',
      'Step 2/3 : RUN echo hello && echo oops >&2',
      'hello',
      'oops',
      'Step 3/3 : RUN echo before; exit 3',
      'err',
      'before',
    ])
  })

  test('names the failing step, its lines and exit code', () => {
    const { output } = read(FAILING_20)
    expect(output.failedStep?.title).toBe('Step 3/3 : RUN echo before; exit 3')
    expect(output.failedStep?.lines).toEqual(['err', 'before'])
    expect(output.exitCode).toBe(3)
  })

  test('of parallel stages names the one that failed, not the one cancelled with it', () => {
    const { output, lines } = read(FAILING_BUILDX)
    expect(output.failedStep?.title).toBe('Step ship 2/4 : RUN false')
    expect(output.exitCode).toBe(1)
    expect(lines).toEqual(['Step build 2/3 : RUN sleep 9', 'waiting', 'Step ship 2/4 : RUN false'])
  })

  test.each([
    [
      'failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error line 1: unknown instruction: FROMM',
      'dockerfile parse error line 1: unknown instruction: FROMM',
    ],
    ['ERROR: failed to solve: node:nope: not found', 'node:nope: not found'],
    [
      'ERROR: Cannot connect to the Docker daemon at unix:///nope. Is the docker daemon running?',
      'Cannot connect to the Docker daemon at unix:///nope. Is the docker daemon running?',
    ],
  ])('without a failing step gives its last words: %s', (line, reason) => {
    const { output } = read(line)
    expect(output.failedStep).toBeUndefined()
    expect(output.reason).toBe(reason)
    expect(output.exitCode).toBeUndefined()
  })

  test('a failing internal step is named in words', () => {
    const { output } = read('#3 [internal] load metadata for nosuch:1\n#3 ERROR: no such host')
    expect(output.failedStep?.title).toBe('load metadata for nosuch:1')
    expect(output.reason).toBe('no such host')
  })
})
