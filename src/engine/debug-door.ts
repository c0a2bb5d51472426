import type { DebugClient, DebugConnection, DebugDoors } from '../core/debug.ts'
import { asFaasError } from '../core/errors.ts'
import type { FunctionRef } from '../core/function.ts'
import { formatRef } from '../core/function.ts'
import type { Log } from '../core/log.ts'

export interface DebugDoorParts {
  readonly ref: FunctionRef
  readonly doors: DebugDoors
  /** Wakes the function where it sleeps, and connects to a replica. */
  readonly connect: (signal: AbortSignal) => Promise<DebugConnection>
  readonly log: Log
}

/**
 * The port of one function: it stays while replicas come and go. A debugger that connects meets the replica that answers
 * now; when that ends, its connection ends, and the next one meets the next replica.
 */
export class DebugDoor implements AsyncDisposable {
  readonly ref: FunctionRef
  readonly port: number
  readonly #parts: DebugDoorParts
  readonly #clients = new Set<DebugClient>()
  #listening: AsyncDisposable | undefined
  #lastFailure = ''

  private constructor(port: number, parts: DebugDoorParts) {
    this.ref = parts.ref
    this.port = port
    this.#parts = parts
  }

  /** PORT_TAKEN. */
  static async open(port: number, parts: DebugDoorParts): Promise<DebugDoor> {
    const door = new DebugDoor(port, parts)
    door.#listening = await parts.doors.open(port, (client) => {
      door.#serve(client).catch(() => undefined)
    })
    return door
  }

  /** Connections that there are now. */
  get clients(): number {
    return this.#clients.size
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client[Symbol.dispose]()
    await this.#listening?.[Symbol.asyncDispose]()
  }

  async #serve(client: DebugClient): Promise<void> {
    const { connect, log, ref } = this.#parts
    this.#clients.add(client)
    try {
      using replica = await connect(client.gone)
      this.#lastFailure = ''
      if (!client.gone.aborted) await bothEnd(client, replica)
    } catch (error) {
      const { message, remedy } = asFaasError(error)
      // Debuggers try again every second or so.
      if (client.gone.aborted || message === this.#lastFailure) return
      this.#lastFailure = message
      log.warn(`no debugger for ${formatRef(ref)}: ${message}\n${remedy}`)
    } finally {
      this.#clients.delete(client)
      client[Symbol.dispose]()
    }
  }
}

/** Passes bytes both ways until one side has ended. */
function bothEnd(client: DebugClient, replica: DebugConnection): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => resolve()
    client.gone.addEventListener('abort', end, { once: true })
    replica.stream.on('error', end).on('close', end)
    // What the replica said last is still on its way to the client.
    client.stream.on('finish', end)
    client.stream.pipe(replica.stream)
    replica.stream.pipe(client.stream)
  })
}
