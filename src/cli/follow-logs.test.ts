import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { eventually, startCli } from '../../test/support/cli.ts'

/** A gateway that comes and goes at one address. */
class ComingAndGoing {
  readonly asked: URL[] = []
  #server: Server | undefined
  #port = 0

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  async come(answer: (response: ServerResponse) => void): Promise<void> {
    this.#server = createServer((request, response) => {
      this.asked.push(new URL(request.url ?? '/', this.url))
      response.writeHead(200, { 'content-type': 'application/x-ndjson' })
      answer(response)
    })
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  async go(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (!server) return
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
}

const gateway = new ComingAndGoing()
afterEach(() => gateway.go())

const line = (second: number, text = `line ${second}`, instance = 'r1'): string =>
  `${JSON.stringify({
    name: 'a',
    namespace: 'openfaas-fn',
    instance,
    timestamp: `2026-01-31T09:30:0${second}.000000001Z`,
    text,
  })}\n`

test('a gateway that restarts is waited for, and no line is lost or repeated', async () => {
  await gateway.come((response) => response.write(line(1) + line(2) + line(3)))
  const cli = startCli(['logs', 'a', '--time-format', 'none', '-g', gateway.url])
  await eventually(() => cli.stdout.text.includes('line 3'))
  await gateway.go()
  await eventually(() => cli.stderr.text.includes('went away'))
  // Another replica wrote a line before the break that comes only now.
  await gateway.come((response) => response.write(line(2) + line(3) + line(3, 'late', 'r2') + line(4)))
  await eventually(() => cli.stdout.text.includes('line 4'))
  cli.interrupt()
  expect(await cli.exit).toBe(130)
  expect(cli.stdout.text).toBe('line 1\nline 2\nline 3\nlate\nline 4\n')
  expect(gateway.asked[1]?.searchParams.get('since')).toBe('2026-01-31T09:30:01.000Z')
  expect(gateway.asked[1]?.searchParams.has('tail')).toBe(false)
  expect(cli.stderr.text.match(/went away/g)).toHaveLength(1)
})

test('a stream that the gateway ends, at its time limit, is taken up again', async () => {
  let streams = 0
  await gateway.come((response) => {
    streams++
    if (streams === 1) response.end(line(1) + line(2))
    else response.write(line(1) + line(2) + line(3))
  })
  const cli = startCli(['logs', 'a', '--lines', '1', '--time-format', 'none', '-g', gateway.url])
  await eventually(() => cli.stdout.text.includes('line 3'))
  cli.interrupt()
  expect(await cli.exit).toBe(130)
  expect(cli.stdout.text).toBe('line 1\nline 2\nline 3\n')
  expect(cli.stderr.text).toBe('interrupted\n')
})

test('with --lines, lines before the first one do not come in by the back door', async () => {
  let streams = 0
  await gateway.come((response) => {
    streams++
    if (streams === 1) response.end(line(3))
    else response.write(line(2) + line(3) + line(4))
  })
  const cli = startCli(['logs', 'a', '--lines', '1', '--time-format', 'none', '-g', gateway.url])
  await eventually(() => cli.stdout.text.includes('line 4'))
  cli.interrupt()
  await cli.exit
  expect(cli.stdout.text).toBe('line 3\nline 4\n')
})

test('a gateway that is not there at first is an error, not something to wait for', async () => {
  await gateway.come((response) => void response.end())
  const { url } = gateway
  await gateway.go()
  const cli = startCli(['logs', 'a', '-g', url])
  expect(await cli.exit).toBe(4)
})

test('only lines that match --grep are shown; one that cannot be read is said', async () => {
  await gateway.come((response) => response.end(line(1, 'all well') + line(2, 'An ERROR') + line(3, 'error')))
  const argv = ['--tail=false', '--time-format', 'none', '-g', gateway.url]
  const cli = startCli(['logs', 'a', '--grep', '(?i)^an error|^error', ...argv])
  await cli.exit
  expect(cli.stdout.text).toBe('An ERROR\nerror\n')
  const wrong = startCli(['logs', 'a', '--grep', '(', ...argv])
  expect(await wrong.exit).toBe(2)
  expect(wrong.stderr.text).toContain('--grep "("')
})

test('times are written as faas-cli writes them, and in the layouts that it takes', async () => {
  await gateway.come((response) => response.end(line(1)))
  const shown = async (...format: string[]): Promise<string> => {
    const cli = startCli(['logs', 'a', '--tail=false', '-g', gateway.url, ...format])
    await cli.exit
    return cli.stdout.text
  }
  expect(await shown()).toBe('2026-01-31T09:30:01Z line 1\n')
  expect(await shown('--time-format', 'rfc3339nano')).toBe('2026-01-31T09:30:01.000000001Z line 1\n')
  expect(await shown('--time-format', 'Jan _2 15:04:05.000')).toBe('Jan 31 09:30:01.000 line 1\n')
  expect(await shown('--time-format', '')).toBe('line 1\n')
})
