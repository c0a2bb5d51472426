import { randomUUID, createHash } from 'node:crypto'
import { join } from 'node:path'
import { Closers } from './closers.ts'
import type { Config } from './config.ts'
import type { Builder } from './core/builder.ts'
import { systemClock } from './core/clock.ts'
import { asFaasError } from './core/errors.ts'
import { formatRef, parseRef } from './core/function.ts'
import type { Transport } from './core/invocation.ts'
import type { Login } from './core/login.ts'
import type { Provider } from './core/provider.ts'
import type { Queue } from './core/queue.ts'
import type { Watcher } from './core/watcher.ts'
import { loopbackDoors } from './debug/loopback-doors.ts'
import { openPortBook } from './debug/port-book.ts'
import { AsyncCalls, DEFAULT_ASYNC } from './engine/async-calls.ts'
import type { AsyncSettings } from './engine/async-calls.ts'
import { CodeBook } from './engine/code-book.ts'
import type { DevLoop } from './engine/dev-loop.ts'
import { Debugging } from './engine/debugging.ts'
import { eventLog, Events } from './engine/events.ts'
import { noteFailures } from './engine/failure-notes.ts'
import { Functions } from './engine/functions.ts'
import { HoldGate } from './engine/hold-gate.ts'
import { InvocationCounts } from './engine/invocation-counts.ts'
import { Invoker } from './engine/invoker.ts'
import { Namespaces } from './engine/namespaces.ts'
import { Problems } from './engine/problems.ts'
import { Reconciler } from './engine/reconciler.ts'
import { Router } from './engine/router.ts'
import { SecretDelivery } from './engine/secret-delivery.ts'
import { isLoopback, listenInside, urlOf } from './gateway/listen.ts'
import { loginCommand } from './gateway/login-command.ts'
import { Metrics } from './gateway/metrics.ts'
import { QueueMetrics } from './gateway/queue-metrics.ts'
import { Gateway } from './gateway/server.ts'
import { PACKAGE_FOLDER, VERSION } from './package.ts'
import { lockDataDir } from './registry/data-lock.ts'
import { noteProject } from './registry/project-note.ts'
import { gatewayLogin } from './registry/gateway-login.ts'
import { openRegistry } from './registry/sqlite-registry.ts'
import { openDevLoop } from './open-dev-loop.ts'
import { openDoors } from './open-doors.ts'
import { openInvocations } from './open-invocations.ts'
import { dockerProvider, lazyEngine, natsQueue } from './rooms.ts'
import { UndiciCallbackSender } from './transport/callback-sender.ts'
import { UndiciTransport } from './transport/undici-transport.ts'

/** Rooms that a test, or a curious user, may bring along instead of ours. */
export interface Parts {
  readonly provider: Provider
  readonly builder: Builder
  readonly watcher: Watcher
  readonly transport: Transport
  readonly queue: Queue
}

/** A platform in this process. */
export interface App extends AsyncDisposable {
  /** `http://127.0.0.1:8080` */
  readonly url: string
  /** What the control routes ask for at `url`; absent when they ask for nothing. */
  readonly login?: Login
  readonly instance: string
  readonly dataDir: string
  /** They run on when this ends and nobody asks otherwise. */
  readonly keepsFunctions: boolean
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

const MIGRATIONS = join(PACKAGE_FOLDER, 'src/registry/migrations')

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
  const keepsFunctions = config.stack === undefined && !config.stopFunctions
  const lock = closers.use(lockDataDir(config.dataDir, keepsFunctions))
  if (config.stack) noteProject(config.dataDir, config.stack.file)
  const registry = closers.use(openRegistry(config.dataDir, MIGRATIONS))
  const events = new Events(clock)
  const log = eventLog(events)
  const problems = new Problems()
  const codes = new CodeBook()
  // Deploys may fail before there is one: clients call as soon as the doors are open.
  let devLoop: DevLoop | undefined = undefined
  // A call that waits must not use up the time that it may wait for a replica.
  const gate = closers.use(new HoldGate(clock, Math.min(config.holdMs, config.upstreamTimeoutMs / 2)))

  const docker = lazyEngine(config)
  // Beside everything else: whoever calls before it is up waits for it.
  const queue = closers.use(parts.queue ?? natsQueue(config, registry.instance, docker, log))
  const provider = closers.use(
    parts.provider ?? (await dockerProvider(config, registry, await docker(), log)),
  )
  const transport = closers.use(
    parts.transport ?? new UndiciTransport({ answerTimeoutMs: config.upstreamTimeoutMs }),
  )
  closers.use(noteFailures(events, provider))
  const secretDelivery = closers.use(new SecretDelivery({ secrets: registry.secrets, provider, clock, log }))
  closers.use(
    provider.watch((event) => {
      if (event.type === 'replica-gone') transport.forget(event.replica)
    }),
  )

