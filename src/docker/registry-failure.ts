import { FaasError } from '../core/errors.ts'
import { hostOf } from './registry-config.ts'
import { saidBy } from './step-log.ts'

/** What engines pass on of a registry's answer; they leave out its status. */
const STATUSES: readonly (readonly [status: number, words: RegExp])[] = [
  [401, /no basic auth credentials|unauthorized|authentication required|incorrect username or password/i],
  [403, /\bdenied\b|forbidden/i],
  [
    404,
    /manifest unknown|name unknown|repository .*not found|manifest for .* not found|not found: does not exist/i,
  ],
]

/**
 * A registry's refusal, in its own words, with its status and the command that logs in: REGISTRY_DENIED. Undefined for
 * what is no such refusal: an image that it does not have, a registry that cannot be reached.
 */
export function registryDenied(error: unknown, doing: 'pull' | 'push', image: string): FaasError | undefined {
  if (error instanceof FaasError) return error.code === 'REGISTRY_DENIED' ? error : undefined
  const status = statusIn(error)
  if (status !== 401 && status !== 403) return undefined
  const host = hostOf(image)
  const login = `docker login${host === undefined ? '' : ` ${host}`}`
  return new FaasError('REGISTRY_DENIED', {
    message: `${registryOf(image)} answered ${status} to the ${doing} of ${image}: ${saidBy(error)}`,
    remedy:
      status === 401
        ? `Log in: ${login}. faasdock uses Docker’s logins, credential helpers included.`
        : `Check the name, and log in as somebody who may ${doing} it: ${login}.`,
    cause: error,
  })
}

/** What a registry said of an image that it does not have; the engine's words for anything else. */
export function registryWords(error: unknown, image: string): string {
  return statusIn(error) === 404 ? `${registryOf(image)} answered 404: ${saidBy(error)}` : saidBy(error)
}

function statusIn(error: unknown): number | undefined {
  const said = saidBy(error)
  // Said of a name that nobody has just as well as of one that others may not see: the likelier is the mistake.
  if (/repository does not exist/.test(said)) return 404
  return STATUSES.find(([, words]) => words.test(said))?.[0]
}

function registryOf(image: string): string {
  const host = hostOf(image)
  return host === undefined ? 'Docker’s default registry' : `the registry ${host}`
}
