import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeEngine } from '../../src/docker/client.ts'
import type { Engine } from '../../src/docker/client.ts'
import { LABEL } from '../../src/docker/labels.ts'
import { describeDocker, dockerAddress } from '../support/docker.ts'
import { makeFolder } from '../support/folder.ts'
import type { TestFolder } from '../support/folder.ts'
import { buildHello } from '../support/hello-image.ts'
import type { HelloImages } from '../support/hello-image.ts'
import { noPrivateEngine, startPrivateEngine } from '../support/private-engine.ts'
import { PROGRAM, startProgram } from '../support/program.ts'
import type { ProgramSetting, RunningProgram } from '../support/program.ts'
import { makeScratch } from '../support/scratch.ts'
import { until, untilPasses } from '../support/until.ts'

const RUN = randomBytes(3).toString('hex')
const PATH = '/var/openfaas/secrets'
/** What must be nowhere but in the function and in the one file of the gateway. */
const VALUE = `-----BEGIN KEY-----\nvalue-${randomBytes(12).toString('hex')}\n-----END KEY-----\n\n`
const NEXT = `next-${randomBytes(12).toString('hex')}\n`

/** The real program as a gateway. */
class Serve implements AsyncDisposable {
  readonly #program: RunningProgram
  url = ''
  instance = ''

  constructor(dataDir: string, setting: ProgramSetting = {}) {
    const args = ['serve', '--data', dataDir, '--port', '0', '--start-timeout', '20s', '--json']
    this.#program = startProgram(args, setting)
  }

  async ready(): Promise<this> {
    const done = await this.#program.event(({ type }) => type === 'start.done')
    this.url = String(done['url'])
    this.instance = String(done['instance'])
    return this
  }

  get said(): string {
    return this.#program.screen
  }

  async kill(): Promise<void> {
    this.#program.signal('SIGKILL')
    await this.#program.end
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]()
  }
}

/** How the test reaches a gateway: by itself, or from inside another network. */
type Ask = (method: string, path: string, body?: object) => Promise<{ status: number; body: string }>

const asking =
  (serve: () => Serve): Ask =>
  async (method, path, body) => {
    const answer = await fetch(serve().url + path, { method, ...(body && { body: JSON.stringify(body) }) })
    return { status: answer.status, body: await answer.text() }
  }

const secret = (name: string, value: string): object => ({
  name,
  value: value.trim(),
  rawValue: Buffer.from(value).toString('base64'),
})

async function readInside(ask: Ask, fn: string, file: string): Promise<string> {
  const { body } = await ask('GET', `/function/${fn}/read?file=${PATH}/${file}`)
  const { ok } = JSON.parse(body) as { ok?: string }
  if (ok === undefined) throw new Error(body)
  return Buffer.from(ok, 'base64').toString('utf8')
}

