// The Go templates in real containers: the contract row by row, limits, bad input, modules and what a build refuses.
import { cp, readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { ensureBaseImages } from '../../src/setup/base-images.ts'
import { describeDocker, dockerAddress, dockerAvailable } from '../support/docker.ts'
import { makeFolder } from '../support/folder.ts'
import { until } from './templates/call.ts'
import { expectAnswer } from './templates/expect-answer.ts'
import { goCallOf, goContract, goHandlerOf, rowsOf } from './templates/go-contract.ts'
import type { GoContract, GoRow } from './templates/go-contract.ts'
import {
  assemble,
  build,
  buildKit,
  docker,
  exitCode,
  labelFlags,
  removeAll,
  repository,
  start,
  tag,
  tryBuild,
  unique,
} from './templates/images.ts'
import type { Container } from './templates/images.ts'
import type { Expected } from './templates/node-contract.ts'
import { brokenHttp, HTTP_OR_NOTHING, sayBytes } from './templates/soak.ts'

/** A folder with the official golang-middleware and golang-http: their images then meet the same tables. */
const official = process.env['FAASDOCK_OFFICIAL_GO']
/** Go's standard library is compiled once; on a busy machine that takes its time. */
const COMPILES_MS = 600_000
vi.setConfig({ testTimeout: COMPILES_MS })
const unchecked = { FORMAT_ENABLED: 'false', TEST_ENABLED: 'false' }
const sample = (lang: string): string => join(repository, 'templates/go/sample', lang)
const LANG: Readonly<Record<GoContract, string>> = {
  middleware: 'golang-middleware',
  http: 'golang-http',
  classic: 'go',
}

/** What the tables do not have: the behaviour of a process, not of an answer. */
const more: Readonly<Record<GoContract, Readonly<Record<string, string>>>> = {
  middleware: {
    sleep: 'time.Sleep(700 * time.Millisecond)\nfmt.Fprint(w, "slept")',
    forever: 'select {}',
    cancelled: '<-r.Context().Done()\nfmt.Println("cancelled:", context.Cause(r.Context()))',
    late: 'time.Sleep(400 * time.Millisecond)\n_, err := fmt.Fprint(w, "late")\nw.Header().Set("X-Late", "1")\nfmt.Println("late write:", err)',
    unlock: 'fmt.Fprint(w, os.Remove("/tmp/.lock"))',
    mode: 'i, err := os.Stat("/tmp/.lock")\nif err == nil { fmt.Fprintf(w, "%o", i.Mode().Perm()) }',
    metrics: 'res, err := http.Get("http://127.0.0.1:8081/metrics")\nif err == nil { io.Copy(w, res.Body) }',
    flood:
      'line := strings.Repeat("x", 1<<20-1) + "\\n"\nfor i := 0; i < 100; i++ { fmt.Print(line) }\nfmt.Fprint(w, "flooded")',
    exit: 'os.Exit(7)',
    crash: 'go func() { panic("in the background") }()\nselect {}',
    print: 'fmt.Println("printed")\nfmt.Fprintln(os.Stderr, "complained")\ntime.Sleep(50 * time.Millisecond)',
    stream:
      'for _, part := range []string{"one ", "two"} { fmt.Fprint(w, part)\nw.(http.Flusher).Flush()\ntime.Sleep(300 * time.Millisecond) }',
    hijack:
      'conn, rw, err := w.(http.Hijacker).Hijack()\nif err != nil { fmt.Fprint(w, err)\nreturn }\nrw.WriteString("HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: own\\r\\nConnection: Upgrade\\r\\n\\r\\nraw")\nrw.Flush()\nconn.Close()',
    abort: 'fmt.Fprint(w, "half")\nw.(http.Flusher).Flush()\npanic(http.ErrAbortHandler)',
  },
  http: { sleep: 'time.Sleep(700 * time.Millisecond)' },
  classic: {
    sleep: 'time.Sleep(700 * time.Millisecond)\nreturn "slept"',
    flood: 'fmt.Print(strings.Repeat("x", 100<<20))',
  },
}

/** Calls one of `more`. */
const ask = (container: Container, name: string, headers: Record<string, string> = {}) =>
  container.call({ headers: { 'X-Row': name, ...headers } })

async function expectRows(
  container: Container,
  contract: GoContract,
  expected: (row: GoRow) => Expected,
): Promise<void> {
  for (const [index, row] of goContract[contract].entries()) {
    const answer = await container.call(goCallOf(row, index))
    try {
      expectAnswer(answer, expected(row))
    } catch (error) {
      throw new Error(`${row.says}: ${String(error)}`, { cause: error })
    }
  }
}

async function handlerFiles(
  contract: GoContract,
  rows: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const files: Record<string, string> = {
    'handler.go': goHandlerOf(contract, rows),
    'static/file.txt': 'from static',
  }
  if (contract !== 'http') return files
  for (const file of ['go.mod', 'go.sum'])
    files[file] = await readFile(join(sample('golang-http'), file), 'utf8')
  return files
}

describeDocker('go templates', () => {
  beforeAll(async () => {
    const options = { env: process.env, announce: () => undefined, mayMakeStandIns: true }
    await ensureBaseImages(dockerAddress(), ['golang:1.25-alpine', 'alpine:3.22'], options)
  })

  afterAll(async () => {
    if (dockerAvailable) await removeAll()
  })

  describe.each(['middleware', 'http', 'classic'] as const)('%s', (contract) => {
    beforeAll(async () => {
      const handler = await handlerFiles(contract, { ...rowsOf(contract), ...more[contract] })
      await build({ template: 'go', handler }, tag(`go-${contract}`), { CONTRACT: contract, ...unchecked })
    }, COMPILES_MS)

    it('keeps the handler contract', async () => {
      await using container = await start(tag(`go-${contract}`))
      await expectRows(container, contract, ({ answers }) => answers)
    })

    if (official !== undefined && contract !== 'classic')
      it('is what the official template is, but for the differences listed', async () => {
        await using folder = await makeFolder()
        await cp(join(official, LANG[contract]), folder.path, { recursive: true })
        const files = await handlerFiles(contract, rowsOf(contract))
        // The official build has its gofmt check always.
        await folder.write(
          Object.fromEntries(Object.entries(files).map(([name, text]) => [`function/${name}`, text])),
        )
        await docker(
          'run',
          '--rm',
          ...labelFlags,
          '--volume',
          `${folder.path}/function:/f`,
          'golang:1.25-alpine',
          'gofmt',
          '-w',
          '/f',
        )
        const built = await tryBuild(folder.path, tag(`go-official-${contract}`))
        expect(built.code, built.output).toBe(0)
        await using container = await start(tag(`go-official-${contract}`))
        await expectRows(container, contract, (row) => row.official?.answers ?? row.answers)
      })

    it('has its limits: calls in flight, time, and an end at once when idle', async () => {
      await using container = await start(tag(`go-${contract}`), {
        env: { max_inflight: '1', exec_timeout: '300ms' },
      })
      const limit =
        contract === 'classic'
          ? { status: 408, body: 'Killed process.\n' }
          : {
              status: 504,
              body: 'the function gave no answer within its exec_timeout of 300ms\n',
            }
      // Two at once: one of them is too many, unless the first has ended before the second came.
      const both = await until(
        () => Promise.all([ask(container, 'sleep'), ask(container, 'sleep')]),
        (answers) => answers.some(({ status }) => status === 429),
      )
      const [first, second] = both.sort((a, b) => Number(a.status === 429) - Number(b.status === 429))
      expect(first).toMatchObject(limit)
      expect(second).toMatchObject({
        body: 'Concurrent request limit exceeded. Max concurrent requests: 1\n',
        headers: { 'content-type': 'text/plain', 'x-openfaas-internal': 'faas-middleware' },
      })
      expect((await ask(container, 'none')).status).toBe(200)
      const began = performance.now()
      await docker('stop', '--time', '10', container.id)
      expect(performance.now() - began).toBeLessThan(8000)
      expect(await container.state('{{.State.ExitCode}}')).toBe('0')
    })

    it('finishes what is in flight before it ends', async () => {
      await using container = await start(tag(`go-${contract}`), { env: { max_inflight: '1' } })
      const call = ask(container, 'sleep')
      await until(
        async () =>
          contract === 'classic'
            ? (await container.logs()).includes('Forking fprocess.')
            : (await container.call({ path: '/_/ready' })).status === 429,
        (isBusy) => isBusy,
      )
      await docker('kill', '--signal', 'TERM', container.id)
      expect(await call).toMatchObject({
        status: 200,
        headers: { 'x-duration-seconds': expect.stringMatching(/^0\.[7-9]/) as string },
      })
      expect(await exitCode(container)).toBe(0)
    })
  })

  describe('the process of golang-middleware', () => {
    it('is its own watchdog: health, ready, lock and metrics', async () => {
      await using container = await start(tag('go-middleware'))
      expect(await container.call({ path: '/_/health' })).toMatchObject({ status: 200, body: 'OK' })
      expect(await container.call({ path: '/_/ready' })).toMatchObject({ status: 200 })
      expect(await container.call({ path: '/_/health', method: 'POST' })).toMatchObject({ status: 405 })
      expect((await ask(container, 'mode')).body).toBe('640')
      const { body } = await ask(container, 'metrics')
      expect(body).toContain('http_requests_total{code="200",method="get"} 1\n')
      expect(body).toContain('http_request_duration_seconds_bucket{code="200",method="get",le="+Inf"} 1\n')
      expect(body).toContain('http_requests_in_flight 1\n')
      expect((await ask(container, 'unlock')).body).toBe('<nil>')
      expect((await container.call({ path: '/_/health' })).status).toBe(503)
      expect((await container.call({ path: '/_/ready' })).status).toBe(503)
    })

    it('sends ready to ready_path, and says 429 there while it is full', async () => {
      await using container = await start(tag('go-middleware'), {
        env: { ready_path: '/mine', max_inflight: '1' },
      })
      const { body } = await container.call({ path: '/_/ready', headers: { 'X-Row': '4' } })
      expect(body).toBe('GET /mine ')
      const call = ask(container, 'sleep')
      await until(
        () => container.call({ path: '/_/ready' }),
        ({ status }) => status === 429,
      )
      expect((await call).body).toBe('slept')
    })

    it('goes on without a lock where nothing can be written', async () => {
      await using container = await start(tag('go-middleware'), { flags: ['--tmpfs', '/tmp:ro'] })
      expect((await container.call({ path: '/_/health' })).status).toBe(200)
    })

    it('obeys X-Timeout, tells the handler, and lets nothing late through', async () => {
      await using container = await start(tag('go-middleware'))
      const answer = await ask(container, 'cancelled', { 'X-Timeout': '200ms' })
      expect(answer).toMatchObject({
        status: 504,
        body: 'the function gave no answer within its X-Timeout of 200ms\n',
      })
      await ask(container, 'late', { 'X-Timeout': '100ms' })
      await until(
        () => container.logs(),
        (logs) =>
          logs.includes('cancelled: the call is over its time limit') &&
          logs.includes('late write: http: Handler timeout'),
      )
      expect((await ask(container, '0')).status).toBe(200)
    })

    it('ends at write_timeout too, and lets a stream run until then', async () => {
      await using container = await start(tag('go-middleware'), {
        env: { write_timeout: '500ms', exec_timeout: '100ms' },
      })
      expect((await ask(container, 'forever')).body).toContain('exec_timeout of 100ms')
      expect((await ask(container, 'forever', { Accept: 'text/event-stream' })).body).toContain(
        'write_timeout of 500ms',
      )
    })

    it('a value that is none is told, and the default holds', async () => {
      await using container = await start(tag('go-middleware'), { env: { exec_timeout: 'soon' } })
      expect((await container.call()).status).toBe(200)
      await until(
        () => container.logs(),
        (logs) =>
          logs.includes('exec_timeout=soon is no duration such as 10s, 1m30s or whole seconds; 10s is used'),
      )
    })

    it('answers what is no HTTP with HTTP or an end, and lives', async () => {
      await using container = await start(tag('go-middleware'))
      const at = { host: '127.0.0.1', port: container.port }
      await fc.assert(
        fc.asyncProperty(brokenHttp(), async (texts) => {
          const answers = await Promise.all(texts.map((text) => sayBytes(at, text)))
          for (const answer of answers) expect(answer).toMatch(HTTP_OR_NOTHING)
        }),
        { numRuns: 60, interruptAfterTimeLimit: 30_000 },
      )
      expect((await container.call({ path: '/_/health' })).status).toBe(200)
      expect(await container.state('{{.RestartCount}} {{.State.Running}}')).toBe('0 true')
      expect(await container.logs()).not.toMatch(/^panic:|http: panic/m)
    })

    it('does not run unprotected where protection is asked for', async () => {
      await using container = await start(tag('go-middleware'), {
        env: { jwt_auth: 'true' },
        waitFor: 'none',
      })
      expect(await exitCode(container)).toBe(1)
      expect(await container.logs()).toContain('jwt_auth is not supported here')
    })

    it('prefixes what is printed when it is told to', async () => {
      await using container = await start(tag('go-middleware'), { env: { prefix_logs: 'true' } })
      await ask(container, 'print')
      await until(
        () => container.logs(),
        (logs) => /^\d{4}\/.* stdout: printed$/m.test(logs) && /^\d{4}\/.* stderr: complained$/m.test(logs),
      )
    })

    it('sends what is flushed at once', async () => {
      await using container = await start(tag('go-middleware'))
      const first = performance.now()
      const times = await new Promise<number[]>((resolve, reject) => {
        const seen: number[] = []
        const req = request({ port: container.port, headers: { 'X-Row': 'stream' }, agent: false }, (res) => {
          res.on('data', () => seen.push(performance.now() - first))
          res.on('end', () => resolve(seen))
        })
        req.on('error', reject).end()
      })
      expect(times).toHaveLength(2)
      expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(200)
    })

    it('lends its connection, for web sockets and the like', async () => {
      await using container = await start(tag('go-middleware'))
      const said = await exchange(
        container.port,
        'GET / HTTP/1.1\r\nHost: a\r\nX-Row: hijack\r\nConnection: Upgrade\r\nUpgrade: own\r\n\r\n',
      )
      expect(said).toMatch(/^HTTP\/1\.1 101 [\s\S]*\r\n\r\nraw$/)
    })

    it('closes the connection where half of an answer is out', async () => {
      await using container = await start(tag('go-middleware'))
      await expect(ask(container, 'abort')).rejects.toThrow(/aborted|ECONNRESET|hang up/)
      expect((await ask(container, '0')).status).toBe(200)
    })
  })

  describe('bad input', () => {
    it('a hundred megabytes on stdout are only a long log', async () => {
      await using container = await start(tag('go-middleware'), {
        flags: ['--log-driver', 'none', '--memory', '64m'],
        env: { exec_timeout: '60s', write_timeout: '60s' },
      })
      expect((await ask(container, 'flood')).body).toBe('flooded')
      expect((await container.call({ path: '/_/health' })).status).toBe(200)
    })

    it('a hundred megabytes as a classic answer are an answer', async () => {
      await using container = await start(tag('go-classic'))
      const { status, body } = await ask(container, 'flood')
      expect([status, body.length]).toEqual([200, (100 << 20) + 1])
    })

    it('a handler that never answers is answered for, and the next call is not held up', async () => {
      await using container = await start(tag('go-middleware'), { env: { exec_timeout: '100ms' } })
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(container, 'forever')))
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([504]))
      expect((await ask(container, '0')).status).toBe(200)
      const began = performance.now()
      await docker('stop', '--time', '10', container.id)
      expect(performance.now() - began).toBeLessThan(8000)
    })

    it.each([
      ['os.Exit ends the process with its status', 'exit', 7, undefined],
      [
        'a panic outside of a call ends it, with the stack in the log',
        'crash',
        2,
        /panic: in the background[\s\S]*handler\.go:\d+/,
      ],
    ])('%s', async (_, name, code, said) => {
      await using container = await start(tag('go-middleware'))
      await expect(ask(container, name)).rejects.toThrow(/ECONNRESET|hang up/)
      expect(await exitCode(container)).toBe(code)
      if (said !== undefined) expect(await container.logs()).toMatch(said)
    })

    it('a body that does not come is 408, and the connection ends', async () => {
      await using container = await start(tag('go-http'), { env: { read_timeout: '300ms' } })
      const said = await exchange(
        container.port,
        'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc',
      )
      expect(said).toMatch(/^HTTP\/1\.1 408 [\s\S]*not read within its read_timeout/)
    })

    it.each([
      [
        'does not compile',
        'middleware',
        'package function\n\nfunc Handle( {}\n',
        unchecked,
        /handler\.go:3:\d+: syntax error/,
      ],
      ['has no Handle', 'middleware', 'package function\n', unchecked, /undefined: function\.Handle/],
      [
        'has another kind of Handle',
        'middleware',
        'package function\n\nfunc Handle(req []byte) string { return "" }\n',
        unchecked,
        /cannot use function\.Handle .*func\(req \[\]byte\) string.* as http\.HandlerFunc/,
      ],
      [
        'has another kind of Handle',
        'http',
        'package function\n\nfunc Handle(req []byte) string { return "" }\n',
        unchecked,
        /func\(req \[\]byte\) string of function\.Handle does not match .*\(Response, error\)/,
      ],
      [
        'is not formatted',
        'middleware',
        'package function\nimport "net/http"\nfunc Handle(w http.ResponseWriter, r *http.Request) {}\n',
        {},
        /not formatted as gofmt does: \.\/handler\.go[\s\S]*gofmt -s -w/,
      ],
      [
        'imports a module that go.mod does not have',
        'classic',
        'package function\n\nimport "github.com/google/uuid"\n\nfunc Handle(req []byte) string { return uuid.NewString() }\n',
        unchecked,
        /no required module provides package github\.com\/google\/uuid; to add it:/,
      ],
      [
        'is not UTF-8',
        'classic',
        `package function\n\nfunc Handle(req []byte) string { return "\u{0}" }\n`,
        unchecked,
        /handler\.go:3:\d+: invalid NUL character|illegal character NUL/,
      ],
    ])(
      'a handler that %s (%s) fails the build, and says why',
      async (_, contract, handler, args, message) => {
        await using folder = await assemble({ template: 'go', handler: { 'handler.go': handler } })
        const { code, output } = await tryBuild(folder.path, tag('go-bad'), { CONTRACT: contract, ...args })
        expect(code, output).not.toBe(0)
        expect(output).toMatch(message)
      },
    )
  })

  describe('the build', () => {
    it.each(['golang-middleware', 'golang-http', 'go'])(
      'the sample of %s passes its test in the build',
      async (lang) => {
        const contract =
          { 'golang-middleware': 'middleware', 'golang-http': 'http', go: 'classic' }[lang] ?? ''
        await using folder = await assemble({ template: 'go', handler: sample(lang) })
        await folder.write({ 'unique.txt': unique })
        const { code, output } = await tryBuild(folder.path, tag('go-sample'), { CONTRACT: contract })
        expect(code, output).toBe(0)
        expect(output).toMatch(/ok\s+handler\/function/)
        await using container = await start(tag('go-sample'))
        expect((await container.call({ method: 'POST', body: 'hello' })).body.trim()).toBe('Body: hello')
        const labels = await container.state('{{json .Config.Labels}}')
        expect(labels).toContain('"com.faasdock.template":"go"')
        expect(await container.state('{{.Config.User}}')).toBe('1000:1000')
      },
    )

    it('fails where a test fails, and does not run tests where TEST_ENABLED is false', async () => {
      const handler = {
        'handler.go': 'package function\n\nfunc Handle(req []byte) string { return "" }\n',
        'handler_test.go':
          'package function\n\nimport "testing"\n\nfunc TestIt(t *testing.T) { t.Fatal("as it should") }\n',
      }
      await using folder = await assemble({ template: 'go', handler })
      const bad = await tryBuild(folder.path, tag('go-tested'))
      expect(bad.code).not.toBe(0)
      expect(bad.output).toContain('handler_test.go:5: as it should')
      const good = await tryBuild(folder.path, tag('go-tested'), { TEST_ENABLED: 'false' })
      expect(good.code, good.output).toBe(0)
    })

    const uuid = {
      'handler.go':
        'package function\n\nimport "github.com/google/uuid"\n\nfunc Handle(req []byte) string { return uuid.Nil.String() }\n',
      'go.mod': 'module example.com/me/echo\n\ngo 1.21\n\nrequire github.com/google/uuid v1.6.0\n',
      'go.sum':
        'github.com/google/uuid v1.6.0 h1:NIvaJDMOsjHA8n1jAhLSgzrAzy1Hgr+hNrb57e+94F0=\ngithub.com/google/uuid v1.6.0/go.mod h1:TIyPZe4MgqvfeYDBFedMoGGpEw/LqOeaOT+nhxU+yHo=\n',
    }

    it('takes modules of any name, and downloads nothing again when the handler is edited', async () => {
      await using folder = await assemble({ template: 'go', handler: uuid })
      const first = await tryBuild(folder.path, tag('go-modules'), unchecked)
      expect(first.code, first.output).toBe(0)
      await using container = await start(tag('go-modules'))
      expect((await container.call()).body).toBe('00000000-0000-0000-0000-000000000000\n')
      // A word of this run: an earlier one may have left a layer of the same content.
      const edited = uuid['handler.go'].replace('uuid.Nil.String()', `uuid.Nil.String() + "${unique}"`)
      await folder.write({ 'handler.go': edited })
      const again = await tryBuild(folder.path, tag('go-modules'), unchecked)
      expect(again.code, again.output).toBe(0)
      expect(stepOf(again.output, 'build.sh modules')).toContain('Using cache')
      expect(stepOf(again.output, 'build.sh warm')).toContain('Using cache')
      expect(stepOf(again.output, 'build.sh make')).not.toContain('Using cache')
    })

    const vendored = {
      'handler.go':
        'package function\n\nimport "example.com/lib"\n\nfunc Handle(req []byte) string { return lib.Word }\n',
      'go.mod': 'module handler/function\n\ngo 1.21\n\nrequire example.com/lib v1.0.0\n',
      'vendor/example.com/lib/lib.go': 'package lib\n\nconst Word = "vendored"\n',
      'vendor/modules.txt': '# example.com/lib v1.0.0\n## explicit\nexample.com/lib\n',
    }

    it.each([
      ['a vendor folder', vendored, {}],
      ['a vendor folder without modules', vendored, { GO111MODULE: 'off', GOFLAGS: '-mod=vendor' }],
      [
        'modules of its own below it, and packages of its own',
        {
          'handler.go':
            'package function\n\nimport (\n\t"example.com/lib"\n\n\t"handler/function/words"\n)\n\nfunc Handle(req []byte) string { return words.Of(lib.Word) }\n',
          'words/words.go': 'package words\n\nfunc Of(s string) string { return s + "ed" }\n',
          'go.mod':
            'module handler/function\n\ngo 1.21\n\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ./libs/lib\n',
          'libs/lib/go.mod': 'module example.com/lib\n',
          'libs/lib/lib.go': 'package lib\n\nconst Word = "vendor"\n',
        },
        {},
      ],
    ])('takes %s, without a network', async (_, handler, args) => {
      await using folder = await assemble({ template: 'go', handler })
      const { code, output } = await tryBuild(folder.path, tag('go-vendored'), {
        ...unchecked,
        ...args,
        GOPROXY: 'off',
      })
      expect(code, output).toBe(0)
      await using container = await start(tag('go-vendored'))
      expect((await container.call()).body).toBe('vendored\n')
    })

    it('builds with BuildKit as well, mounts and all', async () => {
      const withBuildKit = await buildKit()
      if (!withBuildKit) throw new Error('no Docker client here can drive BuildKit')
      await using folder = await assemble({ template: 'go', handler: sample('go') })
      const { code, output } = await withBuildKit(folder.path, tag('go-buildkit'))
      expect(code, output).toBe(0)
      await using container = await start(tag('go-buildkit'))
      expect((await container.call({ method: 'POST', body: 'x' })).body).toBe('Body: x\n')
    })

    it('links what cgo compiles, for an image that has no C library', async () => {
      const handler = {
        'handler.go':
          'package function\n\n// int answer() { return 42; }\nimport "C"\nimport "fmt"\n\nfunc Handle(req []byte) string { return fmt.Sprint(C.answer()) }\n',
      }
      await using folder = await assemble({ template: 'go', handler })
      const isAlpine = await docker(
        'run',
        '--rm',
        ...labelFlags,
        'golang:1.25-alpine',
        'sh',
        '-c',
        'command -v apk',
      ).catch(() => '')
      const args = {
        ...unchecked,
        CGO_ENABLED: '1',
        ADDITIONAL_PACKAGE: `gcc ${isAlpine === '' ? 'libc6-dev' : 'musl-dev'}`,
      }
      const { code, output } = await tryBuild(folder.path, tag('go-cgo'), args)
      expect(code, output).toBe(0)
      await using container = await start(tag('go-cgo'))
      expect((await container.call()).body).toBe('42\n')
    })
  })
})

/** What the classic builder said of the step with that text. */
function stepOf(output: string, text: string): string {
  const step = output.split(/^Step /m).find((part) => part.split('\n')[0]?.includes(text))
  if (step === undefined) throw new Error(`no step with ${text}:\n${output}`)
  return step
}

/** Everything that comes back on a connection until it ends. */
function exchange(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    socket.on('data', (chunk) => (said += chunk.toString()))
    socket.on('error', reject)
    socket.on('close', () => resolve(said))
    // An answer that has come is what is asked for; some connections stay.
    socket.setTimeout(5000, () => socket.end())
  })
}
