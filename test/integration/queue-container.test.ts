import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { connect } from '@nats-io/transport-node'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type Dockerode from 'dockerode'
import { makeEngine } from '../../src/docker/client.ts'
import type { Engine } from '../../src/docker/client.ts'
import { LABEL } from '../../src/docker/labels.ts'
import { listLeftovers, removeLeftovers } from '../../src/docker/leftovers.ts'
import { silentLog } from '../../src/core/log.ts'
import type { Delivery, NewMessage } from '../../src/core/queue.ts'
import { findNats } from '../../src/queue/find-nats.ts'
import { NatsQueue } from '../../src/queue/nats-queue.ts'
import { findNatsServer } from '../../src/queue/nats-server.ts'
import { removeUnusedVolumes } from '../../src/docker/volumes.ts'
import { keptVolume } from '../../src/queue/nats-volume.ts'
import { describeDocker, dockerAddress } from '../support/docker.ts'
import { makeFolder } from '../support/folder.ts'
import type { TestFolder } from '../support/folder.ts'
import { buildHello } from '../support/hello-image.ts'
import { startProgram } from '../support/program.ts'
import type { RunningProgram } from '../support/program.ts'
import { removeTracesBelow } from '../support/traces.ts'
import { until } from '../support/until.ts'

// Where there is no nats-server, async calls are kept by one in a container.

const IMAGE = 'nats:2-alpine'
/** A machine without the program. */
const NONE = { FAASDOCK_NATS_SERVER: '/nowhere' }
const LANE = 'call.test.fn'

