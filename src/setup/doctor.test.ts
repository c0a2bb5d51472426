import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { useApp } from '../../test/support/use-app.ts'
import { dataChecks, nodeCheck, portCheck, watchCheck } from './doctor-machine.ts'
import { doctorReport } from './doctor.ts'
import type { DoctorCheck } from './doctor.ts'

let folder: string
let servers: Server[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'doctor-'))
  servers = []
})

afterEach(async () => {
  for (const server of servers) server.close()
  await rm(folder, { recursive: true, force: true })
})

async function listen(listener: RequestListener): Promise<number> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

/** An engine that answers these paths with JSON, and everything else with 404. */
function fakeEngine(answers: Readonly<Record<string, unknown>>): Promise<number> {
  return listen((request, response) => {
    const path = decodeURIComponent(request.url ?? '')
    if (path === '/_ping') {
      response.setHeader('Api-Version', '1.41').end('OK')
      return
    }
    const answer = answers[path]
    response.writeHead(answer === undefined ? 404 : 200)
    response.end(JSON.stringify(answer ?? { message: `no ${path}` }))
  })
}

async function report(port: number, images: string[] = []): Promise<Map<string, DoctorCheck>> {
  const env = { DOCKER_HOST: `tcp://127.0.0.1:${port}` }
  const checks = await doctorReport({ env, home: folder, dataDir: join(folder, 'state'), port: 0, images })
  return new Map(checks.map((check) => [check.name, check]))
}

test.each([
  ['20.18.1', 'ok'],
  ['22.0.0', 'ok'],
  ['20.18.0', 'fail'],
  ['18.99.99', 'fail'],
])('Node %s is %s', (version, ok) => {
  expect(nodeCheck(version).ok).toBe(ok)
})

describe('the port', () => {
  test('that is free is ok', async () => {
    expect((await portCheck(0, '127.0.0.1')).ok).toBe('ok')
  })

  test.runIf(process.platform === 'linux')('that is taken names the program that has it', async () => {
    const port = await listen((_, response) => response.end())
    const check = await portCheck(port, '127.0.0.1')
    expect(check.ok).toBe('warn')
    expect(check.detail).toContain(`in use by pid ${process.pid}: `)
    expect(check.remedy).toContain(`--port ${port + 1}`)
  })

  test.runIf(process.platform === 'linux').each([true, false])(
    'that a faasdock of this user has is ok, and nothing to kill (with a login: %s)',
    async (auth) => {
      await using platform = await useApp({}, { auth })
      expect(await portCheck(platform.port, '127.0.0.1')).toEqual({
        name: `port ${platform.port}`,
        ok: 'ok',
        detail: `faasdock runs there: process ${process.pid}`,
      })
    },
  )
})

describe('the data directory', () => {
  test('that does not exist yet is ok when it can be made', async () => {
    const [directory, disk] = await dataChecks(join(folder, 'a/b'))
    expect(directory).toMatchObject({ ok: 'ok', detail: join(folder, 'a/b') })
    expect(disk?.detail).toContain(`free at ${folder}`)
  })

  test('that is below a file fails and says so', async () => {
    await writeFile(join(folder, 'file'), '')
    expect(await dataChecks(join(folder, 'file/state'))).toMatchObject([
      { ok: 'fail', detail: `${folder}/file/state: ${folder}/file is not a folder` },
    ])
  })
})

describe('file watching', () => {
  test.each([
    ['192536', '128', 'ok'],
    ['8192', '128', 'warn'],
    ['192536', '16', 'warn'],
  ])('with %s watches and %s instances is %s', async (watches, instances, ok) => {
    await mkdir(join(folder, 'sys/fs/inotify'), { recursive: true })
    await writeFile(join(folder, 'sys/fs/inotify/max_user_watches'), `${watches}\n`)
    await writeFile(join(folder, 'sys/fs/inotify/max_user_instances'), `${instances}\n`)
    expect(await watchCheck(folder)).toMatchObject([{ ok }])
  })

  test('has no limits to look at elsewhere', async () => {
    expect(await watchCheck(folder)).toEqual([])
  })
})

describe('the engine', () => {
  test('that is missing fails with the places tried and what to do', async () => {
    const port = await listen((_, response) => response.end())
    servers.pop()?.close()
    const engine = (await report(port)).get('engine')
    expect(engine?.ok).toBe('fail')
    expect(engine?.detail).toContain(`DOCKER_HOST  tcp://127.0.0.1:${port}  refused`)
    expect(engine?.remedy).toContain('leave it out')
  })

  test('of another architecture is warned of', async () => {
    const port = await fakeEngine({ '/version': { Version: '27.0', ApiVersion: '1.46', Arch: 's390x' } })
    const checks = await report(port)
    expect(checks.get('engine version')?.detail).toBe('27.0, API 1.46')
    expect(checks.get('architecture')).toMatchObject({ ok: 'warn' })
  })

  test('that answers a ping and nothing else is a finding, not an end', async () => {
    const checks = await report(await fakeEngine({}))
    expect(checks.get('engine version')).toMatchObject({ ok: 'fail', detail: '/version: no /version' })
    expect(checks.get('node')?.ok).toBe('ok')
  })

  test('is asked for each base image: there, a stand-in, to be had, not to be had', async () => {
    const port = await fakeEngine({
      '/images/node:20/json': { Config: { Labels: null } },
      '/images/node:22/json': { Config: { Labels: { 'com.faasdock.stand-in': 'Debian' } } },
      '/distribution/node:24/json': {},
    })
    const checks = await report(port, ['node:20', 'node:22', 'node:24', 'node:26'])
    expect(checks.get('image node:20')).toMatchObject({ ok: 'ok', detail: 'on the engine' })
    expect(checks.get('image node:22')).toMatchObject({ ok: 'warn', detail: 'a stand-in: Debian' })
    expect(checks.get('image node:24')).toMatchObject({ ok: 'ok' })
    expect(checks.get('image node:26')).toMatchObject({ ok: 'fail' })
    expect(checks.get('image node:26')?.detail).toContain('no /distribution/node:26/json')
  })

  test('with a bridge on this machine is reached directly', async () => {
    const own = await fakeEngine({ '/networks/bridge': { IPAM: { Config: [{ Subnet: '127.0.0.0/8' }] } } })
    expect((await report(own)).get('network')?.detail).toContain('directly over the bridge 127.0.0.1')
    const other = await fakeEngine({
      '/networks/bridge': { IPAM: { Config: [{ Gateway: '198.51.100.1' }] } },
    })
    expect((await report(other)).get('network')?.detail).toContain('published on 127.0.0.1')
  })

  test('whose address cannot be read is one failed check', async () => {
    const checks = await doctorReport({
      env: { DOCKER_HOST: 'fd://' },
      home: folder,
      dataDir: folder,
      port: 0,
    })
    expect(checks.find(({ name }) => name === 'engine')).toMatchObject({
      ok: 'fail',
      detail: expect.stringContaining('DOCKER_HOST is "fd://"') as string,
    })
  })
})
