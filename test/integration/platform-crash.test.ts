import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeEngine } from '../../src/docker/client.ts'
import type { Engine } from '../../src/docker/client.ts'
import { LABEL } from '../../src/docker/labels.ts'
import { describeDocker, dockerAddress } from '../support/docker.ts'
import { makeFolder } from '../support/folder.ts'
import type { TestFolder } from '../support/folder.ts'
import { buildHello } from '../support/hello-image.ts'
import type { HelloImages } from '../support/hello-image.ts'
import { seeded } from '../support/seeded.ts'
import { startProgram } from '../support/program.ts'
import type { RunningProgram } from '../support/program.ts'
import { untilPasses } from '../support/until.ts'

// The real program, killed with -9 at seeded moments. What was accepted comes true again, and nothing else stays.

const RUN = randomBytes(3).toString('hex')
const SEED = Number(process.env['FAASDOCK_TEST_SEED'] ?? 20300101)
const ROUNDS = 6

interface Wanted {
  readonly word: string
  readonly replicas: number
}

/** The program on one data directory, however often it is killed. */
class Platform implements AsyncDisposable {
  readonly #dataDir: string
  #program: RunningProgram | undefined
  url = ''
  instance = ''

  constructor(dataDir: string) {
    this.#dataDir = dataDir
  }

  async start(): Promise<void> {
    const program = startProgram([
      'serve',
      '--data',
      this.#dataDir,
      '--port',
      '0',
      '--start-timeout',
      '20s',
      '--json',
    ])
    this.#program = program
    const done = await program.event(({ type }) => type === 'start.done')
    this.url = String(done['url'])
    this.instance = String(done['instance'])
  }

  async kill(): Promise<void> {
    this.#program?.signal('SIGKILL')
    await this.#program?.end
  }

