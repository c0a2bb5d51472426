import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import type { TestFolder } from '../../test/support/folder.ts'
import { findBuildkitClient } from './buildkit-client.ts'
import { buildkitArgs, makeBuildkitBuild } from './buildkit.ts'
import type { ImageBuild } from './image-build.ts'

const client = { file: 'docker', version: '28.0.0', hasBuildx: true }

function makeBuild(more: Partial<ImageBuild> = {}): ImageBuild {
  return {
    name: 'hello',
    tag: 'hello:1',
    context: () => Readable.from([Buffer.from('the context')], { objectMode: false }),
    buildArgs: {},
    labels: {},
    noCache: false,
    secrets: {},
    mountSsh: false,
    signal: new AbortController().signal,
    onOutput: () => undefined,
    ...more,
  }
}

/** An executable called `docker` that answers as a client of that kind does. */
function script(body: string) {
  return { content: `#!/bin/sh\n${body}\n`, mode: 0o755 }
}

const WITHOUT_BUILDX = script(
  '[ "$1" = --version ] && echo "Docker version 28.2.2, build e6534b4" && exit; exit 1',
)
const WITH_BUILDX = script('[ "$1" = buildx ] && echo v0.19 && exit; echo "Docker version 27.1.0, build x"')
const OLD = script('echo "Docker version 20.10.24+dfsg1, build 297e128"')
const ANCIENT = script('echo "Docker version 18.06.3-ce, build d7080c1"')
const PODMAN = script('echo "podman version 4.3.1"')

function find(folder: TestFolder, ...folders: string[]) {
  return findBuildkitClient({ PATH: ['none', ...folders].map((name) => join(folder.path, name)).join(':') })
}

describe('the Docker client for BuildKit', () => {
  test('is the first on PATH that can build with it', async () => {
    await using folder = await makeFolder({
      'a/docker': WITHOUT_BUILDX,
      'b/docker': OLD,
      'c/docker': WITH_BUILDX,
    })
    expect(await find(folder, 'a', 'b', 'c')).toEqual({
      file: join(folder.path, 'b/docker'),
      version: '20.10.24+dfsg1',
      hasBuildx: false,
    })
    expect(await find(folder, 'a', 'c')).toMatchObject({ hasBuildx: true, version: '27.1.0' })
  })

  test.each([
    ['one without buildx', WITHOUT_BUILDX],
    ['one from before BuildKit', ANCIENT],
    ['podman by another name', PODMAN],
    ['one that cannot be run', { content: 'garbage', mode: 0o644 }],
    ['one that breaks', script('exit 127')],
  ])('is not %s', async (_, docker) => {
    await using folder = await makeFolder({ 'a/docker': docker })
    expect(await find(folder, 'a')).toBeUndefined()
  })
})

describe('the client’s arguments', () => {
  test('carry everything that the build has', () => {
    const build = makeBuild({
      buildArgs: { A: 'x y', B: '' },
      labels: { l: '1' },
      noCache: true,
      secrets: { token: '/a,b "c"' },
      mountSsh: true,
    })
    expect(buildkitArgs(build, client, '/id')).toEqual([
      'buildx',
      'build',
      '--builder',
      'default',
      '--load',
      '--progress=plain',
      '--iidfile=/id',
      '--tag=hello:1',
      '--file=Dockerfile',
      '--no-cache',
      '--build-arg=A=x y',
      '--build-arg=B=',
      '--label=l=1',
      '--secret=id=token,"src=/a,b ""c"""',
      '--ssh=default',
      '-',
    ])
  })

  test('of a client that has BuildKit built in are plain build', () => {
    expect(buildkitArgs(makeBuild(), { ...client, hasBuildx: false }, '/id')[0]).toBe('build')
  })
})

