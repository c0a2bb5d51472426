import { randomUUID, createHash } from 'node:crypto'
import { join } from 'node:path'
import { createImageBuilder } from './builder/image-builder.ts'
import { Closers } from './closers.ts'
import type { Config } from './config.ts'
import type { Builder } from './core/builder.ts'
import { systemClock } from './core/clock.ts'
import { asFaasError, FaasError } from './core/errors.ts'
import { formatRef, parseRef } from './core/function.ts'
import type { Transport } from './core/invocation.ts'
import type { Log } from './core/log.ts'
import type { Provider } from './core/provider.ts'
import type { Watcher } from './core/watcher.ts'
import { makeEngine } from './docker/client.ts'
import type { Engine } from './docker/client.ts'
import { formatEngineAddress } from './docker/engine-address.ts'
import { requireEngine } from './docker/find-engine.ts'
import { readRegistryConfig } from './docker/registry-config.ts'
import { DevLoop } from './engine/dev-loop.ts'
import { eventLog, Events } from './engine/events.ts'
import { Functions } from './engine/functions.ts'
import { InvocationCounts } from './engine/invocation-counts.ts'
import { Invoker } from './engine/invoker.ts'
import { Problems } from './engine/problems.ts'
import { Reconciler } from './engine/reconciler.ts'
import { Router } from './engine/router.ts'
import { Metrics } from './gateway/metrics.ts'
import { Gateway } from './gateway/server.ts'
import type { Listening } from './gateway/server.ts'
import { PACKAGE_FOLDER, VERSION } from './package.ts'
import { createDockerProvider } from './provider/docker/docker-provider.ts'
import { lockDataDir } from './registry/data-lock.ts'
import { readSecretFolder } from './registry/secret-folder.ts'
import { openRegistry } from './registry/sqlite-registry.ts'
import type { SqliteRegistry } from './registry/sqlite-registry.ts'
import { readStack } from './stack/read-stack.ts'
import { UndiciTransport } from './transport/undici-transport.ts'
import { ChokidarWatcher } from './watcher/chokidar-watcher.ts'

/** Rooms that a test, or a curious user, may bring along instead of ours. */
export interface Parts {
  readonly provider: Provider
  readonly builder: Builder
  readonly watcher: Watcher
  readonly transport: Transport
}

/** A platform in this process. */
export interface App extends AsyncDisposable {
  /** `http://127.0.0.1:8080` */
  readonly url: string
  readonly instance: string
  readonly dataDir: string
  readonly events: Events
  readonly functions: Functions
  /** Present when the config names a stack. */
  readonly dev?: {
    /** Resolves when every function of the stack is ready or has failed for the first time. */
    settled(): Promise<void>
    /** Builds and deploys again; all functions when none is named. */
    rebuild(name?: string): void
  }
  /** Drains and closes. Functions stay on the engine, to be adopted, unless they are to be removed. */
  stop(options: { readonly removeFunctions: boolean }): Promise<void>
}

/** The shipped templates. */
export const TEMPLATES = join(PACKAGE_FOLDER, 'templates')
const MIGRATIONS = join(PACKAGE_FOLDER, 'src/registry/migrations')
/** The port that functions know the gateway by, whatever port this host uses (contract 10). */
const PORT_INSIDE = 8080
/** How many ports after the default one are tried when nobody asked for a certain one. */
const PORTS_TRIED = 20

/** Top to bottom is the order in which a platform comes up; closing goes the other way. Rejects with what is missing. */
export async function createApp(config: Config, parts: Partial<Parts> = {}): Promise<App> {
  const closers = new Closers()
  try {
    return await open(config, parts, closers)
  } catch (error) {
    await closers[Symbol.asyncDispose]().catch(() => undefined)
    throw error
  }
}

async function open(config: Config, parts: Partial<Parts>, closers: Closers): Promise<App> {
  const clock = systemClock
  const lock = closers.use(lockDataDir(config.dataDir, config.stack === undefined))
  const registry = closers.use(openRegistry(config.dataDir, MIGRATIONS))
  const events = new Events(clock)
  const log = eventLog(events)
  const problems = new Problems()

  const docker = lazyEngine(config)
  const provider = closers.use(
    parts.provider ?? (await dockerProvider(config, registry, await docker(), log)),
  )
  const transport = closers.use(
    parts.transport ?? new UndiciTransport({ answerTimeoutMs: config.upstreamTimeoutMs }),
  )
  closers.use(
    provider.watch((event) => {
      if (event.type === 'replica-gone') transport.forget(event.replica)
    }),
  )

  const reconciler = closers.use(new Reconciler({ registry, provider, events, problems, clock, log }))
  const counts = closers.use(new InvocationCounts(registry.functions, clock))
  const functions = new Functions({
    registry,
    provider,
    reconciler,
    counts,
    events,
    problems,
    clock,
    revisionId,
  })
  const metrics = new Metrics(() => functions)
  const router = new Router({ registry, provider, reconciler, functions, problems })
  const invoker = new Invoker({ router, transport, observers: [counts, metrics], clock })
  const version = { release: VERSION, sha: `v${VERSION}`, message: 'faasdock' }
  const gateway = closers.use(
    new Gateway({
      functions,
      invoker,
      provider,
      registry,
      events,
      metrics,
      version,
      log,
      allowedHosts: config.allowedHosts,
    }),
  )

  const outside = await listenOutside(gateway, config, log)
  await provider.routeGateway(await listenInside(gateway, provider, outside))
  const url = `http://${outside.host === '0.0.0.0' ? '127.0.0.1' : outside.host.includes(':') ? `[${outside.host}]` : outside.host}:${outside.port}`
  lock.announce(url)

  const devLoop =
    config.stack && (await openDevLoop(config, parts, { registry, functions, events, problems, log }, docker))
  if (devLoop) closers.use(devLoop)
  reconciler.start(new Set(devLoop?.refs.map(formatRef)))
  const settled = devLoop?.start().catch((error: unknown) => log.error(asFaasError(error).message))

  let stopped: Promise<void> | undefined
  const stop = ({ removeFunctions }: { readonly removeFunctions: boolean }): Promise<void> =>
    (stopped ??= (async () => {
      await devLoop?.[Symbol.asyncDispose]()
      await gateway.drain(config.drainMs)
      await reconciler[Symbol.asyncDispose]()
      // With nothing to run on, the network and the relay serve nobody.
      if (removeFunctions || registry.functions.list().length === 0) await provider.removeAll()
      await closers[Symbol.asyncDispose]()
    })())
  return {
    url,
    instance: registry.instance,
    dataDir: config.dataDir,
    events,
    functions,
    ...(devLoop && {
      dev: {
        settled: () => settled ?? Promise.resolve(),
        rebuild: (name) =>
          void devLoop.rebuild(name === undefined ? undefined : parseRef(name)).catch(() => undefined),
      },
    }),
    stop,
    [Symbol.asyncDispose]: () => stop({ removeFunctions: true }),
  }
}

