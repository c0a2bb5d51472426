import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { join } from 'node:path'
import pLimit from 'p-limit'
import { FaasError } from '../../core/errors.ts'
import type { FunctionRef, Revision } from '../../core/function.ts'
import { formatRef } from '../../core/function.ts'
import { systemClock } from '../../core/clock.ts'
import type { DebugConnection, DebugTarget } from '../../core/debug.ts'
import type { Log } from '../../core/log.ts'
import type {
  ActualFunction,
  Lease,
  LogLine,
  LogQuery,
  Provider,
  ProviderEvent,
  ProviderInfo,
  Usage,
} from '../../core/provider.ts'
import type { Engine } from '../../docker/client.ts'
import { engineFacts } from '../../docker/client.ts'
import type { ListedContainer } from '../../docker/containers.ts'
import { containerEnd, listContainers, removeContainer, removeContainersOf } from '../../docker/containers.ts'
import { engineFailure } from '../../docker/errors.ts'
import { CodeOwners, putCode } from '../../docker/code-files.ts'
import type { ContainerEvent } from '../../docker/events.ts'
import { watchContainers } from '../../docker/events.ts'
import { resolveImage } from '../../docker/pull.ts'
import type { RegistryConfig } from '../../docker/registry-config.ts'
import { LABEL } from '../../docker/labels.ts'
import { lastLines } from '../../docker/logs.ts'
import type { InstanceNetwork } from '../../docker/networks.ts'
import { ensureNetwork, removeNetwork } from '../../docker/networks.ts'
import { UsageMeter } from '../../docker/usage.ts'
import { removeUnusedVolumes } from '../../docker/volumes.ts'
import { noDebugger, notReady } from '../no-debugger.ts'
import { ReplicaSet } from '../replica-set.ts'
import { unmetConstraint } from './constraints.ts'
import { FUNCTION_PORT, GATEWAY_NAMES, readBeginning } from './container-plan.ts'
import { Debuggers } from './debuggers.ts'
import { describeEnd, DockerHost, originOf } from './docker-host.ts'
import { FunctionLogs } from './function-logs.ts'
import { LogArchive } from './log-archive.ts'
import { runRelay } from './relay.ts'
import { isSilent, waitReady } from './readiness.ts'
import { swapToken } from './runtime-route.ts'
import { SecretCopies } from './secret-copies.ts'

export interface DockerProviderOptions {
  readonly engine: Engine
  /** Id of the data directory: what we label with, and what we adopt. */
  readonly instance: string
  /** Where that data directory is: written on the network, for `gc`; lines of replicas that are gone are kept there. */
  readonly dataDir: string
  /** The value of a secret; undefined when there is none. */
  readonly readSecret: (namespace: string, name: string) => Uint8Array | undefined
  readonly startTimeoutMs: number
  readonly drainMs: number
  /** Reach replicas through ports published on the loopback even where their addresses could be reached. */
  readonly forcePublish?: boolean
  /** Image with a `node` command, for the relay that is needed where functions cannot reach this host's gateway. */
  readonly relayImage: string
  /** The wheel of debugpy, for Python functions that do not bring it along. DEBUGGER_UNAVAILABLE. */
  readonly debugpy?: () => Promise<Uint8Array>
  /**
   * What the tokens are made of by which functions know us (docs/runtime.md). Without it, a key of this run: functions that
   * an earlier one left are then replaced where others would be given new code.
   */
  readonly swapKey?: Uint8Array
  /** Logins for private registries. */
  readonly registryConfig: () => Promise<RegistryConfig>
  readonly log: Log
}

/** Container starts under way at once: more would only slow each other down. */
const STARTS_AT_ONCE = 8
/** How long a container that an earlier run left may take to show that it still answers. */
const ADOPT_LIMIT_MS = 2000

