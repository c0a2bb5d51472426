import { PassThrough } from 'node:stream'
import type { Context } from 'koa'
import type Router from '@koa/router'
import { z } from 'zod'
import type { CallRecord, CallState } from '../../core/call.ts'
import { asFaasError, FaasError } from '../../core/errors.ts'
import type { FunctionRef } from '../../core/function.ts'
import { formatRef } from '../../core/function.ts'
import type { AsyncCalls, FunctionQueue, PauseScope } from '../../engine/async-calls.ts'
import { withoutLogin } from '../../engine/callbacks.ts'
import { isCredentialName } from '../../engine/credential-names.ts'
import { queryValue, readJson } from '../body.ts'
import { refOf } from './functions.ts'

const STATES: readonly CallState[] = [
  'queued',
  'running',
  'waiting',
  'succeeded',
  'failed',
  'dead',
  'cancelled',
]
/** Of a call that ended because nobody wants it any more. */
const NOT_CALLED_BACK = { state: 'failed', problem: 'a cancelled call is not called back' } as const
const DEFAULT_LIMIT = 100
const MOST = 10_000
/** How far a reader that follows may fall behind. */
const MAX_UNREAD_BYTES = 4 * 2 ** 20
/** Of a dead call's body, what is shown. */
const SHOWN_BYTES = 4096

/** `/system/queue/…` and `/system/calls`: what faasdock knows of async calls, beside OpenFaaS' own routes. */
export function queueRoutes(router: Router, calls: AsyncCalls, stopping: AbortSignal): void {
  router.get('/system/queue', async (ctx) => {
    const { problem } = calls
    const functions = problem ? [] : await calls.functions()
    ctx.body = {
      state: problem ? 'unavailable' : 'ready',
      ...(problem && { problem: { code: problem.code, message: problem.message, remedy: problem.remedy } }),
      functions: functions.map(writeFunction),
      callbacks: problem ? 0 : await calls.callbackDepth(),
      paused: calls.paused,
    }
  })

  router.get('/system/calls', (ctx) => {
    const query = readCallQuery(ctx)
    if (queryValue(ctx, 'follow') === '1') {
      ctx.type = 'application/x-ndjson'
      const past = queryValue(ctx, 'limit') === undefined ? [] : calls.book.list(query).toReversed()
      ctx.body = follow(ctx, calls, stopping, past)
      ctx.flushHeaders()
      return
    }
    ctx.body = calls.book.list(query).map(writeCall)
  })

  router.get('/system/calls/:id', (ctx) => {
    const records = calls.book.all(ctx.params['id'] ?? '')
    const name = queryValue(ctx, 'function')
    const wanted = name === undefined ? undefined : formatRef(refOf(name, undefined))
    const record = records.find(({ ref }) => wanted === undefined || formatRef(ref) === wanted)
    if (!record) throw noCall(ctx.params['id'] ?? '')
    ctx.body = writeCall(record)
  })

  router.delete('/system/calls/:id', async (ctx) => {
    await calls.cancel(ctx.params['id'] ?? '')
    accepted(ctx)
  })

  router.get('/system/queue/dead', (ctx) => {
    ctx.body = calls.deadRecords(refIn(ctx)).map(writeCall)
  })

  router.get('/system/queue/dead/:id', async (ctx) => {
    const { call, body } = await calls.letter(ctx.params['id'] ?? '')
    const { ref, path, headers, callback, queuedAt, attempts, history, reason, diedAt, answer, storedBytes } =
      call
    ctx.body = {
      id: call.id,
      name: ref.name,
      namespace: ref.namespace,
      path,
      headers: headers.map((word, at) => shownHeader(headers[at - 1] ?? '', word, at)),
      ...(callback !== undefined && { callbackUrl: withoutLogin(callback) }),
      queuedAt: timeOf(queuedAt),
      diedAt: timeOf(diedAt),
      reason,
      attempts,
      history: history.map(writeAttempt),
      bodyBytes: storedBytes ?? body.length,
      body: Buffer.from(body.subarray(0, SHOWN_BYTES)).toString('utf8'),
      ...(answer && { answer }),
    }
  })

  router.post('/system/queue/retry', async (ctx) => {
    const selection = await readSelection(ctx)
    let retried = 0
    for (const record of chosen(calls, selection)) {
      const isRetried = await calls.retry(record).catch((error: unknown) => {
        // One of many whose letter the bound has taken holds up no other.
        if (selection.call === undefined && asFaasError(error).code === 'CALL_NOT_FOUND') return false
        throw error
      })
      if (isRetried) retried++
    }
    ctx.status = 202
    ctx.body = { retried }
  })

  router.post('/system/queue/purge', async (ctx) => {
    const selection = await readSelection(ctx)
    if (selection.queued === true) {
      if (selection.function === undefined) throw badSelection()
      ctx.status = 202
      ctx.body = { cancelled: await calls.purgeQueued(refOf(selection.function, undefined)) }
      return
    }
    let purged = 0
    for (const record of chosen(calls, selection)) if (await calls.purge(record)) purged++
    ctx.status = 202
    ctx.body = { purged }
  })

  router.post('/system/queue/pause', async (ctx) => {
    calls.pause(await readScope(ctx))
    accepted(ctx)
  })

  router.post('/system/queue/resume', async (ctx) => {
    calls.resume(await readScope(ctx))
    accepted(ctx)
  })
}

