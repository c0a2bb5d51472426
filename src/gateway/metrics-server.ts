import { createServer } from 'node:http'
import type { Server, ServerResponse } from 'node:http'
import { drainServer } from './drain.ts'
import { listenOn } from './listen-on.ts'
import type { Listening } from './listen-on.ts'
import type { Metrics } from './metrics.ts'

/** `/metrics` and `/healthz` on a port of their own, open to whoever can reach it (contract 1.1). */
export class MetricsServer implements AsyncDisposable {
  readonly #metrics: Metrics
  #server: Server | undefined

  constructor(metrics: Metrics) {
    this.#metrics = metrics
  }

  /** PORT_TAKEN, BAD_CONFIG. */
  async listen(address: string, port: number): Promise<Listening> {
    const server = createServer((request, response) => {
      const path = (request.url ?? '').split('?', 1)[0]
      const isRead = request.method === 'GET'
      if (path === '/healthz') answer(response, isRead ? 200 : 405, isRead ? 'OK' : '')
      else if (path !== '/metrics') answer(response, 404, '404 page not found\n')
      else if (!isRead && request.method !== 'HEAD') answer(response, 405, '')
      else this.#show(response)
    })
    const listening = await listenOn(server, address, port)
    this.#server = server
    return listening
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server) await drainServer(this.#server, 0)
  }

  #show(response: ServerResponse): void {
    this.#metrics.text().then(
      (text) => answer(response, 200, text, this.#metrics.contentType),
      (error: unknown) => answer(response, 500, `${String(error)}\n`),
    )
  }
}

function answer(
  response: ServerResponse,
  status: number,
  text: string,
  type = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, { 'Content-Type': type, 'X-Content-Type-Options': 'nosniff' })
  response.end(text)
}