/** Connects to the engine, makes the instance's network and adopts what an earlier run left running. */
export async function createDockerProvider(options: DockerProviderOptions): Promise<DockerProvider> {
  const { engine, instance } = options
  const [facts, network] = await Promise.all([
    engineFacts(engine),
    ensureNetwork(engine, instance, networkLabels(options), GATEWAY_NAMES),
  ])
  const info = { name: 'docker', version: facts.version, architecture: facts.architecture }
  const provider = new DockerProvider(options, info, network, facts.logDriver)
  await provider.connect()
  return provider
}

function networkLabels({ dataDir }: DockerProviderOptions): Record<string, string> {
  return { [LABEL.dataDir]: dataDir, [LABEL.host]: hostname() }
}

function noDebugpy(): Promise<never> {
  return Promise.reject(
    new FaasError('DEBUGGER_UNAVAILABLE', {
      message: 'debugpy, the debugger of Python, is not in the function',
      remedy: "Add debugpy to the function's requirements.txt.",
    }),
  )
}

/** Our container bears the gateway's names, so nobody else can. */
function portInsideTaken(port: number): FaasError {
  return new FaasError('PORT_TAKEN', {
    message: `functions expect the gateway on port ${FUNCTION_PORT} of the container that faasdock runs in, where another program listens; ${port} was free`,
    remedy: `Let nothing else listen on port ${FUNCTION_PORT} in that container.`,
  })
}

/** Functions as containers on one Docker engine. */
export class DockerProvider implements Provider {
  readonly #options: DockerProviderOptions
  readonly #info: ProviderInfo
  #network: InstanceNetwork
  #remaking: Promise<void> | undefined
  readonly #host: DockerHost
  readonly #sets = new Map<string, ReplicaSet>()
  readonly #watchers = new Set<(event: ProviderEvent) => void>()
  readonly #stopped = new AbortController()
  /** `direct:ADDRESS`, `joined` or `relay`; see routeGateway. */
  #route = ''
  /** Replicas that could not be removed, because the engine was away, and whose they are. */
  readonly #leftovers = new Map<string, FunctionRef>()
  readonly #secrets: SecretCopies
  readonly #archive: LogArchive
  readonly #logs: FunctionLogs
  readonly #usage: UsageMeter
  readonly #debuggers: Debuggers
  /** Everything goes, and nobody will ask what it wrote. */
  #isEnding = false
  /** Calls may come in before it is known what an earlier run left: what they ask for waits until it is. */
  #adopting: Promise<void> | undefined
  #setAdopted: () => void = () => undefined