describeDocker('a NATS server in a container', () => {
  let engine: Engine
  let folder: TestFolder
  const instances: string[] = []

  beforeAll(async () => {
    engine = makeEngine(dockerAddress())
    folder = await makeFolder()
  })

  afterAll(async () => {
    for (const instance of instances) {
      const filters = { label: [`${LABEL.instance}=${instance}`] }
      for (const { Id: id } of await engine.listContainers({ all: true, filters }))
        await engine.getContainer(id).remove({ force: true, v: true })
      const { Volumes: volumes } = await engine.listVolumes({ filters: JSON.stringify(filters) } as object)
      for (const { Name: name } of (volumes as typeof volumes | null) ?? [])
        await engine.getVolume(name).remove({ force: true })
    }
    await folder[Symbol.asyncDispose]()
  })

  /** A data directory, and queues on it, one after the other. */
  function useDirectory(more: { isLocal?: boolean; image?: string; engine?: Engine } = {}) {
    const instance = `test${randomBytes(4).toString('hex')}`
    instances.push(instance)
    const dataDir = join(folder.path, instance)
    const nats = join(dataDir, 'nats')
    const open = (env: Record<string, string> = NONE): NatsQueue =>
      new NatsQueue({
        source: findNats({
          env,
          instance,
          dataDir,
          folder: nats,
          image: more.image ?? IMAGE,
          engine: () => Promise.resolve({ engine: more.engine ?? engine, isLocal: more.isLocal ?? true }),
          registryConfig: () =>
            Promise.resolve({ loginFor: () => Promise.resolve(undefined), all: () => Promise.resolve({}) }),
          log: silentLog,
        }),
        instance,
        dedupeMs: 120_000,
        log: silentLog,
      })
    return { instance, dataDir, nats, open }
  }

  const containersOf = (instance: string) =>
    engine.listContainers({
      all: true,
      filters: { label: [`${LABEL.instance}=${instance}`, `${LABEL.role}=queue`] },
    })
  const message = (id: string): NewMessage => ({
    lane: LANE,
    id,
    head: JSON.stringify({ id }),
    body: Buffer.from(id),
  })
  const ready = (queue: NatsQueue): Promise<unknown> =>
    until(
      () =>
        queue.depths().then(
          () => true,
          () => false,
        ),
      { limitMs: 60_000, what: () => `a queue: ${queue.problem?.message ?? 'no problem said'}` },
    )
  const takeAll = async (queue: NatsQueue, count: number): Promise<string[]> => {
    const seen: Delivery[] = []
    await until(async () => {
      seen.push(...(await queue.take(LANE, 100).catch(() => ({ deliveries: [] }))).deliveries)
      return seen.length >= count
    })
    for (const delivery of seen) delivery.ack()
    await until(async () => (await queue.depths()).size === 0)
    return seen.map(({ head }) => (JSON.parse(head) as { id: string }).id)
  }

  const messages = (from: number, to: number): string[] =>
    Array.from({ length: to - from }, (_, i) => `m-${from + i}`)

  test('comes back when it is killed, leaves nothing behind, and the next one has what was queued', async () => {
    const { instance, nats, open } = useDirectory()
    {
      await using queue = open()
      await ready(queue)
      for (const id of messages(0, 10)) await queue.publish(message(id))
      const [container] = await containersOf(instance)
      const { State: state } = await engine.getContainer(container?.Id ?? '').inspect()
      process.kill(state.Pid, 'SIGKILL')
      // Whoever publishes meanwhile waits, and notices nothing else.
      for (const id of messages(10, 20)) await queue.publish(message(id))
      const after = await containersOf(instance)
      expect(after.map(({ Id }) => Id)).not.toContain(container?.Id)
      expect(after).toHaveLength(1)
    }
    expect(await containersOf(instance)).toEqual([])
    // It is the data directory's: it goes with it, and any other server of ours finds it.
    expect(readdirSync(join(nats, 'jetstream'))).not.toEqual([])
    expect(keptVolume(nats)).toBeUndefined()
    await using next = open()
    await ready(next)
    expect(await takeAll(next, 20)).toEqual(messages(0, 20))
  })

  test('is on the loopback alone, knows its token, and is not on a network of functions', async () => {
    const { instance, open } = useDirectory()
    await using queue = open()
    await ready(queue)
    const [container] = await containersOf(instance)
    const {
      HostConfig: host,
      NetworkSettings: network,
      Config: config,
    } = await engine.getContainer(container?.Id ?? '').inspect()
    expect(host.PortBindings).toEqual({ '4222/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }] })
    expect(Object.keys(network.Networks)).toEqual(['bridge'])
    expect(host.CapDrop).toEqual(['ALL'])
    // What everybody who may look at containers sees has no secret in it.
    expect([...config.Env, ...config.Cmd].join(' ')).not.toMatch(/token|auth/i)
    const server = `127.0.0.1:${String(network.Ports['4222/tcp']?.[0]?.HostPort)}`
    await expect(connect({ servers: server, reconnect: false })).rejects.toThrow(/auth/i)
  })

  test('where the engine does not see the data directory, a volume keeps the queue, for as long as the directory is there', async () => {
    const { instance, dataDir, nats, open } = useDirectory({ isLocal: false })
    const leftovers = async () => {
      const all = await listLeftovers(engine, {
        stateOf: () => 'alive',
        keepsQueue: ({ dataDir: home }, name) => keptVolume(join(home, 'nats')) === name,
      })
      return all.filter(({ name }) => name.includes(instance))
    }
    {
      await using queue = open()
      await ready(queue)
      for (const id of messages(0, 5)) await queue.publish(message(id))
      await removeUnusedVolumes(engine, instance)
    }
    expect(await containersOf(instance)).toEqual([])
    await removeUnusedVolumes(engine, instance)
    expect(await leftovers()).toEqual([])
    {
      // Even where there is a program now: it would not find what waits.
      await using next = open({})
      await ready(next)
      expect(await containersOf(instance)).toHaveLength(1)
      expect(await takeAll(next, 5)).toEqual(messages(0, 5))
    }
    const volume = keptVolume(nats)
    rmSync(dataDir, { recursive: true })
    const found = await leftovers()
    expect(found).toEqual([expect.objectContaining({ kind: 'volume', name: volume })])
    await removeLeftovers(engine, found)
    expect(await leftovers()).toEqual([])
  })

  test('an engine that has another folder by that name gets a volume, too', async () => {
    // As one in a virtual machine, or on another host.
    const elsewhere = join(folder.path, `elsewhere-${randomBytes(4).toString('hex')}`)
    mkdirSync(elsewhere)
    const other = Object.create(engine) as Engine
    other.createContainer = (body: Dockerode.ContainerCreateOptions) => {
      for (const mount of body.HostConfig?.Mounts ?? []) if (mount.Type === 'bind') mount.Source = elsewhere
      return engine.createContainer(body)
    }
    const { instance, nats, open } = useDirectory({ engine: other })
    await using queue = open()
    await ready(queue)
    expect(keptVolume(nats)).toBe(`faasdock-queue-${instance}`)
    expect(readdirSync(elsewhere)).toEqual([])
    expect(await containersOf(instance)).toHaveLength(1)
  })

  test.skipIf(findNatsServer(process.env) === undefined)(
    'one that a killed run left is ended before a program gets its store',
    async () => {
      const { instance, nats, open } = useDirectory()
      {
        await using queue = open()
        await ready(queue)
        for (const id of messages(0, 5)) await queue.publish(message(id))
      }
      const labels = { [LABEL.instance]: instance, [LABEL.role]: 'queue' }
      const mount = { Type: 'bind' as const, Source: nats, Target: '/queue' }
      const left = await engine.createContainer({
        Image: IMAGE,
        Cmd: ['-js', '-sd', '/queue/jetstream'],
        Labels: labels,
        HostConfig: { Mounts: [mount] },
      })
      await left.start()
      writeFileSync(join(nats, 'container'), '')
      await using queue = open({ ...process.env } as Record<string, string>)
      await ready(queue)
      expect(await containersOf(instance)).toEqual([])
      expect(existsSync(join(nats, 'container'))).toBe(false)
      expect(await takeAll(queue, 5)).toEqual(messages(0, 5))
    },
  )

  test('an image that cannot be had is said so, with what to do', async () => {
    const { open } = useDirectory({ image: 'faasdock-test-there-is-none:1' })
    await using queue = open()
    const problem = await until(() => queue.problem, { limitMs: 90_000 })
    expect(problem.code).toBe('QUEUE_UNAVAILABLE')
    expect(problem.message).toContain('no nats-server on the PATH')
    expect(problem.remedy).toMatch(/apt-get install nats-server.*docker pull faasdock-test-there-is-none:1/)
    await expect(queue.publish(message('a'))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' })
  })

  test(
    'a killed faasdock leaves one behind, which the next clears away, and goes on with what waits',
    { timeout: 240_000 },
    async () => {
      await using images = await buildHello(engine, `side-${randomBytes(3).toString('hex')}`)
      const dataDir = join(folder.path, 'program', 'data')
      const seen: string[] = []
      const collector = createServer((request, response) => {
        seen.push(request.url ?? '')
        response.end('noted')
      })
      await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve))
      const { port } = collector.address() as AddressInfo
      const start = async (): Promise<{ program: RunningProgram; url: string; instance: string }> => {
        const program = startProgram(
          ['serve', '--data', dataDir, '--port', '0', '--json', '--stop-functions'],
          {
            env: { ...NONE, FAASDOCK_METRICS_PORT: 'off' },
          },
        )
        const done = await program.event(({ type }) => type === 'start.done')
        instances.push(String(done['instance']))
        return { program, url: String(done['url']), instance: String(done['instance']) }
      }
      const post = (url: string, path: string, body: unknown, headers: Record<string, string> = {}) =>
        fetch(url + path, { method: 'POST', body: JSON.stringify(body), headers })

      const first = await start()
      await using _first = first.program
      expect(
        (await post(first.url, '/system/functions', { service: 'fn', image: images.image })).status,
      ).toBe(202)
      await until(async () => (await fetch(`${first.url}/function/fn`)).status === 200)
      const callback = { 'X-Callback-Url': `http://127.0.0.1:${port}/one` }
      await until(async () => (await post(first.url, '/async-function/fn', {}, callback)).status === 202)
      await until(() => seen.includes('/one'))
      await post(first.url, '/system/queue/pause', { function: 'fn' })
      const waiting = { 'X-Callback-Url': `http://127.0.0.1:${port}/two` }
      expect((await post(first.url, '/async-function/fn', {}, waiting)).status).toBe(202)

      first.program.signal('SIGKILL')
      await first.program.end
      const [left] = await containersOf(first.instance)
      expect(left?.State).toBe('running')

      const second = await start()
      await using _second = second.program
      expect(second.instance).toBe(first.instance)
      await until(async () => {
        const answer = await fetch(`${second.url}/system/queue`)
        return ((await answer.json()) as { state: string }).state === 'ready'
      })
      const now = await containersOf(first.instance)
      expect(now).toHaveLength(1)
      expect(now[0]?.Id).not.toBe(left?.Id)
      await until(async () => (await fetch(`${second.url}/function/fn`)).status === 200)
      await post(second.url, '/system/queue/resume', { function: 'fn' })
      await until(() => seen.includes('/two'))

      second.program.signal('SIGTERM')
      await second.program.end
      expect(await containersOf(first.instance)).toEqual([])
      expect(seen.filter((path) => path === '/two')).toHaveLength(1)
      collector.closeAllConnections()
      await new Promise((resolve) => collector.close(resolve))
      await removeTracesBelow(join(folder.path, 'program'), engine)
    },
  )
})
