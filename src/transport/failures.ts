import { FaasError } from '../core/errors.ts'

/** The name of the setting, for the errors that name it. */
const TIMEOUT_SETTING = 'upstream_timeout'

/** Errors after which another replica may be tried, if the request was on no connection yet when they came. */
const NEVER_SENT = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_DESTROYED',
])

/** Whether a failure that came before the request was on a connection may be put right by another replica. */
export function mayTryAnother(error: unknown): boolean {
  const cause = error instanceof FaasError ? (error.cause as { code?: string } | undefined) : undefined
  return cause?.code !== undefined && NEVER_SENT.has(cause.code)
}

/** INVOCATION_TIMEOUT: a replica has the whole request and says nothing. */
export function answerTimeout(limitMs: number, cause?: Error): FaasError {
  return new FaasError('INVOCATION_TIMEOUT', {
    message: `the function did not begin to answer within ${limitMs / 1000} s (${TIMEOUT_SETTING})`,
    remedy: `Make it quicker, call it through /async-function/, or raise ${TIMEOUT_SETTING} of the gateway.`,
    cause,
  })
}

/** FUNCTION_UNREACHABLE: a connection failed, or what came over it is not HTTP. */
export function unreachable(cause: Error): FaasError {
  return new FaasError('FUNCTION_UNREACHABLE', {
    message: `the connection to the function failed: ${cause.message}`,
    remedy: 'See `faasdock logs`: it may have crashed while it answered.',
    cause,
  })
}
