// docs/runtime.md, on the Python runtime in a real container.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describeDocker, dockerAvailable } from '../support/docker.ts'
import { until } from './templates/call.ts'
import { build, docker, removeAll, start, tag } from './templates/images.ts'
import { answering, startSwapping } from './templates/python-container.ts'
import type { SwapContainer } from './templates/python-container.ts'

const image = tag('python-swap')
const token = { 'X-Faasdock-Token': 'the-token' }
const one = {
  'handler.py': answering('"one"'),
}

afterAll(async () => {
  if (dockerAvailable) await removeAll()
})

describeDocker('swap of a Python handler', () => {
  beforeAll(() => build({ template: 'python3', handler: one }, image, { CONTRACT: 'http' }))

  const bodyOf = async (container: SwapContainer, path = '/'): Promise<string> =>
    (await container.call({ path })).body
  const logged = (container: SwapContainer, pattern: RegExp): Promise<string> =>
    until(
      () => container.logs(),
      (text) => pattern.test(text),
    )

  it('answers with the new code from the acknowledgement on, and knows what it runs', async () => {
    await using container = await startSwapping(image)
    expect(await bodyOf(container)).toBe('one')
    expect(await container.state()).toEqual({ number: 1, hash: 'first', inflight: {}, canSwap: true })
    const swapped = await container.put({ 'handler.py': answering('"two"') }, { hash: 'second' })
    expect(swapped).toMatchObject({
      status: 200,
      number: 2,
      hash: 'second',
      ms: expect.any(Number) as number,
    })
    expect(await bodyOf(container)).toBe('two')
    expect(await container.state()).toMatchObject({ number: 2, hash: 'second' })
    expect(JSON.parse(await container.exec('cat', '/home/app/.generation'))).toEqual({
      number: 2,
      hash: 'second',
    })
    expect(await container.logs()).toMatch(/swap: generation 2 answers, second, after \d+\.\d ms/)
  })

  it('opens its debugger for those who have the token, if there is one', async () => {
    await using container = await startSwapping(image)
    const ask = async (method: string, body = '', headers = {}): Promise<unknown> => {
      const answer = await container.call({
        method,
        path: '/_/debugger',
        body,
        headers: { ...token, ...headers },
      })
      return { status: answer.status, ...(JSON.parse(answer.body) as object) }
    }
    expect(await ask('GET')).toEqual({ status: 200, language: 'python' })
    expect(await ask('PUT')).toMatchObject({ status: 424, language: 'python', needs: 'debugpy' })
    expect(await ask('PUT', '{"port":0}')).toMatchObject({ status: 400 })
    expect(await ask('PUT', 'no wheel', { 'Content-Type': 'application/zip' })).toMatchObject({
      status: 501,
      message: expect.stringContaining('cannot be put in') as string,
    })
    expect(await ask('DELETE')).toEqual({ status: 200, language: 'python' })
    expect(await ask('POST')).toMatchObject({ status: 405 })
    await container.put({ 'handler.py': answering('f"{event.method} {event.path}"') })
    const guess = { path: '/_/debugger', method: 'PUT', headers: { 'X-Faasdock-Token': 'the-token2' } }
    expect((await container.call(guess)).body).toBe('PUT /_/debugger')
  })

  it('leaves its path to the handler of those who have no token', async () => {
    await using container = await startSwapping(image)
    await container.put({ 'handler.py': answering('f"{event.method} {event.path}"') })
    expect((await container.call({ path: '/_/generation' })).body).toBe('GET /_/generation')
    const guess = { path: '/_/generation', method: 'PUT', headers: { 'X-Faasdock-Token': 'the-token2' } }
    expect((await container.call(guess)).body).toBe('PUT /_/generation')
    expect((await container.call({ path: '/_/generation', method: 'POST', headers: token })).status).toBe(405)
    await using without = await start(image)
    expect((await without.call({ path: '/_/generation', headers: token })).body).toBe('one')
    expect((await without.call({ path: '/_/debugger', headers: token })).body).toBe('one')
  })

  it('hides the token from the handler and its children', async () => {
    await using container = await startSwapping(image)
    await container.put({
      'handler.py': answering(
        `" ".join([str("FAASDOCK_SWAP_TOKEN" in os.environ), subprocess.getoutput("env"),
          *[open(f"/proc/{pid}/environ").read() for pid in ("self", "1")]])`,
        'import os, subprocess',
      ),
    })
    const told = await bodyOf(container)
    expect(told).toContain('False')
    expect(told).toContain('function_contract=http')
    expect(told).not.toContain('the-token')
    expect(told).not.toContain('FAASDOCK_SWAP_TOKEN')
  })

  it('lets calls in flight finish on the code and the modules they began with', async () => {
    await using container = await startSwapping(image)
    const files = (version: string): Record<string, string> => ({
      'handler.py': `import threading
from . import helper
go = threading.Event()
def handle(event, context):
    if event.path == "/go":
        import builtins
        builtins.go_all()
    if event.path == "/wait":
        import builtins
        builtins.go_all = go.set
        assert go.wait(20)
    from . import late
    from .late import version as again
    import function.late
    return {"body": " ".join([helper.version, late.version, again, function.late.version, "${version}"])}
`,
      'helper.py': `version = "${version}"\n`,
      'late.py': `version = "${version}"\n`,
    })
    await container.put(files('old'))
    expect(await bodyOf(container)).toBe('old old old old old')
    const call = container.call({ path: '/wait' })
    await until(
      () => container.state(),
      ({ inflight }) => inflight['2'] === 1,
    )
    await container.put(files('new'))
    expect(await bodyOf(container)).toBe('new new new new new')
    expect(await container.state()).toMatchObject({ number: 3, inflight: { '2': 1 } })
    await container.call({ path: '/go' })
    expect((await call).body).toBe('old old old old old')
    expect((await container.state()).inflight).toEqual({})
  })

  it('does not let an old generation end the process', async () => {
    await using container = await startSwapping(image)
    await container.put({
      'handler.py': `import os, time
def handle(event, context):
    time.sleep(1 if event.path == "/exit" else 0)
    os._exit(3)
`,
    })
    const call = container.call({ path: '/exit' })
    await until(
      () => container.state(),
      ({ inflight }) => inflight['2'] === 1,
    )
    await container.put({ 'handler.py': answering('"new"') })
    expect(await call).toMatchObject({ status: 500, body: expect.stringContaining('code 3') as string })
    expect(await bodyOf(container)).toBe('new')
  })

  it('never takes byte code for a source that was edited within the same second to the same length', async () => {
    await using container = await startSwapping(image)
    for (let i = 100; i < 160; i += 1) {
      const helper = i % 2 === 0 ? { 'lib/helper.py': `version = ${String(i)}\n` } : {}
      await container.put({
        'handler.py': answering(`f"${String(i)} {version}"`, 'from .lib.helper import version'),
        ...helper,
      })
      expect(await bodyOf(container)).toBe(`${String(i)} ${String(i - (i % 2))}`)
    }
    expect(await container.exec('sh', '-c', 'find function -newer index.py -name "*.pyc"')).not.toContain(
      'helper',
    )
  })

  it.each([
    ['beside the handler', 'from . import helper', 'helper.py', 'helper.version'],
    ['by name', 'from function.helper import version', 'helper.py', 'version'],
    ['in a package', 'from .lib import helper', 'lib/helper.py', 'helper.version'],
    [
      'at the top, where the handler arranges for it',
      'import os, sys\nsys.path.insert(0, os.path.dirname(__file__))\nimport helper',
      'helper.py',
      'helper.version',
    ],
  ])('loads modules anew that lie %s', async (_, imports, file, expression) => {
    await using container = await startSwapping(image)
    for (const version of ['a', 'b', 'c']) {
      await container.put({
        'handler.py': answering(expression, imports),
        [file]: `version = "${version}"\n`,
      })
      expect(await bodyOf(container)).toBe(version)
    }
    await container.put({
      'handler.py': answering('len([p for p in sys.path if "function" in p])', imports + '\nimport sys'),
    })
    expect(Number(await bodyOf(container))).toBeLessThan(2)
  })

  it('replaces everything where there is no common state, except what the build installed', async () => {
    await using container = await startSwapping(image)
    await container.put({ 'old/module.py': '', 'venv/lib.py': 'x = 1\n', 'handler.py': answering('"x"') })
    const put = await container.put({ 'handler.py': answering('"all"'), 'new/module.py': '' }, { from: null })
    expect(put.status).toBe(200)
    expect(await bodyOf(container)).toBe('all')
    const files = await container.exec('sh', '-c', 'cd function && find . -type f -not -name "*.pyc" | sort')
    expect(files.split('\n')).toEqual(['./__init__.py', './handler.py', './new/module.py', './venv/lib.py'])
  })

  it('deletes what it is told to delete, and a module that is gone cannot be imported', async () => {
    await using container = await startSwapping(image)
    await container.put({
      'lib/helper.py': 'version = 1\n',
      'handler.py': answering('version', 'from .lib.helper import version'),
    })
    const gone = await container.put({}, { deleted: ['lib/helper.py'] })
    expect(gone).toMatchObject({ status: 422, file: 'handler.py', line: 1 })
    expect(gone.message).toContain("No module named 'function.lib")
    expect(await bodyOf(container)).toBe('1')
    const fine = await container.put(
      { 'handler.py': answering('"without"') },
      { deleted: ['lib/helper.py', 'never/was.py'] },
    )
    expect(fine.status).toBe(200)
    expect(await bodyOf(container)).toBe('without')
    expect(await container.exec('sh', '-c', 'ls function')).not.toContain('lib')
  })

  it.each([
    ['a syntax error', 'def handle(event, context):\n    return (\n', 'SyntaxError', 2, 12],
    ['an error in a line', '\nx = 1\nraise ValueError("at load")\n', 'ValueError: at load', 3, undefined],
    [
      'a missing package',
      'import not_there\n',
      "No module named 'not_there': put its package into requirements.txt",
      1,
      undefined,
    ],
    [
      'no handle',
      'x = 1\n',
      'has no function handle: write def handle(event, context):',
      undefined,
      undefined,
    ],
    [
      'sys.exit',
      'import sys\nsys.exit(4)\n',
      'ended the process with code 4 while it was loaded',
      2,
      undefined,
    ],
    [
      'os._exit',
      'import os\nos._exit(5)\n',
      'ended the process with code 5 while it was loaded',
      2,
      undefined,
    ],
    [
      'bytes that are no UTF-8',
      Buffer.from('x = "\xe9"\n', 'latin1'),
      "can't decode byte 0xe9",
      undefined,
      undefined,
    ],
    ['a NUL byte', 'x = 1\0\n', 'null bytes', undefined, undefined],
    ['an endless recursion', 'def f():\n    f()\nf()\n', 'RecursionError', 2, undefined],
  ])('keeps the old code where the new has %s, and says where', async (_, source, message, line, column) => {
    await using container = await startSwapping(image)
    const state = 'import itertools\nfrom . import helper\ncount = itertools.count(1)'
    await container.put({
      'handler.py': answering('f"{helper.version} {next(count)}"', state),
      'helper.py': 'version = 1\n',
    })
    expect(await bodyOf(container)).toBe('1 1')
    const before = await container.exec('cat', 'function/handler.py')
    const refused = await container.put({
      'handler.py': source,
      'helper.py': 'version = 2\n',
      'added/x.py': '',
    })
    expect(refused).toMatchObject({ status: 422, stack: expect.any(String) as string })
    expect(refused.file).toBe('handler.py')
    expect(refused.message).toContain(message)
    if (line !== undefined) expect(refused.line).toBe(line)
    if (column !== undefined) expect(refused.column).toBe(column)
    expect(refused.stack).not.toContain('importlib')
    expect(await bodyOf(container)).toBe('1 2')
    expect(await container.state()).toMatchObject({ number: 2, hash: 'hash-1' })
    expect(await container.exec('cat', 'function/handler.py', 'function/helper.py')).toBe(
      `${before}\nversion = 1`,
    )
    expect(await container.exec('ls', '-A', 'function')).not.toMatch(/added|\.swap/)
    expect(await container.logs()).toMatch(/swap: hash-2 does not load, generation 2 goes on: /)
    // The load that failed counts.
    expect(await container.put({ 'helper.py': 'version = 3\n' })).toMatchObject({ status: 200, number: 4 })
    expect(await bodyOf(container)).toBe('3 1')
  })

  it('names the file where the error is, and the one that needs another import', async () => {
    await using container = await startSwapping(image)
    const inside = await container.put({
      'handler.py': 'from .lib import helper\n',
      'lib/helper.py': 'x = [\n1/0]\n',
    })
    expect(inside).toMatchObject({
      status: 422,
      file: 'lib/helper.py',
      line: 2,
      message: 'ZeroDivisionError: division by zero',
    })
    expect(inside.stack).toContain('function/handler.py", line 1')
    const beside = await container.put({ 'handler.py': 'import helper\n', 'helper.py': '' })
    expect(beside.message).toContain('it lies beside the handler, so write from . import helper')
  })

  it('gives a load ten seconds', async () => {
    await using container = await startSwapping(image)
    const slow = container.put({ 'handler.py': 'import time\n\ntime.sleep(60)\n' })
    await until(
      () => container.exec('sh', '-c', 'cat function/handler.py'),
      (text) => text.includes('sleep'),
    )
    expect(await bodyOf(container)).toBe('one')
    expect(await slow).toMatchObject({
      status: 422,
      message: 'the handler did not load within 10 s',
      file: 'handler.py',
      line: 3,
    })
    expect((await container.put({ 'handler.py': answering('"quick"') })).status).toBe(200)
    expect(await bodyOf(container)).toBe('quick')
  })

  it('answers where a load cannot be ended, keeps the old code, and says that it cannot swap meanwhile', async () => {
    await using container = await startSwapping(image)
    const deaf =
      'import time\nend = time.time() + 14\nwhile time.time() < end:\n    try:\n        time.sleep(1)\n    except BaseException:\n        pass\ndef handle(event, context):\n    return "too late"\n'
    expect(await container.put({ 'handler.py': deaf })).toMatchObject({ status: 422 })
    expect(await container.state()).toMatchObject({ canSwap: false, number: 1 })
    expect(await bodyOf(container)).toBe('one')
    await until(
      () => container.state(),
      ({ canSwap }) => canSwap,
    )
    expect(await bodyOf(container)).toBe('one')
    expect((await container.put({ 'handler.py': answering('"two"') })).status).toBe(200)
    expect(await bodyOf(container)).toBe('two')
  })

  it('releases what the old generation left: exit functions, timers, tasks, signals, log handlers', async () => {
    await using container = await startSwapping(image)
    const belongings = (
      name: string,
    ): string => `import asyncio, atexit, logging, os, signal, sys, threading, time
log = logging.getLogger("mine")
log.addHandler(logging.StreamHandler())
log.warning("line of ${name}")
def say(text):
    print(text, flush=True)
@atexit.register
def last():
    say("first registered, last called: ${name}")
    os._exit(7)
atexit.register(lambda: (say("closed ${name}"), sys.exit(6)))
def tick():
    say("tick ${name}")
    timer = threading.Timer(0.05, tick)
    timer.start()
tick()
signal.signal(signal.SIGUSR1, lambda *a: say("signal ${name}"))
async def forever():
    try:
        await asyncio.sleep(3600)
    finally:
        say("task ended ${name}")
async def handle(event, context):
    global task
    task = asyncio.ensure_future(forever())
    asyncio.get_running_loop().call_later(2, say, "called later ${name}")
    log.warning("one line from ${name}")
    return {"body": "${name}"}
`
    await container.put({ 'handler.py': belongings('A') })
    expect(await bodyOf(container)).toBe('A')
    await container.put({ 'handler.py': belongings('B') })
    expect(await bodyOf(container)).toBe('B')
    const text = await logged(container, /first registered, last called: A[\s\S]*tick B/)
    expect(text.indexOf('closed A')).toBeLessThan(text.indexOf('first registered, last called: A'))
    await logged(container, /task ended A/)
    await docker('kill', '--signal', 'USR1', container.id)
    await logged(container, /signal B/)
    const ticks = async (): Promise<number[]> => {
      const lines = await container.logs()
      return ['A', 'B'].map((name) => lines.split(`tick ${name}`).length)
    }
    const [before = 0, other = 0] = await ticks()
    await until(ticks, ([, now = 0]) => now > other + 5)
    expect((await ticks())[0]).toBe(before)
    await container.put({ 'handler.py': answering('"C"') })
    await logged(container, /closed B/)
    // As long as what A and B wanted to be called later would have taken.
    const started = Date.now()
    await until(
      () => Promise.resolve(Date.now() - started),
      (passed) => passed > 2100,
    )
    const all = await container.logs()
    expect(all).not.toMatch(/signal A|called later/)
    expect(all.split('one line from A').length - 1).toBe(1)
    expect(all.split('one line from B').length - 1).toBe(1)
    expect(all.split('closed A').length - 1).toBe(1)
    expect(await bodyOf(container)).toBe('C')
    await docker('stop', '--time', '10', container.id)
    expect((await container.logs()).split('closed B').length - 1).toBe(1)
  })

  it('calls exit functions only after the last call of their generation', async () => {
    await using container = await startSwapping(image)
    await container.put({
      'handler.py': `import atexit, time
closed = []
atexit.register(lambda: (closed.append(1), print("closed", flush=True)))
def handle(event, context):
    time.sleep(1 if event.path == "/slow" else 0)
    return {"body": "closed" if closed else "open"}
`,
    })
    const slow = container.call({ path: '/slow' })
    await until(
      () => container.state(),
      ({ inflight }) => inflight['2'] === 1,
    )
    await container.put({ 'handler.py': answering('"new"') })
    expect(await container.logs()).not.toContain('closed')
    expect((await slow).body).toBe('open')
    await logged(container, /closed/)
  })

  it('tells by name of threads that go on, and frees those that only an executor keeps', async () => {
    await using container = await startSwapping(image)
    await container.put({
      'handler.py': `import threading, time
def pool():
    from .pool import it
    return it
def forever():
    while True:
        time.sleep(0.05)
threading.Thread(target=forever, name="poller").start()
threading.Thread(target=forever, name="watcher", daemon=True).start()
def handle(event, context):
    return {"body": str(pool().submit(time.sleep, 0).result())}
`,
      // Not among the globals of a function that goes on: those stay.
      'pool.py': `from concurrent.futures import ThreadPoolExecutor
it = ThreadPoolExecutor(2, thread_name_prefix="pool")
`,
    })
    expect(await bodyOf(container)).toBe('None')
    await container.put({
      'handler.py': answering('" ".join(sorted(t.name for t in threading.enumerate()))', 'import threading'),
    })
    await logged(
      container,
      /generation 2 left threads that Python cannot stop; they still run its code: poller, watcher \(daemon\)/,
    )
    const names = await bodyOf(container)
    expect(names).toContain('poller')
    expect(names).not.toContain('pool_')
    await docker('stop', '--time', '10', container.id)
    expect(await docker('inspect', '--format', '{{.State.ExitCode}}', container.id)).toBe('0')
  })

  describe('refusals', () => {
    let container: SwapContainer
    beforeAll(async () => {
      container = await startSwapping(image)
      await container.exec('ln', '-s', '/tmp', 'function/link')
    })
    afterAll(() => container[Symbol.asyncDispose]())
    it.each([
      ['no JSON', '{', 400],
      ['no object', '[]', 400],
      ['no hash', '{"files":{}}', 400],
      ['a path above', '{"hash":"x","from":"first","files":{"../index.py":""}}', 400],
      ['an absolute path', '{"hash":"x","from":"first","files":{"/etc/passwd":""}}', 400],
      ['a path through a link', '{"hash":"x","from":"first","files":{"link/x.py":""}}', 400],
      ['a deleted path above', '{"hash":"x","from":"first","files":{},"deleted":["a/../../index.py"]}', 400],
      ['no base64', '{"hash":"x","from":"first","files":{"a.py":"!!"}}', 400],
      ['no text', '{"hash":"x","from":"first","files":{"a.py":1}}', 400],
      ['nested too deep', '['.repeat(100_000), 400],
      ['another origin', '{"hash":"x","from":"other","files":{}}', 409],
      ['machine code', '{"hash":"x","from":"first","files":{"a.so":""}}', 501],
    ])('refuses %s, and nothing is done', async (_, body, status) => {
      const answer = await container.call({ path: '/_/generation', method: 'PUT', headers: token, body })
      expect(answer.status, answer.body).toBe(status)
      expect(JSON.parse(answer.body)).toMatchObject({ message: expect.stringMatching(/\w/) as string })
      if (status === 409) expect(JSON.parse(answer.body)).toMatchObject({ hash: 'first' })
      expect(await bodyOf(container)).toBe('one')
      expect((await container.state()).number).toBe(1)
    })
  })

  it('refuses more than 64 MiB', async () => {
    await using container = await startSwapping(image)
    const body = Buffer.alloc(65 * 1024 * 1024, 'a')
    expect(
      (await container.call({ path: '/_/generation', method: 'PUT', headers: token, body })).status,
    ).toBe(413)
  })

  it('says that it cannot swap on a read-only root', async () => {
    await using container = await startSwapping(image, { flags: ['--read-only=true'] })
    expect(await container.state()).toMatchObject({
      canSwap: false,
      reason: expect.stringContaining('cannot be written') as string,
    })
    expect(await container.put({ 'handler.py': answering('"two"') })).toMatchObject({ status: 501 })
    expect(await bodyOf(container)).toBe('one')
  })

  it('changes nothing where the disk is full', async () => {
    const flags = [
      '--mount',
      'type=tmpfs,destination=/home/app/function/small,tmpfs-size=65536,tmpfs-mode=1777',
    ]
    await using container = await startSwapping(image, { flags })
    const big = Buffer.alloc(1024 * 1024, 1)
    const answer = await container.put({ 'handler.py': answering('"two"'), 'small/big.bin': big })
    expect(answer.status).toBe(501)
    expect(await bodyOf(container)).toBe('one')
    expect(await container.exec('cat', 'function/handler.py')).toContain('"one"')
  })

  it('makes one swap after the other', async () => {
    await using container = await startSwapping(image)
    const put = (hash: string): ReturnType<typeof container.put> =>
      container.put(
        { 'handler.py': answering(`"${hash}"`, 'import time\ntime.sleep(0.3)') },
        { hash, from: 'first' },
      )
    const answers = await Promise.all([put('a'), put('b')])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
    const won = answers.find(({ status }) => status === 200)
    expect(await bodyOf(container)).toBe(won?.hash)
  })

  it('knows after a restart what it runs', async () => {
    await using container = await startSwapping(image)
    await container.put({ 'handler.py': answering('"two"') }, { hash: 'second' })
    const state = await restarted(container)
    expect(state).toMatchObject({ number: 3, hash: 'second' })
  })

  it('comes back with the files before a swap that killed the process', async () => {
    await using container = await startSwapping(image)
    await container.put({ 'handler.py': answering('"two"') }, { hash: 'second' })
    const killing = 'import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\nos.abort()\n'
    await expect(container.put({ 'handler.py': killing, 'new.py': '' })).rejects.toThrow()
    await until(
      () => docker('inspect', '--format', '{{.State.Running}}', container.id),
      (running) => running === 'false',
    )
    expect(await restarted(container)).toMatchObject({ hash: 'second' })
    expect(await container.exec('sh', '-c', 'ls -A function; cat function/handler.py')).not.toMatch(
      /new\.py|\.swap|SIGKILL/,
    )
    expect(await container.logs()).toContain('the files before it are back')
  })

  /** Started again; asked from inside, because the published port changes. */
  async function restarted(container: SwapContainer): Promise<unknown> {
    await docker('restart', '--time', '5', container.id)
    const script = `import urllib.request as r; print(r.urlopen(r.Request("http://127.0.0.1:8080/_/generation", headers={"X-Faasdock-Token": "the-token"})).read().decode())`
    const text = await until(
      () => container.exec('python3', '-c', script),
      (said) => said !== '',
    )
    return JSON.parse(text)
  }
})
