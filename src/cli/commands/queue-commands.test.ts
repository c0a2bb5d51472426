import type { RequestListener } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cli, startCli } from '../../../test/support/cli.ts'
import { until } from '../../../test/support/until.ts'
import { useApp } from '../../../test/support/use-app.ts'
import type { TestApp } from '../../../test/support/use-app.ts'

/** Answers with the status that the path says, after the test has let it. */
let open: () => void = () => undefined
let gate = Promise.resolve()
const listener = (): RequestListener => (request, response) => {
  request.resume()
  const status = Number((request.url ?? '').slice(1)) || 200
  const answer = (): void => void response.writeHead(status).end('so it is')
  if (request.method === 'POST') gate.then(answer, answer)
  else answer()
}

describe('calls and queue', () => {
  let given: TestApp

  beforeAll(async () => {
    given = await useApp({ fn: { listener } })
    await given.deploy('fn', 'fn', { annotations: { 'com.openfaas.retry.attempts': '1' } })
  })
  afterAll(() => given[Symbol.asyncDispose]())

  const call = async (id: string, path = ''): Promise<void> => {
    const answer = await fetch(`${given.url}/async-function/fn${path}`, {
      method: 'POST',
      body: 'in',
      headers: { 'X-Call-Id': id },
    })
    expect(answer.status).toBe(202)
  }
  const at = (...argv: string[]) => cli([...argv, '--gateway', given.url])
  const stateOf = async (id: string): Promise<string> =>
    (JSON.parse((await at('calls', id, '--json')).out) as { state: string }).state
  const shows = (id: string, state: string) => until(async () => (await stateOf(id)) === state)

  test('a call is listed, shown, and followed from before it began to its end', async () => {
    await call('done')
    await shows('done', 'succeeded')
    gate = new Promise((resolve) => (open = resolve))
    const one = startCli(['calls', 'don', '--follow', '--gateway', given.url])
    await until(() => one.stdout.text.includes('done  fn  succeeded'))
    one.interrupt()
    await one.exit
    const following = startCli(['calls', '--follow', '--gateway', given.url])
    await until(() => following.stdout.text.includes('done  fn  succeeded'))
    await call('followed')
    await until(() => following.stdout.text.includes('followed  fn  running'))
    open()
    await until(() => following.stdout.text.includes('followed  fn  succeeded'))
    following.interrupt()
    await following.exit
    const { out } = await at('calls', '--state', 'succeeded')
    expect(out).toMatch(/CALL\s+FUNCTION\s+STATE/)
    expect(out).toMatch(/^followed\s+fn\s+succeeded\s+1\s+200/m)
    expect((await at('calls', 'nobody')).code).not.toBe(0)
    expect((await at('calls', 'foll')).out).toMatch(/^Call: +followed$/m)
    await call('follows')
    await shows('follows', 'succeeded')
    expect((await at('calls', 'foll')).err).toContain('2 calls begin with "foll": follows, followed')
    expect((await at('calls', 'followe')).code).toBe(0)
  })

  test('what is not of the default namespace is listed with its own', async () => {
    expect(await at('namespace', 'create', 'team')).toMatchObject({ code: 0 })
    await given.deploy('fn', 'fn', { namespace: 'team' })
    const answer = await fetch(`${given.url}/async-function/fn.team`, { method: 'POST', body: 'in' })
    const id = answer.headers.get('x-call-id') ?? ''
    await shows(id, 'succeeded')
    expect((await at('calls')).out).toMatch(new RegExp(`^${id}\\s+fn\\.team\\s+succeeded`, 'm'))
    expect((await at('calls', '--function', 'nobody')).err).toContain('no calls of nobody')
    expect((await at('queue', 'list', 'nobody')).err).toContain('nothing is queued of nobody')
  })

  test('a dead letter is listed, shown with its answer, made again and purged', async () => {
    await call('dead', '/500')
    await shows('dead', 'dead')
    expect((await at('queue', 'list', '--dead')).out).toMatch(/^dead\s+fn\s+1\s+500/m)
    // As `calls` does, by the beginning of the id.
    const { out } = await at('queue', 'show', 'dea')
    expect(out).toMatch(/^call\s+dead of fn\.openfaas-fn$/m)
    expect(out).toMatch(/^attempt\s+\S+\s+500/m)
    expect(out).toMatch(/^answer\s+500\nso it is$/m)
    expect(await at('queue', 'retry', 'dead')).toMatchObject({ code: 0 })
    await shows('dead', 'dead')
    const refused = await at('queue', 'cancel', 'dead')
    expect(refused.code).not.toBe(0)
    expect(refused.err).toContain('faasdock queue purge dead')
    expect((await at('queue', 'retry', 'd')).err).toMatch(/2 calls begin with "d"/)
    await until(async () => (await at('queue', 'purge', 'dea')).code === 0)
    expect((await at('queue', 'show', 'dead')).code).not.toBe(0)
  })

  test('a function is paused, its queue seen, a call of it cancelled and the rest purged', async () => {
    expect((await at('queue', 'pause', 'fn')).code).toBe(0)
    for (const id of ['w1', 'w2', 'w3']) await call(id)
    expect((await at('queue', 'list')).out).toMatch(/^fn\s+faas-request\s+3\s+0\/64.*paused/m)
    expect((await at('queue', 'list', 'fn.openfaas-fn')).out).toMatch(/^fn\s/m)
    expect((await at('queue', 'list', '-n', 'other')).out).not.toContain('fn')
    expect((await at('queue', 'cancel', 'w1')).code).toBe(0)
    expect(await stateOf('w1')).toBe('cancelled')
    const purged = await at('queue', 'purge', '--function', 'fn', '--queued', '--json')
    expect(JSON.parse(purged.out)).toEqual({ cancelled: 2 })
    expect(await stateOf('w3')).toBe('cancelled')
    expect((await at('queue', 'resume', 'fn')).code).toBe(0)
    await call('after')
    await shows('after', 'succeeded')
  })
})
