import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import { makeClassicBuild } from './classic-build.ts'
import { fixedLogins } from './registry-config.ts'
import { makeEngine } from './client.ts'
import type { Engine } from './client.ts'
import { pullImage } from './images.ts'
import type { ImageBuild } from './image-build.ts'

/** An HTTP server on a socket of its own that answers as an engine would. */
async function useEngine(
  answer: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>,
): Promise<{ readonly engine: Engine } & AsyncDisposable> {
  const folder = await makeFolder()
  const socketPath = join(folder.path, 'engine.sock')
  const server = createServer((request, response) => {
    Promise.resolve(answer(request, response)).catch((error: unknown) => response.destroy(error as Error))
  }).listen(socketPath)
  await new Promise((resolve) => server.once('listening', resolve))
  return {
    engine: makeEngine({ socketPath, host: '' }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await folder[Symbol.asyncDispose]()
    },
  }
}

function makeBuild(more: Partial<ImageBuild> = {}): ImageBuild {
  return {
    name: 'hello',
    tag: 'hello:1',
    context: () => Readable.from([Buffer.from('the context')], { objectMode: false }),
    buildArgs: { A: '1' },
    labels: { l: 'x' },
    noCache: false,
    secrets: {},
    mountSsh: false,
    signal: new AbortController().signal,
    onOutput: () => undefined,
    ...more,
  }
}

const noLogins = () => Promise.resolve(fixedLogins({}))
const BUILT = `${JSON.stringify({ aux: { ID: 'sha256:1' } })}\n`

describe('a classic build', () => {
  test('sends the context, the arguments, the labels and the sign-ins for base images', async () => {
    let seen: { query: URLSearchParams; logins: unknown; body: string } | undefined
    await using fake = await useEngine(async (request, response) => {
      const body = (await buffer(request)).toString()
      const logins = Buffer.from(String(request.headers['x-registry-config']), 'base64').toString()
      const query = new URL(request.url ?? '', 'http://engine').searchParams
      seen = { query, logins: JSON.parse(logins) as unknown, body }
      response.end(BUILT)
    })
    const login = { username: 'me', password: 'pw', serveraddress: 'private.example' }
    const build = makeClassicBuild(fake.engine, () =>
      Promise.resolve(fixedLogins({ 'private.example': login })),
    )
    expect(await build(makeBuild())).toBe('sha256:1')
    expect(seen?.body).toBe('the context')
    expect(seen?.logins).toEqual({ 'private.example': login })
    expect(Object.fromEntries(seen?.query ?? [])).toMatchObject({
      t: 'hello:1',
      buildargs: '{"A":"1"}',
      labels: '{"l":"x"}',
      rm: 'true',
      forcerm: 'true',
    })
  })

  test('that is aborted closes the request, which is how the engine learns of it', async () => {
    let closed = false
    await using fake = await useEngine((request, response) => {
      request.resume()
      response.write(`${JSON.stringify({ stream: 'Step 1/1 : RUN sleep\n' })}\n`)
      response.once('close', () => (closed = true))
    })
    const abort = new AbortController()
    const build = makeBuild({ signal: abort.signal, onOutput: () => abort.abort(new Error('saved again')) })
    await expect(makeClassicBuild(fake.engine, noLogins)(build)).rejects.toThrow('saved again')
    await expect.poll(() => closed).toBe(true)
  })

  test('that is aborted while the context is sent stops reading the context', async () => {
    await using fake = await useEngine(() => undefined)
    const abort = new AbortController()
    const context = new Readable({
      read() {
        this.push(Buffer.alloc(64 * 1024))
        if (!abort.signal.aborted) setImmediate(() => abort.abort(new Error('stop')))
      },
    })
    const build = makeBuild({ signal: abort.signal, context: () => context })
    await expect(makeClassicBuild(fake.engine, noLogins)(build)).rejects.toThrow('stop')
    expect(context.destroyed).toBe(true)
  })

  test('whose context breaks fails with the context’s error', async () => {
    await using fake = await useEngine((request) => void request.resume())
    const context = () =>
      new Readable({
        read() {
          this.destroy(new Error('the file changed'))
        },
      })
    await expect(makeClassicBuild(fake.engine, noLogins)(makeBuild({ context }))).rejects.toThrow(
      'the file changed',
    )
  })

  test('that the engine refuses at once fails with what it says', async () => {
    await using fake = await useEngine((request, response) => {
      request.resume()
      response.writeHead(400, { 'content-type': 'application/json' })
      response.end('{"message":"dockerfile parse error line 1: unknown instruction: FROMM"}')
    })
    await expect(makeClassicBuild(fake.engine, noLogins)(makeBuild())).rejects.toMatchObject({
      code: 'BUILD_FAILED',
      message: 'hello: dockerfile parse error line 1: unknown instruction: FROMM',
      remedy: 'Correct the Dockerfile of the template or function.',
    })
  })

  test('whose engine goes away in the middle says so', async () => {
    await using fake = await useEngine((request, response) => {
      request.resume()
      response.write(`${JSON.stringify({ stream: 'Step 1/1 : RUN x\n' })}\n`)
      setImmediate(() => response.socket?.destroy())
    })
    await expect(makeClassicBuild(fake.engine, noLogins)(makeBuild())).rejects.toMatchObject({
      code: 'ENGINE_NOT_FOUND',
    })
  })
})

test('a pull signs in to the registry and asks for one tag', async () => {
  let seen: { url: string; auth: unknown } | undefined
  await using fake = await useEngine((request, response) => {
    const auth = Buffer.from(String(request.headers['x-registry-auth']), 'base64').toString()
    seen = { url: request.url ?? '', auth: JSON.parse(auth) as unknown }
    response.end('{"status":"Pull complete"}\n')
  })
  const login = { username: 'me', password: 'pw', serveraddress: 'private.example:5000' }
  const lines: string[] = []
  await pullImage(fake.engine, 'private.example:5000/team/base', {
    login,
    platform: 'linux/arm64',
    signal: new AbortController().signal,
    onOutput: (line) => lines.push(line),
  })
  expect(seen?.url).toContain('fromImage=private.example%3A5000%2Fteam%2Fbase')
  expect(seen?.url).toContain('tag=latest')
  expect(seen?.url).toContain('platform=linux%2Farm64')
  expect(seen?.auth).toEqual(login)
  expect(lines).toEqual(['Pull complete'])
})
