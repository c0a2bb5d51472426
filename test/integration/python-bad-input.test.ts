// Handlers that do what they should not, in real containers: a clear answer, a clear line in the log, and life goes on.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describeDocker, dockerAvailable } from '../support/docker.ts'
import { makeFolder } from '../support/folder.ts'
import { until } from './templates/call.ts'
import { build, docker, exitCode, removeAll, start, tag } from './templates/images.ts'
import type { Container } from './templates/images.ts'
import { residentKib } from './templates/python-container.ts'

afterAll(async () => {
  if (dockerAvailable) await removeAll()
})

describeDocker('a Python handler that does not load', () => {
  // As in dev, where what is saved gets into a container that was built before: a build of it would fail.
  const image = tag('python-load')
  beforeAll(() =>
    build({ template: 'python3', handler: { 'handler.py': 'def handle(req):\n    return req\n' } }, image),
  )

  it.each([
    ['has a syntax error', 'def handle(req):\n    return (\n', 1, /handler\.py", line 2[\s\S]*SyntaxError/],
    ['throws', '\nraise RuntimeError("at load")\n', 1, /handler\.py", line 2[\s\S]*RuntimeError: at load/],
    [
      'imports a missing package',
      'import not_there\n',
      1,
      /No module named 'not_there': put its package into requirements\.txt[\s\S]*handler\.py", line 1/,
    ],
    ['has no handle', 'x = 1\n', 1, /handler\.py has no function handle: write def handle\(req\):/],
    ['has a handle that is no function', 'handle = 5\n', 1, /has no function handle/],
    ['calls sys.exit', 'import sys\nsys.exit(4)\n', 1, /ended the process with code 4 while it was loaded/],
    ['calls os._exit', 'import os\nos._exit(5)\n', 5, /the handler called os\._exit\(5\)/],
    ['is not UTF-8', Buffer.from('x = "\xe9"\n', 'latin1'), 1, /can't decode byte 0xe9[\s\S]*handler\.py/],
    ['has a NUL byte', 'x = 1\0\n', 1, /null bytes/],
  ])('that %s says so and ends', async (_, source, code, message) => {
    await using folder = await makeFolder()
    const file = join(folder.path, 'handler.py')
    await writeFile(file, source)
    const flags = ['--volume', `${file}:/home/app/function/handler.py:ro`]
    await using container = await start(image, { flags, waitFor: 'none' })
    expect(await exitCode(container)).toBe(code)
    expect(await container.logs()).toMatch(message)
  })
})

describeDocker('a Python handler that misbehaves in a call', () => {
  const image = tag('python-bad')
  const handler = `import asyncio, os, sys, threading, time
def handle(event, context):
    return globals()[event.path.strip("/") or "fine"]()
def fine(): return "fine"
def never():
    while True: time.sleep(1)
def lines():
    for i in range(100): print("x" * 1023 + "\\n" + ("y" * 1023 + "\\n") * 1023, end="")
    return "written"
def line():
    for i in range(1600): print("x" * 65536, end="")
    return "written"
def leak():
    def again():
        timer = threading.Timer(0.01, again)
        timer.daemon = True
        timer.start()
    again()
    threading.Thread(target=never).start()
    return "leaked"
def stop(): os._exit(3)
def leave(): sys.exit(3)
def interrupt(): raise KeyboardInterrupt()
def deaf():
    sys.stdout.close()
    sys.stderr.close()
    return "closed"
def two_lines(): return {"body": "x", "headers": {"X-A": "a\\nX-B: b"}}
def no_name(): return {"body": "x", "headers": {"X A": "a"}}
def no_latin(): return {"body": "x", "headers": {"X-A": "中"}}
def no_headers(): return {"body": "x", "headers": 5}
def zero(): return {"body": "x", "statusCode": 0}
def early(): return {"body": "x", "statusCode": 100}
def words(): return {"body": "x", "statusCode": "teapot"}
def surrogate(): return {"body": "\\ud800"}
def unprintable(): raise Exception(type("T", (), {"__str__": lambda self: 1 / 0})())
def large(): return {"body": "z" * 100_000_000}
def fork():
    pid = os.fork()
    if pid == 0: os._exit(9)
    return str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
def wait():
    print("waiting")
    never()
`
  beforeAll(() =>
    build({ template: 'python3', handler: { 'handler.py': handler } }, image, { CONTRACT: 'http' }),
  )
  const logged = (container: Container, line: RegExp): Promise<string> =>
    until(
      () => container.logs(),
      (text) => line.test(text),
    )
  const bounded = ['--log-opt', 'max-size=10m']

  describe('and is still well', () => {
    let container: Container
    beforeAll(async () => {
      container = await start(image, { env: { exec_timeout: '15s' }, flags: bounded })
    })
    afterAll(() => container[Symbol.asyncDispose]())
    it.each([
      [
        'never answers',
        'never',
        504,
        /no answer within its X-Timeout of 200ms/,
        /no answer within X-Timeout/,
      ],
      ['leaks a timer and a thread', 'leak', 200, /leaked/, undefined],
      ['calls sys.exit', 'leave', 500, /SystemExit: 3/, /SystemExit: 3/],
      ['raises KeyboardInterrupt', 'interrupt', 500, /KeyboardInterrupt/, /KeyboardInterrupt/],
      [
        'sends a header of two lines',
        'two_lines',
        500,
        /Internal Server Error|more than one line/,
        /X-A|[Nn]ewline/,
      ],
      ['invents the name of a header', 'no_name', 500, /a header called 'X A'/, /a header called 'X A'/],
      [
        'puts Chinese into a header',
        'no_latin',
        500,
        /X-A has characters that no header can have/,
        /X-A has characters/,
      ],
      ['has headers that are none', 'no_headers', 500, /Internal Server Error/, /TypeError/],
      ['has status 0', 'zero', 500, /status 0, which is none/, /status 0/],
      ['has a status before the end', 'early', 500, /status 100, which is none/, /status 100/],
      [
        'has words for a status',
        'words',
        500,
        /status 0, which is none|Internal Server Error/,
        /status 0|ValueError/,
      ],
      ['has text that is no Unicode', 'surrogate', 500, /Internal Server Error/, /UnicodeEncodeError/],
      ['raises what cannot be printed', 'unprintable', 500, /Internal Server Error|Exception/, /Exception/],
      ['answers with 100 MB', 'large', 200, /^z{1000}/, undefined],
      ['forks, and ends the child', 'fork', 200, /^9$/, undefined],
      ['closes its own output', 'deaf', 200, /closed/, undefined],
    ])('one that %s', async (_, path, status, body, line) => {
      const headers = path === 'never' ? { 'X-Timeout': '200ms' } : {}
      const answer = await container.call({ path: `/${path}`, headers })
      expect(answer.status, answer.body.slice(0, 300)).toBe(status)
      expect(body.test(answer.body.slice(0, 5000)), answer.body.slice(0, 300)).toBe(true)
      if (line !== undefined) await logged(container, line)
      expect(await container.call()).toMatchObject({ status: 200, body: 'fine' })
      expect(await container.call({ path: '/_/health' })).toMatchObject({ status: 200 })
    })
  })

  it.each([
    ['in lines', 'lines', 'false'],
    ['in lines with a prefix', 'lines', 'true'],
    ['in one line', 'line', 'false'],
    ['in one line with a prefix', 'line', 'true'],
  ])('writes 100 MB to stdout %s, and others are served meanwhile', async (_, path, prefix) => {
    await using container = await start(image, { env: { prefix_logs: prefix }, flags: bounded })
    const loud = container.call({ path: `/${path}` })
    expect((await container.call()).status).toBe(200)
    expect(await loud).toMatchObject({ status: 200, body: 'written' })
    expect(await residentKib(container)).toBeLessThan(120_000)
  })

  it('answers its callers when the handler ends the process, and says so', async () => {
    await using container = await start(image)
    const waiting = container.call({ path: '/wait' })
    const ended = { status: 500, body: "the function's process ended with code 3 during the call" }
    await logged(container, /^waiting$/m)
    const health = await container.call({ path: '/_/health' })
    expect(health.status).toBe(200)
    expect(await container.call({ path: '/stop' })).toMatchObject(ended)
    expect(await waiting).toMatchObject(ended)
    expect(await exitCode(container)).toBe(3)
    expect(await container.logs()).toContain('the handler called os._exit(3)')
  })

  it('ends on SIGTERM although the handler closed its output and left a thread that does not end', async () => {
    await using container = await start(image)
    await container.call({ path: '/deaf' })
    await container.call({ path: '/leak' })
    const started = performance.now()
    await docker('stop', '--time', '10', container.id)
    expect(performance.now() - started).toBeLessThan(5000)
    expect(await container.state('{{.State.ExitCode}}')).toBe('0')
  })

  it('runs exit functions and the own SIGTERM handler once, after the last call', async () => {
    const source = `import atexit, signal, time
atexit.register(lambda: print("at exit", flush=True))
signal.signal(signal.SIGTERM, lambda *a: print("own handler", flush=True))
def handle(req):
    print("call begun", flush=True)
    time.sleep(1)
    print("call done", flush=True)
    return "done"
`
    await build({ template: 'python3', handler: { 'handler.py': source } }, tag('python-exit'))
    await using container = await start(tag('python-exit'))
    const call = container.call()
    await logged(container, /^call begun$/m)
    await docker('kill', '--signal', 'TERM', container.id)
    expect((await call).body).toBe('done\n')
    expect(await exitCode(container)).toBe(0)
    const lines = (await container.logs())
      .split('\n')
      .filter((line) => /^(call done|own handler|at exit)$/.test(line))
    expect(lines[0]).toBe('call done')
    expect(lines.slice(1).sort()).toEqual(['at exit', 'own handler'])
  })
})
