import { pause, systemClock } from '../../core/clock.ts'
import type { DebugConnection, DebugLanguage, DebugTarget } from '../../core/debug.ts'
import { FaasError } from '../../core/errors.ts'
import type { Revision } from '../../core/function.ts'
import { formatRef } from '../../core/function.ts'
import type { Engine } from '../../docker/client.ts'
import { execOutput } from '../../docker/containers.ts'
import { execStream } from '../../docker/exec-stream.ts'
import type { ExecStream } from '../../docker/exec-stream.ts'
import { containerVariable, imageFacts } from '../../docker/image-facts.ts'
import type { StartedReplica } from '../replica.ts'
import { DEBUG_PORT, PUMP_ENV, pumpCommand, WAKE_NODE } from './debug-pump.ts'
import { debugTarget } from './debug-target.ts'
import { listensOn } from './readiness.ts'

export interface DebuggersOptions {
  readonly engine: Engine
  /** The wheel of debugpy. DEBUGGER_UNAVAILABLE. */
  readonly debugpy: () => Promise<Uint8Array>
}

/** A runtime that does not answer sooner stands at a breakpoint. */
const ASK_LIMIT_MS = 3000
/** A loaded machine may need long to unpack and import debugpy. */
const UNPACK_LIMIT_MS = 60_000
const OPENING_LIMIT_MS = 5000
const OPENING_PAUSE_MS = 50
const PATH = '/_/debugger'
const TOKEN_VARIABLE = 'FAASDOCK_SWAP_TOKEN'
/** A debugger looks around first, by connections of their own. */
const LINGER_MS = 3000

/** A replica that gets all calls until it is disposed. */
export interface HeldReplica extends Disposable {
  readonly started: StartedReplica
}

/** Debuggers in containers: opened in the process that runs, and reached on the container's own loopback. */
export class Debuggers {
  readonly #options: DebuggersOptions
  /** By replica, of those that are open. */
  readonly #ports = new Map<string, { readonly replica: StartedReplica; readonly port: Promise<number> }>()
  /** Connections by replica, those that have just ended included. */
  readonly #users = new Map<string, number>()

  constructor(options: DebuggersOptions) {
    this.#options = options
  }

