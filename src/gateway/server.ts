import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { DEFAULT_NAMESPACE } from '../core/function.ts'
import type { Login } from '../core/login.ts'
import type { Invoker } from '../engine/invoker.ts'
import { controlHandler } from './control.ts'
import type { ControlParts } from './control.ts'
import { DataPlane } from './data-plane.ts'
import { drainServer } from './drain.ts'
import { listenOn } from './listen-on.ts'
import type { Listening } from './listen-on.ts'

export interface GatewayParts extends ControlParts {
  readonly invoker: Invoker
}

/** Request headers may be this long (contract 1.1). */
const MAX_HEADER_BYTES = 2 ** 20
/** Longer than any client keeps a connection, so that it is the client who closes it. */
const KEEP_ALIVE_MS = 75_000

/** The HTTP door: `/function/…` goes straight to the data plane, everything else to Koa. May listen on several addresses. */
export class Gateway implements AsyncDisposable {
  readonly #servers: Server[] = []
  readonly #stopping = new AbortController()
  readonly #parts: GatewayParts
  readonly #dataPlane: DataPlane

  constructor(parts: GatewayParts) {
    this.#parts = parts
    this.#dataPlane = new DataPlane({
      invoker: parts.invoker,
      defaultNamespace: DEFAULT_NAMESPACE,
      servedBy: `faasdock/${parts.version.release}`,
      log: parts.log,
    })
  }

  /**
   * PORT_TAKEN when the port is in use on that address. Port 0 takes a free one. `asks`: the login that the control
   * routes ask for there; calls of functions are open everywhere.
   */
  async listen(address: string, port: number, asks?: Login): Promise<Listening> {
    const control = controlHandler(this.#parts, asks, this.#stopping.signal)
    const server = createServer(
      { maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: KEEP_ALIVE_MS },
      (request, response) => {
        if (!this.#dataPlane.handle(request, response)) control(request, response)
      },
    )
    // How long a call may take is the function's matter, and a body may be sent as slowly as it is read.
    server.requestTimeout = 0
    server.timeout = 0
    const listening = await listenOn(server, address, port)
    this.#servers.push(server)
    return listening
  }

  /** Refuses new connections, lets calls in flight end for up to `limitMs`, then closes everything. */
  async drain(limitMs: number): Promise<void> {
    // Events and followed logs never end by themselves; nobody should wait for them.
    this.#stopping.abort()
    await Promise.allSettled(this.#servers.splice(0).map((server) => drainServer(server, limitMs)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0)
  }
}
