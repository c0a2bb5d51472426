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
 * The gateway's address: flag, then stack file, then OPENFAAS_URL, then the default (contract 5.1). A flag or a stack
 * file that says only the default outvotes nothing, as in faas-cli: `new` writes the default into every stack file.
 * Lower case but for credentials, without trailing slash. BAD_USAGE, BAD_STACK or BAD_CONFIG when it is not an HTTP
 * address.
 */
export function resolveGateway(sources: AddressSources): string {
  const flag = sources.flag && readAddress(sources.flag, '--gateway')
  if (flag && flag !== DEFAULT_GATEWAY) return flag
  const stack = sources.stack && readAddress(sources.stack, 'provider.gateway')
  if (stack && stack !== DEFAULT_GATEWAY) return stack
  return sources.env ? readAddress(sources.env, 'OPENFAAS_URL') : DEFAULT_GATEWAY
}

const CODES = {
  '--gateway': 'BAD_USAGE',
  'provider.gateway': 'BAD_STACK',
  OPENFAAS_URL: 'BAD_CONFIG',
} as const

function readAddress(text: string, source: keyof typeof CODES): string {
  const address = plainAddress(text.trim())
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url && (url.protocol === 'http:' || url.protocol === 'https:')) return address
  throw new FaasError(CODES[source], {
    message: `${source} ${JSON.stringify(text)} is not the address of a gateway`,
    remedy: `Write it as "${DEFAULT_GATEWAY}" or "https://user:password@host".`,
  })
}

/** An address as faas-cli writes it, and logins are kept under: lower case, a scheme, no slash at the end. */
function plainAddress(text: string): string {
  const address = (/^[a-z]+:\/\//i.test(text) ? text : `http://${text}`).replace(/[?#].*$/, '')
  const [, scheme = '', credentials = '', rest = ''] = /^([a-z]+:\/\/)([^/]*@)?(.*)$/i.exec(address) ?? []
  return `${scheme.toLowerCase()}${credentials}${rest.toLowerCase().replace(/\/+$/, '')}`
}
