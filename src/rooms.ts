import { join } from 'node:path'
import envPaths from 'env-paths'
import { createImageBuilder } from './builder/image-builder.ts'
import type { Config } from './config.ts'
import type { Builder } from './core/builder.ts'
import type { Log } from './core/log.ts'
import type { Provider } from './core/provider.ts'
import type { Queue } from './core/queue.ts'
import { debugpyWheel } from './debug/debugpy.ts'
import { makeEngine } from './docker/client.ts'
import type { Engine } from './docker/client.ts'
import { formatEngineAddress } from './docker/engine-address.ts'
import { requireEngine } from './docker/find-engine.ts'
import { readRegistryConfig } from './docker/registry-config.ts'
import { PACKAGE_FOLDER } from './package.ts'
import { createDockerProvider } from './provider/docker/docker-provider.ts'
import { findNats } from './queue/find-nats.ts'
import { NatsQueue } from './queue/nats-queue.ts'
import { swapKey } from './registry/swap-key.ts'
import type { SqliteRegistry } from './registry/sqlite-registry.ts'

/** The shipped templates. */
export const TEMPLATES = join(PACKAGE_FOLDER, 'templates')

/** What is the same for all projects of this user, and can be had again. */
const CACHE = envPaths('faasdock', { suffix: '' }).cache

/** An engine that answered. */
export interface FoundEngine {
  readonly engine: Engine
  /** As DOCKER_HOST writes it. */
  readonly address: string
}

/** Looks for an engine when somebody first needs one, and once: with a memory provider nobody does. ENGINE_NOT_FOUND. */
export function lazyEngine({
  env,
  engine: host,
}: Pick<Config, 'env' | 'engine'>): () => Promise<FoundEngine> {
  let found: Promise<FoundEngine> | undefined
  return () =>
    (found ??= requireEngine({ env, ...(host !== undefined && { host }) }).then(({ engine }) => ({
      engine: makeEngine(engine),
      address: formatEngineAddress(engine),
    })))
}

/** The provider on an engine, set up as the config says. */
export function dockerProvider(
  config: Config,
  registry: SqliteRegistry,
  { engine }: FoundEngine,
  log: Log,
): Promise<Provider> {
  const { dataDir, startTimeoutMs, drainMs, relayImage, reach, env } = config
  return createDockerProvider({
    engine,
    instance: registry.instance,
    dataDir,
    readSecret: (namespace, name) => registry.secrets.read(namespace, name),
    startTimeoutMs,
    drainMs,
    relayImage,
    swapKey: swapKey(dataDir),
    registryConfig: () => readRegistryConfig(env),
    forcePublish: reach === 'published',
    debugpy: () => debugpyWheel({ folder: join(CACHE, 'debugpy'), env }),
    log,
  })
}

/** Where a data directory has what its NATS server keeps. */
export function natsFolder(dataDir: string): string {
  return join(dataDir, 'nats')
}

/** The queue, over the server that is named or one of our own. It comes up by itself, and again whenever it went away. BAD_CONFIG. */
export function natsQueue(
  { natsUrl, natsImage, env, dataDir, asyncDedupeMs }: Config,
  instance: string,
  docker: () => Promise<FoundEngine>,
  log: Log,
): Queue {
  const source = findNats({
    ...(natsUrl !== undefined && { url: natsUrl }),
    env,
    instance,
    dataDir,
    folder: natsFolder(dataDir),
    image: natsImage,
    engine: async () => {
      const { engine, address } = await docker()
      return { engine, isLocal: process.platform === 'linux' && address.startsWith('unix:') }
    },
    registryConfig: () => readRegistryConfig(env),
    log,
  })
  return new NatsQueue({ source, instance, dedupeMs: asyncDedupeMs, log })
}

/** The builder on an engine, set up as the config says. */
export function imageBuilder(
  { env, builder, buildsAtOnce }: Pick<Config, 'env' | 'builder' | 'buildsAtOnce'>,
  { engine, address }: FoundEngine,
): Builder {
  return createImageBuilder({
    engine,
    engineAddress: address,
    templates: TEMPLATES,
    env,
    builder,
    concurrency: buildsAtOnce,
  })
}
