import type { Context } from 'koa'
import { FaasError } from '../core/errors.ts'

/** A deployment of thousands of variables is far smaller. */
const LIMIT_BYTES = 4 * 2 ** 20

/** The request's JSON. BAD_REQUEST when there is none, or too much of it. */
export async function readJson(ctx: Context): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of ctx.req as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > LIMIT_BYTES) {
      throw new FaasError('BAD_REQUEST', {
        message: `the body is larger than ${LIMIT_BYTES} bytes`,
        remedy: 'Send a JSON object as described for this route.',
      })
    }
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
  } catch (cause) {
    throw new FaasError('BAD_REQUEST', {
      message: size === 0 ? 'the request has no body' : 'the body is not JSON',
      remedy: 'Send a JSON object as described for this route.',
      cause,
    })
  }
}

/** The last value of a query parameter (contract 9.1); undefined when absent or empty. */
export function queryValue(ctx: Context, name: string): string | undefined {
  const value = ctx.query[name]
  return (Array.isArray(value) ? value.at(-1) : value) || undefined
}