  const reconciler = closers.use(
    new Reconciler({
      registry,
      provider,
      events,
      problems,
      codes,
      clock,
      log,
      explain: (ref, problem) => devLoop?.explain(ref, problem) ?? Promise.resolve(problem),
    }),
  )
  const counts = closers.use(new InvocationCounts(registry.functions, clock, log))
  const functions = new Functions({
    registry,
    provider,
    reconciler,
    counts,
    events,
    problems,
    codes,
    clock,
    revisionId,
  })
  const metrics = new Metrics(() => functions)
  closers.use(
    events.watch((event) => {
      if (event.type !== 'function.removed') return
      metrics.forget(formatRef(event.ref))
      calls.forget(event.ref)
    }),
  )
  const router = new Router({ registry, provider, reconciler, functions, problems, gate })
  const debugging = closers.use(
    new Debugging({
      registry,
      provider,
      router,
      doors: loopbackDoors,
      book: openPortBook(join(config.dataDir, 'debug.json')),
      events,
      log,
      handlerFolder: (ref) => devLoop?.handlerFolder(ref),
      isAllowed: isLoopback(config.host),
    }),
  )
  const login = config.auth === 'off' ? undefined : gatewayLogin(config.secretMountPath, config.dataDir)
  const invocations = openInvocations(config, registry, login, log)
  if (invocations) closers.use(invocations)
  const invoker = new Invoker({
    router,
    transport,
    observers: [counts, metrics],
    ...(invocations && { recorder: invocations }),
    clock,
    waitTimeoutMs: config.upstreamTimeoutMs,
  })
  let url = ''
  const queueMetrics = new QueueMetrics(() => calls)
  const calls: AsyncCalls = closers.use(
    new AsyncCalls({
      queue,
      store: registry.calls,
      invoker,
      router,
      registry,
      provider,
      sender: closers.use(new UndiciCallbackSender()),
      observer: queueMetrics,
      isDebugged: (ref) => debugging.isAttached(ref),
      clock,
      log,
      ownUrl: () => url,
      settings: asyncSettings(config),
    }),
  )
  metrics.also(() => queueMetrics.text())
  const version = { release: VERSION, sha: `v${VERSION}`, message: 'faasdock' }
  const namespaces = new Namespaces({ registry, functions })
  const gateway = closers.use(
    new Gateway({
      functions,
      namespaces,
      calls,
      invocations,
      invoker,
      provider,
      registry,
      secretDelivery,
      debugging,
      events,
      problems,
      metrics,
      version,
      log,
      allowedHosts: config.allowedHosts,
      allowedOrigins: config.allowedOrigins,
    }),
  )

  // Functions are others: a container on the bridge is asked for the login even where this machine's users are not.
  const asksOutside = config.auth === 'on' || !isLoopback(config.host) ? login : undefined
  const outside = await openDoors(config, { gateway, metrics, asksOutside, log }, closers).catch(
    async (error: unknown) => {
      // A start that comes to nothing leaves no network behind, unless something runs on it.
      if (provider.list().length === 0) await provider.removeAll().catch(() => undefined)
      throw error
    },
  )
  await provider.routeGateway(await listenInside(gateway, provider.hostAddress, outside, login))
  url = urlOf(outside)
  lock.announce(url)
  debugging.resume()
  if (asksOutside) log.info(`a login is asked for: ${loginCommand(url, asksOutside)}`)
  else if (!isLoopback(config.host))
    log.warn(`anyone who reaches ${url} may deploy: there is no login (--no-auth)`)

  const shared = { registry, provider, functions, events, problems, codes, gate, clock, log }
  devLoop = config.stack && (await openDevLoop(config, parts, shared, docker))
  if (devLoop) closers.use(devLoop)
  devLoop?.beginAnew(new Set(provider.list().map(({ ref }) => formatRef(ref))))
  reconciler.start(new Set(devLoop?.refs.map(formatRef)))
  const settled = devLoop?.start().catch((error: unknown) => log.error(asFaasError(error).message))

  let stopped: Promise<void> | undefined
  const stop = ({ removeFunctions }: { readonly removeFunctions: boolean }): Promise<void> =>
    (stopped ??= (async () => {
      try {
        await devLoop?.[Symbol.asyncDispose]()
        // Calls that stand at a breakpoint go on when nobody debugs them any more.
        await debugging[Symbol.asyncDispose]()
        await Promise.all([gateway.drain(config.drainMs), calls.drain(config.drainMs)])
        await reconciler[Symbol.asyncDispose]()
        // With nothing to run on, the network and the relay serve nobody.
        if (removeFunctions || registry.functions.list().length === 0) await provider.removeAll()
        else if (!keepsFunctions) await provider.removeAll({ keepsLines: true })
      } finally {
        // The lock and the registry are let go of even when the engine is away; `gc` takes what is left there.
        await closers[Symbol.asyncDispose]()
      }
    })())
  return {
    url,
    ...(asksOutside && { login: asksOutside }),
    instance: registry.instance,
    dataDir: config.dataDir,
    keepsFunctions,
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

function asyncSettings({ asyncMaxBodyBytes, queueLimits, upstreamTimeoutMs }: Config): AsyncSettings {
  return {
    ...DEFAULT_ASYNC,
    maxBodyBytes: asyncMaxBodyBytes,
    callTimeoutMs: upstreamTimeoutMs,
    queueLimits,
    queueLimit: queueLimits.get('*') ?? DEFAULT_ASYNC.queueLimit,
  }
}

/** Two deployments of the same content are two revisions: a redeploy has to replace what runs (contract 1.5). */
function revisionId(content: string): string {
  return createHash('sha256').update(content).update(randomUUID()).digest('hex').slice(0, 8)
}
