import { createHmac } from 'node:crypto'
import { request } from 'node:http'
import { systemClock } from '../../core/clock.ts'
import type { FunctionRef } from '../../core/function.ts'
import { formatRef } from '../../core/function.ts'
import type { CodeChange, LoadOutcome } from '../code-change.ts'
import type { LoadWatch } from '../replica.ts'

/** The variables that our runtimes read (docs/runtime.md). */
export const TOKEN_VARIABLE = 'FAASDOCK_SWAP_TOKEN'
export const HASH_VARIABLE = 'FAASDOCK_CONTENT_HASH'

/** A runtime gives up a load after 10 s, and says so. */
const LOAD_LIMIT_MS = 12_000
/** A load that takes longer than this is looked after. */
const LOOK_AFTER_MS = 1000
/** A process that says nothing for so long has no turn to spare for anybody. */
const LOOK_LIMIT_MS = 1500

const PATH = '/_/generation'

/** What shows a runtime that a call comes from the provider. Of one key, so that it is the same after a restart. */
export function swapToken(key: Uint8Array, ref: FunctionRef): string {
  return createHmac('sha256', key)
    .update(`swap ${formatRef(ref)}`)
    .digest('hex')
}

/** Where a runtime is, and what lets us in. */
export interface RuntimeAddress {
  readonly origin: string
  readonly token: string
}

interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** Hash of the code that a runtime runs, as it says; undefined when no runtime that knows us says so within a moment. */
export async function runningCode(runtime: RuntimeAddress): Promise<string | undefined> {
  const answer = await ask(runtime, LOOK_LIMIT_MS).catch(() => undefined)
  const { hash, canSwap } = answer?.status === 200 ? answer.body : {}
  return typeof hash === 'string' && typeof canSwap === 'boolean' ? hash : undefined
}

/** See ReplicaHost.load. */
export async function giveCode(
  runtime: RuntimeAddress,
  change: CodeChange,
  watch: LoadWatch,
): Promise<LoadOutcome> {
  const ended = new AbortController()
  watchOver(runtime, ended.signal, watch)
  try {
    return readOutcome(await ask(runtime, LOAD_LIMIT_MS, bodyOf(change), watch.isHeld), change)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    if (error instanceof NoAnswer)
      return { type: 'silent', reason: `it has not answered after ${LOAD_LIMIT_MS / 1000} s` }
    return { type: 'lost', reason }
  } finally {
    ended.abort()
  }
}

/** A load that takes long is fine as long as the process answers others. */
function watchOver(runtime: RuntimeAddress, ended: AbortSignal, { onSilent, isHeld }: LoadWatch): void {
  const again = (): void => void systemClock.after(LOOK_AFTER_MS, look)
  const look = (): void => {
    if (ended.aborted) return
    ask(runtime, LOOK_LIMIT_MS).then(again, (error: unknown) => {
      if (ended.aborted) return
      if (error instanceof NoAnswer && !isHeld()) onSilent()
      else again()
    })
  }
  const first = systemClock.after(LOOK_AFTER_MS, look)
  ended.addEventListener('abort', () => first[Symbol.dispose](), { once: true })
}

function readOutcome({ status, body }: Answer, change: CodeChange): LoadOutcome {
  const text = (name: string): string | undefined => (typeof body[name] === 'string' ? body[name] : undefined)
  const count = (name: string): number | undefined =>
    typeof body[name] === 'number' && body[name] > 0 ? body[name] : undefined
  const message = text('message') ?? `status ${status}`
  switch (status) {
    case 200:
      return text('hash') === change.hash
        ? { type: 'loaded' }
        : { type: 'refused', reason: 'its answer is not that of a runtime' }
    case 409:
      return { type: 'elsewhere', hash: text('hash') ?? '' }
    case 422: {
      const [file, line, column] = [text('file'), count('line'), count('column')]
      return {
        type: 'failed',
        failure: {
          message,
          ...(file !== undefined && { file }),
          ...(line !== undefined && { line }),
          ...(column !== undefined && { column }),
        },
      }
    }
    default:
      return { type: 'refused', reason: message }
  }
}

/** Written once for all replicas that are given the same change. */
const bodies = new WeakMap<CodeChange, Buffer>()

function bodyOf(change: CodeChange): Buffer {
  let body = bodies.get(change)
  if (!body) {
    const { hash, from, deleted } = change
    const files = Object.fromEntries(
      [...change.files].map(([path, { content }]) => [path, Buffer.from(content).toString('base64')]),
    )
    body = Buffer.from(JSON.stringify({ hash, from, files, deleted }))
    bodies.set(change, body)
  }
  return body
}

/** The time was over, as opposed to a connection that broke. */
class NoAnswer extends Error {}

/**
 * GET, or PUT where there is a body. A connection of its own each: a kept one may just be closing. NoAnswer after the
 * limit, unless it is held then.
 */
function ask(
  { origin, token }: RuntimeAddress,
  limitMs: number,
  body?: Buffer,
  isHeld: () => boolean = () => false,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      `${origin}${PATH}`,
      {
        method: body ? 'PUT' : 'GET',
        agent: false,
        headers: {
          'X-Faasdock-Token': token,
          ...(body && { 'Content-Type': 'application/json', 'Content-Length': body.length }),
        },
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.once('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            body: readObject(Buffer.concat(chunks).toString('utf8')),
          }),
        )
        response.once('error', reject)
        response.once('close', () => reject(new Error('the connection broke in the middle of an answer')))
      },
    )
    const over = (): void => {
      if (isHeld()) limit = systemClock.after(limitMs, over)
      else sent.destroy(new NoAnswer('no answer'))
    }
    let limit = systemClock.after(limitMs, over)
    sent.once('error', reject)
    sent.once('close', () => limit[Symbol.dispose]())
    sent.end(body)
  })
}

/** The object that a JSON text is; an empty one for anything else. */
function readObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
