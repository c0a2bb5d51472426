import { execFile, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeEngine } from '../../src/docker/client.ts'
import type { Engine } from '../../src/docker/client.ts'
import { formatEngineAddress } from '../../src/docker/engine-address.ts'
import { LABEL } from '../../src/docker/labels.ts'
import { describeDocker, dockerAddress } from '../support/docker.ts'
import { buildHello } from '../support/hello-image.ts'
import type { HelloImages } from '../support/hello-image.ts'
import { findTool } from '../support/tools.ts'
import { until } from '../support/until.ts'

const ROOT = join(import.meta.dirname, '../..')
const execute = promisify(execFile)
/** The first build installs every dependency. */
const BUILD_LIMIT_MS = 900_000

/** Both generations. */
const GENERATIONS = [
  ['docker-compose', findTool('docker-compose') !== undefined, ['docker-compose']],
  [
    'docker compose',
    spawnSync('docker', ['compose', 'version', '--short']).status === 0,
    ['docker', 'compose'],
  ],
] as const

if (process.env['REQUIRE_DOCKER'] === '1' && !GENERATIONS.some(([, isThere]) => isThere))
  throw new Error('REQUIRE_DOCKER=1, but there is no docker-compose; `npm test` installs it on Debian')

interface Call {
  readonly state: string
  readonly attempts: number
}

/** Those that the machine has; where it has none, one whose tests are skipped and counted. */
const present = GENERATIONS.filter(([, isThere]) => isThere)

