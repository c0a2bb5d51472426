import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { EngineAddress } from '../docker/engine-address.ts'
import { ensureBaseImages } from './base-images.ts'
import type { BaseImage } from './base-images.ts'

let server: Server
let asked: string[]
let signIns: (string | undefined)[]
let said: string[]

afterEach(() => {
  server.closeAllConnections()
  server.close()
})

type Pull = (response: ServerResponse) => void

/** An engine that has `present` images and answers pulls as told. */
async function fakeEngine(
  present: Record<string, object>,
  pulls: Record<string, Pull> = {},
): Promise<EngineAddress> {
  asked = []
  signIns = []
  server = createServer((request: IncomingMessage, response) => {
    const url = new URL(request.url ?? '/', 'http://engine')
    const image = url.searchParams.get('fromImage')
    if (image !== null) {
      asked.push(image)
      signIns.push(request.headers['x-registry-auth'] as string | undefined)
      pulls[image]?.(response)
      return
    }
    const name = decodeURIComponent(url.pathname).slice('/images/'.length, -'/json'.length)
    const labels = present[name]
    response.writeHead(labels ? 200 : 404).end(JSON.stringify({ Config: { Labels: labels ?? null } }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { protocol: 'http', host: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

function ensure(engine: EngineAddress, images: string[], env: NodeJS.ProcessEnv = {}): Promise<BaseImage[]> {
  said = []
  return ensureBaseImages(engine, images, {
    env,
    announce: (line) => void said.push(line),
    mayMakeStandIns: false,
    stallMs: 200,
  })
}

const pulled: Pull = (response) =>
  response.end('{"status":"Pulling from x"}\n{"status":"Download complete","id":"abc"}\n')
const noSuchHost: Pull = (response) =>
  response
    .writeHead(500)
    .end('{"message":"Get \\"https://registry.test/v2/\\": dial tcp: lookup registry.test: no such host"}')
const unknown: Pull = (response) =>
  response.writeHead(404).end('{"message":"manifest for node:999 not found: manifest unknown"}')
const failsMidway: Pull = (response) => response.end('{"status":"Pulling"}\n{"error":"unexpected EOF"}\n')
const stalls: Pull = (response) => void response.write('{"status":"Pulling"}\n')

describe('base images', () => {
  test('that are there are left alone, whatever they are', async () => {
    const engine = await fakeEngine({ 'node:20': {}, 'node:22': { 'com.faasdock.stand-in': 'Debian' } })
    expect(await ensure(engine, ['node:20', 'node:22', 'node:20'])).toEqual([
      { image: 'node:20', state: 'present' },
      { image: 'node:22', state: 'present', detail: 'Debian' },
    ])
    expect(asked).toEqual([])
    expect(said).toEqual([])
  })

  test('that are missing are announced and pulled', async () => {
    const engine = await fakeEngine({}, { 'node:20': pulled })
    expect(await ensure(engine, ['node:20'])).toEqual([{ image: 'node:20', state: 'pulled' }])
    expect(said).toEqual(['Pulling node:20'])
  })

  test('of a registry that cannot be reached are tried once for all of them; others are still tried', async () => {
    const engine = await fakeEngine({}, { 'node:20': noSuchHost, 'own.test/node:22': pulled })
    const states = (await ensure(engine, ['node:20', 'python:3', 'own.test/node:22'])).map(
      ({ state }) => state,
    )
    expect(states).toEqual(['missing', 'missing', 'pulled'])
    expect(asked).toEqual(['node:20', 'own.test/node:22'])
  })

  test('of a private registry are pulled with the user’s sign-in', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'config-'))
    const auth = Buffer.from('me:secret').toString('base64')
    await writeFile(join(folder, 'config.json'), JSON.stringify({ auths: { 'own.test': { auth } } }))
    const engine = await fakeEngine({}, { 'own.test/node:22': pulled, 'node:20': pulled })
    await ensure(engine, ['own.test/node:22', 'node:20'], { DOCKER_CONFIG: folder })
    await rm(folder, { recursive: true })
    expect(JSON.parse(Buffer.from(signIns[0] ?? '', 'base64url').toString('utf8'))).toMatchObject({
      username: 'me',
      password: 'secret',
    })
    expect(signIns[1]).toBeUndefined()
  })

  test('that their registry does not have say so, and the next one is still tried', async () => {
    const engine = await fakeEngine({}, { 'node:999': unknown, 'node:20': pulled })
    expect(await ensure(engine, ['node:999', 'node:20'])).toEqual([
      { image: 'node:999', state: 'missing', detail: 'manifest for node:999 not found: manifest unknown' },
      { image: 'node:20', state: 'pulled' },
    ])
  })

  test('whose pull fails inside the stream are missing', async () => {
    const engine = await fakeEngine({}, { 'node:20': failsMidway })
    expect(await ensure(engine, ['node:20'])).toEqual([
      { image: 'node:20', state: 'missing', detail: 'unexpected EOF' },
    ])
  })

  test('whose pull makes no progress are given up', async () => {
    const engine = await fakeEngine({}, { 'node:20': stalls })
    expect(await ensure(engine, ['node:20'])).toMatchObject([
      { state: 'missing', detail: 'no progress for 0 s' },
    ])
  })
})
