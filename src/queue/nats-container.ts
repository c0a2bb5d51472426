import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { asFaasError, FaasError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { engineFacts } from '../docker/client.ts'
import type { Engine } from '../docker/client.ts'
import {
  listContainers,
  removeContainer,
  runContainer,
  stopContainer,
  waitForEnd,
} from '../docker/containers.ts'
import type { ContainerPlan, RunningContainer } from '../docker/containers.ts'
import { putFiles, readContainerFile } from '../docker/files.ts'
import { LABEL, QUEUE_ROLE } from '../docker/labels.ts'
import { lastLines } from '../docker/logs.ts'
import { findOwnContainer } from '../docker/own-container.ts'
import { resolveImage } from '../docker/pull.ts'
import type { RegistryConfig } from '../docker/registry-config.ts'
import { ensureVolume } from '../docker/volumes.ts'
import { greet } from './nats-greeting.ts'
import { endOrphan } from './nats-server.ts'
import type { NatsAddress } from './nats-source.ts'
import { DiskWatch, hasStore, natsConfig, storeLimit } from './nats-store.ts'
import { keepVolume, keptVolume } from './nats-volume.ts'
import type { NatsHost } from './supervised-nats.ts'

export interface NatsContainerOptions {
  /** ENGINE_NOT_FOUND. `isLocal`: it may be of this machine, and see its folders. */
  readonly engine: () => Promise<{ readonly engine: Engine; readonly isLocal: boolean }>
  /** Any image whose entry point is a NATS server. */
  readonly image: string
  readonly instance: string
  readonly dataDir: string
  /** Of the server, in the data directory. */
  readonly folder: string
  readonly registryConfig: () => Promise<RegistryConfig>
  readonly log: Log
}

/** Where the queue is: in the data directory, or in a volume of the engine. */
type Place = 'folder' | 'volume'

const PORT = 4222
/** Inside the container. */
const CONFIG_FOLDER = '/run/faasdock'
const QUEUE_FOLDER = '/queue'
/** Tells an engine that sees our folder from one that has another by that name. */
const PROOF = 'container'
const LOOK_MS = 20
const START_LIMIT_MS = 20_000
/** A server of a killed run that is told to end gets so long. */
const ORPHAN_SECONDS = 5
/** An image that cannot be had is not asked for again before. */
const PULL_AGAIN_MS = 60_000
const LAST_LINES = 6

/**
 * A NATS server in a container of ours, where there is no program: published on the loopback alone, with a token. Its
 * messages stand in the data directory where the engine sees it, so that they go with it and any server of ours finds
 * them; else in a volume, which then stays where they are.
 */
export class NatsContainer implements NatsHost {
  readonly #options: NatsContainerOptions
  readonly #disk: DiskWatch
  #running: { readonly engine: Engine; readonly id: string } | undefined
  #place: Place | undefined
  #pullFailure: { readonly at: number; readonly error: unknown } | undefined

  constructor(options: NatsContainerOptions) {
    this.#options = options
    this.#disk = new DiskWatch(options.folder)
  }

  get description(): string {
    return `the NATS server of this faasdock in a container of ${this.#options.image}`
  }

  shortage(): FaasError | undefined {
    return this.#place === 'folder' ? this.#disk.shortage() : undefined
  }

  /** Ends containers that a killed run left, and waits for what they still write. */
  async endLeftovers(): Promise<void> {
    const { engine } = await this.#options.engine()
    for (const { id } of await listContainers(engine, this.#options.instance, QUEUE_ROLE)) {
      await stopContainer(engine, id, ORPHAN_SECONDS)
      await removeContainer(engine, id)
    }
    rmSync(this.#path(PROOF), { force: true })
  }

  async end(limitMs: number): Promise<void> {
    const { engine, id } = this.#running ?? {}
    if (engine && id !== undefined) await stopContainer(engine, id, Math.ceil(limitMs / 1000))
  }

  async run(onUp: (address: NatsAddress) => void, signal: AbortSignal): Promise<string> {
    const { folder } = this.#options
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const { engine, isLocal } = await this.#options.engine()
    await this.endLeftovers()
    await endOrphan(folder)
    const image = await this.#image(engine, signal)
    const own = await findOwnContainer(engine)
    if (keptVolume(folder) === undefined && isLocal && own === undefined) {
      const how = await this.#runIn('folder', { engine, isLocal, image, own }, onUp, signal)
      if (how !== undefined) return how
      this.#options.log.info('the engine does not see the data directory: async calls are kept in a volume')
    }
    return (await this.#runIn('volume', { engine, isLocal, image, own }, onUp, signal)) ?? 'before it began'
  }

  explain(error: unknown): FaasError {
    return this.#explain(error, 'does not start')
  }

  explainUse(error: unknown): FaasError {
    return this.#explain(error, 'cannot be used')
  }

  #explain(error: unknown, how: string): FaasError {
    const failure = asFaasError(error)
    const { image } = this.#options
    const isMissing = failure.code === 'IMAGE_NOT_FOUND' || failure.code === 'REGISTRY_DENIED'
    return new FaasError('QUEUE_UNAVAILABLE', {
      message: isMissing
        ? `async calls need a NATS server: no --nats-url, no nats-server on the PATH, and no image for a container: ${failure.message}`
        : `the NATS server of async calls ${how} in a container of ${image}: ${failure.message}`,
      remedy: isMissing
        ? `Install one (\`apt-get install nats-server\`, \`brew install nats-server\`) or get the image (\`docker pull ${image}\`; FAASDOCK_NATS_IMAGE names another), then start faasdock again. Synchronous calls work without.`
        : 'It is tried again by itself. A nats-server on the PATH (`apt-get install nats-server`), or --nats-url, does without a container.',
      cause: error,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.#path(PROOF), { force: true })
    return Promise.resolve()
  }

  /** Undefined where the engine cannot keep the queue in that place, and it is in none yet. */
  async #runIn(
    place: Place,
    { engine, image, own, isLocal }: Surroundings,
    onUp: (address: NatsAddress) => void,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { folder } = this.#options
    // Asked before the store is made.
    const isSettled = place === 'volume' || hasStore(folder)
    const secrets = { token: random(), name: random() }
    const port = own === undefined ? PORT : await freePort()
    const config = this.#config(place, secrets, own === undefined ? '0.0.0.0' : '127.0.0.1', port)
    if (place === 'volume') await this.#makeVolume(engine)
    writeFileSync(this.#path(PROOF), secrets.name, { mode: 0o600 })
    let seesFolder = true
    const plan = this.#plan(place, image, own, async (container) => {
      await putFiles(engine, container, CONFIG_FOLDER, new Map([['nats.conf', Buffer.from(config)]]))
      if (place === 'volume') return
      seesFolder = (await readContainerFile(engine, container, `${QUEUE_FOLDER}/${PROOF}`)) === secrets.name
      if (!seesFolder) throw new Error(`${folder} is another folder there`)
    })
    let container: RunningContainer
    try {
      container = await runContainer(engine, plan)
    } catch (error) {
      if (place === 'folder' && !isSettled) return undefined
      throw error
    }
    this.#running = { engine, id: container.id }
    try {
      if (signal.aborted) return 'before it began'
      const ended = waitForEnd(engine, container.id).then((code) => `status ${code}`)
      ended.catch(() => undefined)
      const servers = addressesOf(container, own === undefined ? undefined : port, isLocal)
      const server = await this.#answering(servers, secrets.name, ended, signal)
      if (server === undefined) {
        if (isAborted(signal)) return 'before it began'
        if (!isSettled) return undefined
        const words = await lastLines(engine, container.id, LAST_LINES).catch(() => '')
        throw new Error(words === '' ? 'it ended without a word' : `it ended:\n${words}`)
      }
      this.#place = place
      onUp({ servers: [server], token: secrets.token })
      return await ended
    } finally {
      this.#running = undefined
      await removeContainer(engine, container.id).catch(() => undefined)
    }
  }

  /** Which of the addresses answers as our server; undefined when it ended before. */
  async #answering(
    servers: readonly string[],
    name: string,
    ended: Promise<string>,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const end = new AbortController()
    const onEnd = (): void => end.abort()
    ended.then(onEnd, onEnd)
    const deadline = Date.now() + START_LIMIT_MS
    while (Date.now() < deadline) {
      for (const server of servers) if ((await greet(server)) === name) return server
      if (signal.aborted || end.signal.aborted) return undefined
      await wait(LOOK_MS)
    }
    throw new Error(`it did not answer at ${servers.join(' or ')} within ${START_LIMIT_MS / 1000} s`)
  }

  #config(
    place: Place,
    { token, name }: { token: string; name: string },
    host: string,
    port: number,
  ): string {
    const limit = place === 'folder' ? storeLimit(this.#options.folder) : undefined
    return natsConfig(
      token,
      { folder: `${QUEUE_FOLDER}/jetstream`, ...(limit !== undefined && { limit }) },
      { host, port, server_name: name },
    )
  }

  #plan(
    place: Place,
    image: string,
    own: string | undefined,
    fill: (container: string) => Promise<void>,
  ): ContainerPlan {
    const { instance, folder } = this.#options
    const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0]
    return {
      name: `faasdock-queue-${instance}`,
      hostname: 'queue',
      image,
      command: ['-c', `${CONFIG_FOLDER}/nats.conf`],
      env: [],
      labels: this.#labels,
      // Not the functions' network: they have no business there. Where we are a container, it is on our own loopback.
      network: own === undefined ? 'bridge' : `container:${own}`,
      aliases: [],
      hosts: [],
      folder: { path: CONFIG_FOLDER, labels: { [LABEL.instance]: instance, [LABEL.role]: 'secrets' }, fill },
      mount:
        place === 'folder'
          ? { type: 'bind', source: folder, target: QUEUE_FOLDER }
          : { type: 'volume', source: this.#volume, target: QUEUE_FOLDER },
      // Without any capability, root can write only what is root's.
      user: place === 'folder' ? `${uid}:${gid}` : '0:0',
      readOnlyRoot: true,
      ...(own === undefined && { publish: PORT }),
    }
  }

  /** What is on the engine before is taken; a registry that does not answer is not asked all the time. */
  async #image(engine: Engine, signal: AbortSignal): Promise<string> {
    const { image, registryConfig } = this.#options
    const { architecture } = await engineFacts(engine)
    const failed = this.#pullFailure
    const tooEarly = failed !== undefined && Date.now() - failed.at < PULL_AGAIN_MS
    const asked = new AbortController()
    if (tooEarly) asked.abort(failed.error)
    try {
      return await resolveImage(engine, image, {
        architecture,
        registryConfig,
        signal: AbortSignal.any([signal, asked.signal]),
      })
    } catch (error) {
      if (!tooEarly) this.#pullFailure = { at: Date.now(), error }
      throw error
    }
  }

  async #makeVolume(engine: Engine): Promise<void> {
    // Said first: a volume that nobody claims is cleared away.
    keepVolume(this.#options.folder, this.#volume)
    await ensureVolume(engine, this.#volume, this.#labels)
  }

  get #labels(): Record<string, string> {
    const { instance, dataDir } = this.#options
    return {
      [LABEL.instance]: instance,
      [LABEL.role]: QUEUE_ROLE,
      [LABEL.dataDir]: dataDir,
      [LABEL.host]: hostname(),
    }
  }

  get #volume(): string {
    return `faasdock-queue-${this.#options.instance}`
  }

  #path(name: string): string {
    return join(this.#options.folder, name)
  }
}

interface Surroundings {
  readonly engine: Engine
  readonly isLocal: boolean
  readonly image: string
  /** The container that we run in. */
  readonly own: string | undefined
}

/** Where a container may be reached from here, best first. */
function addressesOf(
  { address, publishedPort }: RunningContainer,
  ownPort: number | undefined,
  isLocal: boolean,
): readonly string[] {
  if (ownPort !== undefined) return [`127.0.0.1:${ownPort}`]
  const published = `127.0.0.1:${publishedPort ?? 0}`
  // Without a detour over the engine's proxy, where its networks are this machine's.
  return isLocal && address !== '' ? [`${address}:${PORT}`, published] : [published]
}

/** Asked after every wait; the compiler takes what it has seen once for what is. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted
}

function random(): string {
  return randomBytes(24).toString('base64url')
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
