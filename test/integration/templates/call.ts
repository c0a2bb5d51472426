import { request } from 'node:http'
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'

export interface Call {
  readonly method?: string
  readonly path?: string
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string | Buffer
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** One request on a connection of its own, with exactly these headers: fetch would add a content type. */
export function callAt(host: string, port: number, call: Call = {}): Promise<Answer> {
  const { method = 'GET', path = '/', headers = {}, body } = call
  return new Promise((resolve, reject) => {
    const chunked = 'Transfer-Encoding' in headers
    const length = body === undefined || chunked ? {} : { 'Content-Length': Buffer.byteLength(body) }
    const req = request({ host, port, method, path, agent: false, headers: { ...length, ...headers } }, (res) => {
      const chunks: Buffer[] = []
      res.on('data', (chunk: Buffer) => chunks.push(chunk))
      res.on('error', reject)
      res.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        resolve({ status: res.statusCode ?? 0, headers: res.headers, body: text })
      })
    })
    req.on('error', reject)
    req.end(body)
  })
}

/** Asks until the answer satisfies, at most `seconds` long; rejects with what was seen last. */
export async function until<T>(ask: () => Promise<T>, satisfies: (seen: T) => boolean, seconds = 20): Promise<T> {
  const deadline = Date.now() + seconds * 1000
  let last: unknown
  while (Date.now() < deadline) {
    try {
      const seen = await ask()
      if (satisfies(seen)) return seen
      last = seen
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`not within ${String(seconds)} s; last seen: ${last instanceof Error ? last.message : JSON.stringify(last)}`)
}
