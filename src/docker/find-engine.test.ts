import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import { createServer as createNetServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FaasError } from '../core/errors.ts'
import { findEngine, requireEngine } from './find-engine.ts'
import type { EngineSearch, FindEngineOptions } from './find-engine.ts'
import { outcomeOf } from './engine-ping.ts'

let home: string
let servers: Server[]

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'fd-'))
  servers = []
})

afterEach(async () => {
  for (const server of servers) {
    if ('closeAllConnections' in server) (server as { closeAllConnections(): void }).closeAllConnections()
    server.close()
  }
  await rm(home, { recursive: true, force: true })
})

const docker: RequestListener = (_, response) => {
  response.setHeader('Api-Version', '1.41').setHeader('Ostype', 'linux').end('OK')
}
const podman: RequestListener = (_, response) => {
  response.setHeader('Api-Version', '1.40').setHeader('Libpod-Api-Version', '4.3.1').end('OK')
}

async function listen(path: string, listener: RequestListener = docker): Promise<string> {
  await mkdir(dirname(path), { recursive: true })
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return path
}

async function listenTcp(listener: RequestListener): Promise<number> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

async function writeContext(name: string, host: string, tls?: Record<string, string>): Promise<void> {
  const id = createHash('sha256').update(name).digest('hex')
  const meta = join(home, '.docker/contexts/meta', id)
  await mkdir(meta, { recursive: true })
  await writeFile(
    join(meta, 'meta.json'),
    JSON.stringify({ Name: name, Endpoints: { docker: { Host: host } } }),
  )
  if (!tls) return
  const folder = join(home, '.docker/contexts/tls', id, 'docker')
  await mkdir(folder, { recursive: true })
  for (const [file, text] of Object.entries(tls)) await writeFile(join(folder, file), text)
}

async function useContext(name: string): Promise<void> {
  await mkdir(join(home, '.docker'), { recursive: true })
  await writeFile(join(home, '.docker/config.json'), JSON.stringify({ currentContext: name }))
}

/** The machine's own engine is left out: what comes before /var/run/docker.sock, or after it, is found without it. */
function find(options: Partial<FindEngineOptions> = {}): Promise<EngineSearch> {
  return findEngine({ env: {}, home, limitMs: 300, ...options })
}

const addressOf = (search: EngineSearch): unknown =>
  search.engine && 'socketPath' in search.engine ? search.engine.socketPath : search.engine

describe('what was asked for', () => {
  test('the flag wins over DOCKER_HOST, and DOCKER_HOST over DOCKER_CONTEXT', async () => {
    const flag = await listen(join(home, 'flag.sock'))
    const host = await listen(join(home, 'host.sock'))
    const context = await listen(join(home, 'context.sock'))
    await writeContext('mine', `unix://${context}`)
    const env = { DOCKER_HOST: `unix://${host}`, DOCKER_CONTEXT: 'mine' }
    expect(addressOf(await find({ host: `unix://${flag}`, env }))).toBe(flag)
    expect(addressOf(await find({ env }))).toBe(host)
    expect(addressOf(await find({ env: { DOCKER_CONTEXT: 'mine' } }))).toBe(context)
  })

  test('a DOCKER_HOST that nothing listens at is the answer, although the usual places have an engine', async () => {
    await listen(join(home, '.docker/run/docker.sock'))
    const search = await find({ env: { DOCKER_HOST: `unix://${home}/nothing.sock` } })
    expect(search.engine).toBeUndefined()
    expect(search.attempts).toEqual([
      {
        source: 'DOCKER_HOST',
        address: `unix://${home}/nothing.sock`,
        outcome: 'missing',
        detail: 'no such file',
      },
    ])
  })

  test('an empty DOCKER_HOST asks for nothing', async () => {
    const { attempts } = await find({ env: { DOCKER_HOST: '' } })
    expect(attempts.length).toBeGreaterThan(0)
    expect(attempts.map(({ source }) => source)).not.toContain('DOCKER_HOST')
  })

  test('a DOCKER_CONTEXT that does not exist is named', async () => {
    const { engine, attempts } = await find({ env: { DOCKER_CONTEXT: 'gone' } })
    expect(engine).toBeUndefined()
    expect(attempts[0]).toMatchObject({
      source: 'DOCKER_CONTEXT "gone"',
      detail: 'there is no context "gone"',
    })
  })

  test('a value that is no address is BAD_CONFIG and names the variable', async () => {
    await expect(find({ env: { DOCKER_HOST: 'fd://' } })).rejects.toMatchObject({
      code: 'BAD_CONFIG',
      message: 'DOCKER_HOST is "fd://", which is not the address of an engine',
    })
  })

  test('an engine behind TCP is asked there', async () => {
    const port = await listenTcp(docker)
    const search = await find({ env: { DOCKER_HOST: `tcp://127.0.0.1:${port}` } })
    expect(search.engine).toEqual({ protocol: 'http', host: '127.0.0.1', port })
    expect(search.attempts[0]).toMatchObject({ outcome: 'ok', detail: 'API 1.41' })
  })

  test('ssh is taken at its word, with the agent of the environment', async () => {
    const { engine } = await find({ env: { DOCKER_HOST: 'ssh://me@far:2222', SSH_AUTH_SOCK: '/agent' } })
    expect(engine).toEqual({
      protocol: 'ssh',
      host: 'far',
      port: 2222,
      username: 'me',
      sshOptions: { agent: '/agent' },
    })
  })
})

