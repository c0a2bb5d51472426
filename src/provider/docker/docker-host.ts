import { asFaasError, FaasError } from '../../core/errors.ts'
import type { FunctionRef, FunctionSpec, Revision } from '../../core/function.ts'
import { formatRef } from '../../core/function.ts'
import type { Engine } from '../../docker/client.ts'
import {
  containerEnd,
  containerImage,
  execOutput,
  imageEnv,
  isNetworkGone,
  removeContainer,
  runContainer,
  stopContainer,
} from '../../docker/containers.ts'
import type { RunningContainer } from '../../docker/containers.ts'
import { Known } from '../../docker/known.ts'
import { lastLines } from '../../docker/logs.ts'
import type { CodeChange, CodeOverlay, LoadOutcome } from '../code-change.ts'
import type { LoadWatch, ReplicaHost, StartedReplica } from '../replica.ts'
import { beginningOf, FUNCTION_PORT, planContainer } from './container-plan.ts'
import type { PlanContext } from './container-plan.ts'
import { listensOn, waitReady, watchdogChildPort } from './readiness.ts'
import { giveCode, runningCode } from './runtime-route.ts'
import type { RuntimeAddress } from './runtime-route.ts'

/** A replica that drained has nothing to finish; this is for its shutdown hooks. */
const STOP_GRACE_SECONDS = 1
/** How many of a dead replica's last lines an error shows. */
const LAST_LINES = 20

export interface DockerHostOptions {
  readonly engine: Engine
  readonly context: () => PlanContext
  /** How long a replica may take until it answers, milliseconds. */
  readonly startTimeoutMs: number
  /** A container runs; nothing of it was read yet. */
  readonly onStarted: (ref: FunctionRef, id: string) => void
  /** Keeps what a container that ended wrote; never rejects. */
  readonly keepLines: (ref: FunctionRef, id: string) => Promise<void>
  /** Makes the network again that somebody removed. */
  readonly remakeNetwork: () => Promise<void>
  /** Runs at most a few container starts at a time. */
  readonly throttle: <T>(work: () => Promise<T>) => Promise<T>
}

/** Replicas as containers. */
export class DockerHost implements ReplicaHost {
  readonly #options: DockerHostOptions
  /** Aborted when the engine says that the container ended; only while somebody waits for it to get ready. */
  readonly #waiting = new Map<string, AbortController>()
  readonly #imageEnvs = new Known<ReadonlyMap<string, string>>()

  constructor(options: DockerHostOptions) {
    this.#options = options
  }

