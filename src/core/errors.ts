import type { SourcePlace } from './code.ts'

/**
 * Every failure that faasdock itself reports, with when it happens. One entry is one section of docs/errors.md
 * (a test compares both), one row of the gateway's status table and one of the CLI's exit-code table.
 */
export const ERROR_CODES = {
  BAD_REQUEST: 'A request body, header or parameter is not what the route accepts.',
  BODY_TOO_LARGE: 'The body of a request is larger than the route reads.',
  BAD_NAME: 'A function, namespace or secret name has characters or a length that names may not have.',
  BAD_QUANTITY: 'A memory or CPU quantity cannot be read.',
  BAD_STACK: 'The stack file has one or more mistakes.',
  BAD_CONFIG: 'A flag or environment variable has a value that is not accepted.',
  BAD_USAGE: 'A command was called with arguments that it does not take.',
  FUNCTION_NOT_FOUND: 'No function of that name is deployed in that namespace.',
  FUNCTION_EXISTS: 'A function of that name is already deployed.',
  NAMESPACE_NOT_FOUND: 'No such namespace.',
  NAMESPACE_EXISTS: 'A namespace of that name exists already.',
  SECRET_NOT_FOUND: 'A secret is named that does not exist in the namespace.',
  SECRET_EXISTS: 'A secret of that name exists already.',
  HANDLER_NOT_FOUND: 'The handler folder of a function does not exist.',
  TEMPLATE_NOT_FOUND: 'No template of that language is in the project or built in.',
  TEMPLATE_PULL_FAILED: 'Templates could not be fetched from where they are kept.',
  FILE_NOT_READABLE: 'A file that a stack refers to is missing or cannot be read.',
  BAD_TEMPLATE: 'The template.yml of a template has a mistake.',
  CODE_NOT_LOADED: 'New code of a function does not load; the code before it goes on answering.',
  BUILD_FAILED: 'A build of an image ended with an error.',
  IMAGE_NOT_FOUND: 'An image is not on the engine and could not be pulled.',
  REGISTRY_DENIED: 'A registry refused a pull or a push, or the login for it could not be had.',
  IMAGE_WRONG_PLATFORM: 'An image was built for another processor architecture than the engine runs.',
  CONSTRAINT_UNMET: 'A function may only run on a machine that this one is not.',
  REPLICA_EXITED: 'A replica ended before it answered.',
  REPLICA_NOT_READY: 'A replica runs but did not answer in time.',
  FUNCTION_NOT_READY: 'A function exists but has no replica that answers.',
  FUNCTION_UNREACHABLE: 'A replica closed the connection before it answered.',
  INVOCATION_TIMEOUT: 'A function did not answer within the time limit.',
  QUEUE_UNAVAILABLE: 'Nothing can be queued: no NATS server with JetStream answers.',
  CALL_NOT_FOUND: 'No queued call of that id is known.',
  CALL_ENDED: 'A queued call has ended already, or is not in a state that allows what was asked.',
  DEBUGGER_UNAVAILABLE: 'A function cannot be debugged as it is, or not through this gateway.',
  INVOCATION_NOT_FOUND: 'No invocation of that id is kept, or more than one begins with it.',
  ENGINE_NOT_FOUND: 'No Docker engine answers.',
  SETUP_FAILED: 'A step of the set-up did not succeed.',
  ENGINE_FAILED: 'The Docker engine refused or failed an operation.',
  DISK_FULL: 'The engine or the data directory has no space left.',
  PORT_TAKEN: 'The port that the gateway should listen on is in use.',
  DATA_LOCKED: 'Another faasdock uses the same data directory.',
  DATA_BROKEN: 'The data directory cannot be read or written, or is from a newer version.',
  GATEWAY_UNREACHABLE: 'No gateway answers at the address that the command was given.',
  GATEWAY_REFUSED: 'The gateway answered a command with an error.',
  FORBIDDEN_HOST: 'A request came with a Host or Origin that this gateway does not serve.',
  STOPPING: 'The platform is shutting down.',
  INTERNAL: 'A defect of faasdock.',
} as const

export type ErrorCode = keyof typeof ERROR_CODES

export interface ErrorDetails {
  /** The fact, with the value that was wrong. One sentence or line; more lines where they are the evidence. */
  readonly message: string
  /** What to do now. */
  readonly remedy: string
  /** Where in the developer's source it went wrong. */
  readonly place?: SourcePlace
  readonly cause?: unknown
}

/** The only error that crosses a room's border. Edges translate the code; nobody reads the message to decide. */
export class FaasError extends Error {
  readonly code: ErrorCode
  readonly remedy: string
  readonly place?: SourcePlace

  constructor(code: ErrorCode, details: ErrorDetails) {
    super(details.message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'FaasError'
    this.code = code
    this.remedy = details.remedy
    if (details.place) this.place = details.place
  }
}

/** The FaasError that `error` is, or an INTERNAL one around it, so that edges have one type to show. */
export function asFaasError(error: unknown): FaasError {
  if (error instanceof FaasError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new FaasError('INTERNAL', {
    message,
    remedy: 'This is a defect of faasdock. Please report it with the log around this line.',
    cause: error,
  })
}