describe('the usual places', () => {
  test('the current Docker context comes first', async () => {
    const context = await listen(join(home, 'colima.sock'))
    await writeContext('colima', `unix://${context}`)
    await useContext('colima')
    const search = await find()
    expect(addressOf(search)).toBe(context)
    expect(search.source).toBe('Docker context "colima"')
  })

  test('a current context that does not answer is reported, and the next place is asked', async () => {
    await writeContext('stopped', `unix://${home}/stopped.sock`)
    await useContext('stopped')
    const { attempts } = await find()
    expect(attempts[0]).toMatchObject({ source: 'Docker context "stopped"', outcome: 'missing' })
    expect(attempts[1]).toMatchObject({ source: 'Docker', address: 'unix:///var/run/docker.sock' })
  })

  test('DOCKER_CONTEXT=default skips the chosen context', async () => {
    await useContext('colima')
    const { attempts } = await find({ env: { DOCKER_CONTEXT: 'default' } })
    expect(attempts[0]).toMatchObject({ source: 'Docker' })
  })

  test('a context with TLS material gives it to the client', async () => {
    await writeContext('tls', 'tcp://127.0.0.1:1', { 'ca.pem': 'CA', 'cert.pem': 'CERT', 'key.pem': 'KEY' })
    const { attempts } = await find({ env: { DOCKER_CONTEXT: 'tls' } })
    expect(attempts[0]).toMatchObject({ address: 'tcp://127.0.0.1:1' })
    const { contextAddress } = await import('./engine-context.ts')
    expect(await contextAddress(join(home, '.docker'), 'tls', {})).toEqual({
      protocol: 'https',
      host: '127.0.0.1',
      port: 1,
      ca: 'CA',
      cert: 'CERT',
      key: 'KEY',
    })
  })

  test('are asked in the documented order', async () => {
    const runtime = join(home, 'run')
    await mkdir(join(home, '.colima/default'), { recursive: true })
    await mkdir(join(home, '.colima/arm'), { recursive: true })
    const { attempts } = await find({ all: true, platform: 'linux', env: { XDG_RUNTIME_DIR: runtime } })
    expect(attempts.map(({ source, address }) => `${source} ${address.replace(home, '~')}`)).toEqual([
      'Docker unix:///var/run/docker.sock',
      'rootless Docker unix://~/run/docker.sock',
      `rootless Docker unix:///run/user/${process.getuid?.() ?? ''}/docker.sock`,
      'rootless Docker unix://~/.docker/run/docker.sock',
      'Docker Desktop unix://~/.docker/desktop/docker.sock',
      'Colima unix://~/.colima/default/docker.sock',
      'Colima unix://~/.colima/arm/docker.sock',
      'Rancher Desktop unix://~/.rd/docker.sock',
      'OrbStack unix://~/.orbstack/run/docker.sock',
      'Podman unix://~/run/podman/podman.sock',
      'Podman unix:///run/podman/podman.sock',
      'Podman machine ~/.local/share/containers/podman/machine/*/podman.sock',
    ])
  })

  test.each([
    ['.docker/run/docker.sock', 'rootless Docker'],
    ['.docker/desktop/docker.sock', 'Docker Desktop'],
    ['.colima/office/docker.sock', 'Colima'],
    ['.rd/docker.sock', 'Rancher Desktop'],
    ['.orbstack/run/docker.sock', 'OrbStack'],
    ['.local/share/containers/podman/machine/qemu/podman.sock', 'Podman machine'],
  ])('~/%s is found as %s', async (path, source) => {
    await listen(join(home, path))
    const { attempts } = await find({ all: true, platform: 'linux' })
    expect(attempts.filter(({ address }) => address.includes(home) && address.endsWith(path))).toMatchObject([
      { source, outcome: 'ok' },
    ])
  })

  test('Podman is told apart, and not woken while another engine answers', async () => {
    let woken = 0
    await listen(join(home, 'run/podman/podman.sock'), (request, response) => {
      woken++
      podman(request, response)
    })
    const colima = await listen(join(home, 'colima.sock'))
    await writeContext('colima', `unix://${colima}`)
    await useContext('colima')
    const env = { XDG_RUNTIME_DIR: join(home, 'run') }
    expect((await find({ env })).source).toBe('Docker context "colima"')
    expect(woken).toBe(0)
    const { attempts } = await find({ env, all: true })
    expect(attempts).toContainEqual(
      expect.objectContaining({ source: 'Podman', outcome: 'ok', detail: 'API 1.40, Podman' }),
    )
  })

  test('Windows is asked through its pipes', async () => {
    const { attempts } = await find({ platform: 'win32', all: true })
    expect(attempts.map(({ address }) => address)).toEqual([
      'npipe:////./pipe/docker_engine',
      'npipe:////./pipe/dockerDesktopLinuxEngine',
      'npipe:////./pipe/podman-machine-default',
    ])
  })
})

