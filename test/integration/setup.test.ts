import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { pack } from 'tar-stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { socketAddress } from '../../src/docker/engine-address.ts'
import { hostFacts } from '../../src/docker/engine-host.ts'
import { callEngine } from '../../src/docker/engine-http.ts'
import { buildImage, imageLabels } from '../../src/docker/engine-images.ts'
import { pingEngine } from '../../src/docker/engine-ping.ts'
import { doctorReport } from '../../src/setup/doctor.ts'
import { startDockerd } from '../../src/setup/engine-start.ts'
import { setup } from '../../src/setup/setup.ts'
import type { SetupReport } from '../../src/setup/setup.ts'
import { STAND_IN_LABEL } from '../../src/setup/stand-in-base.ts'
import { describeDocker, dockerAddress } from '../support/docker.ts'

const host = hostFacts()

/** A registry that nobody can have: the name is reserved for that (RFC 2606). */
const REGISTRY = 'registry.invalid'
const NODE = `${REGISTRY}/node:22-alpine`
const PYTHON = `${REGISTRY}/python:3.12-slim`
const UNKNOWN = `${REGISTRY}/team/app:1`
const BUILT = 'faasdock-test/setup:1'

async function removeImage(image: string): Promise<void> {
  const path = `/images/${encodeURIComponent(image)}?force=1`
  const { body } = await callEngine(dockerAddress(), { method: 'DELETE', path })
  body.resume()
}

/** Builds a Dockerfile and resolves with what its steps said. */
async function build(dockerfile: string): Promise<string> {
  const context = pack()
  // A build from the cache says nothing: this one is never the same as an earlier one.
  const fresh = dockerfile.replace(
    /^FROM .*$/m,
    (from) => `${from}\nLABEL com.faasdock.test.build=${randomUUID()}`,
  )
  context.entry({ name: 'Dockerfile' }, fresh)
  context.finalize()
  const lines: string[] = []
  await buildImage(dockerAddress(), Readable.from(context), {
    tags: [BUILT],
    onOutput: (line) => void lines.push(line),
  })
  return lines.join('\n')
}

describeDocker('set-up', () => {
  test('with an engine and nothing to fetch takes a moment and announces nothing', async () => {
    const said: string[] = []
    const options = { env: process.env, images: [], announce: (line: string) => void said.push(line) }
    await setup(options)
    const started = performance.now()
    const { engine, started: note } = await setup(options)
    expect(performance.now() - started).toBeLessThan(5000)
    expect(engine).toEqual(dockerAddress())
    expect(note).toBeUndefined()
    expect(said).toEqual([])
  })

  test('doctor finds nothing wrong with an engine that works', async () => {
    const checks = await doctorReport({
      env: process.env,
      dataDir: join(tmpdir(), 'faasdock-test-data'),
      port: 0,
    })
    expect(checks.filter(({ ok }) => ok === 'fail')).toEqual([])
    expect(checks.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'node',
        'engine',
        'engine version',
        'architecture',
        'network',
        'data directory',
      ]),
    )
  })
})

describeDocker('stand-ins for images of a registry that cannot be reached', () => {
  if (!host.root || host.kind !== 'debian') {
    test.skip('are made as root on Debian or Ubuntu only', () => undefined)
    return
  }

  const said: string[] = []
  let report: SetupReport

  beforeAll(async () => {
    report = await setup({
      env: process.env,
      images: [NODE, PYTHON, UNKNOWN],
      announce: (line) => void said.push(line),
    })
  }, 600_000)

  afterAll(async () => {
    for (const image of [BUILT, NODE, PYTHON]) await removeImage(image)
  })

  test('are made where one can be, announced, and labelled with what they are', async () => {
    expect(report.images.map(({ image, state }) => [image, state])).toEqual([
      [NODE, 'stand-in'],
      [PYTHON, 'stand-in'],
      [UNKNOWN, 'missing'],
    ])
    expect(said.join('\n')).toContain(`Making a stand-in for ${NODE}: Debian bookworm with Node 22.`)
    expect(said.filter((line) => line.startsWith('Pulling'))).toEqual([`Pulling ${NODE}`])
    expect((await imageLabels(dockerAddress(), NODE))?.[STAND_IN_LABEL]).toMatch(
      /^Debian bookworm with Node 22\./,
    )
  })

  test('of Node run that Node, as the user that its image has, and install packages in a build', async () => {
    const said = await build(
      [
        `FROM ${NODE}`,
        'LABEL com.faasdock.test=1',
        'RUN node --version && id -u node',
        'WORKDIR /home/node',
        'USER node',
        `RUN npm install is-odd@3 && node -e "console.log('odd:', require('is-odd')(3))"`,
      ].join('\n'),
    )
    expect(said).toMatch(/^v22\.\d+\.\d+$/m)
    expect(said).toMatch(/^1000$/m)
    expect(said).toMatch(/^odd: true$/m)
  })

  test('of Python have python and pip under the names of its image, and install packages in a build', async () => {
    const said = await build(
      [
        `FROM ${PYTHON}`,
        'LABEL com.faasdock.test=1',
        'RUN python --version && pip install pinyin',
        `RUN python -c "import pinyin; print('says', pinyin.get('中文', format='strip', delimiter=' '))"`,
      ].join('\n'),
    )
    expect(said).toMatch(/^Python 3\./m)
    expect(said).toMatch(/^says zhong wen$/m)
  })

  test('are not made again', async () => {
    const before = said.length
    const started = performance.now()
    const again = await setup({
      env: process.env,
      images: [NODE, PYTHON],
      announce: (line) => void said.push(line),
    })
    expect(performance.now() - started).toBeLessThan(5000)
    expect(again.images.map(({ state }) => state)).toEqual(['present', 'present'])
    expect(said).toHaveLength(before)
  })
})

describeDocker('an engine that set-up starts', () => {
  if (!host.root || !existsSync('/usr/sbin/dockerd')) {
    test.skip('needs root and dockerd', () => undefined)
    return
  }

  test('answers when the start is done, outlives its starter, and ends when told', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'faasdock-dockerd-'))
    const engine = socketAddress(join(folder, 'd.sock'))
    const args = ['--bridge=none', '--iptables=false', '--ip-forward=false', '--storage-driver=vfs']
    const places = {
      host: `unix://${engine.socketPath}`,
      'data-root': 'data',
      'exec-root': 'exec',
      pidfile: 'pid',
    }
    for (const [name, place] of Object.entries(places)) {
      args.push(`--${name}=${place.startsWith('unix:') ? place : join(folder, place)}`)
    }
    // In a network of its own: a dockerd without a bridge removes the bridge of the machine's other dockerd.
    const command = ['unshare', '--net', 'dockerd'] as const
    const pid = await startDockerd({ engine, log: join(folder, 'log'), args, command: [...command] })
    try {
      expect((await pingEngine(engine)).outcome).toBe('ok')
      expect(Number(await readFile(join(folder, 'pid'), 'utf8'))).toBe(pid)
      // Its own session: a Ctrl-C in the terminal that started it does not reach it.
      const status = await readFile(`/proc/${pid}/stat`, 'utf8')
      expect(Number(status.slice(status.lastIndexOf(')') + 2).split(' ')[3])).toBe(pid)
    } finally {
      process.kill(pid, 'SIGTERM')
      while (existsSync(`/proc/${pid}/exe`)) await wait(50)
      await rm(folder, { recursive: true, force: true })
    }
  })
})
