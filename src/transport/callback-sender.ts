import type { Readable } from 'node:stream'
import { Agent } from 'undici'
import type { CallbackAnswer, CallbackRequest, CallbackSender } from '../core/callback.ts'

const CONNECT_LIMIT_MS = 5000
const KEEP_ALIVE_MS = 4000
/** Connections to one target; whoever runs callbacks bounds them as well. */
const CONNECTIONS = 64
/** How much of an answer is read so that its connection can be used again. */
const MAX_ANSWER_BYTES = 256 * 1024

/** Posts with undici: no redirects followed, no credentials added but those that the URL itself names. */
export class UndiciCallbackSender implements CallbackSender {
  readonly #agent = new Agent({
    connections: CONNECTIONS,
    connect: { timeout: CONNECT_LIMIT_MS },
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: 0,
    bodyTimeout: 0,
  })

  async post({ url, headers, body }: CallbackRequest, signal: AbortSignal): Promise<CallbackAnswer> {
    const answer = await this.#agent.request({
      ...target(url),
      method: 'POST',
      headers: [...headers, ...login(url)],
      body: body as Uint8Array | Readable,
      signal,
    })
    const { statusCode: status, headers: said } = answer
    await answer.body.dump({ limit: MAX_ANSWER_BYTES, signal }).catch(() => undefined)
    const location = said['location']
    return { status, ...(typeof location === 'string' && { location }) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
  }
}

function login(url: string): string[] {
  const { username, password } = new URL(url)
  if (username === '' && password === '') return []
  const pair = `${decoded(username)}:${decoded(password)}`
  return ['Authorization', `Basic ${Buffer.from(pair).toString('base64')}`]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function target(url: string): { origin: string; path: string } {
  const { origin, pathname, search } = new URL(url)
  return { origin, path: `${pathname}${search}` }
}
