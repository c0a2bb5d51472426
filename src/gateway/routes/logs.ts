import type Router from '@koa/router'
import { pause, systemClock } from '../../core/clock.ts'
import { FaasError } from '../../core/errors.ts'
import type { FunctionRef } from '../../core/function.ts'
import type { LogQuery, Provider } from '../../core/provider.ts'
import { batchedText } from '../batched-text.ts'
import { queryValue } from '../body.ts'
import { writeLogLine } from '../wire.ts'
import { refOf } from './functions.ts'

/** What is asked when neither `since` nor `tail` is given (contract 9.1). */
const DEFAULT_LOG_MS = 5 * 60_000
/** How long the head of an answer waits for a first line, so that a failure can still be its status. */
const HEAD_MS = 15
/** RFC 3339: `Date` reads much more than that, and guesses. */
const MOMENT = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/

/** /system/logs (contract 9.1). Has no time limit: a follower stays as long as it likes. */
export function logRoutes(router: Router, provider: Provider, stopping: AbortSignal): void {
  router.get('/system/logs', async (ctx) => {
    const name = queryValue(ctx, 'name')
    if (name === undefined) {
      throw new FaasError('BAD_REQUEST', {
        message: 'could not parse the log request: name is missing',
        remedy: 'Call /system/logs?name=FUNCTION.',
      })
    }
    const query = readLogQuery(refOf(name, queryValue(ctx, 'namespace')), (field) => queryValue(ctx, field))
    if (typeof query === 'string') {
      ctx.status = 422
      ctx.body = `could not parse the log request: ${query}\n`
      return
    }
    const gone = new AbortController()
    ctx.res.once('close', () => gone.abort())
    const lines = provider.logs(query, AbortSignal.any([gone.signal, stopping]))[Symbol.asyncIterator]()
    const first = lines.next()
    // Both sides may fail later, when nobody waits here any more; the stream then says so.
    await Promise.race([first, pause(systemClock, HEAD_MS, gone.signal)])
    ctx.type = 'application/x-ndjson'
    ctx.body = batchedText(startingWith(first, lines), writeLogLine)
    ctx.flushHeaders()
  })
}

/** An iterator whose first item was asked for already. */
function startingWith<T>(first: Promise<IteratorResult<T>>, rest: AsyncIterator<T>): AsyncIterator<T> {
  let next: Promise<IteratorResult<T>> | undefined = first
  return {
    next: () => {
      const item = next ?? rest.next()
      next = undefined
      return item
    },
    return: async () => rest.return?.() ?? { done: true, value: undefined },
  }
}

/** The query, or which field cannot be read. Of `follow`, Go's words for true; anything else is false. */
function readLogQuery(ref: FunctionRef, value: (field: string) => string | undefined): LogQuery | string {
  const [tailText, sinceText, instance] = [value('tail'), value('since'), value('instance')]
  if (tailText !== undefined && !/^[+-]?\d+$/.test(tailText))
    return `tail is ${JSON.stringify(tailText)}, not a whole number`
  const since = sinceText === undefined ? undefined : new Date(sinceText)
  if (since && (Number.isNaN(since.getTime()) || !MOMENT.test(sinceText ?? '')))
    return `since is ${JSON.stringify(sinceText)}, not a time like 2026-01-31T09:30:00Z`
  const from = since ?? (tailText === undefined ? new Date(Date.now() - DEFAULT_LOG_MS) : undefined)
  return {
    ref,
    follow: ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value('follow') ?? ''),
    ...(instance !== undefined && { instance }),
    ...(tailText !== undefined && { tail: Number(tailText) }),
    ...(from && { since: from }),
  }
}
