import { request as httpRequest } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Readable } from 'node:stream'
import type { EngineAddress, SshAddress } from './engine-address.ts'

export interface EngineCall {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  /** With the query, e.g. `/images/json?all=1`. */
  readonly path: string
  readonly body?: Readable
  readonly contentType?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

export interface EngineAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Readable
}

/**
 * One request to an engine, without dockerode: loading that takes longer than all of what set-up asks.
 * Rejects with the connection's own error; an answer of any status resolves. ssh goes through dockerode after all.
 */
export function callEngine(address: EngineAddress, call: EngineCall): Promise<EngineAnswer> {
  if (address.protocol === 'ssh') return callOverSsh(address, call)
  // node:http writes a protocol with a colon, dockerode without.
  const { protocol, ...place } = address
  const options: RequestOptions = {
    ...place,
    method: call.method ?? 'GET',
    path: call.path,
    // A kept-alive connection would keep the program alive for a request that nobody makes.
    agent: false,
    headers: {
      host: 'docker',
      ...(call.body && { 'content-type': call.contentType ?? 'application/json' }),
      ...call.headers,
    },
    ...(call.signal && { signal: call.signal }),
  }
  return new Promise((resolve, reject) => {
    const send = protocol === 'https' ? httpsRequest : httpRequest
    const request = send(options, (answer: IncomingMessage) => {
      resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: answer })
    })
    request.once('error', reject)
    if (!call.body) {
      request.end()
      return
    }
    call.body.once('error', (error) => request.destroy(error))
    call.body.pipe(request)
  })
}

/** The answer's body as text. */
export async function readText(body: Readable): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of body) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

/** The engine's own words in an error answer: `{"message": …}`, or the body as it is. */
export async function readFailure(answer: EngineAnswer): Promise<string> {
  const text = await readText(answer.body)
  try {
    const { message } = JSON.parse(text) as { message?: unknown }
    return typeof message === 'string' ? message : text
  } catch {
    return text.trim() === '' ? `status ${answer.status}` : text.trim()
  }
}

async function callOverSsh(address: SshAddress, call: EngineCall): Promise<EngineAnswer> {
  const { makeEngine } = await import('./client.ts')
  const { modem } = makeEngine(address)
  const accepted = Object.fromEntries(Array.from({ length: 400 }, (_, i) => [String(200 + i), true]))
  return new Promise((resolve, reject) => {
    const options = {
      // docker-modem drops the last character of a path with a query, expecting its own options after it.
      path: call.path.includes('?') ? `${call.path}&` : call.path,
      method: call.method ?? 'GET',
      isStream: true,
      statusCodes: accepted,
      headers: {
        ...(call.body && { 'content-type': call.contentType ?? 'application/json' }),
        ...call.headers,
      },
      ...(call.body && { file: call.body }),
      ...(call.signal && { abortSignal: call.signal }),
    }
    modem.dial(options, (error: Error | null, body: unknown) => {
      if (error) {
        reject(error)
        return
      }
      const answer = body as IncomingMessage
      resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: answer })
    })
  })
}
