import { readdir, readFile, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { createImageBuilder } from '../../src/builder/image-builder.ts'
import type { ImageBuilderOptions } from '../../src/builder/image-builder.ts'
import type { FunctionSource } from '../../src/core/builder.ts'
import { findBuildkitClient } from '../../src/docker/buildkit-client.ts'
import { makeEngine } from '../../src/docker/client.ts'
import type { Engine } from '../../src/docker/client.ts'
import { formatEngineAddress } from '../../src/docker/engine-address.ts'
import { findImage } from '../../src/docker/images.ts'
import { builderContract, makeProject } from '../contract/builder.contract.ts'
import { describeDocker, dockerAddress } from '../support/docker.ts'
import { makeFolder } from '../support/folder.ts'

/** This run's own, so that tests of others, at the same time on the same engine, are left alone. */
const SUITE = `builder-${process.pid}-${Date.now()}`
const MARKS = `LABEL com.faasdock.test=1 com.faasdock.test.suite=${SUITE}`
const GIVEN = { base: 'node:20-alpine', prefix: `faasdock-test/${SUITE}/`, marks: MARKS }

const never = new AbortController().signal

/** An engine that counts the builds it is asked for through its API. */
function countingEngine(): { engine: Engine; builds: () => number } {
  const engine = makeEngine(dockerAddress())
  let builds = 0
  const buildImage = engine.buildImage.bind(engine) as (...args: unknown[]) => unknown
  engine.buildImage = ((...args: unknown[]) => {
    builds++
    return buildImage(...args)
  }) as Engine['buildImage']
  return { engine, builds: () => builds }
}

function makeBuilder(more: Partial<ImageBuilderOptions> = {}) {
  return createImageBuilder({
    engine: makeEngine(dockerAddress()),
    engineAddress: formatEngineAddress(dockerAddress()),
    templates: '/nowhere',
    env: process.env,
    ...more,
  })
}

async function inspect(image: string) {
  return findImage(makeEngine(dockerAddress()), image)
}

/** What a container of the image prints. */
async function run(image: string, ...command: string[]): Promise<string> {
  const engine = makeEngine(dockerAddress())
  const container = await engine.createContainer({
    Image: image,
    Entrypoint: command,
    Labels: { 'com.faasdock.test': '1', 'com.faasdock.test.suite': SUITE },
    Tty: true,
  })
  try {
    await container.start()
    await container.wait()
    return (await container.logs({ stdout: true, stderr: true, follow: false }))
      .toString()
      .replaceAll('\r', '')
  } finally {
    await container.remove({ force: true })
  }
}

async function poll<T>(look: () => Promise<T | undefined>, ms = 15_000): Promise<T> {
  const until = Date.now() + ms
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (Date.now() > until) throw new Error('what was waited for did not happen')
    await wait(50)
  }
}

/** Superseded images go behind a build's back. */
async function untilGone(image: string): Promise<void> {
  await poll(async () => ((await inspect(image)) === undefined ? true : undefined), 60_000)
}

/** Aborts once the step has said that it runs. */
function stopOnBegun(abort: AbortController): (line: string) => void {
  return (line) => {
    if (line === 'begun') abort.abort(new Error('stop'))
  }
}

const suiteFilter = { label: [`com.faasdock.test.suite=${SUITE}`] }

/** Containers of this run, those of build steps too: they inherit the marks of the image they run in. */
async function containers(): Promise<string[]> {
  const all = await makeEngine(dockerAddress()).listContainers({ all: true, filters: suiteFilter })
  return all.map(({ Id }) => Id)
}

const buildkit = await findBuildkitClient(process.env)
const KINDS = ['classic', ...(buildkit ? ['buildkit'] : [])] as ('classic' | 'buildkit')[]