  constructor(
    options: DockerProviderOptions,
    info: ProviderInfo,
    network: InstanceNetwork,
    logDriver: 'local' | 'json-file',
  ) {
    const { engine, instance, dataDir, readSecret, swapKey = randomBytes(32) } = options
    this.#options = options
    this.#info = info
    this.#network = network
    this.#adopting = new Promise((resolve) => (this.#setAdopted = resolve))
    this.#secrets = new SecretCopies({ engine, instance, readSecret })
    this.#archive = new LogArchive(join(dataDir, 'logs'))
    this.#logs = new FunctionLogs({ engine, instance, archive: this.#archive })
    this.#usage = new UsageMeter(engine)
    const owners = new CodeOwners()
    this.#debuggers = new Debuggers({ engine, debugpy: options.debugpy ?? noDebugpy })
    this.#host = new DockerHost({
      engine,
      startTimeoutMs: options.startTimeoutMs,
      throttle: pLimit(STARTS_AT_ONCE),
      onStarted: (ref, id) => this.#logs.started(ref, id),
      keepLines: (ref, id) => this.#keepLines(ref, id),
      remakeNetwork: () => (this.#remaking ??= this.#remakeNetwork()),
      context: () => ({
        instance,
        network: network.name,
        gatewayAddress: this.#route.startsWith('direct:') ? this.#route.slice('direct:'.length) : undefined,
        route: this.#route,
        publish: this.#publishes,
        logDriver,
        fillSecrets: (spec, container) => this.#secrets.fill(spec, container),
        putCode: (overlay, container, like) =>
          putCode(engine, container, overlay, (folder) => owners.of(engine, container, like, folder)),
        tokenOf: (ref) => swapToken(swapKey, ref),
      }),
    })
  }

  info(): ProviderInfo {
    return this.#info
  }

  get hostAddress(): string | undefined {
    return this.#network.hostAddress
  }

  /** Containers on a network that is not on this host are reached through published ports. */
  get #publishes(): boolean {
    return this.#options.forcePublish === true || this.#network.hostAddress === undefined
  }

  /** Follows the engine's events. Called once. */
  async connect(): Promise<void> {
    const watch = {
      onEvent: (event: ContainerEvent) => this.#onContainerEvent(event),
      onLost: (reason: string) => this.#emit({ type: 'engine-lost', reason }),
      onBack: () => this.#onEngineBack(),
    }
    try {
      await watchContainers(this.#options.engine, this.#options.instance, watch, this.#stopped.signal)
    } catch (error) {
      throw engineFailure(error, 'follow its events')
    }
  }

  async routeGateway(gateway: { readonly host: string; readonly port: number }): Promise<void> {
    const { engine, instance, relayImage } = this.#options
    const isDirect = gateway.host === this.#network.hostAddress && gateway.port === FUNCTION_PORT
    if (this.#network.isJoined && !isDirect) throw portInsideTaken(gateway.port)
    // The names of a container that is joined are found by the network itself: its address may be another one tomorrow.
    this.#route = this.#network.isJoined ? 'joined' : isDirect ? `direct:${gateway.host}` : 'relay'
    for (const old of await listContainers(engine, instance, 'relay')) await removeContainer(engine, old.id)
    if (!isDirect) {
      const image = await this.resolveImage(relayImage, this.#stopped.signal)
      await runRelay(engine, { instance, image, network: this.#network.name, gateway })
    }
    await this.#adopt()
    this.#setAdopted()
    this.#adopting = undefined
    this.#tidyUp().catch((error: unknown) =>
      this.#options.log.warn('could not clear away what an earlier run left', { error: String(error) }),
    )
  }

  /** What only takes up room: nobody waits for it to be gone. */
  async #tidyUp(): Promise<void> {
    const { engine, instance } = this.#options
    await this.#archive.sweep()
    await removeUnusedVolumes(engine, instance)
  }

  async #remakeNetwork(): Promise<void> {
    const { engine, instance } = this.#options
    try {
      const labels = networkLabels(this.#options)
      this.#network = await ensureNetwork(engine, instance, labels, GATEWAY_NAMES, this.#network)
    } finally {
      this.#remaking = undefined
    }
  }

  /** Takes in the replicas that an earlier run left and that still answer; removes its other containers. */
  async #adopt(): Promise<void> {
    const { engine, instance } = this.#options
    const listed = await listContainers(engine, instance, 'function')
    const oldestFirst = listed.toSorted((a, b) => a.createdAt - b.createdAt)
    const answers = await Promise.all(oldestFirst.map((container) => this.#stillAnswers(container)))
    await Promise.all(
      oldestFirst.map(async (container, index) => {
        const { labels } = container
        const revision = labels[LABEL.revision]
        const ref = { name: labels[LABEL.function] ?? '', namespace: labels[LABEL.namespace] ?? '' }
        if (answers[index] === true && revision !== undefined) {
          const origin = originOf(container, this.#publishes)
          const began = readBeginning(labels[LABEL.code])
          this.#set(ref).adopt(revision, { id: container.id, origin, ref, ...(began && { began }) })
          this.#usage.begin(container.id)
          // A secret may have changed while nobody was there to tell it.
          await this.#secrets.refresh(container)
        } else {
          await this.#host.discard({ id: container.id, origin: '', ref })
        }
      }),
    )
  }

  async #stillAnswers(container: ListedContainer): Promise<boolean> {
    if (!container.isRunning || container.labels[LABEL.route] !== this.#route) return false
    if (this.#publishes !== (container.publishedPort !== undefined)) return false
    const origin = originOf(container, this.#publishes)
    // It may just be ending, or somebody took it off its network.
    if (!URL.canParse(origin)) return false
    const { hostname: host, port } = new URL(origin)
    try {
      await waitReady({ host, port: Number(port), path: '/_/health' }, AbortSignal.timeout(ADOPT_LIMIT_MS))
      return true
    } catch {
      // One that answered before and is busy now is not to be killed for it.
      return isSilent(host, Number(port))
    }
  }

  list(): readonly ActualFunction[] {
    return [...this.#sets.values()].filter((set) => !set.isEmpty).map((set) => set.actual())
  }

  actual(fn: FunctionRef): ActualFunction | undefined {
    return this.#sets.get(formatRef(fn))?.actual()
  }

  resolveImage(image: string, signal: AbortSignal): Promise<string> {
    const { engine, registryConfig } = this.#options
    return resolveImage(engine, image, { architecture: this.#info.architecture, registryConfig, signal })
  }

  async deploy(revision: Revision, replicas: number, signal: AbortSignal): Promise<void> {
    if (this.#adopting) await this.#adopting
    // Not where it answers: a save should not wait for the disk.
    if (!this.actual(revision.spec)?.replicas) await this.#archive.functionIsBack(revision.spec)
    if (replicas > 0) this.#checkConstraints(revision)
    await this.#set(revision.spec).deploy(revision, replicas, signal)
  }

  #checkConstraints({ spec }: Revision): void {
    const node = { architecture: this.#info.architecture, hostname: hostname() }
    const unmet = unmetConstraint(spec.constraints ?? [], node)
    if (unmet === undefined) return
    throw new FaasError('CONSTRAINT_UNMET', {
      message: `${formatRef(spec)} may only run where ${JSON.stringify(unmet)}; this machine is linux, ${node.architecture}, ${node.hostname}`,
      remedy: 'Correct `constraints:` of the function, or leave it out here.',
    })
  }

  async remove(fn: FunctionRef): Promise<void> {
    if (this.#adopting) await this.#adopting
    const set = this.#sets.get(formatRef(fn))
    if (!set) return
    await set.remove()
    if (set.isEmpty) this.#sets.delete(formatRef(fn))
    await this.#archive.functionRemoved(fn)
  }

  lease(fn: FunctionRef): Lease | undefined {
    return this.#sets.get(formatRef(fn))?.lease()
  }

  logs(query: LogQuery, signal: AbortSignal): AsyncIterable<LogLine> {
    return this.#logs.read(query, signal)
  }

  note(fn: FunctionRef, words: string): void {
    this.#logs.note(fn, words)
  }

  secretChanged(namespace: string, name: string): Promise<void> {
    return this.#secrets.changed(namespace, name)
  }

  async #keepLines(ref: FunctionRef, id: string): Promise<void> {
    if (this.#isEnding) return
    try {
      await this.#logs.keep(ref, id)
    } catch (error) {
      // The lines of a replica are not worth its staying.
      this.#options.log.warn(`the last lines of a replica of ${formatRef(ref)} could not be kept`, {
        replica: id.slice(0, 12),
        error: String(error),
      })
    }
  }

  usage(fn: FunctionRef): Promise<Usage> {
    return this.#usage.measure(this.#sets.get(formatRef(fn))?.replicaIds() ?? [])
  }

  debugTarget(revision: Revision): Promise<DebugTarget | undefined> {
    return this.#debuggers.target(revision)
  }

  async debug(revision: Revision): Promise<DebugConnection> {
    const target = await this.#debuggers.target(revision)
    if (!target) throw noDebugger(revision.spec)
    const held = this.#sets.get(formatRef(revision.spec))?.debug()
    if (!held) throw notReady(revision.spec)
    return this.#debuggers.connect(held, target.language)
  }

  watch(onEvent: (event: ProviderEvent) => void): Disposable {
    this.#watchers.add(onEvent)
    return { [Symbol.dispose]: () => void this.#watchers.delete(onEvent) }
  }

  async removeAll({ keepsLines } = { keepsLines: false }): Promise<void> {
    this.#isEnding = !keepsLines
    await Promise.all([...this.#sets.values()].map((set) => set.remove()))
    const { engine, instance } = this.#options
    await removeContainersOf(engine, instance)
    await removeUnusedVolumes(engine, instance)
    await removeNetwork(engine, this.#network.id)
  }

  /** Lets go of the engine; replicas run on and can be adopted. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#usage[Symbol.dispose]()
    this.#stopped.abort(new FaasError('STOPPING', { message: 'the provider stops', remedy: 'Start again.' }))
    await this.#debuggers[Symbol.asyncDispose]()
    await Promise.all([...this.#sets.values()].map((set) => set.settled()))
  }

  #set(ref: FunctionRef): ReplicaSet {
    const key = formatRef(ref)
    let set = this.#sets.get(key)
    if (!set) {
      const { name, namespace } = ref
      set = new ReplicaSet({ name, namespace }, this.#host, {
        clock: systemClock,
        drainMs: this.#options.drainMs,
        onEvent: (event) => this.#emit(event),
        onLeftover: (replica, error) => {
          this.#leftovers.set(replica, { name, namespace })
          this.#options.log.warn(
            `could not remove a replica of ${key}; it is tried again when the engine is back, and at the next start`,
            { replica: replica.slice(0, 12), error: String(error) },
          )
        },
      })
      this.#sets.set(key, set)
    }
    return set
  }

  #emit(event: ProviderEvent): void {
    if (event.type === 'replica-ready') this.#usage.begin(event.replica)
    if (event.type === 'replica-gone') this.#usage.forget(event.replica)
    for (const watcher of [...this.#watchers]) watcher(event)
  }

  #onContainerEvent(event: ContainerEvent): void {
    if (event.action === 'oom') return
    this.#host.ended(event.id)
    this.#reportDeath(event.id).catch((error: unknown) =>
      this.#options.log.warn('could not look after a replica that ended', { error: String(error) }),
    )
  }

  /** Reads a dead replica's last words before it is cleared away. */
  async #reportDeath(id: string): Promise<void> {
    const set = [...this.#sets.values()].find((candidate) => candidate.takeOutOfRotation(id))
    if (!set) return
    const { engine } = this.#options
    const end = await containerEnd(engine, id).catch(() => undefined)
    const lines = await lastLines(engine, id, 10).catch(() => '')
    const how = describeEnd(end, { ...set.ref, image: '', labels: {}, annotations: {} }).what
    set.died(id, lines === '' ? how : `${how}; its last lines:\n${lines.replace(/^/gm, '  ')}`)
  }

  /** The engine restarted, or was out of reach: what died meanwhile told nobody. */
  #onEngineBack(): void {
    const { engine, instance } = this.#options
    listContainers(engine, instance, 'function')
      .then((containers) => {
        const running = new Set(containers.filter(({ isRunning }) => isRunning).map(({ id }) => id))
        for (const set of this.#sets.values())
          for (const id of set.replicaIds())
            if (!running.has(id)) set.died(id, 'ended while the engine was away')
        this.#emit({ type: 'engine-back' })
        return this.#catchUp(containers)
      })
      .catch((error: unknown) => this.#emit({ type: 'engine-lost', reason: String(error) }))
  }

  /** What could not be done while the engine was away. */
  async #catchUp(containers: readonly ListedContainer[]): Promise<void> {
    for (const [id, ref] of [...this.#leftovers]) {
      await this.#host.discard({ id, origin: '', ref })
      this.#leftovers.delete(id)
    }
    for (const container of containers) await this.#secrets.refresh(container)
  }
}
