import { PassThrough, Readable } from 'node:stream'
import type Router from '@koa/router'
import { FaasError } from '../../core/errors.ts'
import type { parseRef } from '../../core/function.ts'
import type { LogQuery, Provider } from '../../core/provider.ts'
import type { Events } from '../../engine/events.ts'
import { answerEmpty, answerJson, queryValue } from '../body.ts'
import type { Metrics } from '../metrics.ts'
import { writeLogLine } from '../wire.ts'
import { refOf } from './functions.ts'

export interface PlatformParts {
  readonly provider: Provider
  readonly events: Events
  readonly metrics: Metrics
  readonly version: { readonly release: string; readonly sha: string; readonly message: string }
}

/** What is asked when neither `since` nor `tail` is given (contract 9.1). */
const DEFAULT_LOG_MS = 5 * 60_000
/** How far a reader of events may fall behind. */
const MAX_UNREAD_BYTES = 4 * 2 ** 20

/** What is about the platform and not about one function: info, health, metrics, logs, events. */
export function platformRoutes(router: Router, parts: PlatformParts, stopping: AbortSignal): void {
  const { provider, events, metrics, version } = parts

  router.get('/healthz', (ctx) => answerEmpty(ctx, 200))

  router.get('/system/info', (ctx) => {
    const { name, version: engine, architecture } = provider.info()
    answerJson(ctx, {
      // Not `faasd`: that name switches parts of conformance tests off (contract 1.9).
      provider: {
        provider: 'faas-docker',
        orchestration: name,
        version: { sha: version.sha, release: `${version.release} (engine ${engine})` },
      },
      version: { commit_message: version.message, release: version.release, sha: version.sha },
      arch: architecture === 'amd64' ? 'x86_64' : architecture,
    })
  })

  router.get('/metrics', async (ctx) => {
    ctx.type = metrics.contentType
    ctx.body = await metrics.text()
  })

  router.get('/system/logs', (ctx) => {
    const name = queryValue(ctx, 'name')
    if (name === undefined) {
      throw new FaasError('BAD_REQUEST', {
        message: 'could not parse the log request: name is missing',
        remedy: 'Call /system/logs?name=FUNCTION.',
      })
    }
    const ref = refOf(name, queryValue(ctx, 'namespace'))
    const query = readLogQuery(ref, (field) => queryValue(ctx, field))
    if (!query) {
      ctx.status = 422
      ctx.body = 'could not parse the log request\n'
      return
    }
    const gone = new AbortController()
    ctx.res.once('close', () => gone.abort())
    ctx.type = 'application/x-ndjson'
    ctx.body = Readable.from(logText(provider.logs(query, AbortSignal.any([gone.signal, stopping]))))
    ctx.flushHeaders()
  })

  router.get('/system/events', (ctx) => {
    const since = queryValue(ctx, 'since')
    const stream = new PassThrough()
    const watch = events.watch(
      (event) => {
        if (stream.writableEnded) return
        stream.write(`${JSON.stringify(event)}\n`)
        // A reader that does not read may come again with `since`; it must not fill our memory.
        if (stream.writableLength + stream.readableLength > MAX_UNREAD_BYTES) stream.end()
      },
      since === undefined ? undefined : Number(since),
    )
    const end = (): void => void stream.end()
    stopping.addEventListener('abort', end, { once: true })
    ctx.res.once('close', () => {
      stopping.removeEventListener('abort', end)
      watch[Symbol.dispose]()
    })
    ctx.type = 'application/x-ndjson'
    ctx.body = stream
    ctx.flushHeaders()
  })
}

async function* logText(lines: AsyncIterable<Parameters<typeof writeLogLine>[0]>): AsyncGenerator<string> {
  for await (const line of lines) yield writeLogLine(line)
}

/** Undefined when `tail` or `since` cannot be read. Go's words for true; anything else is false. */
function readLogQuery(
  ref: ReturnType<typeof parseRef>,
  value: (field: string) => string | undefined,
): LogQuery | undefined {
  const [tailText, sinceText, instance] = [value('tail'), value('since'), value('instance')]
  const tail = tailText === undefined ? undefined : Number(tailText)
  const since = sinceText === undefined ? undefined : new Date(sinceText)
  if (tail !== undefined && !Number.isInteger(tail)) return undefined
  if (since !== undefined && Number.isNaN(since.getTime())) return undefined
  const from = since ?? (tailText === undefined ? new Date(Date.now() - DEFAULT_LOG_MS) : undefined)
  return {
    ref,
    follow: ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value('follow') ?? ''),
    ...(instance !== undefined && { instance }),
    ...(tail !== undefined && { tail }),
    ...(from !== undefined && { since: from }),
  }
}