describeDocker('secrets', () => {
  let engine: Engine
  let images: HelloImages
  let folder: TestFolder
  let serve: Serve
  const ask = asking(() => serve)

  beforeAll(async () => {
    engine = makeEngine(dockerAddress())
    images = await buildHello(engine, `secrets-${RUN}`)
    folder = await makeFolder()
    serve = await new Serve(join(folder.path, 'data')).ready()
  })
  afterAll(async () => {
    await ask('DELETE', '/system/functions', { functionName: 'a' })
    await ask('DELETE', '/system/functions', { functionName: 'b' })
    await untilPasses(async () => expect(await containers()).toEqual([]))
    await serve[Symbol.asyncDispose]()
    const filters = { label: [`${LABEL.instance}=${serve.instance}`] }
    for (const { Id } of await engine.listNetworks({ filters })) await engine.getNetwork(Id).remove()
    await images[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  })

  const containers = async (): Promise<string[]> =>
    (
      await engine.listContainers({
        all: true,
        filters: { label: [`${LABEL.instance}=${serve.instance}`, `${LABEL.role}=function`] },
      })
    ).map(({ Id }) => Id)

  async function volumes(): Promise<string[]> {
    const filters = { label: [`${LABEL.instance}=${serve.instance}`] }
    const { Volumes } = await engine.listVolumes({ filters: JSON.stringify(filters) } as object)
    return ((Volumes as typeof Volumes | null) ?? []).map(({ Name }) => Name)
  }

  const deployment = (service: string, more: object = {}): object => ({
    service,
    image: images.image,
    secrets: ['key', 'binary'],
    ...more,
  })

  test('are files with exactly their bytes, whatever the user and the root file system of the function', async () => {
    expect((await ask('POST', '/system/secrets', secret('key', VALUE))).status).toBe(202)
    const binary = { name: 'binary', rawValue: Buffer.from([0, 255, 10, 13, 0]).toString('base64') }
    expect((await ask('POST', '/system/secrets', binary)).status).toBe(202)
    await ask('POST', '/system/functions', deployment('a'))
    await ask(
      'POST',
      '/system/functions',
      deployment('b', { image: images.imageOfUser, readOnlyRootFilesystem: true }),
    )
    for (const fn of ['a', 'b']) {
      expect(await readInside(ask, fn, 'key')).toBe(VALUE)
      const { body } = await ask('GET', `/function/${fn}/read?file=${PATH}/binary`)
      expect(JSON.parse(body)).toEqual({ ok: Buffer.from([0, 255, 10, 13, 0]).toString('base64') })
      const written = await ask('GET', `/function/${fn}/write?file=${PATH}/key`)
      expect(JSON.parse(written.body)).toMatchObject({
        error: expect.stringMatching(/EACCES|EROFS/) as string,
      })
    }
  })

  test('reach running functions when they change, without a new replica', async () => {
    const before = (await containers()).toSorted()
    expect((await ask('PUT', '/system/secrets', secret('key', NEXT))).status).toBe(202)
    await untilPasses(async () => {
      for (const fn of ['a', 'b']) expect(await readInside(ask, fn, 'key')).toBe(NEXT)
    })
    expect((await containers()).toSorted()).toEqual(before)
    // And those that come later.
    await ask('POST', '/system/scale-function/a', { serviceName: 'a', replicas: 3 })
    await until(async () => (await containers()).length === 4)
    await untilPasses(async () => {
      for (let call = 0; call < 9; call++) expect(await readInside(ask, 'a', 'key')).toBe(NEXT)
    })
    await ask('POST', '/system/scale-function/a', { serviceName: 'a', replicas: 1 })
    await until(async () => (await containers()).length === 2)
  })

  test('are in every running replica when the change is answered', async () => {
    for (let change = 0; change < 10; change++) {
      const value = `change ${change}\n`
      expect((await ask('PUT', '/system/secrets', secret('key', value))).status).toBe(202)
      for (const fn of ['a', 'b']) expect(await readInside(ask, fn, 'key')).toBe(value)
    }
  })

  test('are seen whole or not at all by a function that reads while they change', async () => {
    const long = (letter: string): string => letter.repeat(20_000)
    await ask('PUT', '/system/secrets', secret('key', long('a')))
    const watched = ask('GET', `/function/a/watch?file=${PATH}/key&ms=4000`)
    const end = new AbortController()
    const changes = (async () => {
      for (let i = 0; !end.signal.aborted; i++)
        await ask('PUT', '/system/secrets', secret('key', long('abcde'.charAt(i % 5))))
    })()
    const { body } = await watched.finally(() => end.abort())
    await changes
    const seen = JSON.parse(body) as string[]
    expect(seen.filter((text) => text !== 'ENOENT').length, body).toBeGreaterThan(1)
    for (const text of seen) expect(text).toMatch(/^(20000 [a-e]|ENOENT)$/)
  })

  test('are in no answer, no inspection, no file of the registry, no log and no error', async () => {
    expect((await ask('PUT', '/system/secrets', secret('key', NEXT))).status).toBe(202)
    const shown: string[] = [serve.said]
    const failing = deployment('c', { image: 'localhost:1/nobody/has-this:1' })
    await ask('POST', '/system/functions', failing)
    await until(async () => (await ask('GET', '/system/function/c?verbose=1')).body.includes('problem'))
    for (const path of [
      '/system/secrets',
      '/system/functions?verbose=1',
      '/system/function/a?verbose=1',
      '/system/function/c?verbose=1',
      '/system/logs?name=a',
      '/system/logs?name=c',
      '/system/info',
      '/metrics',
      '/function/c',
    ])
      shown.push((await ask('GET', path)).body)
    shown.push((await ask('POST', '/system/secrets', secret('key', VALUE))).body)
    shown.push((await ask('PUT', '/system/secrets', secret('not here', VALUE))).body)
    shown.push((await ask('PUT', '/system/secrets', { ...secret('key', VALUE), rawValue: `!${VALUE}` })).body)
    await ask('DELETE', '/system/functions', { functionName: 'c' })
    for (const id of await containers()) shown.push(JSON.stringify(await engine.getContainer(id).inspect()))
    for (const name of await volumes()) shown.push(JSON.stringify(await engine.getVolume(name).inspect()))
    for (const file of ['faasdock.db', 'faasdock.db-wal', 'registry.db', 'registry.db-wal'])
      shown.push(await readFile(join(folder.path, 'data', file), 'latin1').catch(() => ''))
    const forms = [VALUE, NEXT].flatMap((value) => [
      value.trim(),
      Buffer.from(value).toString('base64').slice(0, 24),
    ])
    for (const text of shown)
      for (const form of forms) expect(text).not.toContain(form.split('\n')[1] ?? form)
  })

  test('leave nothing on the engine: after a removal, a kill -9, or somebody’s docker rm', async () => {
    expect(await volumes()).toHaveLength(2)
    expect((await ask('PUT', '/system/secrets', secret('key', NEXT))).status).toBe(202)
    await serve.kill()
    // A change that nobody could tell them of.
    const [victim = ''] = await containers()
    await engine.getContainer(victim).remove({ force: true })
    expect(await volumes()).toHaveLength(2)
    serve = await new Serve(join(folder.path, 'data')).ready()
    await untilPasses(async () => {
      for (const fn of ['a', 'b']) expect(await readInside(ask, fn, 'key')).toBe(NEXT)
    })
    await untilPasses(async () => expect(await volumes()).toHaveLength(2))
    for (const functionName of ['a', 'b']) await ask('DELETE', '/system/functions', { functionName })
    await untilPasses(async () => expect(await volumes()).toEqual([]))
  })
})

describeDocker('secrets on an engine that does not see our files', () => {
  const reason = noPrivateEngine()
  if (reason !== undefined) {
    test.skip(reason, () => undefined)
    return
  }

  test('over tcp: a function gets them, and their changes', async () => {
    await using scratch = await makeScratch()
    const data = join(scratch.path, 'data')
    await mkdir(data)
    await using remote = await startPrivateEngine(join(scratch.path, 'engine'), 900, data)
    await using images = await buildHello(makeEngine(dockerAddress()), `remote-${RUN}`)
    await remote.load(images.image)
    // Beside that engine, where its loopback is; its files are another matter.
    const setting: ProgramSetting = {
      command: [...remote.inside, process.execPath, PROGRAM],
      env: { DOCKER_HOST: remote.tcpAddress, FAASDOCK_INSTALL_ENGINE: '0' },
    }
    await using serve = await new Serve(data, setting).ready()
    const ask = askingInside(remote.inside, serve.url)
    await ask('POST', '/system/secrets', secret('key', VALUE))
    await ask('POST', '/system/functions', { service: 'far', image: images.image, secrets: ['key'] })
    await untilPasses(async () => expect(await readInside(ask, 'far', 'key')).toBe(VALUE))
    await ask('PUT', '/system/secrets', secret('key', NEXT))
    await untilPasses(async () => expect(await readInside(ask, 'far', 'key')).toBe(NEXT))
    await rm(join(data, 'nothing'), { force: true })
  }, 180_000)
})

/** Calls a gateway from inside another network. */
function askingInside(inside: readonly [string, ...string[]], url: string): Ask {
  const script = `
    const [method, url, body] = process.argv.slice(1)
    fetch(url, { method, ...(body && { body }) })
      .then(async (answer) => console.log(JSON.stringify({ status: answer.status, body: await answer.text() })))
  `
  return async (method, path, body) => {
    const { execFile } = await import('node:child_process')
    const { promisify } = await import('node:util')
    const [program, ...first] = inside
    const args = [
      ...first,
      process.execPath,
      '-e',
      script,
      method,
      url + path,
      ...(body ? [JSON.stringify(body)] : []),
    ]
    const { stdout } = await promisify(execFile)(program, args)
    return JSON.parse(stdout) as { status: number; body: string }
  }
}
