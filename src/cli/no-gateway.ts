import { FaasError } from '../core/errors.ts'
import type { HttpAnswer } from './http.ts'

/** Headers by which a gateway, ours or OpenFaaS', is known where an answer is HTML (contract 2.2). */
const GATEWAYS = [
  'x-call-id',
  'x-start-time',
  'x-duration-seconds',
  'x-served-by',
  'x-openfaas-internal',
  'x-faasdock-code',
]
/** A proxy's own pages in front of a gateway: its login, and that the gateway is away. */
const PROXYS = [401, 403]

/** Whether an answer is a web page, which no gateway's own routes are. */
export function isPage({ headers }: HttpAnswer): boolean {
  return headers['content-type']?.startsWith('text/html') === true
}

/** Whether something else listens where the gateway should: it has a web page for a route of the gateway. */
export function isNoGateway(answer: HttpAnswer): boolean {
  const { status } = answer
  if (!isPage(answer) || saysGateway(answer)) return false
  return status < 300 || (status >= 400 && status < 500 && !PROXYS.includes(status))
}

/** The same of an answer to the list of functions: every gateway has that route (contract 1.1). */
export function lacksList(answer: HttpAnswer): boolean {
  return answer.status === 404 && !saysGateway(answer)
}

function saysGateway({ headers }: HttpAnswer): boolean {
  return GATEWAYS.some((name) => headers[name] !== undefined)
}

/** `others`: where gateways of this user are known to run. */
export function noGateway(url: string, answer: HttpAnswer, others: readonly string[]): FaasError {
  const [type] = answer.headers['content-type']?.split(';') ?? []
  const [other] = others
  return new FaasError('GATEWAY_REFUSED', {
    message: `what answers at ${url} is no OpenFaaS gateway (${[answer.status, type].filter(Boolean).join(', ')})`,
    remedy: other
      ? `A "faasdock dev" of yours runs at ${others.join(' and ')}: name it with -g ${other}, or OPENFAAS_URL.`
      : 'Name the gateway with -g or OPENFAAS_URL, or its stack file with -f; a start of "faasdock dev" prints its address.',
  })
}
