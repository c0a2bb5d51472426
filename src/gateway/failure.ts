import type { FaasError } from '../core/errors.ts'
import type { ErrorCode } from '../core/errors.ts'

/** The one table from code to HTTP status; a new code does not compile until it is placed. */
const STATUS: Readonly<Record<ErrorCode, number>> = {
  BAD_REQUEST: 400,
  BODY_TOO_LARGE: 413,
  BAD_NAME: 400,
  BAD_QUANTITY: 400,
  BAD_STACK: 400,
  BAD_CONFIG: 500,
  BAD_USAGE: 400,
  FUNCTION_NOT_FOUND: 404,
  FUNCTION_EXISTS: 409,
  NAMESPACE_NOT_FOUND: 400,
  NAMESPACE_EXISTS: 409,
  SECRET_NOT_FOUND: 400,
  SECRET_EXISTS: 409,
  HANDLER_NOT_FOUND: 400,
  TEMPLATE_NOT_FOUND: 400,
  FILE_NOT_READABLE: 400,
  BAD_TEMPLATE: 400,
  TEMPLATE_PULL_FAILED: 502,
  SETUP_FAILED: 500,
  CODE_NOT_LOADED: 500,
  BUILD_FAILED: 500,
  IMAGE_NOT_FOUND: 503,
  REGISTRY_DENIED: 503,
  IMAGE_WRONG_PLATFORM: 503,
  CONSTRAINT_UNMET: 503,
  REPLICA_EXITED: 503,
  REPLICA_NOT_READY: 503,
  FUNCTION_NOT_READY: 503,
  FUNCTION_UNREACHABLE: 502,
  INVOCATION_TIMEOUT: 504,
  QUEUE_UNAVAILABLE: 503,
  CALL_NOT_FOUND: 404,
  CALL_ENDED: 409,
  INVOCATION_NOT_FOUND: 404,
  DEBUGGER_UNAVAILABLE: 409,
  ENGINE_NOT_FOUND: 503,
  ENGINE_FAILED: 500,
  DISK_FULL: 507,
  PORT_TAKEN: 500,
  DATA_LOCKED: 500,
  DATA_BROKEN: 500,
  GATEWAY_UNREACHABLE: 502,
  GATEWAY_REFUSED: 502,
  FORBIDDEN_HOST: 403,
  STOPPING: 503,
  INTERNAL: 500,
}

export function statusOf(error: FaasError): number {
  return STATUS[error.code]
}

/** Plain text, as OpenFaaS answers: the fact, then what to do. */
export function failureText(error: FaasError, callId?: string): string {
  return `${error.message}\n${error.remedy}\n${callId === undefined ? '' : `call id: ${callId}\n`}`
}

/** The code of a control route's failure, for our own command line; the last line of the body is the remedy then. */
export const CODE_HEADER = 'X-Faasdock-Code'
/** On answers of code that is older than what was saved: `building` or `failing` (docs/dev-loop.md). */
export const STALE_HEADER = 'X-Faasdock-Stale'
/** Says that the platform, not the function, made this answer. */
export const INTERNAL_HEADER = 'X-OpenFaaS-Internal'
export const INTERNAL_VALUE = 'faasdock-gateway'