const selection = z.object({
  call: z.string().min(1).nullish(),
  function: z.string().min(1).nullish(),
  all: z.boolean().nullish(),
  queued: z.boolean().nullish(),
})

interface Selection {
  readonly call?: string
  readonly function?: string
  readonly all?: boolean
  readonly queued?: boolean
}

async function readSelection(ctx: Context): Promise<Selection> {
  const result = selection.safeParse(await readJson(ctx))
  if (!result.success) throw badSelection()
  const { call, function: name, all, queued } = result.data
  if ([call, name, all || undefined].filter(Boolean).length !== 1) throw badSelection()
  return {
    ...(call && { call }),
    ...(name && { function: name }),
    ...(all && { all }),
    ...(queued && { queued }),
  }
}

/** The dead calls that are meant. CALL_NOT_FOUND, CALL_ENDED for one that is not dead. */
function chosen(calls: AsyncCalls, { call, function: name }: Selection): readonly CallRecord[] {
  if (call === undefined) return calls.deadRecords(name === undefined ? undefined : refOf(name, undefined))
  const records = calls.book.all(call)
  const dead = records.filter(({ state }) => state === 'dead')
  if (dead.length > 0) return dead
  if (!records[0]) throw noCall(call)
  throw new FaasError('CALL_ENDED', {
    message: `call ${call} is not a dead letter: it is ${records[0].state}`,
    remedy: 'Dead letters are listed by `faasdock queue list --dead`.',
  })
}

const scope = z.object({ function: z.string().min(1).nullish(), queue: z.string().min(1).nullish() })

async function readScope(ctx: Context): Promise<PauseScope> {
  const result = scope.safeParse(await readJson(ctx))
  const { function: name, queue } = result.success ? result.data : {}
  if (name && !queue) return { ref: refOf(name, undefined) }
  if (queue && !name) return { queue }
  throw new FaasError('BAD_REQUEST', {
    message: 'the body has to name a function or a queue, and not both',
    remedy: 'Send {"function": "NAME"} or {"queue": "NAME"}.',
  })
}

function badSelection(): FaasError {
  return new FaasError('BAD_REQUEST', {
    message: 'the body has to name one of: a call, a function, all',
    remedy:
      'Send {"call": "CALL-ID"}, {"function": "NAME"} or {"all": true}; {"function": "NAME", "queued": true} purges what has not begun.',
  })
}