describeDocker('the image builder', () => {
  afterAll(async () => {
    const engine = makeEngine(dockerAddress())
    for (const id of await containers()) await engine.getContainer(id).remove({ force: true })
    // Images go before those they are made of, so it takes some rounds.
    for (let round = 0; round < 5; round++) {
      for (const { Id } of await engine.listImages({ filters: suiteFilter })) {
        await engine
          .getImage(Id)
          .remove({ force: true })
          .catch(() => undefined)
      }
    }
    expect(await engine.listImages({ filters: suiteFilter })).toEqual([])
  })

  test('a Docker client for BuildKit is here, or half of these tests would be missing', () => {
    expect(KINDS).toEqual(['classic', 'buildkit'])
  })

  describe.each(KINDS)('with the %s builder', (kind) => {
    const builder = createLazily(() => makeBuilder({ builder: kind }))
    builderContract(() => ({ ...GIVEN, builder: builder(), inspect }))

    test('builds a Dockerfile with cache mounts and secrets that it can do without', async () => {
      const steps = [
        'RUN --mount=type=cache,target=/cache \\',
        '    # where there is one',
        '    --mount=type=secret,id=token \\',
        '    mkdir -p /cache && touch /cache/made && cat /run/secrets/token >/said 2>&1 || echo none >/said',
      ]
      const { folder, source } = await makeProject(GIVEN, steps.join('\n'))
      await using _ = folder
      await makeBuilder({ builder: kind }).build(source, { signal: never })
      expect(await run(source.image, 'cat', '/said')).toBe('none\n')
    })

    test('gives a build argument for an image that can be had, and builds without one that cannot', async () => {
      const { folder, source } = await makeProject(
        GIVEN,
        'ARG NEAR=none\nARG FAR=none\nRUN echo $NEAR $FAR >/said',
      )
      await using _ = folder
      await folder.write({
        'template/test/template.yml': `preferred_images: { NEAR: '${GIVEN.base}', FAR: 'localhost:1/far:1' }`,
      })
      const lines: string[] = []
      const builder = makeBuilder({ builder: kind })
      await builder.build(source, { signal: never, onOutput: (line) => lines.push(line) })
      expect(await run(source.image, 'cat', '/said')).toBe(`${GIVEN.base} none\n`)
      expect(lines).toContainEqual(
        expect.stringContaining('localhost:1/far:1 cannot be pulled; building without it'),
      )
      const own = { ...source, buildArgs: { NEAR: 'mine' } }
      await builder.build(own, { signal: never })
      expect(await run(source.image, 'cat', '/said')).toBe('mine none\n')
    })

    test('makes only the stages that the last one needs', async () => {
      const { folder, source } = await makeProject(
        GIVEN,
        `FROM ${GIVEN.base}\n${MARKS}\nRUN exit 1\nFROM localhost:1/far:1\nFROM ${GIVEN.base}\n${MARKS}\nCOPY function /f`,
      )
      await using _ = folder
      expect(await makeBuilder({ builder: kind }).build(source, { signal: never })).toMatchObject({
        cached: false,
      })
    })

    test('puts template, handler and copies where the contract says, modes kept and ignored files left out', async () => {
      const { folder, source } = await makeProject(GIVEN, 'COPY . /ctx')
      await using _ = folder
      await folder.write({
        'hello/.dockerignore': 'secret.txt',
        'hello/secret.txt': 'no',
        'hello/run.sh': { content: '#!/bin/sh', mode: 0o755 },
        'shared/lib.txt': 'shared',
      })
      await makeBuilder({ builder: kind }).build({ ...source, copy: ['shared'] }, { signal: never })
      const found = await run(source.image, 'find', '/ctx', '-mindepth', '1', '-printf', '%m %u %P\\n')
      expect(found.trim().split('\n').sort()).toEqual([
        '644 root Dockerfile',
        '644 root function/.dockerignore',
        '644 root function/handler.txt',
        '644 root function/shared/lib.txt',
        '755 root function',
        '755 root function/run.sh',
        '755 root function/shared',
      ])
    })

    test('leaves no container and no running command of an aborted build', async () => {
      const seconds = `${61 + Math.floor(Math.random() * 1000)}.125`
      const { folder, source } = await makeProject(
        GIVEN,
        `COPY function /f\nRUN echo begun; sleep ${seconds}`,
      )
      await using _ = folder
      const abort = new AbortController()
      const onOutput = stopOnBegun(abort)
      await expect(
        makeBuilder({ builder: kind }).build(source, { signal: abort.signal, onOutput }),
      ).rejects.toThrow('stop')
      await poll(async () => ((await containers()).length === 0 ? true : undefined))
      await poll(async () =>
        (await commands()).some((line) => line === `sleep ${seconds}`) ? undefined : true,
      )
    })

    test('an aborted neighbour does not disturb a build', async () => {
      const [a, b] = [
        await makeProject(GIVEN, 'COPY function /f\nRUN echo begun; sleep 60'),
        await makeProject(GIVEN, 'COPY function /f\nRUN echo b; sleep 1'),
      ]
      await using _a = a.folder
      await using _b = b.folder
      const abort = new AbortController()
      const both = makeBuilder({ builder: kind })
      const aborted = both.build(a.source, {
        signal: abort.signal,
        onOutput: stopOnBegun(abort),
      })
      const kept = both.build(b.source, { signal: never })
      await expect(aborted).rejects.toThrow('stop')
      expect(await kept).toMatchObject({ cached: false })
    })

    test('removes superseded images, but none that a container uses and none that is wanted', async () => {
      const { folder, source } = await makeProject(GIVEN)
      await using _ = folder
      const engine = makeEngine(dockerAddress())
      const tidy = makeBuilder({ builder: kind, keepSuperseded: 0 })
      const used = await tidy.build(source, { signal: never })
      const container = await engine.createContainer({
        Image: used.imageId,
        Cmd: ['true'],
        Labels: { 'com.faasdock.test': '1', 'com.faasdock.test.suite': SUITE },
      })
      await folder.write({ 'hello/handler.txt': `two ${source.image} ${SUITE}` })
      const two = await tidy.build(source, { signal: never })
      await folder.write({ 'hello/handler.txt': `three ${source.image} ${SUITE}` })
      const three = await tidy.build(source, { signal: never })
      await untilGone(two.imageId)
      expect(await inspect(used.imageId)).toBeDefined()
      expect(await inspect(three.imageId)).toBeDefined()
      await container.remove()
      // Met again at the next call, whatever that one had to do.
      await tidy.build(source, { signal: never })
      await untilGone(used.imageId)
    })

    test('does not touch images of a like name that it did not build', async () => {
      const { folder, source } = await makeProject(GIVEN)
      await using _ = folder
      const engine = makeEngine(dockerAddress())
      await run(GIVEN.base, 'true')
      const foreign = await engine.createContainer({ Image: GIVEN.base, Cmd: ['true'] })
      const [repo = '', tag = ''] = source.image.split(/:(?=[^:]*$)/)
      const { Id } = (await foreign.commit({ repo, tag, changes: `${MARKS} foreign=1` })) as { Id: string }
      await foreign.remove()
      const tidy = makeBuilder({ builder: kind, keepSuperseded: 0 })
      const own = await tidy.build(source, { signal: never })
      await folder.write({ 'hello/handler.txt': `two ${source.image} ${SUITE}` })
      await tidy.build(source, { signal: never })
      await untilGone(own.imageId)
      expect(await inspect(Id)).toBeDefined()
    })

    test('a newer base image under the same name makes a new image', async () => {
      const { folder, source } = await makeProject(GIVEN)
      await using _ = folder
      const base = `${GIVEN.prefix}base-${kind}:1`
      await folder.write({ 'template/test/Dockerfile': `FROM ${base}\n${MARKS}\nCOPY function /f\n` })
      await makeBase(base, 'one')
      const first = await makeBuilder({ builder: kind }).build(source, { signal: never })
      await makeBase(base, 'two')
      const second = await makeBuilder({ builder: kind }).build(source, { signal: never })
      expect(second.cached).toBe(false)
      expect(second.contentHash).not.toBe(first.contentHash)
      expect((await inspect(source.image))?.labels['version']).toBe('two')
    })

    test('an official-looking FROM builds for this machine, whatever default it writes', async () => {
      const { folder, source } = await makeProject(GIVEN)
      await using _ = folder
      await folder.write({
        'template/test/Dockerfile': `FROM --platform=\${TARGETPLATFORM:-linux/s390x} ${GIVEN.base} AS ship\n${MARKS}\nARG TARGETARCH\nCOPY function /f\nRUN echo "for $TARGETARCH"\n`,
      })
      const lines: string[] = []
      await makeBuilder({ builder: kind }).build(source, {
        signal: never,
        onOutput: (line) => lines.push(line),
      })
      const { Arch } = await makeEngine(dockerAddress()).version()
      expect(lines).toContain(`for ${Arch}`)
    })

    test('a step that runs out of space is told as a full disk, not as a mistake of the code', async () => {
      // Docker gives build steps 64 MB of shared memory: as full as a disk can be without filling this machine's.
      const { folder, source } = await makeProject(
        GIVEN,
        'RUN dd if=/dev/zero of=/dev/shm/full bs=1M count=200',
      )
      await using _ = folder
      await expect(makeBuilder({ builder: kind }).build(source, { signal: never })).rejects.toMatchObject({
        code: 'DISK_FULL',
        message: expect.stringMatching(/RUN dd.*\n(.|\n)*No space left on device/) as string,
        remedy: expect.stringContaining('faasdock gc') as string,
      })
    })

    test('several builds at once are limited', async () => {
      const projects = await Promise.all(
        Array.from({ length: 4 }, () =>
          makeProject(GIVEN, 'COPY function /f\nRUN echo in; sleep 1; echo out'),
        ),
      )
      let [inside, most] = [0, 0]
      const onOutput = (line: string): void => {
        if (line === 'in') most = Math.max(most, ++inside)
        if (line === 'out') inside--
      }
      const limited = makeBuilder({ builder: kind, concurrency: 2 })
      await Promise.all(projects.map(({ source }) => limited.build(source, { signal: never, onOutput })))
      for (const { folder } of projects) await folder[Symbol.asyncDispose]()
      expect(most).toBeLessThanOrEqual(2)
    })
  })

  describe('with the classic builder', () => {
    test('a second build of the same content makes no build call, even by another faasdock', async () => {
      const { folder, source } = await makeProject(GIVEN)
      await using _ = folder
      const first = countingEngine()
      await makeBuilder({ builder: 'classic', engine: first.engine }).build(source, { signal: never })
      const second = countingEngine()
      const again = await makeBuilder({ builder: 'classic', engine: second.engine }).build(source, {
        signal: never,
      })
      expect(again.cached).toBe(true)
      expect([first.builds(), second.builds()]).toEqual([1, 0])
    })

    test('ten who want the same at once make one build call', async () => {
      const { folder, source } = await makeProject(GIVEN, 'COPY function /f\nRUN sleep 1')
      await using _ = folder
      const { engine, builds } = countingEngine()
      const builder = makeBuilder({ builder: 'classic', engine })
      const results = await Promise.all(
        Array.from({ length: 10 }, () => builder.build(source, { signal: never })),
      )
      expect(builds()).toBe(1)
      expect(results.filter(({ cached }) => !cached)).toHaveLength(1)
    })

    test('an aborted waiter leaves, and the build goes on for the other', async () => {
      const { folder, source } = await makeProject(GIVEN, 'COPY function /f\nRUN echo begun; sleep 1')
      await using _ = folder
      const builder = makeBuilder({ builder: 'classic' })
      const abort = new AbortController()
      const waiters: Promise<unknown>[] = []
      const onOutput = (line: string): void => {
        if (line !== 'begun') return
        waiters.push(builder.build(source, { signal: abort.signal }).catch((error: unknown) => error))
        setImmediate(() => abort.abort(new Error('not me')))
      }
      expect(await builder.build(source, { signal: never, onOutput })).toMatchObject({ cached: false })
      expect(await waiters[0]).toMatchObject({ message: 'not me' })
    })

    test('build arguments that the Dockerfile does not use are told, our own are not', async () => {
      const { folder, source } = await makeProject(GIVEN)
      await using _ = folder
      const lines: string[] = []
      const typed = { ...source, buildArgs: { NODE_VERSOIN: '20' } }
      await makeBuilder({ builder: 'classic' }).build(typed, {
        signal: never,
        onOutput: (line) => lines.push(line),
      })
      expect(lines.filter((line) => /warning/i.test(line))).toEqual([
        'warning: the Dockerfile does not use the build arguments NODE_VERSOIN',
      ])
    })

    test('a context of 200 MB is streamed', async () => {
      const { folder, source } = await makeProject(GIVEN)
      await using _ = folder
      await folder.write({ 'hello/big.bin': '' })
      await truncate(join(source.handler, 'big.bin'), 200 * 2 ** 20)
      let peak = 0
      const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 20)
      const before = process.memoryUsage().rss
      const lines: string[] = []
      await makeBuilder({ builder: 'classic' }).build(source, {
        signal: never,
        onOutput: (line) => lines.push(line),
      })
      clearInterval(watch)
      expect((peak - before) / 2 ** 20).toBeLessThan(120)
      expect(lines).toContainEqual(expect.stringContaining('warning: handler and copies weigh 200 MB'))
    })

    test('build secrets are refused with the way out', async () => {
      const { folder, source } = await makeProject(GIVEN)
      await using _ = folder
      await folder.write({ token: 'abc' })
      const secret = { ...source, buildSecrets: { token: join(folder.path, 'token') } }
      await expect(
        makeBuilder({ builder: 'classic' }).build(secret, { signal: never }),
      ).rejects.toMatchObject({
        code: 'BUILD_FAILED',
        message: `build_secrets of ${source.name} needs BuildKit, but FAASDOCK_BUILDER=classic rules it out`,
        remedy: expect.stringContaining('Unset FAASDOCK_BUILDER') as string,
      })
    })

    test('is chosen where no client for BuildKit is, and secrets then say what to install', async () => {
      const { folder, source } = await makeProject(GIVEN)
      await using _ = folder
      const { engine, builds } = countingEngine()
      const builder = makeBuilder({ engine, env: { PATH: '/nowhere' } })
      await builder.build(source, { signal: never })
      expect(builds()).toBe(1)
      await folder.write({ token: 'abc' })
      const secret = { ...source, buildSecrets: { token: join(folder.path, 'token') } }
      await expect(builder.build(secret, { signal: never })).rejects.toMatchObject({
        code: 'BUILD_FAILED',
        remedy: expect.stringContaining('docker-buildx') as string,
      })
      const demanding = makeBuilder({ builder: 'buildkit', env: { PATH: '/nowhere' } })
      await expect(demanding.build(source, { signal: never })).rejects.toMatchObject({ code: 'BAD_CONFIG' })
    })

    test('an engine that is gone is told as such', async () => {
      const { folder, source } = await makeProject(GIVEN)
      await using _ = folder
      const engine = makeEngine({ socketPath: '/nowhere/docker.sock', host: '' })
      await expect(
        makeBuilder({ builder: 'classic', engine }).build(source, { signal: never }),
      ).rejects.toMatchObject({
        code: 'ENGINE_NOT_FOUND',
      })
    })
  })

  describe.skipIf(!buildkit)('with BuildKit', () => {
    test('is chosen by itself where it is there', async () => {
      const { folder, source } = await makeProject(GIVEN)
      await using _ = folder
      const { engine, builds } = countingEngine()
      expect(await makeBuilder({ engine }).build(source, { signal: never })).toMatchObject({ cached: false })
      expect(builds()).toBe(0)
    })

    test('a build secret reaches its step and stays out of the image', async () => {
      const { folder, source } = await makeProject(
        GIVEN,
        'COPY function /f\nRUN --mount=type=secret,id=token wc -c < /run/secrets/token > /size',
      )
      await using _ = folder
      await folder.write({ 'secrets/a,b': 'twelve bytes' })
      const secret: FunctionSource = { ...source, buildSecrets: { token: join(folder.path, 'secrets/a,b') } }
      await makeBuilder().build(secret, { signal: never })
      expect((await run(source.image, 'cat', '/size')).trim()).toBe('12')
      expect((await run(source.image, 'ls', '-A', '/run/secrets')).trim()).not.toContain('token')
    })

    test('a build secret whose file is missing is named', async () => {
      const { folder, source } = await makeProject(GIVEN)
      await using _ = folder
      const secret: FunctionSource = { ...source, buildSecrets: { token: join(folder.path, 'nope') } }
      await expect(makeBuilder().build(secret, { signal: never })).rejects.toMatchObject({
        code: 'FILE_NOT_READABLE',
        message: expect.stringContaining(join(folder.path, 'nope')) as string,
      })
    })

    test('mount_ssh without an agent says how to start one', async () => {
      const { folder, source } = await makeProject(GIVEN)
      await using _ = folder
      await folder.write({ 'template/test/template.yml': 'mount_ssh: true' })
      const env = { ...process.env, SSH_AUTH_SOCK: undefined }
      await expect(makeBuilder({ env }).build(source, { signal: never })).rejects.toMatchObject({
        code: 'BUILD_FAILED',
        remedy: expect.stringContaining('ssh-add') as string,
      })
    })

    test('the client talks to the engine it is told, not to the one of the environment', async () => {
      const { folder, source } = await makeProject(GIVEN)
      await using _ = folder
      const env = { ...process.env, DOCKER_HOST: 'unix:///nowhere.sock' }
      expect(await makeBuilder({ env }).build(source, { signal: never })).toMatchObject({ cached: false })
      const lost = makeBuilder({ env: process.env, engineAddress: 'unix:///nowhere.sock' })
      await folder.write({ 'hello/handler.txt': `other ${source.image} ${SUITE}` })
      await expect(lost.build(source, { signal: never })).rejects.toMatchObject({ code: 'ENGINE_NOT_FOUND' })
    })
  })

  test('a build leaves nothing behind in the temporary folder', async () => {
    await using temporary = await makeFolder()
    const { folder, source } = await makeProject(GIVEN)
    await using _ = folder
    const before = process.env['TMPDIR']
    process.env['TMPDIR'] = temporary.path
    try {
      await makeBuilder().build(source, { signal: never })
    } finally {
      if (before === undefined) delete process.env['TMPDIR']
      else process.env['TMPDIR'] = before
    }
    expect(await readdir(temporary.path)).toEqual([])
  })
})

/** Builders are made when the engine is known to be there. */
function createLazily<T>(make: () => T): () => T {
  let made: T | undefined
  return () => (made ??= make())
}

/** Makes an image that others can start from. */
async function makeBase(name: string, version: string): Promise<void> {
  const { folder, source } = await makeProject({ ...GIVEN, marks: `${MARKS} version=${version}` }, 'RUN true')
  await makeBuilder({ builder: 'classic' }).build({ ...source, image: name }, { signal: never })
  await folder[Symbol.asyncDispose]()
}

/** Command lines of all processes of this machine; those in containers are among them. */
async function commands(): Promise<string[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(ids.map((id) => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')))
  return lines.map((line) => line.replaceAll('\0', ' ').trim())
}
