import { FaasError } from '../core/errors.ts'

/** Where a gateway listens unless somebody says otherwise. An IPv4 literal: `localhost` may mean IPv6 (pitfall 22). */
export const DEFAULT_GATEWAY = 'http://127.0.0.1:8080'

export interface AddressSources {
  /** `--gateway` */
  readonly flag?: string | undefined
  /** `provider.gateway` of the stack file. */
  readonly stack?: string | undefined
  /** `OPENFAAS_URL` */
  readonly env?: string | undefined
}

/**
 * The gateway's address: flag, then stack file, then OPENFAAS_URL, then the default (contract 5.1). A flag that says
 * only the default does not outvote the stack file, as in faas-cli. Without trailing slash. BAD_USAGE, BAD_STACK or
 * BAD_CONFIG when it is not an HTTP address.
 */
export function resolveGateway(sources: AddressSources): string {
  const flag = sources.flag && readAddress(sources.flag, '--gateway')
  if (flag && flag !== DEFAULT_GATEWAY) return flag
  if (sources.stack) return readAddress(sources.stack, 'provider.gateway')
  if (flag) return flag
  return sources.env ? readAddress(sources.env, 'OPENFAAS_URL') : DEFAULT_GATEWAY
}

const CODES = {
  '--gateway': 'BAD_USAGE',
  'provider.gateway': 'BAD_STACK',
  OPENFAAS_URL: 'BAD_CONFIG',
} as const

function readAddress(text: string, source: keyof typeof CODES): string {
  const address = /^[a-z]+:\/\//i.test(text) ? text : `http://${text}`
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url && (url.protocol === 'http:' || url.protocol === 'https:')) {
    url.search = ''
    url.hash = ''
    return url.href.replace(/\/+$/, '')
  }
  throw new FaasError(CODES[source], {
    message: `${source} ${JSON.stringify(text)} is not the address of a gateway`,
    remedy: `Write it as "${DEFAULT_GATEWAY}" or "https://user:password@host".`,
  })
}