for (const [title, isThere, command] of present.length > 0 ? present : [GENERATIONS[0]]) {
  describe.skipIf(!isThere)(title, () => {
    describeDocker('a sandbox of the compose file', () => {
      const run = randomBytes(3).toString('hex')
      const project = `faasdock-test-${run}`
      const name = `hello-${run}`
      let engine: Engine
      let images: HelloImages
      let env: NodeJS.ProcessEnv
      let url: string
      let instance: string
      let authorization: string

      const compose = async (...args: string[]): Promise<string> => {
        const [program, ...first] = command
        const options = { cwd: ROOT, env, maxBuffer: 2 ** 26, timeout: BUILD_LIMIT_MS }
        const running = execute(program, [...first, '-p', project, ...args], options)
        // `exec -T` waits for the end of its input.
        running.child.stdin?.end()
        return (await running).stdout
      }
      const control = (path: string, init: RequestInit = {}): Promise<Response> =>
        fetch(`${url}${path}`, { ...init, headers: { authorization } })
      const post = (path: string, body: unknown): Promise<Response> =>
        control(path, { method: 'POST', body: JSON.stringify(body) })
      const callState = async (id: string): Promise<Call> =>
        (await (await control(`/system/calls/${id}`)).json()) as Call
      const answersAs = async (word: string): Promise<{ word: string; replica: string }> =>
        until(async () => {
          const response = await glance(`${url}/function/${name}`)
          if (response?.status !== 200) return undefined
          const answer = (await response.json()) as { word: string; replica: string }
          return answer.word === word ? answer : undefined
        })
      const gatewayAnswers = (): Promise<boolean> => until(async () => (await glance(`${url}/healthz`))?.ok)
      const callAsync = async (): Promise<string> => {
        const response = await fetch(`${url}/async-function/${name}`, { method: 'POST', body: 'x' })
        expect(response.status).toBe(202)
        return response.headers.get('x-call-id') ?? ''
      }
      const ours = async (label: string): Promise<string[]> => {
        const filters = { label: [label] }
        const containers = await engine.listContainers({ all: true, filters })
        const networks = await engine.listNetworks({ filters })
        const { Volumes } = await engine.listVolumes({ filters: JSON.stringify(filters) } as object)
        return [
          ...containers.map(({ Names }) => `container ${Names.join()}`),
          ...networks.map(({ Name }) => `network ${Name}`),
          // Null when there are none, whatever the types say.
          ...((Volumes as typeof Volumes | null) ?? []).map(({ Name }) => `volume ${Name}`),
        ]
      }

      beforeAll(async () => {
        const address = dockerAddress()
        engine = makeEngine(address)
        images = await buildHello(engine, run)
        const listen = `127.0.0.1:${await freePort()}`
        url = `http://${listen}`
        env = {
          ...process.env,
          DOCKER_HOST: formatEngineAddress(address),
          ...('socketPath' in address && { DOCKER_SOCKET: address.socketPath }),
          FAASDOCK_LISTEN: listen,
          FAASDOCK_TAG: project,
          // Whichever buildx the machine has or lacks.
          DOCKER_BUILDKIT: '0',
          COMPOSE_DOCKER_CLI_BUILD: '0',
        }
        await compose('build')
        await compose('up', '-d')
        await gatewayAnswers()
        const password = await compose('exec', '-T', 'gateway', 'cat', '/data/basic-auth-password')
        authorization = `Basic ${Buffer.from(`admin:${password.trim()}`).toString('base64')}`
      }, BUILD_LIMIT_MS)

      afterAll(async () => {
        await compose('down', '-v').catch(() => undefined)
        await engine
          .getImage(`faasdock:${project}`)
          .remove({ force: true })
          .catch(() => undefined)
        await images[Symbol.asyncDispose]()
      })

      test('lets nobody deploy without the login', async () => {
        const response = await fetch(`${url}/system/functions`)
        expect(response.status).toBe(401)
      })

      test('deploys a function and answers calls, sync and async', async () => {
        const deployed = await post('/system/functions', {
          service: name,
          image: images.image,
          envVars: { WORD: 'sandbox' },
          labels: { 'com.faasdock.test': '1' },
        })
        expect(deployed.status).toBe(202)
        expect(await answersAs('sandbox')).toMatchObject({ word: 'sandbox' })
        const id = await callAsync()
        await until(async () => (await callState(id)).state === 'succeeded')
        const [replica] = await engine.listContainers({ filters: { label: [`${LABEL.function}=${name}`] } })
        instance = replica?.Labels[LABEL.instance] ?? ''
        expect(instance).not.toBe('')
      })

      test.each(['gateway', 'gateway.openfaas', 'gateway.openfaas.svc.cluster.local'])(
        'functions reach the gateway as %s',
        async (gateway) => {
          const target = encodeURIComponent(`http://${gateway}:8080/function/${name}`)
          const answer = await fetch(`${url}/function/${name}/fetch?url=${target}`)
          expect(await answer.json()).toMatchObject({ status: 200 })
        },
      )

      test('a gateway that was killed takes its functions up again as they run', async () => {
        const before = await answersAs('sandbox')
        await compose('kill', 'gateway')
        await compose('up', '-d')
        await gatewayAnswers()
        expect(await answersAs('sandbox')).toEqual(before)
      })

      test('keeps functions, what they wrote, and the queue through down and up', async () => {
        expect((await post('/system/queue/pause', { function: name })).ok).toBe(true)
        const id = await callAsync()
        await compose('down')
        expect(await ours(`${LABEL.instance}=${instance}`)).toEqual([])

        await compose('up', '-d')
        await answersAs('sandbox')
        expect(await callState(id)).toMatchObject({ state: 'queued', attempts: 0 })
        expect((await post('/system/queue/resume', { function: name })).ok).toBe(true)
        await until(async () => (await callState(id)).state === 'succeeded')
        const lines = await (await control(`/system/logs?name=${name}`)).text()
        expect(lines.match(/hello begins as sandbox/g)).toHaveLength(2)
      })

      test('down -v leaves nothing', async () => {
        await answersAs('sandbox')
        await compose('down', '-v')
        expect(await ours(`${LABEL.instance}=${instance}`)).toEqual([])
        expect(await ours(`com.docker.compose.project=${project}`)).toEqual([])
      })
    })
  })
}

/** One look, and not a long one: what forwards a port takes connections before anybody listens behind it. */
function glance(url: string): Promise<Response | undefined> {
  return fetch(url, { signal: AbortSignal.timeout(2000) }).catch(() => undefined)
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