  async stop(): Promise<number | null> {
    this.#program?.signal('SIGTERM')
    return (await this.#program?.end)?.code ?? null
  }

  /** Asks the control API; gives the status, 0 when the program was killed meanwhile. */
  async ask(method: string, path: string, body?: object): Promise<number> {
    try {
      const response = await fetch(this.url + path, {
        method,
        ...(body && { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }),
      })
      await response.arrayBuffer()
      return response.status
    } catch {
      return 0
    }
  }

  async call(name: string): Promise<{ word: string }> {
    const response = await fetch(`${this.url}/function/${name}`)
    if (response.status !== 200)
      throw new Error(`${name} answered ${response.status}: ${await response.text()}`)
    return (await response.json()) as { word: string }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program?.[Symbol.asyncDispose]()
  }
}

describeDocker('the program, killed with -9', () => {
  let engine: Engine
  let images: HelloImages
  let folder: TestFolder
  let platform: Platform

  beforeAll(async () => {
    engine = makeEngine(dockerAddress())
    images = await buildHello(engine, `crash-${RUN}`)
    folder = await makeFolder()
    platform = new Platform(folder.path)
    await platform.start()
  })

  afterAll(async () => {
    await platform[Symbol.asyncDispose]()
    for (const { Id } of await containers()) await engine.getContainer(Id).remove({ force: true })
    const filters = { label: [`${LABEL.instance}=${platform.instance}`] }
    for (const { Id } of await engine.listNetworks({ filters })) await engine.getNetwork(Id).remove()
    await images[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  })

  const containers = (name?: string): Promise<{ Id: string; State: string }[]> =>
    engine.listContainers({
      all: true,
      filters: {
        label: [
          `${LABEL.instance}=${platform.instance}`,
          ...(name === undefined ? [] : [`${LABEL.function}=${name}`]),
        ],
      },
    })

  const deployment = (name: string, word: string, start = 'ok'): object => ({
    service: name,
    image: images.image,
    envVars: { WORD: word, START: start },
  })

  /** Everything wanted answers as it should, and the engine has exactly the containers for it. */
  function expectWanted(wanted: ReadonlyMap<string, Wanted>): Promise<void> {
    return untilPasses(
      async () => {
        for (const [name, { word, replicas }] of wanted) {
          if (replicas > 0) expect(await platform.call(name)).toMatchObject({ word })
          const there = await containers(name)
          expect(there.map(({ State }) => State)).toEqual(Array(replicas).fill('running'))
        }
        const all = [...wanted.values()].reduce((sum, { replicas }) => sum + replicas, 0)
        expect(await containers()).toHaveLength(all)
      },
      { limitMs: 60_000, everyMs: 250 },
    )
  }

  test('adopts what ran: the same containers answer, those of others are untouched', async () => {
    expect(await platform.ask('POST', '/system/functions', deployment('adopted', 'one'))).toBe(202)
    expect(await platform.ask('POST', '/system/functions', deployment('asleep', 'two'))).toBe(202)
    const wanted = new Map([
      ['adopted', { word: 'one', replicas: 1 }],
      ['asleep', { word: 'two', replicas: 1 }],
    ])
    await expectWanted(wanted)
    expect(await platform.ask('POST', '/system/scale-function/asleep', { replicas: 0 })).toBe(202)
    wanted.set('asleep', { word: 'two', replicas: 0 })
    await expectWanted(wanted)
    const before = (await containers()).map(({ Id }) => Id)
    const stranger = await engine.createContainer({
      Image: images.image,
      name: `faasdock-adopted-stranger-${RUN}`,
      Labels: { 'com.faasdock.test': '1', [LABEL.function]: 'adopted', [LABEL.instance]: 'ffffffff' },
    })
    await stranger.start()
    const { Id: networkId } = (
      await engine.listNetworks({
        filters: { label: [`${LABEL.instance}=${platform.instance}`] },
      })
    )[0] as { Id: string }
    try {
      await platform.kill()
      await platform.start()
      await expectWanted(wanted)
      expect((await containers()).map(({ Id }) => Id)).toEqual(before)
      expect((await stranger.inspect()).State.Running).toBe(true)
      const networks = await engine.listNetworks({
        filters: { label: [`${LABEL.instance}=${platform.instance}`] },
      })
      expect(networks.map(({ Id }) => Id)).toEqual([networkId])
      // Both are still what they were: one is woken by a call, the other is not started anew.
      expect(await platform.call('asleep')).toMatchObject({ word: 'two' })
      expect(await platform.ask('POST', '/system/scale-function/asleep', { replicas: 0 })).toBe(202)
      await expectWanted(wanted)
    } finally {
      await stranger.remove({ force: true })
    }
  })

  test('replaces what died while it was away, and removes what was stopped', async () => {
    const [before] = await containers('adopted')
    await platform.kill()
    await engine.getContainer(before?.Id ?? '').kill()
    await platform.start()
    await expectWanted(
      new Map([
        ['adopted', { word: 'one', replicas: 1 }],
        ['asleep', { word: 'two', replicas: 0 }],
      ]),
    )
    expect((await containers('adopted')).map(({ Id }) => Id)).not.toEqual([before?.Id])
    for (const functionName of ['adopted', 'asleep'])
      expect(await platform.ask('DELETE', '/system/functions', { functionName })).toBe(202)
    await expectWanted(new Map())
  })

  test(`at random moments of deploys, swaps, scaling and removals gives the wanted state again (seed ${SEED})`, async () => {
    const random = seeded(SEED)
    const names = ['a', 'b', 'c']
    const wanted = new Map<string, Wanted>()
    let words = 0
    for (let round = 0; round < ROUNDS; round++) {
      // One after the other, so that it is known which wish came last.
      for (let changes = 1 + Math.floor(random() * 3); changes > 0; changes--) {
        const name = names[Math.floor(random() * names.length)] ?? 'a'
        const dice = random()
        const known = wanted.get(name)
        const word = `word-${++words}`
        if (!known) {
          if ((await platform.ask('POST', '/system/functions', deployment(name, word))) === 202)
            wanted.set(name, { word, replicas: 1 })
        } else if (dice < 0.5) {
          if ((await platform.ask('PUT', '/system/functions', deployment(name, word))) === 202)
            wanted.set(name, { ...known, word })
        } else if (dice < 0.85) {
          const replicas = 1 + Math.floor(random() * 3)
          if ((await platform.ask('POST', `/system/scale-function/${name}`, { replicas })) === 202)
            wanted.set(name, { ...known, replicas })
        } else if ((await platform.ask('DELETE', '/system/functions', { functionName: name })) === 202)
          wanted.delete(name)
      }
      await sleep(Math.floor(random() * 1500))
      await platform.kill()
      await platform.start()
      if (round % 2 === 1) await expectWanted(wanted)
    }
    await expectWanted(wanted)
    for (const functionName of wanted.keys())
      expect(await platform.ask('DELETE', '/system/functions', { functionName })).toBe(202)
    await expectWanted(new Map())
  })

  test('in the middle of a swap goes on with the old version while the new one does not start', async () => {
    expect(await platform.ask('POST', '/system/functions', deployment('swap', 'good'))).toBe(202)
    await expectWanted(new Map([['swap', { word: 'good', replicas: 1 }]]))
    expect(await platform.ask('PUT', '/system/functions', deployment('swap', 'bad', 'exit:1'))).toBe(202)
    await sleep(200)
    await platform.kill()
    // As if the machine had been switched off: nothing runs any more.
    for (const { Id } of await containers()) await engine.getContainer(Id).remove({ force: true })
    await platform.start()
    await untilPasses(async () => expect(await platform.call('swap')).toMatchObject({ word: 'good' }), {
      limitMs: 60_000,
    })
    expect(await platform.ask('DELETE', '/system/functions', { functionName: 'swap' })).toBe(202)
    await expectWanted(new Map())
  })

  test('a second program on the same data is refused and names the first', async () => {
    await using second = startProgram(['serve', '--data', folder.path, '--port', '0', '--json'])
    expect((await second.end).code).not.toBe(0)
    expect(second.screen).toMatch(/DATA_LOCKED|is in use by process \d+/)
    expect(await platform.ask('GET', '/healthz')).toBe(200)
  })

  test('asked to end, it ends well; with no function left neither container nor network stays', async () => {
    expect(await platform.stop()).toBeLessThan(144)
    expect(await containers()).toEqual([])
    const filters = { label: [`${LABEL.instance}=${platform.instance}`] }
    expect(await engine.listNetworks({ filters })).toEqual([])
  })
})
