import type { ErrorCode } from '../core/errors.ts'

/** What a command's exit code means. docs/cli.md lists the same, and a test compares both. */
export const EXIT = {
  ok: 0,
  /** The operation failed for a reason that has no code of its own. */
  failed: 1,
  /** What the command was given cannot be used: flags, arguments, stack file, handler, template. */
  usage: 2,
  noEngine: 3,
  gatewayUnreachable: 4,
  buildFailed: 5,
  /** Deployed, but not answering. */
  notReady: 6,
  /** A defect of faasdock itself (EX_SOFTWARE of sysexits.h, so that a script can tell it from a mistake of its own). */
  defect: 70,
  interrupted: 130,
  terminated: 143,
} as const

const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  BAD_REQUEST: EXIT.failed,
  BODY_TOO_LARGE: EXIT.failed,
  BAD_NAME: EXIT.usage,
  BAD_QUANTITY: EXIT.usage,
  BAD_STACK: EXIT.usage,
  BAD_CONFIG: EXIT.usage,
  BAD_USAGE: EXIT.usage,
  FUNCTION_NOT_FOUND: EXIT.failed,
  FUNCTION_EXISTS: EXIT.failed,
  NAMESPACE_NOT_FOUND: EXIT.failed,
  NAMESPACE_EXISTS: EXIT.failed,
  SECRET_NOT_FOUND: EXIT.failed,
  SECRET_EXISTS: EXIT.failed,
  HANDLER_NOT_FOUND: EXIT.usage,
  TEMPLATE_NOT_FOUND: EXIT.usage,
  BAD_TEMPLATE: EXIT.usage,
  TEMPLATE_PULL_FAILED: EXIT.failed,
  FILE_NOT_READABLE: EXIT.usage,
  CODE_NOT_LOADED: EXIT.buildFailed,
  BUILD_FAILED: EXIT.buildFailed,
  IMAGE_NOT_FOUND: EXIT.failed,
  REGISTRY_DENIED: EXIT.failed,
  IMAGE_WRONG_PLATFORM: EXIT.failed,
  CONSTRAINT_UNMET: EXIT.notReady,
  REPLICA_EXITED: EXIT.notReady,
  REPLICA_NOT_READY: EXIT.notReady,
  FUNCTION_NOT_READY: EXIT.notReady,
  FUNCTION_UNREACHABLE: EXIT.failed,
  INVOCATION_TIMEOUT: EXIT.failed,
  QUEUE_UNAVAILABLE: EXIT.failed,
  CALL_NOT_FOUND: EXIT.failed,
  CALL_ENDED: EXIT.failed,
  DEBUGGER_UNAVAILABLE: EXIT.failed,
  INVOCATION_NOT_FOUND: EXIT.failed,
  ENGINE_NOT_FOUND: EXIT.noEngine,
  ENGINE_FAILED: EXIT.failed,
  SETUP_FAILED: EXIT.failed,
  DISK_FULL: EXIT.failed,
  PORT_TAKEN: EXIT.failed,
  DATA_LOCKED: EXIT.failed,
  DATA_BROKEN: EXIT.failed,
  GATEWAY_UNREACHABLE: EXIT.gatewayUnreachable,
  GATEWAY_REFUSED: EXIT.failed,
  FORBIDDEN_HOST: EXIT.failed,
  STOPPING: EXIT.failed,
  INTERNAL: EXIT.defect,
}

/** The exit code of a command that ended with an error of that code. */
export function exitCodeOf(code: ErrorCode): number {
  return EXIT_CODES[code]
}

/** The exit code of a command that did several things: the one all failures share, else 1; 0 without failures. */
export function exitCodeOfAll(codes: readonly ErrorCode[]): number {
  const exits = new Set(codes.map(exitCodeOf))
  const [only] = exits
  if (only === undefined) return EXIT.ok
  return exits.size === 1 ? only : EXIT.failed
}
