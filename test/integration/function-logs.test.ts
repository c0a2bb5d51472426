import { randomBytes } from 'node:crypto'
import { readdirSync, statSync } from 'node:fs'
import { createServer, request } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FunctionSpec } from '../../src/core/function.ts'
import { silentLog } from '../../src/core/log.ts'
import type { LogLine, LogQuery, ProviderEvent } from '../../src/core/provider.ts'
import { makeEngine } from '../../src/docker/client.ts'
import type { Engine } from '../../src/docker/client.ts'
import { batchedText } from '../../src/gateway/batched-text.ts'
import { fixedLogins } from '../../src/docker/registry-config.ts'
import { createDockerProvider } from '../../src/provider/docker/docker-provider.ts'
import type { DockerProvider } from '../../src/provider/docker/docker-provider.ts'
import { describeDocker, dockerAddress } from '../support/docker.ts'
import { makeFolder } from '../support/folder.ts'
import type { TestFolder } from '../support/folder.ts'
import { helloSpec, revisionOf } from '../support/hello.ts'
import { buildHello } from '../support/hello-image.ts'
import type { HelloImages } from '../support/hello-image.ts'
import { until } from '../support/until.ts'

const RUN = randomBytes(3).toString('hex')
const never = new AbortController().signal

describeDocker('logs of functions', () => {
  let engine: Engine
  let images: HelloImages
  let folder: TestFolder
  let provider: DockerProvider

  const open = async (instance: string): Promise<DockerProvider> => {
    const opened = await createDockerProvider({
      engine,
      instance,
      dataDir: folder.path,
      readSecret: () => undefined,
      startTimeoutMs: 20_000,
      drainMs: 5000,
      relayImage: 'node:20-alpine',
      registryConfig: () => Promise.resolve(fixedLogins({})),
      log: silentLog,
    })
    await opened.routeGateway({ host: opened.hostAddress ?? 'host.docker.internal', port: 8080 })
    return opened
  }
  const instance = randomBytes(4).toString('hex')

  beforeAll(async () => {
    engine = makeEngine(dockerAddress())
    images = await buildHello(engine, `logs-${RUN}`)
    folder = await makeFolder()
    provider = await open(instance)
  })
  afterAll(async () => {
    await provider.removeAll()
    await provider[Symbol.asyncDispose]()
    await images[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  })

  const spec = (given: Parameters<typeof helloSpec>[1] = {}): FunctionSpec => helloSpec(images.image, given)

  async function call(fn: FunctionSpec, path: string): Promise<void> {
    using lease = provider.lease(fn)
    await fetch(`${lease?.origin ?? 'http://nobody.invalid'}${path}`)
      .then((answer) => answer.arrayBuffer())
      .catch(() => undefined)
  }

  async function read(query: Omit<LogQuery, 'follow'>): Promise<LogLine[]> {
    const lines: LogLine[] = []
    for await (const line of provider.logs({ ...query, follow: false }, never)) lines.push(line)
    return lines
  }

  const expectOrder = (lines: readonly LogLine[]): void => {
    const times = lines.map(({ timestamp }) => timestamp)
    expect(times).toEqual(times.toSorted())
  }

  test('lines of replicas that are gone are there still, in the order of their times, with their instance', async () => {
    const fn = spec({ word: 'first' })
    await provider.deploy(revisionOf(fn), 2, never)
    await call(fn, '/print?text=before')
    await provider.deploy(revisionOf({ ...fn, envVars: { WORD: 'second' } }), 1, never)
    await call(fn, '/print?text=after')
    const texts = [
      'hello begins as first',
      'hello begins as first',
      'before',
      'hello begins as second',
      'after',
    ]
    // The old replicas go behind the caller's back; their lines are there all the time.
    for (let look = 0; look < 10; look++) {
      const lines = await read({ ref: fn })
      expect(lines.map(({ text }) => text).toSorted()).toEqual(texts.toSorted())
      expectOrder(lines)
      expect(new Set(lines.map((line) => line.instance)).size).toBe(3)
    }
    const [first] = await read({ ref: fn })
    const ofOne = await read({ ref: fn, instance: first?.instance ?? '' })
    expect(new Set(ofOne.map((line) => line.instance))).toEqual(new Set([first?.instance]))
    expect((await read({ ref: fn, tail: 2 })).map(({ text }) => text)).toEqual([
      'hello begins as second',
      'after',
    ])
    await provider.remove(fn)
    expect((await read({ ref: fn })).map(({ text }) => text).toSorted()).toEqual(texts.toSorted())
  })

  test('a replica that crashes, or never gets ready, leaves its last lines', async () => {
    const fn = spec({ word: 'victim' })
    const revision = revisionOf(fn)
    await provider.deploy(revision, 1, never)
    const events: ProviderEvent[] = []
    using _watch = provider.watch((event) => events.push(event))
    await call(fn, '/crash?code=7')
    await until(() => events.find(({ type }) => type === 'replica-gone'))
    await until(async () => (await read({ ref: fn })).some(({ text }) => text === 'about to end with 7'))
    await provider
      .deploy(revisionOf({ ...fn, envVars: { START: 'exit:3' } }), 1, never)
      .catch(() => undefined)
    await until(async () =>
      (await read({ ref: fn })).some(({ text }) => text === 'cannot find module ./nothing'),
    )
    await provider.remove(fn)
  })

  test('a follower hears replicas from their first word on, ready or not, each line once, through swaps and crashes', async () => {
    const fn = spec({ word: '0' })
    await provider.deploy(revisionOf(fn), 1, never)
    const abort = new AbortController()
    const seen: LogLine[] = []
    const following = (async () => {
      for await (const line of provider.logs({ ref: fn, follow: true }, abort.signal)) seen.push(line)
    })()
    for (let next = 1; next <= 4; next++) {
      await call(fn, `/print?text=call-${next}`)
      await provider.deploy(revisionOf({ ...fn, envVars: { WORD: String(next) } }), 1, never)
    }
    await provider
      .deploy(revisionOf({ ...fn, envVars: { START: 'exit:3', WORD: 'bad' } }), 1, never)
      .catch(() => undefined)
    provider.note(fn, 'two\nwords')
    await call(fn, '/crash?code=7')
    await until(() => seen.some(({ text }) => text === 'about to end with 7'))
    await until(() => seen.some(({ text }) => text === 'cannot find module ./nothing'))
    abort.abort()
    await following
    expect(seen.map(({ text }) => text).toSorted()).toEqual(
      [
        ...[0, 1, 2, 3, 4, 'bad'].map((word) => `hello begins as ${word}`),
        ...[1, 2, 3, 4].map((number) => `call-${number}`),
        'cannot find module ./nothing',
        'about to end with 7',
        'two',
        'words',
      ].toSorted(),
    )
    expect(seen.filter((line) => line.instance === 'faasdock').map(({ text }) => text)).toEqual([
      'two',
      'words',
    ])
    await provider.remove(fn)
  })

  test('what is kept is bounded in replicas, and nobody’s names lead out of it', async () => {
    const fn = spec()
    for (let round = 0; round < 8; round++) {
      await provider.deploy(revisionOf({ ...fn, envVars: { WORD: String(round) } }), 1, never)
      await provider.deploy(revisionOf(fn), 0, never)
    }
    const kept = join(folder.path, 'logs', fn.namespace, fn.name)
    await until(() => readdirSync(kept).length === 5)
    await until(async () => {
      const texts = (await read({ ref: fn })).map(({ text }) => text)
      return texts.join() === [3, 4, 5, 6, 7].map((word) => `hello begins as ${word}`).join()
    })
    expect(statSync(join(folder.path, 'logs', fn.namespace)).mode & 0o777).toBe(0o700)
    for (const name of ['../..', '..', 'a/b', ''])
      expect(await read({ ref: { name, namespace: '..' } })).toEqual([])
    await provider.remove(fn)
  })

  test('a run that was killed while it kept lines loses none that the engine has', async () => {
    const fn = spec({ word: 'survivor' })
    const own = randomBytes(4).toString('hex')
    const before = await open(own)
    await before.deploy(revisionOf(fn), 1, never)
    // As a kill -9 leaves it: the container ended, and nobody looked after it.
    await before[Symbol.asyncDispose]()
    const [container] = await engine.listContainers({ filters: { label: [`com.faasdock.instance=${own}`] } })
    await engine.getContainer(container?.Id ?? '').kill()
    const after = await open(own)
    const lines: LogLine[] = []
    for await (const line of after.logs({ ref: fn, follow: false }, never)) lines.push(line)
    expect(lines.map(({ text }) => text)).toEqual(['hello begins as survivor'])
    await after.removeAll()
    await after[Symbol.asyncDispose]()
  })

  test('a line of a mebibyte, of broken bytes or of none comes, and so does the next', async () => {
    const fn = spec()
    await provider.deploy(revisionOf(fn), 1, never)
    await call(fn, `/print-long?length=${2 ** 20 - 8}`)
    await call(fn, `/print-long?length=${3 * 2 ** 20}`)
    await call(fn, '/print?text=')
    await call(fn, `/print-long?length=30000&letter=${encodeURIComponent('汉')}`)
    await call(fn, '/print?text=last')
    await until(async () => (await read({ ref: fn })).at(-1)?.text === 'last')
    const lines = (await read({ ref: fn })).slice(1)
    expect(lines.map(({ text }) => text.length)).toEqual([
      2 ** 20,
      2 ** 20,
      2 ** 20,
      2 ** 20,
      8,
      0,
      30_008,
      4,
    ])
    expect(lines[6]?.text).toBe(`begin${'汉'.repeat(30_000)}end`)
    await provider.remove(fn)
  })

  test('a watchdog that lost its voice is explained', async () => {
    const fn = spec()
    await provider.deploy(revisionOf(fn), 1, never)
    await call(
      fn,
      `/print?text=${encodeURIComponent('Error scanning stdout: bufio.Scanner: token too long')}`,
    )
    await until(async () => (await read({ ref: fn })).length > 2)
    expect((await read({ ref: fn })).at(-1)).toMatchObject({
      instance: 'faasdock',
      text: expect.stringContaining('log_buffer_size') as string,
    })
    await provider.remove(fn)
  })

  // The engine begins four log files meanwhile, and itself repeats lines at each of them.
  const LINES = 120_000
  const RATE = 10_000

  /** The function prints numbered lines up to that one, as many a second. */
  async function printing(lines: number): Promise<FunctionSpec> {
    const fn = spec({ envVars: { START: 'ok' } })
    await provider.deploy(revisionOf(fn), 1, never)
    await call(fn, `/flood?lines=${lines}&rate=${RATE}`)
    return fn
  }

  test('a follower of ten thousand lines a second gets each of them once, in order, and memory does not grow', async () => {
    const fn = await printing(LINES)
    const abort = new AbortController()
    let next = 0
    let faults = 0
    const memory: number[] = []
    for await (const { text } of provider.logs({ ref: fn, follow: true }, abort.signal)) {
      if (!text.startsWith('flood ')) continue
      if (Number(text.split(' ')[1]) !== next) faults++
      if (next % 20_000 === 0) memory.push(usedMegabytes())
      next++
      // The last line, not the last of so many: one that is lost is to be told, not to be waited for.
      if (text.startsWith(`flood ${LINES - 1} `)) break
    }
    expect({ next, faults }).toEqual({ next: LINES, faults: 0 })
    expect(Math.max(...memory) - (memory[0] ?? 0)).toBeLessThan(60)
    await provider.remove(fn)
  }, 180_000)

  test('a slow client makes the engine wait, not us: no line is lost and memory does not grow', async () => {
    const fn = await printing(LINES / 2)
    const gone = new AbortController()
    const server = createServer((_request, response) => {
      const lines = provider.logs({ ref: fn, follow: true }, gone.signal)[Symbol.asyncIterator]()
      batchedText(lines, ({ text }) => `${text}\n`).pipe(response)
    })
    const answer = await ask(server)
    // The engine has begun new files by then, and of three files it throws none away; from there on it reads, in gulps.
    await until(async () => {
      const [last] = await read({ ref: fn, tail: 1 })
      return last?.text.startsWith(`flood ${LINES / 2 - 1} `) === true
    })
    const before = usedMegabytes()
    let most = 0
    let next = 0
    let faults = 0
    for await (const text of createInterface({ input: answer })) {
      if (!text.startsWith('flood ')) continue
      if (Number(text.split(' ')[1]) !== next) faults++
      if (next % 10_000 === 0) {
        most = Math.max(most, usedMegabytes())
        answer.pause()
        setTimeout(() => answer.resume(), 300)
      }
      next++
      // Past the first file, which the engine throws away while it writes these.
      if (next === LINES / 3) await call(fn, `/flood?from=${LINES / 2}&lines=${LINES}&rate=${RATE}`)
      if (text.startsWith(`flood ${LINES - 1} `)) break
    }
    expect({ next, faults }).toEqual({ next: LINES, faults: 0 })
    expect(most - before).toBeLessThan(60)
    gone.abort()
    answer.destroy()
    server.closeAllConnections()
    server.close()
    await provider.remove(fn)
  }, 180_000)
})

/** What is in use: heap and buffers. */
function usedMegabytes(): number {
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 2 ** 20
}

async function ask(server: Server): Promise<IncomingMessage> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, agent: false }, resolve).once('error', reject).end()
  })
}
