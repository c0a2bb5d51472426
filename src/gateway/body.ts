import type { Context } from 'koa'
import { FaasError } from '../core/errors.ts'

/** A deployment of thousands of variables is far smaller. */
const LIMIT_BYTES = 4 * 2 ** 20

const REMEDY = 'Send a JSON object as described for this route.'

/**
 * The request's JSON. BAD_REQUEST when there is none, or it cannot be read; BODY_TOO_LARGE. `notJson`: what a route is
 * known to say then.
 */
export async function readJson(ctx: Context, notJson?: string): Promise<unknown> {
  const body = await readOptionalJson(ctx, notJson)
  if (body === undefined) throw unreadable(notJson ?? 'the request has no body')
  return body
}

/** The same, or undefined when the request has no body. */
export async function readOptionalJson(ctx: Context, notJson = 'the body is not JSON'): Promise<unknown> {
  const bytes = await readBytes(ctx)
  if (bytes.length === 0) return undefined
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown
  } catch (cause) {
    throw unreadable(notJson, cause)
  }
}

async function readBytes({ req }: Context): Promise<Buffer> {
  if (Number(req.headers['content-length'] ?? 0) > LIMIT_BYTES) throw tooLarge()
  const chunks: Buffer[] = []
  let size = 0
  try {
    // Kept open when the reading ends early: who still sends gets to read the answer.
    for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > LIMIT_BYTES) throw tooLarge()
      chunks.push(chunk)
    }
  } catch (cause) {
    // What still comes is read and forgotten.
    req.resume()
    if (cause instanceof FaasError) throw cause
    // Nobody reads this: the client hung up. It is no defect of ours either.
    throw unreadable('the body ended before it was whole', cause)
  }
  return Buffer.concat(chunks)
}

function unreadable(message: string, cause?: unknown): FaasError {
  return new FaasError('BAD_REQUEST', { message, remedy: REMEDY, ...(cause !== undefined && { cause }) })
}

function tooLarge(): FaasError {
  return new FaasError('BODY_TOO_LARGE', {
    message: `the body is larger than ${LIMIT_BYTES} bytes`,
    remedy: `${REMEDY} What is large belongs into the image, or into a call of the function.`,
  })
}

/** Answers with JSON, by the exact type that OpenFaaS says. */
export function answerJson(ctx: Context, value: unknown): void {
  ctx.set('Content-Type', 'application/json')
  ctx.body = JSON.stringify(value)
}

/** An answer without a body. 202 is what faas-cli takes for success (contract 0, items 1 and 3). */
export function answerEmpty(ctx: Context, status: number): void {
  ctx.status = status
  ctx.body = ''
}

/** The last value of a query parameter (contract 9.1); undefined when absent or empty. */
export function queryValue(ctx: Context, name: string): string | undefined {
  const value = ctx.query[name]
  return (Array.isArray(value) ? value.at(-1) : value) || undefined
}