  /** What of a revision can be debugged: undefined for what is neither Node nor Python, and where the image is not there. */
  async target({ spec, imageId }: Revision): Promise<DebugTarget | undefined> {
    const facts = await imageFacts(this.#options.engine, imageId ?? spec.image)
    return facts && debugTarget(spec, facts)
  }

  /**
   * Connects to the debugger of a replica, which is opened if it is not. The replica is let go of a moment after the
   * connection, which is often followed by another one. DEBUGGER_UNAVAILABLE, ENGINE_FAILED.
   */
  async connect(held: HeldReplica, language: DebugLanguage): Promise<DebugConnection> {
    const { started } = held
    this.#users.set(started.id, (this.#users.get(started.id) ?? 0) + 1)
    let stream: ExecStream['stream'] | undefined
    let isOver = false
    const leave = (): void => {
      if (isOver) return
      isOver = true
      stream?.destroy()
      systemClock.after(LINGER_MS, () => {
        this.#leave(held).catch(() => undefined)
      })
    }
    try {
      const port = await this.#portOf(started, language)
      ;({ stream } = await execStream(
        this.#options.engine,
        started.id,
        pumpCommand(language, port),
        PUMP_ENV,
      ))
    } catch (error) {
      leave()
      throw error
    }
    let hasSpoken = false
    stream.once('data', () => (hasSpoken = true))
    stream.pause()
    // Nobody listens there any more: the next one has to open it anew.
    stream.once('close', () => hasSpoken || this.#ports.delete(started.id))
    return { stream, [Symbol.dispose]: leave }
  }

  /** Closes what is open: replicas run on, with their own limits. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#ports.values()].map(async ({ replica }) => this.#close(replica)))
  }

  #portOf(replica: StartedReplica, language: DebugLanguage): Promise<number> {
    const known = this.#ports.get(replica.id)
    if (known) return known.port
    const port = this.#openIn(replica, language)
    this.#ports.set(replica.id, { replica, port })
    port.catch(() => this.#ports.delete(replica.id))
    return port
  }

  async #leave(held: HeldReplica): Promise<void> {
    const { id } = held.started
    const left = (this.#users.get(id) ?? 1) - 1
    if (left > 0) this.#users.set(id, left)
    else {
      this.#users.delete(id)
      await this.#close(held.started)
    }
    held[Symbol.dispose]()
  }

  /** Nobody debugs the replica any more: its own limits count again. One that is gone, or busy, has no use for that. */
  async #close(replica: StartedReplica): Promise<void> {
    if (!this.#ports.delete(replica.id)) return
    try {
      const token = await this.#tokenOf(replica)
      if (token !== undefined) await ask(replica.origin, token, 'DELETE', ASK_LIMIT_MS)
    } catch {
      // Told above.
    }
  }

  /** What shows a runtime that we may ask it; undefined where it has no routes for us. */
  #tokenOf({ id }: StartedReplica): Promise<string | undefined> {
    return containerVariable(this.#options.engine, id, TOKEN_VARIABLE)
  }

  async #openIn(replica: StartedReplica, language: DebugLanguage): Promise<number> {
    const token = await this.#tokenOf(replica)
    const asked = token === undefined ? undefined : await this.#askRuntime(replica, token, language)
    if (asked !== undefined) return asked
    const port = DEBUG_PORT[language]
    if (await this.#listens(replica, port)) return port
    if (language === 'python') throw noDebugpy(replica)
    await this.#wakeNode(replica)
    return port
  }

  /** Undefined where there is no such runtime, or it has no turn to answer. DEBUGGER_UNAVAILABLE: it says that it cannot. */
  async #askRuntime(
    replica: StartedReplica,
    token: string,
    language: DebugLanguage,
  ): Promise<number | undefined> {
    let answer = await ask(replica.origin, token, 'PUT', ASK_LIMIT_MS).catch(() => undefined)
    if (answer?.status === 424) {
      const wheel = await this.#options.debugpy()
      answer = await ask(replica.origin, token, 'PUT', UNPACK_LIMIT_MS, wheel).catch((error: unknown) => {
        throw cannot(replica, `debugpy did not start: ${String(error)}`)
      })
    }
    if (answer?.body.language !== language) return undefined
    if (answer.status === 200) return answer.body.port ?? DEBUG_PORT[language]
    throw cannot(replica, answer.body.message ?? `its runtime answered with status ${answer.status}`)
  }

  async #wakeNode(replica: StartedReplica): Promise<void> {
    const port = DEBUG_PORT.node
    if ((await execOutput(this.#options.engine, replica.id, WAKE_NODE)) === undefined)
      throw cannot(replica, 'it has no Node process that goes on between calls')
    const latest = systemClock.now() + OPENING_LIMIT_MS
    while (!(await this.#listens(replica, port))) {
      if (systemClock.now() > latest) throw cannot(replica, `Node does not listen on port ${port}`)
      await pause(systemClock, OPENING_PAUSE_MS)
    }
  }

  async #listens(replica: StartedReplica, port: number): Promise<boolean> {
    const command = ['sh', '-c', 'cat /proc/net/tcp /proc/net/tcp6 2>/dev/null; :']
    const tables = await execOutput(this.#options.engine, replica.id, command)
    return tables !== undefined && listensOn(tables, port)
  }
}

interface Answer {
  readonly status: number
  readonly body: { readonly language?: string; readonly port?: number; readonly message?: string }
}

async function ask(
  origin: string,
  token: string,
  method: 'PUT' | 'DELETE',
  limitMs: number,
  wheel?: Uint8Array,
): Promise<Answer> {
  const answer = await fetch(origin + PATH, {
    method,
    headers: { 'X-Faasdock-Token': token, ...(wheel && { 'Content-Type': 'application/zip' }) },
    ...(wheel && { body: wheel }),
    signal: AbortSignal.timeout(limitMs),
  })
  const body = (await answer.json().catch(() => ({}))) as Answer['body']
  return { status: answer.status, body }
}

function cannot({ ref }: StartedReplica, why: string): FaasError {
  return new FaasError('DEBUGGER_UNAVAILABLE', {
    message: `${formatRef(ref)} cannot be debugged: ${why}`,
    remedy: 'docs/debug.md lists what can be debugged, and how.',
  })
}

function noDebugpy(replica: StartedReplica): FaasError {
  const port = DEBUG_PORT.python
  return new FaasError('DEBUGGER_UNAVAILABLE', {
    message: cannot(replica, `nothing listens on port ${port} in its container`).message,
    remedy: `Python functions of faasdock's own templates are debugged as they are under \`faasdock dev\`. Any other one has to start debugpy itself: add it to requirements.txt, and set \`fprocess\` to "python -m debugpy --listen 127.0.0.1:${port} index.py".`,
  })
}
