import { PassThrough } from 'node:stream'
import type Router from '@koa/router'
import { FaasError } from '../../core/errors.ts'
import type { Provider } from '../../core/provider.ts'
import type { Events } from '../../engine/events.ts'
import type { Functions } from '../../engine/functions.ts'
import type { Problems } from '../../engine/problems.ts'
import { answerEmpty, answerJson, queryValue } from '../body.ts'
import type { Metrics } from '../metrics.ts'
import { logRoutes } from './logs.ts'

export interface PlatformParts {
  readonly provider: Provider
  readonly events: Events
  readonly functions: Pick<Functions, 'undeployed'>
  readonly problems: Pick<Problems, 'stack'>
  readonly metrics: Metrics
  readonly version: { readonly release: string; readonly sha: string; readonly message: string }
}

/** How far a reader of events may fall behind. */
const MAX_UNREAD_BYTES = 4 * 2 ** 20

/** What is about the platform and not about one function: info, health, metrics, logs, events. */
export function platformRoutes(router: Router, parts: PlatformParts, stopping: AbortSignal): void {
  const { provider, functions, events, problems, metrics, version } = parts

  router.get('/healthz', (ctx) => answerEmpty(ctx, 200))

  router.get('/system/info', (ctx) => {
    const { name, version: engine, architecture } = provider.info()
    const undeployed = functions.undeployed().map(({ ref, problem }) => ({ ...ref, problem }))
    answerJson(ctx, {
      // Not `faasd`: that name switches parts of conformance tests off (contract 1.9).
      provider: {
        provider: 'faas-docker',
        orchestration: name,
        version: { sha: version.sha, release: `${version.release} (engine ${engine})` },
      },
      version: { commit_message: version.message, release: version.release, sha: version.sha },
      arch: architecture === 'amd64' ? 'x86_64' : architecture,
      ...(problems.stack && { stack: problems.stack }),
      ...(undeployed.length > 0 && { undeployed }),
    })
  })

  router.get('/metrics', async (ctx) => {
    ctx.type = metrics.contentType
    ctx.body = await metrics.text()
  })

  logRoutes(router, provider, stopping)

  router.get('/system/events', (ctx) => {
    const since = readSince(queryValue(ctx, 'since'))
    const stream = new PassThrough()
    const watch = events.watch((event) => {
      if (stream.writableEnded) return
      stream.write(`${JSON.stringify(event)}\n`)
      // A reader that does not read may come again with `since`; it must not fill our memory.
      if (stream.writableLength + stream.readableLength > MAX_UNREAD_BYTES) stream.end()
    }, since)
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

/** BAD_REQUEST when it is no number. */
function readSince(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new FaasError('BAD_REQUEST', {
    message: `since is ${JSON.stringify(text)}`,
    remedy: 'Give the seq of the last event that was seen: a whole number.',
  })
}