interface FoundEngine {
  readonly engine: Engine
  readonly address: string
}

/** Looks for an engine when somebody first needs one: with a memory provider nobody does. */
function lazyEngine(config: Config): () => Promise<FoundEngine> {
  let found: Promise<FoundEngine> | undefined
  return () =>
    (found ??= requireEngine({
      env: config.env,
      ...(config.engine !== undefined && { host: config.engine }),
    }).then(({ engine }) => ({ engine: makeEngine(engine), address: formatEngineAddress(engine) })))
}

function dockerProvider(
  config: Config,
  registry: SqliteRegistry,
  { engine }: FoundEngine,
  log: Log,
): Promise<Provider> {
  const { dataDir, startTimeoutMs, drainMs, relayImage, reach } = config
  return createDockerProvider({
    engine,
    instance: registry.instance,
    dataDir,
    secretFile: (namespace, name) => registry.secrets.path(namespace, name),
    startTimeoutMs,
    drainMs,
    relayImage,
    registryConfig: () => readRegistryConfig(config.env),
    forcePublish: reach === 'published',
    log,
  })
}

async function openDevLoop(
  config: Config,
  parts: Partial<Parts>,
  shared: { registry: SqliteRegistry; functions: Functions; events: Events; problems: Problems; log: Log },
  docker: () => Promise<FoundEngine>,
): Promise<DevLoop | undefined> {
  const { stack, env, cwd, watch } = config
  if (!stack) return undefined
  const { file, filter, regex, namespace, substitute } = stack
  const selection = {
    ...(filter !== undefined && { filter }),
    ...(regex !== undefined && { regex }),
    ...(namespace !== undefined && { namespace }),
  }
  const builder = parts.builder ?? imageBuilder(config, await docker())
  const watcher = parts.watcher ?? new ChokidarWatcher()
  const secretsFolder = (root: string): string => join(root, '.secrets')
  const loop = new DevLoop(
    { ...shared, builder, watcher, clock: systemClock },
    {
      file,
      watch,
      isPartial: filter !== undefined || regex !== undefined,
      readStack: () => readStack(file, { env, cwd, substitute, ...selection }),
      readSecrets: (root) => readSecretFolder(secretsFolder(root)),
      secretsFolder,
    },
  )
  await loop.open()
  return loop
}

/** The builder of a found engine, set up as the config says. */
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

/** Where clients call. The default port gives way to the next free one; a port that was asked for does not. */
async function listenOutside(
  gateway: Gateway,
  { host, port, isPortGiven }: Config,
  log: Log,
): Promise<Listening> {
  for (let next = port; ; next++) {
    try {
      const listening = await gateway.listen(host, next)
      if (next !== port) log.info(`port ${port} is in use; the gateway is on ${listening.port}`)
      return listening
    } catch (error) {
      const mayMoveOn = error instanceof FaasError && error.code === 'PORT_TAKEN' && !isPortGiven
      if (!mayMoveOn || next >= port + PORTS_TRIED) throw error
    }
  }
}

/** Where functions call: an address of this host on their network where there is one, always meant for port 8080. */
async function listenInside(gateway: Gateway, provider: Provider, outside: Listening): Promise<Listening> {
  const address = provider.hostAddress
  if (address === undefined) return { host: 'host.docker.internal', port: outside.port }
  const coversAll = outside.host === '0.0.0.0' || outside.host === '::'
  if (coversAll && outside.port === PORT_INSIDE) return { host: address, port: PORT_INSIDE }
  try {
    return await gateway.listen(address, PORT_INSIDE)
  } catch (error) {
    if (!(error instanceof FaasError) || error.code !== 'PORT_TAKEN') throw error
    return gateway.listen(address, 0)
  }
}

/** Two deployments of the same content are two revisions: a redeploy has to replace what runs (contract 1.5). */
function revisionId(content: string): string {
  return createHash('sha256').update(content).update(randomUUID()).digest('hex').slice(0, 8)
}