describe('each way of not being an engine', () => {
  const ask = async (address: string): Promise<unknown> =>
    (await find({ env: { DOCKER_HOST: address } })).attempts[0]

  test('a socket that nobody listens on any more is refused', async () => {
    const path = join(home, 'stale.sock')
    await writeFile(path, '')
    expect(await ask(`unix://${path}`)).toMatchObject({ outcome: 'refused' })
  })

  test('a server that never answers times out', async () => {
    await listen(join(home, 'hang.sock'), () => undefined)
    expect(await ask(`unix://${home}/hang.sock`)).toMatchObject({
      outcome: 'timeout',
      detail: 'no answer within 0.3 s',
    })
  })

  test('a server that sends a head and no body times out as well', async () => {
    await listen(join(home, 'half.sock'), (_, response) => {
      response.setHeader('Api-Version', '1.41').setHeader('Content-Length', '2').flushHeaders()
    })
    expect(await ask(`unix://${home}/half.sock`)).toMatchObject({ outcome: 'timeout' })
  })

  test('another HTTP server is not Docker', async () => {
    const port = await listenTcp((_, response) => response.writeHead(404).end('no page'))
    expect(await ask(`tcp://127.0.0.1:${port}`)).toMatchObject({
      outcome: 'not-docker',
      detail: 'answers 404 no page',
    })
  })

  test('a server that does not speak HTTP is not Docker', async () => {
    const server = createNetServer((socket) => socket.end('SSH-2.0\r\n'))
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    expect(await ask(`tcp://127.0.0.1:${port}`)).toMatchObject({ outcome: 'not-docker' })
  })

  test('an engine that runs Windows containers says so', async () => {
    await listen(join(home, 'win.sock'), (_, response) =>
      response.setHeader('Api-Version', '1.41').setHeader('Ostype', 'windows').end('OK'),
    )
    expect(await ask(`unix://${home}/win.sock`)).toMatchObject({
      outcome: 'not-docker',
      detail: 'runs Windows containers; switch it to Linux containers',
    })
  })

  test('a socket of another group is denied', () => {
    expect(outcomeOf(Object.assign(new Error('x'), { code: 'EACCES' }))).toEqual({
      outcome: 'denied',
      detail: 'permission denied',
    })
  })
})

test('asking an engine that answers takes a few milliseconds', async () => {
  const path = await listen(join(home, 'quick.sock'))
  const env = { DOCKER_HOST: `unix://${path}` }
  await find({ env })
  const started = performance.now()
  await find({ env })
  expect(performance.now() - started).toBeLessThan(20)
})

test('requireEngine says what was tried', async () => {
  const error = await requireEngine({ env: { DOCKER_HOST: `unix://${home}/none.sock` }, home }).catch(
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(FaasError)
  const { code, message, remedy } = error as FaasError
  expect(code).toBe('ENGINE_NOT_FOUND')
  expect(message).toContain(`DOCKER_HOST  unix://${home}/none.sock  missing: no such file`)
  expect(remedy).toContain('correct DOCKER_HOST, or leave it out')
})
