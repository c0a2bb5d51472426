import type { Context } from 'koa'
import type Router from '@koa/router'
import { FaasError } from '../../core/errors.ts'
import type { FunctionRef } from '../../core/function.ts'
import type { InvocationHead, InvocationRecord, MessageHead, Named } from '../../core/invocation-record.ts'
import type { InvocationLog } from '../../engine/invocation-log.ts'
import { queryValue } from '../body.ts'
import { refOf } from './functions.ts'

const DEFAULT_LIMIT = 20
const MOST = 1000

/** `/system/invocations`: the last invocations of each function, where they are kept. */
export function invocationRoutes(router: Router, kept: InvocationLog | undefined): void {
  router.get('/system/invocations', (ctx) => {
    const ref = refIn(ctx)
    const limit = limitIn(ctx)
    ctx.body = {
      recording: kept !== undefined,
      invocations: kept?.list({ ...(ref && { ref }), limit }).map(writeHead) ?? [],
    }
  })

  router.get('/system/invocations/:id', (ctx) => {
    const { requestBody, responseBody, ...head } = thatKeeps(kept).get(ctx.params['id'] ?? '', refIn(ctx))
    ctx.body = {
      ...writeHead(head),
      redacted: head.redacted,
      request: writeMessage(head.request, requestBody),
      ...(head.response && { response: writeMessage(head.response, responseBody) }),
    }
  })

  router.delete('/system/invocations', (ctx) => {
    ctx.body = { forgotten: thatKeeps(kept).forget(refIn(ctx)) }
  })
}

function thatKeeps(kept: InvocationLog | undefined): InvocationLog {
  if (kept) return kept
  throw new FaasError('INVOCATION_NOT_FOUND', {
    message: 'this gateway keeps no invocations',
    remedy: 'Start it with --record (FAASDOCK_RECORD=true), then call the function again.',
  })
}

function refIn(ctx: Context): FunctionRef | undefined {
  const name = queryValue(ctx, 'function')
  return name === undefined ? undefined : refOf(name, queryValue(ctx, 'namespace'))
}

function limitIn(ctx: Context): number {
  const text = queryValue(ctx, 'limit')
  const limit = Number(text ?? DEFAULT_LIMIT)
  if (Number.isInteger(limit) && limit >= 1) return Math.min(limit, MOST)
  throw new FaasError('BAD_REQUEST', {
    message: `limit is ${text ?? ''}`,
    remedy: 'limit is a whole number from 1.',
  })
}

function writeHead({ id, ...head }: Named<InvocationHead>): Record<string, unknown> {
  const { callId, ref, startedAt, ms, state, method, path, status, isQueued, upgrade } = head
  return {
    id,
    callId,
    name: ref.name,
    namespace: ref.namespace,
    startedAt: new Date(startedAt).toISOString(),
    state,
    method,
    path,
    ...(status > 0 && { status }),
    ...(ms !== undefined && { ms }),
    requestBytes: head.request.bodyBytes,
    responseBytes: head.response?.bodyBytes ?? 0,
    ...(isQueued && { queued: true }),
    ...(upgrade !== undefined && { upgrade }),
    ...(head.replayOf !== undefined && { replayOf: head.replayOf }),
    ...(head.stale !== undefined && { stale: head.stale }),
    ...(head.problem !== undefined && { problem: head.problem }),
  }
}

function writeMessage({ headers, trailers, bodyBytes, isCut }: MessageHead, body: Uint8Array): unknown {
  return {
    headers: pairsOf(headers),
    ...(trailers && { trailers: pairsOf(trailers) }),
    bodyBytes,
    ...(isCut && { truncated: true }),
    ...writeBody(body),
  }
}

/** What is kept of a body: as text where it is some. */
function writeBody(body: InvocationRecord['requestBody']): { text: string } | { base64: string } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body) }
  } catch {
    return { base64: Buffer.from(body).toString('base64') }
  }
}

/** Headers are bytes; most write UTF-8 where they leave ASCII. */
function pairsOf(raw: readonly string[]): [string, string][] {
  const pairs: [string, string][] = []
  for (let i = 0; i < raw.length; i += 2) pairs.push([raw[i] ?? '', said(raw[i + 1] ?? '')])
  return pairs
}

function said(value: string): string {
  if (/^[\x00-\x7f]*$/.test(value)) return value
  const text = Buffer.from(value, 'latin1').toString('utf8')
  return text.includes('\ufffd') ? value : text
}
