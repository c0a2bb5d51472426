import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { connect, createServer as createNetServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { FunctionRef, FunctionSpec } from '../../src/core/function.ts'
import { silentLog } from '../../src/core/log.ts'
import type { Provider, ProviderEvent } from '../../src/core/provider.ts'
import { makeEngine } from '../../src/docker/client.ts'
import type { Engine } from '../../src/docker/client.ts'
import { LABEL } from '../../src/docker/labels.ts'
import { fixedLogins } from '../../src/docker/registry-config.ts'
import { createDockerProvider } from '../../src/provider/docker/docker-provider.ts'
import type { DockerProviderOptions } from '../../src/provider/docker/docker-provider.ts'
import type { ProviderUnderTest } from '../contract/provider.contract.ts'
import { providerContract } from '../contract/provider.contract.ts'
import { describeDocker, dockerAddress } from '../support/docker.ts'
import { makeFolder } from '../support/folder.ts'
import type { TestFolder } from '../support/folder.ts'
import { HELLO_PORT_OF_CHILD, helloSpec, revisionOf } from '../support/hello.ts'
import { buildHello } from '../support/hello-image.ts'
import type { HelloImages } from '../support/hello-image.ts'
import { until, untilPasses } from '../support/until.ts'

const RUN = randomBytes(3).toString('hex')
const IMAGE = `faasdock-test-hello-${RUN}:1`
const USER_IMAGE = `faasdock-test-hello-user-${RUN}:1`
const never = new AbortController().signal

type Options = Partial<DockerProviderOptions>

interface DockerUnderTest extends ProviderUnderTest {
  readonly instance: string
}

describeDocker('the Docker provider', () => {
  let engine: Engine
  let images: HelloImages
  let folder: TestFolder
  const secrets = new Map<string, Uint8Array>()

  beforeAll(async () => {
    engine = makeEngine(dockerAddress())
    images = await buildHello(engine, RUN)
    folder = await makeFolder()
  })
  afterAll(async () => {
    await images[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  })

  /** Connects, without telling where the gateway is. */
  const open = (instance: string, options: Options = {}): ReturnType<typeof createDockerProvider> =>
    createDockerProvider({
      engine,
      instance,
      dataDir: folder.path,
      readSecret: (namespace, name) => secrets.get(`${namespace}/${name}`),
      startTimeoutMs: 60_000,
      drainMs: 30_000,
      relayImage: 'node:20-alpine',
      registryConfig: () => Promise.resolve(fixedLogins({})),
      log: silentLog,
      ...options,
    })

  const newInstance = (): string => randomBytes(4).toString('hex')

  /** A provider whose containers and network are gone afterwards. The gateway's names lead to nothing. */
  async function make(options: Options = {}, instance = newInstance()): Promise<DockerUnderTest> {
    const provider = await open(instance, options)
    await provider.routeGateway({ host: provider.hostAddress ?? 'host.docker.internal', port: 8080 })
    return {
      provider,
      instance,
      crash: (replica) => engine.getContainer(replica).kill(),
      count: async (ref) => (await containersOf(instance, ref)).length,
      [Symbol.asyncDispose]: async () => {
        await provider.removeAll()
        await provider[Symbol.asyncDispose]()
      },
    }
  }

  function containersOf(instance: string, ref?: FunctionRef): Promise<{ Id: string; State: string }[]> {
    const label = [`${LABEL.instance}=${instance}`]
    if (ref) label.push(`${LABEL.function}=${ref.name}`, `${LABEL.namespace}=${ref.namespace}`)
    return engine.listContainers({ all: true, filters: { label } })
  }

  async function volumesOf(instance: string): Promise<string[]> {
    const filters = { label: [`${LABEL.instance}=${instance}`] }
    const { Volumes } = await engine.listVolumes({ filters: JSON.stringify(filters) } as object)
    // Null when there are none, whatever the types say.
    return ((Volumes as typeof Volumes | null) ?? []).map(({ Name }) => Name)
  }

  async function get<T = Record<string, unknown>>(
    provider: Provider,
    ref: FunctionRef,
    path: string,
  ): Promise<T> {
    using lease = provider.lease(ref)
    const response = await fetch(`${lease?.origin ?? 'http://nobody.invalid'}${path}`)
    return (await response.json()) as T
  }

  const spec = (given: Parameters<typeof helloSpec>[1] = {}): FunctionSpec => helloSpec(IMAGE, given)

  describe('keeps the contract', () => {
    providerContract({
      name: 'docker',
      image: IMAGE,
      missingImage: 'localhost:1/nobody/has-this:1',
      slowCallMs: 5000,
      slowStartMs: 2000,
      make: (options) => make(options),
    })
  })

  describe('keeps the contract through published ports', () => {
    test('functions answer on the loopback, and only there', async () => {
      await using under = await make({ forcePublish: true })
      const { provider } = under
      const fn = spec({ word: 'published' })
      await provider.deploy(revisionOf(fn), 1, never)
      using lease = provider.lease(fn)
      expect(lease?.origin).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
      expect(await get(provider, fn, '/')).toMatchObject({ word: 'published' })
      const [container] = await containersOf(under.instance, fn)
      const { HostConfig } = await engine.getContainer(container?.Id ?? '').inspect()
      expect(HostConfig.PortBindings).toEqual({ '8080/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }] })
    })

    test('a port of this host is not taken for the port of a child behind a watchdog', async () => {
      const impostor = createServer((_request, response) => response.end())
      await new Promise<void>((resolve) => impostor.listen(HELLO_PORT_OF_CHILD, '127.0.0.1', resolve))
      try {
        await using under = await make({ forcePublish: true })
        const fn = spec({ start: 'watchdog:3000', envVars: httpMode() })
        await under.provider.deploy(revisionOf(fn), 1, never)
        expect(await get(under.provider, fn, '/')).toMatchObject({ word: 'hello' })
      } finally {
        await closed(impostor)
      }
    })
  })

  describe('a watchdog in http mode', () => {
    test('is ready when its child listens, also when that takes longer than a few seconds', async () => {
      await using under = await make()
      const fn = spec({ start: 'watchdog:8000', envVars: httpMode() })
      await under.provider.deploy(revisionOf(fn), 1, never)
      expect(await get(under.provider, fn, '/')).toMatchObject({ word: 'hello' })
    })

    test('whose upstream is another machine is ready when it says so', async () => {
      await using under = await make()
      const envVars = { mode: 'http', upstream_url: 'http://192.0.2.1:5000' }
      const fn = spec({ start: 'ok', envVars })
      const begun = performance.now()
      await under.provider.deploy(revisionOf(fn), 1, never)
      expect(performance.now() - begun).toBeLessThan(20_000)
    })
  })

  describe('a container', () => {
    let under: DockerUnderTest
    beforeAll(async () => {
      under = await make()
    })
    afterAll(() => under[Symbol.asyncDispose]())

    async function inspect(given: Parameters<typeof helloSpec>[1]): Promise<{
      fn: FunctionSpec
      container: Awaited<ReturnType<ReturnType<Engine['getContainer']>['inspect']>>
    }> {
      const fn = spec(given)
      await under.provider.deploy(revisionOf(fn), 1, never)
      const [container] = await containersOf(under.instance, fn)
      return { fn, container: await engine.getContainer(container?.Id ?? '').inspect() }
    }

    test('has no capabilities, can get no privileges, and cannot fork without end', async () => {
      const { container } = await inspect({})
      expect(container.HostConfig).toMatchObject({
        CapDrop: ['ALL'],
        SecurityOpt: ['no-new-privileges'],
        Privileged: false,
        ReadonlyRootfs: false,
        RestartPolicy: { Name: 'no' },
      })
      expect(container.HostConfig.PidsLimit).toBeGreaterThan(0)
      expect(container.HostConfig.PidsLimit).toBeLessThanOrEqual(4096)
      expect(container.HostConfig.LogConfig?.Config).toMatchObject({ 'max-size': '10m' })
    })

    test('has the limits of its spec, and the least that the engine takes where those are smaller', async () => {
      const big = await inspect({
        limits: { memory: '128Mi', cpu: '500m' },
        requests: { memory: '64Mi', cpu: '250m' },
      })
      expect(big.container.HostConfig).toMatchObject({
        Memory: 128 * 2 ** 20,
        MemorySwap: 128 * 2 ** 20,
        NanoCpus: 5e8,
        MemoryReservation: 64 * 2 ** 20,
        CpuShares: 256,
      })
      // Node does not live in 6 MiB: what the engine was asked for is what counts.
      const fn = spec({ limits: { memory: '5Mi' }, requests: { memory: '1Gi' } })
      const seen: unknown[] = []
      const deploy = under.provider.deploy(revisionOf(fn), 1, never).catch((error: unknown) => error)
      const look = async (): Promise<boolean> => {
        for (const { Id } of await containersOf(under.instance, fn)) {
          const found = await engine
            .getContainer(Id)
            .inspect()
            .catch(() => undefined)
          if (found) seen.push(found.HostConfig)
        }
        return seen.length > 0
      }
      await until(async () => (await look()) || undefined, { what: () => 'the small container' })
      expect(seen[0]).toMatchObject({ Memory: 6 * 2 ** 20, MemoryReservation: 6 * 2 ** 20 })
      await deploy
    })

    test('that runs out of memory says so', async () => {
      const fn = spec({ limits: { memory: '6Mi' } })
      await expect(under.provider.deploy(revisionOf(fn), 1, never)).rejects.toMatchObject({
        code: expect.stringMatching(/REPLICA_EXITED|ENGINE_FAILED/) as string,
      })
    })

    test('with a read-only root can write to /tmp and nowhere else', async () => {
      const { fn } = await inspect({ readOnlyRootFilesystem: true })
      expect(await get(under.provider, fn, '/write?file=/tmp/x')).toEqual({})
      expect(await get(under.provider, fn, '/write?file=/x')).toEqual({ error: 'EROFS' })
      const { fn: writable } = await inspect({})
      expect(await get(under.provider, writable, '/write?file=/x')).toEqual({})
    })

    test('gets its secrets as files with exactly their bytes, readable by any user, writable by none', async () => {
      const bytes = Buffer.from([0, 255, 10, 13, 10, 0, 0xc3, 0x28])
      secrets.set('openfaas-fn/binary', bytes)
      for (const image of [IMAGE, USER_IMAGE]) {
        const { fn } = await inspect({
          image,
          secrets: ['binary'],
          readOnlyRootFilesystem: image === USER_IMAGE,
        })
        const read = await get<{ ok: string }>(under.provider, fn, '/read?file=/var/openfaas/secrets/binary')
        expect(Buffer.from(read.ok, 'base64')).toEqual(bytes)
        expect((await get<{ uid: number }>(under.provider, fn, '/who')).uid).toBe(image === IMAGE ? 0 : 12345)
        expect(await get(under.provider, fn, '/write?file=/var/openfaas/secrets/binary')).toMatchObject({
          error: expect.stringMatching(/EROFS|EACCES/) as string,
        })
      }
    })

    test('whose secret is gone is refused, and nothing of it stays', async () => {
      const fn = spec({ secrets: ['vanished'] })
      const before = await volumesOf(under.instance)
      await expect(under.provider.deploy(revisionOf(fn), 1, never)).rejects.toMatchObject({
        code: 'SECRET_NOT_FOUND',
        message: expect.stringContaining('vanished') as string,
      })
      expect(await under.count?.(fn)).toBe(0)
      // Those of earlier tests may still be going.
      expect(before).toEqual(expect.arrayContaining(await volumesOf(under.instance)))
    })

    test('knows its name and namespace, and what the user set wins', async () => {
      const { fn, container } = await inspect({
        envProcess: 'node x.js',
        envVars: { fprocess: 'loses', EMPTY: '', MULTI: 'a\nb=c' },
        labels: { team: 'a', [LABEL.secrets]: 'of-somebody-else' },
      })
      const { env } = await get<{ env: Record<string, string> }>(under.provider, fn, '/who')
      expect(env).toMatchObject({
        OPENFAAS_NAME: fn.name,
        OPENFAAS_NAMESPACE: 'openfaas-fn',
        fprocess: 'node x.js',
        EMPTY: '',
        MULTI: 'a\nb=c',
      })
      expect(container.Config.Hostname).toBe(fn.name)
      expect(container.Config.Labels).toMatchObject({ team: 'a', [LABEL.function]: fn.name })
      expect(container.Config.Labels).not.toHaveProperty([LABEL.secrets])
    })

    test('reaches its neighbours by name', async () => {
      const { fn: a } = await inspect({ word: 'a' })
      const { fn: b } = await inspect({ word: 'b' })
      for (const name of [b.name, `${b.name}.openfaas-fn`]) {
        const answer = await get<{ ok: string }>(under.provider, a, `/fetch?url=http://${name}:8080/`)
        expect(JSON.parse(answer.ok)).toMatchObject({ word: 'b' })
      }
    })

    test('whose command does not exist says so and leaves nothing', async () => {
      const tag = `faasdock-test-broken-${RUN}:1`
      const made = await engine.createContainer({ Image: IMAGE, Labels: { 'com.faasdock.test': '1' } })
      const { Id } = (await made.commit({
        repo: tag.split(':')[0],
        tag: '1',
        changes: 'ENTRYPOINT ["/no/such/program"]',
      })) as {
        Id: string
      }
      await made.remove()
      const fn = spec({ image: tag })
      await expect(under.provider.deploy(revisionOf(fn), 1, never)).rejects.toMatchObject({
        code: 'REPLICA_EXITED',
        message: expect.stringContaining('/no/such/program') as string,
      })
      expect(await under.count?.(fn)).toBe(0)
      await engine.getImage(Id).remove({ force: true })
    })

    test('that somebody else removes is reported with the reason, and a deploy replaces it', async () => {
      const fn = spec()
      const revision = revisionOf(fn)
      await under.provider.deploy(revision, 1, never)
      const events: ProviderEvent[] = []
      using _watch = under.provider.watch((event) => events.push(event))
      const [container] = await containersOf(under.instance, fn)
      await engine.getContainer(container?.Id ?? '').remove({ force: true })
      await until(() => events.find(({ type }) => type === 'replica-gone'))
      expect(events).toMatchObject([
        { expected: false, reason: expect.stringMatching(/removed|signal 9/) as string },
      ])
      expect(under.provider.lease(fn)).toBeUndefined()
      await under.provider.deploy(revision, 1, never)
      expect(await get(under.provider, fn, '/')).toMatchObject({ word: 'hello' })
    })

    test('that ends by itself is reported with its exit code and last lines', async () => {
      const fn = spec()
      await under.provider.deploy(revisionOf(fn), 1, never)
      const events: ProviderEvent[] = []
      using _watch = under.provider.watch((event) => events.push(event))
      await get(under.provider, fn, '/crash?code=7').catch(() => undefined)
      await until(() => events.find(({ type }) => type === 'replica-gone'))
      expect(events).toMatchObject([
        { expected: false, reason: expect.stringMatching(/code 7[^]*about to end with 7/) as string },
      ])
      await until(async () => ((await under.count?.(fn)) === 0 ? true : undefined))
    })

    test('a long line of output comes whole, also where the engine keeps it in pieces', async () => {
      const fn = spec()
      await under.provider.deploy(revisionOf(fn), 1, never)
      const abort = new AbortController()
      const followed: string[] = []
      const following = (async () => {
        for await (const { text } of under.provider.logs({ ref: fn, follow: true }, abort.signal))
          followed.push(text)
      })()
      for (const length of [7000, 100_000, 16_384 - 8]) {
        await get(under.provider, fn, `/print-long?length=${length}`).catch(() => undefined)
        await get(under.provider, fn, '/print?text=after').catch(() => undefined)
      }
      const lengths = ['hello begins as hello'.length, 7008, 5, 100_008, 5, 16_384, 5]
      await until(() => followed.length >= lengths.length)
      abort.abort()
      await following
      const lines: string[] = []
      for await (const { text } of under.provider.logs({ ref: fn, follow: false }, never)) lines.push(text)
      expect(lines.map(({ length }) => length)).toEqual(lengths)
      expect(lines[3]).toBe(`begin${'x'.repeat(100_000)}end`)
      expect(followed).toEqual(lines)
    })
  })

  describe('the gateway', () => {
    const NAMES = ['gateway', 'gateway.openfaas', 'gateway.openfaas.svc.cluster.local']

    async function gatewayAt(host: string, port: number): Promise<Server> {
      const server = createServer((request, response) => response.end(`gateway saw ${request.url ?? ''}`))
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, resolve)
      })
      return server
    }

    async function expectReached(provider: Provider): Promise<void> {
      const fn = spec()
      await provider.deploy(revisionOf(fn), 1, never)
      for (const name of NAMES)
        expect(await get(provider, fn, `/fetch?url=http://${name}:8080/function/x`)).toEqual({
          ok: 'gateway saw /function/x',
          status: 200,
        })
      expect(await get(provider, fn, '/resolve?name=host.docker.internal')).toMatchObject({
        ok: expect.stringMatching(/\d/) as string,
      })
    }

    test('is reached directly by all its names where it listens on the network’s own address', async () => {
      const instance = newInstance()
      const provider = await open(instance)
      const host = provider.hostAddress ?? ''
      const server = await gatewayAt(host, 8080)
      try {
        await provider.routeGateway({ host, port: 8080 })
        await expectReached(provider)
        expect(await containersOf(instance)).toHaveLength(1)
      } finally {
        await closed(server)
        await provider.removeAll()
        await provider[Symbol.asyncDispose]()
      }
    })

    test('is reached through a relay where port 8080 of that address is taken, also after the relay died', async () => {
      const instance = newInstance()
      const provider = await open(instance)
      const host = provider.hostAddress ?? ''
      const taken = await gatewayAt(host, 8080)
      const server = await gatewayAt(host, 0)
      try {
        await provider.routeGateway({ host, port: (server.address() as AddressInfo).port })
        await expectReached(provider)
        const relays = await engine.listContainers({
          filters: { label: [`${LABEL.instance}=${instance}`, `${LABEL.role}=relay`] },
        })
        expect(relays).toHaveLength(1)
        const [relay] = relays
        const exec = await engine.getContainer(relay?.Id ?? '').exec({ Cmd: ['sh', '-c', 'kill -TERM 1'] })
        await exec.start({})
        await until(async () => {
          const { State, RestartCount } = await engine.getContainer(relay?.Id ?? '').inspect()
          return State.Running && RestartCount > 0
        })
        await untilPasses(() => expectReached(provider))
      } finally {
        await Promise.all([closed(taken), closed(server)])
        await provider.removeAll()
        await provider[Symbol.asyncDispose]()
      }
    })
  })

  describe('a second provider of the same instance', () => {
    test('adopts what runs without restarting it, and removes what does not', async () => {
      const instance = newInstance()
      await using first = await make({}, instance)
      const [kept, stopped] = [spec({ word: 'kept' }), spec()]
      const revision = revisionOf(kept)
      await first.provider.deploy(revision, 2, never)
      await first.provider.deploy(revisionOf(stopped), 1, never)
      const before = (await containersOf(instance, kept)).map(({ Id }) => Id).sort()
      // As a kill -9 does: nobody says goodbye.
      const [dead] = await containersOf(instance, stopped)
      await first.provider[Symbol.asyncDispose]()
      await engine.getContainer(dead?.Id ?? '').stop({ t: 0 })

      await using second = await make({}, instance)
      const { provider } = second
      expect(provider.list()).toEqual([
        {
          ref: { name: kept.name, namespace: kept.namespace },
          revision: revision.id,
          replicas: 2,
          available: 2,
        },
      ])
      await provider.deploy(revision, 2, never)
      expect((await containersOf(instance, kept)).map(({ Id }) => Id).sort()).toEqual(before)
      expect(await get(provider, kept, '/')).toMatchObject({ word: 'kept' })
      expect(await containersOf(instance, stopped)).toEqual([])
      // It watches what it adopted.
      const events: ProviderEvent[] = []
      using _watch = provider.watch((event) => events.push(event))
      await engine.getContainer(before[0] ?? '').kill()
      await until(() => events.find(({ type }) => type === 'replica-gone'))
      expect(provider.actual(kept)).toMatchObject({ replicas: 1 })
    })

    test('adopts what is too busy to say that it is well, and lets its call end', async () => {
      const instance = newInstance()
      await using first = await make({}, instance)
      const busy = spec({ word: 'busy' })
      await first.provider.deploy(revisionOf(busy), 1, never)
      const before = (await containersOf(instance, busy)).map(({ Id }) => Id)
      using lease = first.provider.lease(busy)
      const call = fetch(`${lease?.origin ?? ''}/busy?ms=6000`).then((answer) => answer.json())
      await first.provider[Symbol.asyncDispose]()

      await using second = await make({}, instance)
      expect(second.provider.actual(busy)).toMatchObject({ available: 1 })
      expect(await call).toMatchObject({ word: 'busy' })
      expect((await containersOf(instance, busy)).map(({ Id }) => Id)).toEqual(before)
    })

    test('adopts a swap that was cut off half-way, and can finish it or go back', async () => {
      const instance = newInstance()
      await using first = await make({}, instance)
      const fn = spec({ word: 'old' })
      const old = revisionOf(fn)
      await first.provider.deploy(old, 1, never)
      await first.provider[Symbol.asyncDispose]()
      // The same function's next revision, started by a run that died before it could remove the old one.
      const [container] = await containersOf(instance, fn)
      const { Config, HostConfig } = await engine.getContainer(container?.Id ?? '').inspect()
      const next = revisionOf({ ...fn, envVars: { WORD: 'new' } })
      for (let copy = 0; copy < 2; copy++) {
        const made = await engine.createContainer({
          Image: IMAGE,
          Env: ['WORD=new'],
          Labels: { ...Config.Labels, [LABEL.revision]: next.id },
          HostConfig: { NetworkMode: HostConfig.NetworkMode ?? '' },
        })
        await made.start()
        await until(async () => ((await made.logs({ stdout: true })).length > 0 ? true : undefined))
      }
      await using second = await make({}, instance)
      await second.provider.deploy(next, 1, never)
      expect(await get(second.provider, fn, '/')).toMatchObject({ word: 'new' })
      expect(second.provider.actual(fn)).toMatchObject({ replicas: 1, available: 1, revision: next.id })
      await until(async () => ((await second.count?.(fn)) === 1 ? true : undefined))
    })

    test('waits with a deploy until it knows what is there', async () => {
      const instance = newInstance()
      await using first = await make({}, instance)
      const fn = spec()
      const revision = revisionOf(fn)
      await first.provider.deploy(revision, 1, never)
      await first.provider[Symbol.asyncDispose]()
      const [before] = await containersOf(instance, fn)
      const provider = await open(instance)
      const early = provider.deploy(revision, 1, never)
      await provider.routeGateway({ host: provider.hostAddress ?? '', port: 8080 })
      await early
      expect((await containersOf(instance, fn)).map(({ Id }) => Id)).toEqual([before?.Id])
      await provider[Symbol.asyncDispose]()
    })

    test('touches nothing that is another instance’s or nobody’s', async () => {
      await using mine = await make()
      await using other = await make()
      const fn = spec({ word: 'theirs' })
      await other.provider.deploy(revisionOf(fn), 1, never)
      const stranger = await engine.createContainer({
        Image: IMAGE,
        name: `faasdock-${fn.name}-stranger-${RUN}`,
        Labels: { 'com.faasdock.test': '1' },
      })
      try {
        const again = await open(mine.instance)
        await again.routeGateway({ host: again.hostAddress ?? '', port: 8080 })
        expect(again.list()).toEqual([])
        await again.removeAll()
        await again[Symbol.asyncDispose]()
        expect(await get(other.provider, fn, '/')).toMatchObject({ word: 'theirs' })
        expect((await stranger.inspect()).State.Status).toBe('created')
      } finally {
        await stranger.remove({ force: true })
      }
    })
  })

  describe('an engine that goes away', () => {
    test('is told, followed again when it is back, and what died or lost its owner meanwhile is cleared up', async () => {
      const cable = await pullableCable(engine)
      const instance = newInstance()
      const provider = await open(instance, { engine: makeEngine({ socketPath: cable.path }) })
      try {
        await provider.routeGateway({ host: provider.hostAddress ?? '', port: 8080 })
        const events: ProviderEvent[] = []
        using _watch = provider.watch((event) => events.push(event))
        const [victim, removed, stays] = [spec(), spec(), spec()]
        for (const fn of [victim, removed, stays]) await provider.deploy(revisionOf(fn), 1, never)
        events.length = 0
        cable.unplug()
        await until(() => events.find(({ type }) => type === 'engine-lost'))
        // What runs goes on answering: calls do not go through the engine.
        expect(await get(provider, stays, '/')).toMatchObject({ word: 'hello' })
        const [container] = await containersOf(instance, victim)
        await engine.getContainer(container?.Id ?? '').kill()
        await provider.remove(removed)
        expect(provider.lease(removed)).toBeUndefined()
        await expect(provider.deploy(revisionOf(spec()), 1, never)).rejects.toMatchObject({
          code: 'ENGINE_NOT_FOUND',
        })
        await cable.plug()
        await until(() => events.find(({ type }) => type === 'engine-back'))
        expect(events).toContainEqual(expect.objectContaining({ type: 'replica-gone', expected: false }))
        expect(provider.lease(victim)).toBeUndefined()
        expect(await get(provider, stays, '/')).toMatchObject({ word: 'hello' })
        await until(async () => ((await containersOf(instance, removed)).length === 0 ? true : undefined), {
          what: () => 'the removal of what was removed meanwhile',
        })
        const after = spec()
        await provider.deploy(revisionOf(after), 1, never)
        await engine.getContainer((await containersOf(instance, after))[0]?.Id ?? '').kill()
        await until(() => (provider.lease(after) === undefined ? true : undefined))
      } finally {
        await cable.plug()
        await provider.removeAll()
        await provider[Symbol.asyncDispose]()
        cable.unplug()
      }
    })
  })

  test('a network that was pruned while nothing ran is made again, at the address where the gateway listens', async () => {
    await using under = await make()
    const { provider, instance } = under
    const host = provider.hostAddress
    const fn = spec()
    const revision = revisionOf(fn)
    await provider.deploy(revision, 1, never)
    await provider.deploy(revision, 0, never)
    await until(async () => (await containersOf(instance)).length === 0)
    const filters = { label: [`${LABEL.instance}=${instance}`] }
    const [before] = await engine.listNetworks({ filters })
    await engine.getNetwork(before?.Id ?? '').remove()
    await Promise.all([provider.deploy(revision, 3, never), provider.deploy(revisionOf(spec()), 1, never)])
    expect(await get(provider, fn, '/')).toMatchObject({ word: 'hello' })
    const after = await engine.listNetworks({ filters })
    expect(after).toHaveLength(1)
    expect(after[0]?.IPAM?.Config?.[0]?.['Gateway']).toBe(host)
    expect(after[0]?.Labels).toEqual(before?.Labels)
  })

  test('removing all leaves containers and networks as they were', async () => {
    const instance = newInstance()
    const networks = async (): Promise<string[]> =>
      (await engine.listNetworks({ filters: { label: [`${LABEL.instance}=${instance}`] } })).map(
        ({ Name }) => Name,
      )
    const under = await make({}, instance)
    const fns = [spec(), spec(), spec()]
    await Promise.all(fns.map((fn) => under.provider.deploy(revisionOf(fn), 2, never)))
    expect(await containersOf(instance)).toHaveLength(6)
    expect(await networks()).toEqual([`faasdock-${instance}`])
    await under[Symbol.asyncDispose]()
    expect(await containersOf(instance)).toEqual([])
    expect(await networks()).toEqual([])
  })
})

function httpMode(): Record<string, string> {
  return { mode: 'http', upstream_url: `http://127.0.0.1:${HELLO_PORT_OF_CHILD}` }
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}

/** A socket in front of the engine's that can be cut, as an engine that stops cuts it. */
async function pullableCable(
  engine: Engine,
): Promise<{ readonly path: string; unplug(): void; plug(): Promise<void> }> {
  const { socketPath } = engine.modem as unknown as { socketPath: string }
  const path = join('/tmp', `faasdock-test-${RUN}.sock`)
  const open = new Set<Socket>()
  let server: ReturnType<typeof createNetServer> | undefined
  const plug = async (): Promise<void> => {
    if (server) return
    server = createNetServer((client) => {
      const upstream = connect(socketPath)
      for (const [one, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        open.add(one)
        one.pipe(other)
        one.on('error', () => undefined)
        one.on('close', () => {
          open.delete(one)
          other.destroy()
        })
      }
    })
    await new Promise<void>((resolve) => server?.listen(path, resolve))
  }
  await plug()
  return {
    path,
    plug,
    unplug: () => {
      server?.close()
      server = undefined
      for (const socket of open) socket.destroy()
    },
  }
}
