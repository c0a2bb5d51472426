import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
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
import { removeTracesBelow } from '../support/traces.ts'
import { until } from '../support/until.ts'

// Numbered async calls, while faasdock, its NATS server and the function's containers are killed with -9 at seeded
// moments. What was answered 202 arrives; what arrives twice is no more than what was under way when something died.

const RUN = randomBytes(3).toString('hex')
const SEED = Number(process.env['FAASDOCK_TEST_SEED'] ?? 20300102)
const CALLS = Number(process.env['FAASDOCK_TEST_CALLS'] ?? 3000)
const KILLS = Number(process.env['FAASDOCK_TEST_KILLS'] ?? 12)
const SENDERS = 12
const CONCURRENCY = 8

describeDocker('async calls, while everything is killed with -9', () => {
  let engine: Engine
  let images: HelloImages
  let folder: TestFolder
  let dataDir: string
  let program: RunningProgram | undefined
  let url = ''
  let instance = ''
  const random = seeded(SEED)

  beforeAll(async () => {
    engine = makeEngine(dockerAddress())
    images = await buildHello(engine, `queue-${RUN}`)
    folder = await makeFolder()
    dataDir = join(folder.path, 'data')
    await start()
  })

  afterAll(async () => {
    program?.signal('SIGTERM')
    await program?.end
    await removeTracesBelow(folder.path, engine)
    await images[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  })

  async function start(): Promise<void> {
    program = startProgram(['serve', '--data', dataDir, '--port', '0', '--json'], {
      env: { FAASDOCK_METRICS_PORT: 'off' },
    })
    const done = await program.event(({ type }) => type === 'start.done')
    url = String(done['url'])
    instance = String(done['instance'])
  }

  async function killProgram(): Promise<void> {
    program?.signal('SIGKILL')
    await program?.end
    await start()
  }

  function killNats(): void {
    const { pid } = JSON.parse(readFileSync(join(dataDir, 'nats/server.json'), 'utf8')) as { pid: number }
    process.kill(pid, 'SIGKILL')
  }

  async function killContainer(): Promise<void> {
    const filters = { label: [`${LABEL.instance}=${instance}`, `${LABEL.function}=numbered`] }
    const [container] = await engine.listContainers({ filters })
    if (!container) return
    const { State: state } = await engine.getContainer(container.Id).inspect()
    if (state.Pid > 0) process.kill(state.Pid, 'SIGKILL')
  }

  test(`${CALLS} calls and ${KILLS} kills (seed ${SEED}): none is lost`, { timeout: 240_000 }, async () => {
    const seen = new Map<string, number>()
    const collector = createServer((request, response) => {
      const number = new URL(request.url ?? '', 'http://here').searchParams.get('n') ?? ''
      seen.set(number, (seen.get(number) ?? 0) + 1)
      response.end('noted')
    })
    await new Promise<void>((resolve) => collector.listen(0, '0.0.0.0', resolve))
    const { port } = collector.address() as AddressInfo
    const deployed = await fetch(`${url}/system/functions`, {
      method: 'POST',
      body: JSON.stringify({
        service: 'numbered',
        image: images.image,
        envVars: { max_inflight: String(CONCURRENCY) },
        annotations: {
          'com.openfaas.retry.attempts': '1000',
          'com.openfaas.retry.min_wait': '100ms',
          'com.openfaas.retry.max_wait': '500ms',
        },
      }),
    })
    expect(deployed.status).toBe(202)
    await until(async () => (await fetch(`${url}/function/numbered`)).status === 200)

    const accepted = new Set<string>()
    let refused = 0
    let next = 0
    const sender = async (): Promise<void> => {
      while (accepted.size < CALLS) {
        const number = String(next++)
        const target = encodeURIComponent(`http://gateway:${port}/?n=${number}`)
        try {
          const answer = await fetch(`${url}/async-function/numbered/fetch?url=${target}`, {
            method: 'POST',
            headers: { 'X-Call-Id': `n-${number}` },
            signal: AbortSignal.timeout(20_000),
          })
          await answer.arrayBuffer()
          if (answer.status === 202) accepted.add(number)
          else refused++
        } catch {
          refused++
          await sleep(20)
        }
        // Spread over the time that the kills take.
        await sleep(random() * 20)
      }
    }
    const senders = Array.from({ length: SENDERS }, sender)
    const kills = { program: 0, nats: 0, container: 0 }
    for (let i = 0; i < KILLS; i++) {
      await sleep(300 + random() * 1200)
      const dice = random()
      if (dice < 0.35) {
        kills.program++
        await killProgram()
      } else if (dice < 0.7) {
        kills.nats++
        try {
          killNats()
        } catch {
          // It was on its way down or up.
        }
      } else {
        kills.container++
        await killContainer()
      }
    }
    await Promise.all(senders)
    const missing = (): string[] => [...accepted].filter((number) => !seen.has(number))
    await until(() => missing().length === 0, {
      limitMs: 120_000,
      what: () => `${missing().length} of ${accepted.size} arrive: ${missing().slice(0, 10).join(', ')}`,
    })
    const queue = await until(
      async () => {
        const answer = await fetch(`${url}/system/queue`)
        // The last kill may have hit the server that is asked.
        if (!answer.ok) return false
        const state = (await answer.json()) as { functions: { depth: number }[] }
        return state.functions.every(({ depth }) => depth === 0) && state
      },
      { limitMs: 60_000, what: () => 'the queue is empty' },
    )
    expect(queue.functions.filter((one) => one.depth > 0)).toEqual([])
    const duplicates = [...seen.values()].reduce((sum, times) => sum + times - 1, 0)
    process.stdout.write(
      `accepted ${accepted.size}, refused ${refused}, arrived ${seen.size}, duplicates ${duplicates}, kills ${JSON.stringify(kills)}\n`,
    )
    expect(accepted.size).toBeGreaterThan(CALLS / 2)
    expect(duplicates).toBeLessThanOrEqual(KILLS * CONCURRENCY)
    collector.closeAllConnections()
    await new Promise((resolve) => collector.close(resolve))
  })
})
