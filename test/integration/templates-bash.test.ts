// The fork-per-request template in real containers. With FAASDOCK_OFFICIAL_WATCHDOG=IMAGE the same table meets that
// image's watchdog instead of ours.
import { connect } from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ensureBaseImages } from '../../src/setup/base-images.ts'
import { describeDocker, dockerAddress, dockerAvailable } from '../support/docker.ts'
import { until } from './templates/call.ts'
import { expectAnswer } from './templates/expect-answer.ts'
import { forkCallOf, forkContract, forkHandler } from './templates/fork-contract.ts'
import {
  assemble,
  build,
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
import { brokenHttp, HTTP_OR_NOTHING, sayBytes } from './templates/soak.ts'

const official = process.env['FAASDOCK_OFFICIAL_WATCHDOG']
const watchdog: Record<string, string> = official === undefined ? {} : { WATCHDOG: official }
const image = tag('fork')
/** Go's standard library is compiled once; on a busy machine that takes its time. */
const COMPILES_MS = 600_000
const sample = join(repository, 'templates/bash')

const more = [
  'sleep) sleep 0.7; echo slept ;;',
  'flood) head -c 104857600 /dev/zero | tr "\\0" x ;;',
  'count) ls /proc | grep -c "^[0-9]" ;;',
  'leave) sleep 0.2 >/dev/null 2>&1 & echo left ;;',
  'broken) echo "unclosed ;;',
]

/** Calls the script's own case. */
const ask = (container: Container, row: string) => container.call({ headers: { 'X-Row': row } })

describeDocker('bash template', () => {
  beforeAll(async () => {
    const options = { env: process.env, announce: () => undefined, mayMakeStandIns: true }
    await ensureBaseImages(dockerAddress(), ['golang:1.25-alpine', 'alpine:3.22'], options)
    const script = forkHandler().replace('esac', `${more.slice(0, 4).join('\n')}\nesac`)
    await build({ template: 'bash', handler: { 'handler.sh': script } }, image, watchdog)
  }, COMPILES_MS)

  afterAll(async () => {
    if (dockerAvailable) await removeAll()
  })

  it('keeps the contract of the classic watchdog', async () => {
    await using plain = await start(image)
    for (const [index, row] of forkContract.entries()) {
      await using own = row.env ? await start(image, { env: { ROW: String(index), ...row.env } }) : undefined
      const answer = await (own ?? plain).call(forkCallOf(row, index))
      try {
        expectAnswer(answer, (official && row.official?.answers) || row.answers)
      } catch (error) {
        throw new Error(`${row.says}: ${String(error)}`, { cause: error })
      }
    }
  })

  it('says how long an answer took, and logs the two lines that it should', async () => {
    await using container = await start(image)
    expect((await ask(container, 'sleep')).headers['x-duration-seconds']).toMatch(/^0\.[7-9]\d{5}$/)
    await until(
      () => container.logs(),
      (logs) =>
        /^\d{4}\/\d\d\/\d\d [\d:]{8} Forking fprocess\.\n[^\n]* Wrote 6 Bytes - Duration: 0\.\d{6}s$/m.test(
          logs,
        ),
    )
  })

  it('logs stderr where it is no part of the answer', async () => {
    await using container = await start(image, { env: { combine_output: 'false' } })
    await container.call(
      forkCallOf(forkContract.find(({ script }) => script.includes('err')) ?? forkContract[0]!, 11),
    )
    await until(
      () => container.logs(),
      (logs) => logs.includes('stderr: err'),
    )
  })

  it('answers what is no HTTP with HTTP or an end, and lives', async () => {
    await using container = await start(image)
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

  it('has a lock, a limit of calls, and metrics', async () => {
    await using container = await start(image, { env: { max_inflight: '1' } })
    expect(await container.exec('ls', '-l', '/tmp/.lock')).toMatch(/^-rw-r-----/)
    await container.exec('fwatchdog', '-run-healthcheck')
    // Two at once: one of them is too many, unless the first has ended before the second came.
    const both = await until(
      () => Promise.all([ask(container, 'sleep'), ask(container, 'sleep')]),
      (answers) => answers.some(({ status }) => status === 429),
    )
    const [call, full] = both.sort((a, b) => a.status - b.status)
    expect(call).toMatchObject({ status: 200, body: 'slept\n' })
    expect(full.body).toBe('Concurrent request limit exceeded. Max concurrent requests: 1\n')
    const port = Number((await docker('port', container.id, '8081/tcp')).split('\n')[0]?.split(':').at(-1))
    const metrics = await (await fetch(`http://127.0.0.1:${String(port)}/metrics`)).text()
    expect(metrics).toMatch(/^http_requests_total\{code="200",method="get"\} \d+$/m)
    await container.exec('rm', '/tmp/.lock')
    expect((await container.call({ path: '/_/health' })).status).toBe(503)
    await expect(container.exec('fwatchdog', '-run-healthcheck')).rejects.toThrow(/unable to find lock file/)
  })

  it.skipIf(official)('ends at once when idle, and finishes what is in flight', async () => {
    await using idle = await start(image)
    const began = performance.now()
    await docker('stop', '--time', '10', idle.id)
    expect(performance.now() - began).toBeLessThan(8000)
    await using busy = await start(image)
    const call = ask(busy, 'sleep')
    await until(
      () => busy.logs(),
      (logs) => logs.includes('Forking fprocess.'),
    )
    await docker('kill', '--signal', 'TERM', busy.id)
    expect(await call).toMatchObject({ status: 200, body: 'slept\n' })
    expect(await exitCode(busy)).toBe(0)
  })

  it.skipIf(official)(
    'a caller who does not send what was announced is 400, and the command is ended',
    async () => {
      await using container = await start(image, { env: { read_timeout: '300ms' } })
      const said = await new Promise<string>((resolve, reject) => {
        let text = ''
        const socket = connect(container.port, '127.0.0.1', () =>
          socket.write('POST / HTTP/1.1\r\nHost: a\r\nX-Row: 0\r\nContent-Length: 9\r\n\r\nabc'),
        )
        socket.on('data', (chunk) => (text += chunk.toString()))
        socket.on('error', reject)
        socket.on('close', () => resolve(text))
      })
      expect(said).toMatch(/^HTTP\/1\.1 400 [\s\S]*i\/o timeout/)
      expect((await ask(container, 'sleep')).status).toBe(200)
    },
  )

  it('a hundred megabytes are an answer', async () => {
    await using container = await start(image)
    const { status, body } = await ask(container, 'flood')
    expect([status, body.length]).toEqual([200, 100 << 20])
    expect((await container.call({ path: '/_/health' })).status).toBe(200)
  })

  it.skipIf(official)('leaves no dead processes behind', async () => {
    await using container = await start(image)
    const before = Number((await ask(container, 'count')).body)
    for (let i = 0; i < 20; i++) await ask(container, 'leave')
    await until(
      async () => Number((await ask(container, 'count')).body),
      (now) => now <= before,
    )
  })

  it.skipIf(official)('says what is missing where fprocess is empty', async () => {
    await using container = await start(image, { env: { fprocess: '' }, waitFor: 'none' })
    expect(await exitCode(container)).toBe(1)
    expect(await container.logs()).toContain('fprocess is not set')
  })

  it('the sample passes its test in the build, and a script that bash cannot read fails it', async () => {
    await using folder = await assemble({ template: 'bash', handler: join(sample, 'sample/bash') })
    await folder.write({ 'unique.txt': unique })
    const good = await tryBuild(folder.path, tag('fork-sample'), watchdog)
    expect(good.code, good.output).toBe(0)
    expect(good.output).toContain('ok: the answer has what was sent')
    await using container = await start(tag('fork-sample'))
    expect((await container.call({ method: 'POST', body: 'hello' })).body).toBe('Body: hello\n')
    expect(await container.exec('id', '-u')).toBe('1000')
    await folder.write({ 'handler.sh': `case x in\n${more[4] ?? ''}\nesac\n` })
    const bad = await tryBuild(folder.path, tag('fork-bad'), watchdog)
    expect(bad.code).not.toBe(0)
    expect(bad.output).toMatch(/function\/handler\.sh: line \d+: /)
  })

  it('ends at once, with the place, where a script was put in that bash cannot read, unless that was not to be checked', async () => {
    await using folder = await assemble({ template: 'bash', handler: { 'handler.sh': 'echo good\n' } })
    await folder.write({ 'broken.sh': 'if true; then\necho half\n' })
    const startBroken = async (of: string): Promise<string> => {
      const id = await docker('create', ...labelFlags, of)
      await docker('cp', join(folder.path, 'function/broken.sh'), `${id}:/home/app/function/handler.sh`)
      await docker('start', id)
      return id
    }
    const broken = await startBroken(image)
    expect(await docker('wait', broken)).toBe('1')
    expect(await docker('logs', broken)).toMatch(
      /^\/home\/app\/function\/handler\.sh: line \d+: syntax error/m,
    )
    await build({ template: 'bash', handler: { 'handler.sh': 'echo good\n' } }, tag('fork-unchecked'), {
      ...watchdog,
      TEST_ENABLED: 'false',
    })
    const unchecked = await startBroken(tag('fork-unchecked'))
    await until(
      () => docker('logs', unchecked),
      (said) => said.includes('istening on port'),
    )
    await docker('rm', '-f', broken, unchecked)
  })

  it('lends its watchdog to an image of one’s own', async () => {
    const handler = {
      Dockerfile: `FROM alpine:3.22\nCOPY --from=${image} /usr/bin/fwatchdog /usr/bin/fwatchdog\nUSER 1000:1000\nENV fprocess=cat\nEXPOSE 8080\nCMD ["fwatchdog"]\n`,
    }
    await build({ template: 'dockerfile', handler }, tag('fork-own'))
    await using container = await start(tag('fork-own'))
    expect((await container.call({ method: 'POST', body: 'x' })).body).toBe('x')
  })

  it('the sample of dockerfile passes its test in the build', async () => {
    await using folder = await assemble({
      template: 'dockerfile',
      handler: join(repository, 'templates/dockerfile/function'),
    })
    await folder.write({
      'server.test.js': `require('fs').accessSync('server.js')\nconsole.log('tests ran ${unique}')\n`,
    })
    const { code, output } = await tryBuild(folder.path, tag('own'))
    expect(code, output).toBe(0)
    expect(output).toContain('tests ran')
    await docker('run', '--rm', ...labelFlags, tag('own'), 'node', '--check', 'server.js')
  })
})
