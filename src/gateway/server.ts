import type { Server } from 'node:http'
import { DEFAULT_NAMESPACE } from '../core/function.ts'
import type { Login } from '../core/login.ts'
import type { Invoker } from '../engine/invoker.ts'
import { AsyncPlane } from './async-plane.ts'
import { controlHandler } from './control.ts'
import type { ControlParts } from './control.ts'
import { DataPlane } from './data-plane.ts'
import { drainServer } from './drain.ts'
import { makeHttpServer } from './http-server.ts'
import { listenOn } from './listen-on.ts'
import type { Listening } from './listen-on.ts'

export interface GatewayParts extends ControlParts {
  readonly invoker: Invoker
}

/** The HTTP door: `/function/…` goes straight to the data plane, everything else to Koa. May listen on several addresses. */
export class Gateway implements AsyncDisposable {
  readonly #servers: Server[] = []
  readonly #stopping = new AbortController()
  readonly #parts: GatewayParts
  readonly #dataPlane: DataPlane
  readonly #asyncPlane: AsyncPlane

  constructor(parts: GatewayParts) {
    this.#parts = parts
    const { invoker, calls, log } = parts
    const shared = { defaultNamespace: DEFAULT_NAMESPACE, servedBy: `faasdock/${parts.version.release}`, log }
    this.#dataPlane = new DataPlane({ ...shared, invoker })
    this.#asyncPlane = new AsyncPlane({ ...shared, calls })
  }

  /**
   * PORT_TAKEN when the port is in use on that address. Port 0 takes a free one. `asks`: the login that the control
   * routes ask for there; calls of functions are open everywhere.
   */
  async listen(address: string, port: number, asks?: Login): Promise<Listening> {
    const control = controlHandler(this.#parts, asks, this.#stopping.signal)
    const server = makeHttpServer(this.#dataPlane, (request, response) => {
      if (!this.#asyncPlane.handle(request, response)) control(request, response)
    })
    const listening = await listenOn(server, address, port)
    this.#servers.push(server)
    return listening
  }

  /** Refuses new connections, lets calls in flight end for up to `limitMs`, then closes everything. */
  async drain(limitMs: number): Promise<void> {
    // Events and followed logs never end by themselves; nobody should wait for them.
    this.#stopping.abort()
    const drains = this.#servers.splice(0).map((server) => drainServer(server, limitMs))
    await Promise.allSettled([...drains, this.#dataPlane.drainTunnels(limitMs)])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0)
  }
}
