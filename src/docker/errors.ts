import { FaasError } from '../core/errors.ts'

/** What docker-modem rejects with. */
interface EngineResponseError {
  readonly statusCode?: number
  readonly reason?: string
  readonly json?: { readonly message?: string }
  readonly code?: string
  readonly message: string
}

function asEngineError(error: unknown): EngineResponseError {
  return error instanceof Error ? error : { message: String(error) }
}

/** The engine said that the thing is not there (404). */
export function isMissing(error: unknown): boolean {
  return asEngineError(error).statusCode === 404
}

/** The engine said that the thing is already so (304), or on its way (409): fine for stop, start and remove. */
export function isAlreadySo(error: unknown): boolean {
  const { statusCode } = asEngineError(error)
  return statusCode === 304 || statusCode === 409
}

const CONNECTION_CODES = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'EACCES',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
])

/** The engine itself did not answer, as opposed to refusing something. */
function isEngineGone(error: unknown): boolean {
  const { code, statusCode, message } = asEngineError(error)
  return statusCode === undefined && (CONNECTION_CODES.has(code ?? '') || message.includes('socket hang up'))
}

/** Docker's failure as ours. `doing` completes the sentence "the engine could not …". */
export function engineFailure(error: unknown, doing: string): FaasError {
  if (error instanceof FaasError) return error
  const failure = asEngineError(error)
  if (isEngineGone(error)) {
    return new FaasError('ENGINE_NOT_FOUND', {
      message: `the Docker engine went away while it should ${doing}: ${failure.message}`,
      remedy:
        'Start the engine again; functions come back by themselves. `faasdock doctor` shows what was tried.',
      cause: error,
    })
  }
  const said = failure.json?.message ?? failure.message
  if (said.includes('no space left on device')) {
    return new FaasError('DISK_FULL', {
      message: `the Docker engine has no disk space left to ${doing}: ${said}`,
      remedy: 'Free some with `faasdock gc` and `docker system prune`, then try again.',
      cause: error,
    })
  }
  if (said.includes('fully subnetted') || said.includes('non-overlapping IPv4 address pool')) {
    return new FaasError('ENGINE_FAILED', {
      message: `the Docker engine has no address range left to ${doing}`,
      remedy: 'Remove networks nobody uses: `faasdock gc --yes`, then `docker network prune`.',
      cause: error,
    })
  }
  return new FaasError('ENGINE_FAILED', {
    message: `the Docker engine could not ${doing}: ${said}`,
    remedy: 'See the engine’s own log for more; `faasdock doctor` checks the usual causes.',
    cause: error,
  })
}
