import { ServerResponse } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { parseRef } from '../core/function.ts'
import type { FunctionRef } from '../core/function.ts'
import type { InvocationSink } from '../core/invocation.ts'
import type { Log } from '../core/log.ts'
import type { Invoker } from '../engine/invoker.ts'
import { Call, TunnelCall } from './call.ts'
import type { CallFacts } from './call.ts'
import { goneSignal } from './gone-signal.ts'
import { INTERNAL_HEADER, INTERNAL_VALUE } from './failure.ts'
import { forwardedRequest } from './forwarded-headers.ts'
import { splitFunctionPath } from './function-path.ts'
import type { FunctionPath } from './function-path.ts'
import { awaitedBody, bytesOf, hasBody, whenBodyBegins } from './request-body.ts'
import { protocolsForFunction, whenAnswered } from './upgrade.ts'

export interface DataPlaneOptions {
  readonly invoker: Invoker
  readonly defaultNamespace: string
  /** `faasdock/VERSION` */
  readonly servedBy: string
  readonly log: Log
}

/** What the router lets through as a name (contract 1.1). */
const NAME = /^[-a-zA-Z_0-9.]+$/
/** Others get 405, as from OpenFaaS's provider (contract 2.3): what does not work there must not work here. */
const METHODS = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'])

/** `/function/…`: match, lease, stream both ways, count. Nothing here touches disk, JSON or Docker. */
export class DataPlane {
  readonly #options: DataPlaneOptions
  /** Refs by the name in the URL, so that a request makes none. Bounded, because callers choose the names. */
  readonly #refs = new Map<string, FunctionRef>()
  /** Connections that asked for another protocol: the server does not know them any more. */
  readonly #tunnels = new Set<Socket>()

  constructor(options: DataPlaneOptions) {
    this.#options = options
  }

  /** True when the request was a function's. `expectsContinue`: the caller waits for a 100 before it sends the body. */
  handle(request: IncomingMessage, response: ServerResponse, expectsContinue = false): boolean {
    const target = splitFunctionPath(request.url ?? '')
    if (!target) return false
    const facts = this.#admit(request, response, target)
    if (!facts) return true
    const { headers } = facts.forwarded
    const method = request.method ?? 'GET'
    const { path } = target
    const call = new Call(response, facts)
    if (!hasBody(request)) this.#invoke(facts, call, { method, path, headers, body: null })
    else if (expectsContinue) {
      headers.push('Expect', '100-continue')
      this.#invoke(facts, call, { method, path, headers, ...awaitedBody(request) })
    } else {
      whenBodyBegins(request, (body) => this.#invoke(facts, call, { method, path, headers, ...body }))
    }
    return true
  }

  /** For a request that offers another protocol. `decline`: to serve it as if it had not, when it is for no function. */
  upgrade(request: IncomingMessage, socket: Socket, first: Uint8Array, decline: () => void): void {
    this.#tunnels.add(socket)
    socket.once('close', () => this.#tunnels.delete(socket))
    whenAnswered(socket, () => {
      const target = splitFunctionPath(request.url ?? '')
      const upgrade = protocolsForFunction(request)
      if (target && upgrade !== undefined) this.#openTunnel(request, socket, first, target, upgrade)
      else {
        this.#tunnels.delete(socket)
        decline()
      }
    })
  }

  #openTunnel(
    request: IncomingMessage,
    socket: Socket,
    first: Uint8Array,
    target: FunctionPath,
    upgrade: string,
  ): void {
    const response = new ServerResponse(request)
    response.shouldKeepAlive = false
    response.assignSocket(socket)
    response.once('finish', () => socket.destroySoon())
    const facts = this.#admit(request, response, target)
    if (!facts) return
    const call = new TunnelCall(response, socket, facts)
    // Somebody has to read, or nobody hears of a caller who leaves while a replica is waited for.
    socket.on('readable', () => undefined)
    socket.once('end', () => {
      if (call.status !== 101) socket.destroy()
    })
    this.#invoke(facts, call, {
      method: request.method ?? 'GET',
      path: target.path,
      headers: facts.forwarded.headers,
      body: bytesOf(socket, first),
      upgrade,
    })
  }

  /** Waits until the tunnels have ended, at most `limitMs`, and closes the rest. */
  async drainTunnels(limitMs: number): Promise<void> {
    const limit = setTimeout(() => {
      for (const socket of this.#tunnels) socket.destroy()
    }, limitMs)
    await Promise.all(
      [...this.#tunnels].map(
        (socket) => new Promise<void>((resolve) => socket.once('close', () => resolve())),
      ),
    )
    clearTimeout(limit)
  }

  /** Undefined when the request has been refused. */
  #admit(request: IncomingMessage, response: ServerResponse, target: FunctionPath): CallFacts | undefined {
    const ref = this.#ref(target.name)
    if (!ref || !METHODS.has(request.method ?? '')) {
      refuse(response, ref ? 405 : 404, ref ? '' : '404 page not found\n')
      return undefined
    }
    const { servedBy, log } = this.#options
    const forwarded = forwardedRequest(request, servedBy, target.authority)
    return { ref, forwarded, gone: goneSignal(request.socket), servedBy, log }
  }

  #invoke(facts: CallFacts, sink: InvocationSink, request: Parameters<Invoker['invoke']>[1]): void {
    // Never rejects: failures are answers too.
    this.#options.invoker.invoke(facts.ref, request, sink, facts.gone).catch(() => undefined)
  }

  #ref(name: string): FunctionRef | undefined {
    const known = this.#refs.get(name)
    if (known) return known
    if (!NAME.test(name)) return undefined
    const ref = parseRef(name, this.#options.defaultNamespace)
    if (ref.name === '' || ref.namespace === '') return undefined
    if (this.#refs.size > 10_000) this.#refs.clear()
    this.#refs.set(name, ref)
    return ref
  }
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    [INTERNAL_HEADER]: INTERNAL_VALUE,
  })
  response.end(text)
}