describe('a build through a client', () => {
  const options = (folder: TestFolder) => ({
    client: { file: join(folder.path, 'docker'), version: '20.10', hasBuildx: false },
    engineAddress: 'unix:///engine.sock',
    env: { PATH: process.env['PATH'], DOCKER_CONTEXT: 'elsewhere', OUT: folder.path },
  })

  test('sends the context, talks to the same engine, and resolves with the image’s id', async () => {
    await using folder = await makeFolder({
      docker: script(
        'for a; do case $a in --iidfile=*) id=${a#--iidfile=};; esac; done\n' +
          'cat > $OUT/context; echo "$DOCKER_HOST $DOCKER_BUILDKIT ${DOCKER_CONTEXT-none}" > $OUT/env\n' +
          'echo "#1 [1/1] RUN x" >&2; printf sha256:1 > $id',
      ),
    })
    const lines: string[] = []
    const id = await makeBuildkitBuild(options(folder))(makeBuild({ onOutput: (line) => lines.push(line) }))
    expect(id).toBe('sha256:1')
    expect(lines).toEqual(['Step 1/1 : RUN x'])
    expect(await readFile(join(folder.path, 'context'), 'utf8')).toBe('the context')
    expect(await readFile(join(folder.path, 'env'), 'utf8')).toBe('unix:///engine.sock 1 none\n')
  })

  test('that the client ends before reading the context says why, not that a pipe broke', async () => {
    await using folder = await makeFolder({ docker: script('echo "ERROR: no such flag" >&2; exit 125') })
    const context = () =>
      Readable.from(
        Array.from({ length: 500 }, () => Buffer.alloc(64 * 1024)),
        { objectMode: false },
      )
    await expect(makeBuildkitBuild(options(folder))(makeBuild({ context }))).rejects.toMatchObject({
      code: 'BUILD_FAILED',
      message: 'hello: no such flag',
    })
  })

  const MUTE = 'echo "executor failed running [/bin/sh -c npm test]: exit code: 1"; exit 1'

  test('whose failing step was told to another build alone is run again, to be told', async () => {
    const told = 'echo "#1 [1/1] RUN npm test"; echo "#1 0.1 not ok 1 - says hello"'
    const failed = 'echo "#1 ERROR: executor failed running [npm test]: exit code: 1"; exit 1'
    await using folder = await makeFolder({
      docker: script(`cat > /dev/null; [ -e $OUT/seen ] || { > $OUT/seen; ${MUTE}; }; ${told}; ${failed}`),
    })
    await expect(makeBuildkitBuild(options(folder))(makeBuild())).rejects.toMatchObject({
      code: 'BUILD_FAILED',
      message: [
        'hello: says hello failed',
        'not ok 1 - says hello',
        'Step 1/1 : RUN npm test ended with exit code 1',
      ].join('\n'),
    })
  })

  test('whose failing step is never told says what the engine says', async () => {
    await using folder = await makeFolder({ docker: script(`cat > /dev/null; ${MUTE}`) })
    await expect(makeBuildkitBuild(options(folder))(makeBuild())).rejects.toMatchObject({
      message: 'hello: executor failed running [/bin/sh -c npm test]: exit code: 1',
    })
  })

  test('whose context breaks is ended and fails with the context’s error', async () => {
    await using folder = await makeFolder({ docker: script('cat > /dev/null; sleep 60') })
    const context = () =>
      new Readable({
        read() {
          this.destroy(new Error('the file changed'))
        },
      })
    await expect(makeBuildkitBuild(options(folder))(makeBuild({ context }))).rejects.toThrow(
      'the file changed',
    )
  })

  test('that is aborted ends the client and what it started, and rejects with the reason', async () => {
    await using folder = await makeFolder({
      docker: script('cat > /dev/null; echo "#1 [1/1] RUN x"; sleep 60 & wait'),
    })
    const abort = new AbortController()
    const began = Date.now()
    const build = makeBuild({ signal: abort.signal, onOutput: () => abort.abort(new Error('saved again')) })
    await expect(makeBuildkitBuild(options(folder))(build)).rejects.toThrow('saved again')
    // The pipes close only when the sleeping grandchild is gone as well.
    expect(Date.now() - began).toBeLessThan(5000)
  })

  test('that is aborted while the client does not listen is killed', async () => {
    await using folder = await makeFolder({
      docker: script('trap "" TERM; cat > /dev/null; echo "#1 [1/1] RUN x"; while :; do sleep 1; done'),
    })
    const abort = new AbortController()
    const build = makeBuild({ signal: abort.signal, onOutput: () => abort.abort(new Error('stop')) })
    await expect(makeBuildkitBuild(options(folder))(build)).rejects.toThrow('stop')
  })

  test('on an engine that is gone says so', async () => {
    await using folder = await makeFolder({
      docker: script('cat > /dev/null; echo "ERROR: Cannot connect to the Docker daemon at x." >&2; exit 1'),
    })
    await expect(makeBuildkitBuild(options(folder))(makeBuild())).rejects.toMatchObject({
      code: 'ENGINE_NOT_FOUND',
    })
  })

  test('with a client that is gone says so', async () => {
    await using folder = await makeFolder()
    await expect(makeBuildkitBuild(options(folder))(makeBuild())).rejects.toMatchObject({
      code: 'BUILD_FAILED',
      message: expect.stringContaining('could not be started') as string,
    })
  })
})