function readCallQuery(ctx: Context): Parameters<AsyncCalls['book']['list']>[0] {
  const limit = Number(queryValue(ctx, 'limit') ?? DEFAULT_LIMIT)
  const states = queryValue(ctx, 'state')
    ?.split(',')
    .map((state) => state.trim())
  const unknown = states?.find((state) => !STATES.includes(state as CallState))
  if (!Number.isInteger(limit) || limit < 1 || unknown !== undefined) {
    throw new FaasError('BAD_REQUEST', {
      message:
        unknown === undefined
          ? `limit is ${queryValue(ctx, 'limit') ?? ''}`
          : `state is ${JSON.stringify(unknown)}`,
      remedy: `limit is a whole number from 1, state some of: ${STATES.join(', ')}.`,
    })
  }
  const ref = refIn(ctx)
  const id = queryValue(ctx, 'id')
  return {
    limit: Math.min(limit, MOST),
    ...(ref && { ref }),
    ...(id !== undefined && { id }),
    ...(states && { states: states as CallState[] }),
  }
}

/** What is known already, then every note that is made from now on, as lines of JSON: nothing is missed between. */
function follow(
  ctx: Context,
  calls: AsyncCalls,
  stopping: AbortSignal,
  past: readonly CallRecord[],
): PassThrough {
  const stream = new PassThrough()
  for (const record of past) stream.write(`${JSON.stringify(writeCall(record))}\n`)
  const ref = refIn(ctx)
  const name = ref && formatRef(ref)
  const id = queryValue(ctx, 'id')
  const watch = calls.book.watch((record) => {
    if (stream.writableEnded) return
    if (name !== undefined && formatRef(record.ref) !== name) return
    if (id !== undefined && record.id !== id) return
    stream.write(`${JSON.stringify(writeCall(record))}\n`)
    if (stream.writableLength + stream.readableLength > MAX_UNREAD_BYTES) stream.end()
  })
  const end = (): void => void stream.end()
  stopping.addEventListener('abort', end, { once: true })
  ctx.res.once('close', () => {
    stopping.removeEventListener('abort', end)
    watch[Symbol.dispose]()
  })
  return stream
}

function refIn(ctx: Context): FunctionRef | undefined {
  const name = queryValue(ctx, 'function')
  return name === undefined ? undefined : refOf(name, queryValue(ctx, 'namespace'))
}

function writeFunction(one: FunctionQueue): Record<string, unknown> {
  const { ref, oldestQueuedAt, isPaused, ...rest } = one
  return {
    name: ref.name,
    namespace: ref.namespace,
    ...rest,
    paused: isPaused,
    ...(oldestQueuedAt !== undefined && { oldestQueuedAt: timeOf(oldestQueuedAt) }),
  }
}

/** Of a list of names and values: the caller's own credentials are for the function alone. */
function shownHeader(name: string, word: string, at: number): string {
  if (at % 2 === 0) return word
  return isCredentialName(name) ? 'REDACTED' : withoutLogin(word)
}

function writeCall(record: CallRecord): Record<string, unknown> {
  const {
    id,
    ref,
    queue,
    path,
    state,
    queuedAt,
    startedAt,
    endedAt,
    dueAt,
    attempts,
    status,
    problem,
    history,
    callback,
  } = record
  const shown = callback && { ...callback, url: withoutLogin(callback.url) }
  return {
    ...{ id, queue, path, state, attempts },
    ...(status !== undefined && { status }),
    ...(problem !== undefined && { problem }),
    name: ref.name,
    namespace: ref.namespace,
    queuedAt: timeOf(queuedAt),
    ...(startedAt !== undefined && { startedAt: timeOf(startedAt) }),
    ...(endedAt !== undefined && { endedAt: timeOf(endedAt) }),
    ...(dueAt !== undefined && state === 'waiting' && { nextAttemptAt: timeOf(dueAt) }),
    history: history.map(writeAttempt),
    ...(shown && { callback: state === 'cancelled' ? { ...shown, ...NOT_CALLED_BACK } : shown }),
  }
}

function writeAttempt({ at, ...rest }: CallRecord['history'][number]): Record<string, unknown> {
  return { at: timeOf(at), ...rest }
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}

function accepted(ctx: Context): void {
  ctx.status = 202
  ctx.body = ''
}

function noCall(id: string): FaasError {
  return new FaasError('CALL_NOT_FOUND', {
    message: `no call ${JSON.stringify(id)} is known`,
    remedy: 'See `faasdock calls` (GET /system/calls); calls that have ended are forgotten after a while.',
  })
}