  start(revision: Revision, signal: AbortSignal, overlay?: CodeOverlay): Promise<StartedReplica> {
    return this.#options.throttle(async () => {
      signal.throwIfAborted()
      const context = this.#options.context()
      const container = await this.#run(revision, context, overlay)
      const { name, namespace } = revision.spec
      const ref = { name, namespace }
      this.#options.onStarted(ref, container.id)
      const began = beginningOf(revision, overlay)
      return { id: container.id, origin: originOf(container, context.publish), ref, ...(began && { began }) }
    })
  }

  async #run(
    revision: Revision,
    context: PlanContext,
    overlay: CodeOverlay | undefined,
  ): Promise<RunningContainer> {
    const { engine, remakeNetwork } = this.#options
    const env = await this.#imageEnv(revision)
    try {
      return await runContainer(engine, planContainer(revision, context, env, overlay))
    } catch (error) {
      if (!isNetworkGone(error)) throw error
      await remakeNetwork()
      return await runContainer(engine, planContainer(revision, context, env, overlay))
    }
  }

  async ready(replica: StartedReplica, revision: Revision, signal: AbortSignal): Promise<void> {
    const ended = new AbortController()
    this.#waiting.set(replica.id, ended)
    const timeout = AbortSignal.timeout(this.#options.startTimeoutMs)
    try {
      // It may have ended before the engine's events could find anybody waiting for it.
      const looked = containerEnd(this.#options.engine, replica.id).then((now) => {
        if (now?.isRunning !== true) ended.abort()
      })
      const failed = new AbortController()
      looked.catch((error: unknown) => failed.abort(error))
      const given = AbortSignal.any([signal, ended.signal, failed.signal, timeout])
      // One that ended at once never had an address: nobody can be asked whether it answers.
      if (!URL.canParse(replica.origin)) await looked
      ended.signal.throwIfAborted()
      await Promise.all([looked, this.#target(replica, revision).then((target) => waitReady(target, given))])
      ended.signal.throwIfAborted()
    } catch (error) {
      signal.throwIfAborted()
      if (ended.signal.aborted) throw await this.exitError(replica, revision)
      if (timeout.aborted) throw await this.#notReadyError(replica, revision)
      throw error
    } finally {
      this.#waiting.delete(replica.id)
    }
  }

  async codeOf(replica: StartedReplica, revision: Revision): Promise<string | undefined> {
    const { began } = replica
    if (began?.swaps === true) return runningCode(this.#runtime(replica))
    if (began) return began.hash
    // It runs what is in its image, which is not necessarily the one that the revision has now.
    const image = await containerImage(this.#options.engine, replica.id)
    return image !== undefined && image === revision.imageId ? revision.code?.inImage : undefined
  }

  load(replica: StartedReplica, change: CodeChange, watch: LoadWatch): Promise<LoadOutcome> {
    return giveCode(this.#runtime(replica), change, watch)
  }

  #runtime({ origin, ref }: StartedReplica): RuntimeAddress {
    return { origin, token: this.#options.context().tokenOf(ref) }
  }

  /** The engine says that a container ended. */
  ended(id: string): void {
    this.#waiting.get(id)?.abort()
  }

  async exitError(replica: StartedReplica, revision: Revision): Promise<FaasError> {
    const { engine } = this.#options
    const name = formatRef(revision.spec)
    try {
      const [end, lines] = [
        await containerEnd(engine, replica.id),
        await lastLines(engine, replica.id, LAST_LINES),
      ]
      const how = describeEnd(end, revision.spec)
      return new FaasError('REPLICA_EXITED', {
        message: `${name} ${how.what}${lines === '' ? '' : `; its last lines:\n${indent(lines)}`}`,
        remedy: how.remedy,
      })
    } catch (error) {
      return asFaasError(error)
    }
  }

  async #notReadyError(replica: StartedReplica, revision: Revision): Promise<FaasError> {
    const lines = await lastLines(this.#options.engine, replica.id, LAST_LINES).catch(() => '')
    const seconds = this.#options.startTimeoutMs / 1000
    return new FaasError('REPLICA_NOT_READY', {
      message:
        `${formatRef(revision.spec)} did not answer on port ${FUNCTION_PORT} within ${seconds} s` +
        (lines === '' ? '; it wrote nothing' : `; its last lines:\n${indent(lines)}`),
      remedy: `Let it serve HTTP on port ${FUNCTION_PORT} (and answer ${healthPath(revision.spec)} with 200 when it has a health path), or give it more time with --start-timeout.`,
    })
  }

  async #target(replica: StartedReplica, revision: Revision): Promise<Parameters<typeof waitReady>[0]> {
    const { hostname: host, port } = new URL(replica.origin)
    const env = await this.#env(revision)
    const childPort = watchdogChildPort(env)
    return {
      host,
      port: Number(port),
      path: healthPath(revision.spec),
      isOwnAddress: !this.#options.context().publish,
      ...(childPort !== undefined && {
        childPort,
        listensInside: async (wanted: number) => {
          const tables = await execOutput(this.#options.engine, replica.id, [
            'cat',
            '/proc/net/tcp',
            '/proc/net/tcp6',
          ])
          return tables === undefined ? undefined : listensOn(tables, wanted)
        },
      }),
    }
  }

  async #env(revision: Revision): Promise<ReadonlyMap<string, string>> {
    return new Map([...(await this.#imageEnv(revision)), ...Object.entries(revision.spec.envVars ?? {})])
  }

  async #imageEnv({ spec, imageId }: Revision): Promise<ReadonlyMap<string, string>> {
    const env = await this.#imageEnvs.of(imageId, async () => {
      const lines = await imageEnv(this.#options.engine, imageId ?? spec.image)
      return lines && new Map(lines.map((line) => splitOnce(line)))
    })
    return env ?? new Map<string, string>()
  }

  stop(replica: StartedReplica): Promise<void> {
    return this.#end(replica, STOP_GRACE_SECONDS)
  }

  discard(replica: StartedReplica): Promise<void> {
    return this.#end(replica, 0)
  }

  /** What it wrote is kept when it has ended and writes nothing more, and before it is gone. */
  async #end({ id, ref }: StartedReplica, graceSeconds: number): Promise<void> {
    const { engine, keepLines } = this.#options
    await stopContainer(engine, id, graceSeconds)
    await keepLines(ref, id)
    await removeContainer(engine, id)
  }
}

/** Where a container's function answers, as this host reaches it. */
export function originOf(container: RunningContainer, isPublished: boolean): string {
  return isPublished
    ? `http://127.0.0.1:${container.publishedPort ?? 0}`
    : `http://${container.address}:${FUNCTION_PORT}`
}

function healthPath(spec: FunctionSpec): string {
  const { annotations } = spec
  const path =
    annotations['com.openfaas.ready.http.path'] ?? annotations['com.openfaas.health.http.path'] ?? '/_/health'
  return path.startsWith('/') ? path : `/${path}`
}

/** What to say of a container's end. */
export function describeEnd(
  end: { readonly exitCode: number; readonly wasOutOfMemory: boolean; readonly error: string } | undefined,
  spec: FunctionSpec,
): { what: string; remedy: string } {
  if (end === undefined) {
    return { what: 'was removed by somebody else', remedy: 'It is started again; nothing to do.' }
  }
  if (end.wasOutOfMemory) {
    const limit = spec.limits?.memory
    return {
      what: `ran out of memory${limit === undefined ? '' : ` at its limit of ${limit}`}`,
      remedy: 'Raise limits.memory in the stack file, or make it use less.',
    }
  }
  if (end.error !== '')
    return { what: `could not run: ${end.error}`, remedy: 'Check the image and its command.' }
  const code = end.exitCode > 128 ? `signal ${end.exitCode - 128}` : `code ${end.exitCode}`
  return {
    what: `exited with ${code} before anybody asked it to`,
    remedy: 'See its last lines, and `faasdock logs`; it must keep serving HTTP on port 8080.',
  }
}

function indent(lines: string): string {
  return lines.replace(/^/gm, '  ')
}

function splitOnce(line: string): [string, string] {
  const at = line.indexOf('=')
  return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)]
}
