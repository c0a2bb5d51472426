import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pack } from 'tar-stream'
import { afterAll, beforeAll, describe } from 'vitest'
import { createApp } from '../../../src/app.ts'
import type { App } from '../../../src/app.ts'
import { readConfig } from '../../../src/config.ts'
import { FaasError } from '../../../src/core/errors.ts'
import { makeEngine } from '../../../src/docker/client.ts'
import type { MemoryImage } from '../../../src/provider/memory/memory-provider.ts'
import { MemoryProvider } from '../../../src/provider/memory/memory-provider.ts'
import { describeDocker, dockerAddress } from '../../support/docker.ts'
import { makeFolder } from '../../support/folder.ts'
import { untilPasses } from '../../support/until.ts'

const PROGRAM = join(import.meta.dirname, 'parity-function.cjs')

/** What a parity function's program exports for the memory provider. */
interface ParityProgram {
  answer: (
    request: IncomingMessage,
    response: ServerResponse,
    env: Readonly<Record<string, string | undefined>>,
    print: (line: string) => void,
  ) => void
  /** More than requests: upgrades, expectations, bytes. */
  prepare?: (server: Server) => void
}

/** What a caller gets, nothing prettified: header names as on the wire. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly rawHeaders: readonly string[]
  readonly body: string
  // The caller knows what it asked for.
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- a cast at every call says less
  json<T = unknown>(): T
}

/** A gateway over one of the providers, on a port of its own. */
export interface ParityPlatform {
  readonly url: string
  /** Image of the parity function. */
  readonly image: string
  /** Sends exactly that, follows nothing, and adds no header but Host, Connection and what frames the body. */
  ask(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answer>
  /** A name that no other test has. */
  name(): string
  /** Deploys the parity function as faas-cli does, and waits until it answers. Gives its name. */
  deploy(more?: Readonly<Record<string, unknown>>): Promise<string>
}

/** What a test may ask of: containers are real, functions in memory have no files and no process to kill. */
export type ProviderKind = 'memory' | 'docker'
type Flags = Readonly<Record<string, string | number | boolean>>

/** Runs the same tests on the memory provider, and on Docker where there is an engine. */
export function describeParity(
  title: string,
  tests: (platform: () => ParityPlatform, kind: ProviderKind) => void,
  flags: Flags = {},
  program = PROGRAM,
): void {
  describe(`${title}, on the memory provider`, () =>
    useOne(() => openOnMemory(flags, program), 'memory', tests))
  describeDocker(`${title}, on Docker`, () => useOne(() => openOnDocker(flags, program), 'docker', tests))
}

function useOne(
  open: () => Promise<ParityPlatform & AsyncDisposable>,
  kind: ProviderKind,
  tests: (platform: () => ParityPlatform, kind: ProviderKind) => void,
): void {
  let platform: (ParityPlatform & AsyncDisposable) | undefined
  beforeAll(async () => {
    platform = await open()
  })
  afterAll(() => platform?.[Symbol.asyncDispose]())
  tests(() => {
    if (!platform) throw new Error('the platform is not open yet')
    return platform
  }, kind)
}

async function openOnMemory(flags: Flags, program: string): Promise<ParityPlatform & AsyncDisposable> {
  const image = 'parity:1'
  const folder = await makeFolder()
  const provider = new MemoryProvider({ images: { [image]: inMemory(program) }, drainMs: 10_000 })
  const app = await createApp(configIn(folder.path, flags), { provider })
  return {
    ...platformOf(app, image),
    [Symbol.asyncDispose]: async () => {
      await app[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

/** What the engine would find out about a function that fails, it tells by itself. */
function inMemory(program: string): MemoryImage {
  const { answer, prepare } = createRequire(import.meta.url)(program) as ParityProgram
  return {
    start: async ({ spec }, signal) => {
      const [flavor, amount] = (spec.envVars?.['FLAVOR'] ?? 'echo').split(':')
      if (flavor === 'late')
        await sleep(Number(amount), undefined, { signal }).catch(() => signal.throwIfAborted())
      if (flavor !== 'exit') return
      throw new FaasError('REPLICA_EXITED', {
        message: `${spec.name} exited with code ${amount ?? ''}; its last lines:\n  this function ends by itself`,
        remedy: 'See its last lines.',
      })
    },
    listener:
      ({ spec }, log) =>
      (incoming, response) =>
        answer(incoming, response, { ...spec.envVars, fprocess: spec.envProcess }, log),
    ...(prepare && { prepare }),
  }
}

async function openOnDocker(flags: Flags, program: string): Promise<ParityPlatform & AsyncDisposable> {
  const engine = makeEngine(dockerAddress())
  const image = `faasdock-test-parity-${randomBytes(3).toString('hex')}:1`
  await buildImage(image)
  const folder = await makeFolder()
  const app = await createApp(configIn(folder.path, flags))
  return {
    ...platformOf(app, image),
    [Symbol.asyncDispose]: async () => {
      await app[Symbol.asyncDispose]()
      await engine.getImage(image).remove({ force: true })
      await folder[Symbol.asyncDispose]()
    },
  }

  async function buildImage(name: string): Promise<void> {
    const tar = pack()
    // Shares no layer with the same image of a run beside this one, which removes its own.
    const dockerfile = `FROM node:20-alpine\nLABEL com.faasdock.test=1 made-for=${name}\nCOPY f.cjs /f.cjs\nCMD ["node", "/f.cjs"]\n`
    tar.entry({ name: 'Dockerfile' }, dockerfile)
    tar.entry({ name: 'f.cjs' }, await readFile(program))
    tar.finalize()
    const stream = await engine.buildImage(tar as unknown as NodeJS.ReadableStream, {
      t: name,
      forcerm: true,
    })
    await new Promise<void>((resolve, reject) => {
      engine.modem.followProgress(stream, (error: Error | null, steps: { error?: string }[]) => {
        const fault = error ?? steps.find((step) => step.error !== undefined)?.error
        if (fault) reject(new Error(`${name} does not build: ${String(fault)}`))
        else resolve()
      })
    })
  }
}

function configIn(folder: string, flags: Flags): ReturnType<typeof readConfig> {
  const own = { port: 0, metricsPort: 'off', data: join(folder, 'data'), drainTimeout: '10s' }
  return readConfig({ env: process.env, cwd: folder, flags: { ...own, ...flags } })
}

function platformOf(app: App, image: string): ParityPlatform {
  const prefix = randomBytes(2).toString('hex')
  let count = 0
  const name = (): string => `parity-${prefix}-${++count}`
  const ask: ParityPlatform['ask'] = (method, path, body, headers = {}) => {
    const bytes = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
    return new Promise((resolve, reject) => {
      const sent = request(
        app.url,
        {
          method,
          path,
          headers: { ...(bytes !== undefined && { 'Content-Length': Buffer.byteLength(bytes) }), ...headers },
        },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString()
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              rawHeaders: response.rawHeaders,
              body: text,
              json: (() => JSON.parse(text) as unknown) as Answer['json'],
            })
          })
        },
      )
      sent.on('error', reject)
      sent.end(bytes)
    })
  }
  return {
    url: app.url,
    image,
    ask,
    name,
    deploy: async (more = {}) => {
      const service = name()
      const { status, body } = await ask('POST', '/system/functions', { service, image, ...BARE, ...more })
      if (status !== 202) throw new Error(`${service} was not deployed: ${status} ${body}`)
      const namespace = typeof more['namespace'] === 'string' ? `?namespace=${more['namespace']}` : ''
      await untilPasses(async () => {
        const found = await ask('GET', `/system/function/${service}${namespace}`)
        const available = found.json<{ availableReplicas?: number }>().availableReplicas ?? 0
        if (available < 1) throw new Error(`${service} has no replica: ${found.body}`)
      })
      return service
    },
  }
}

/** What faas-cli sends with a bare deploy, besides name and image (contract 1.3). */
export const BARE = { envProcess: '', labels: {}, annotations: {} }
