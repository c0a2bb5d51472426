import { ERROR_CODES, FaasError } from '../core/errors.ts'
import type { ErrorCode } from '../core/errors.ts'
import { readText, send } from './http.ts'
import type { HttpAnswer, HttpRequest } from './http.ts'
import { isNoGateway, isPage, lacksList, noGateway } from './no-gateway.ts'
import { VERSION } from '../package.ts'

/** What faas-cli allows a gateway for one answer. */
const API_TIMEOUT = 60_000

/** What OpenFaaS answers when it did what was asked (contract 1.13). 204 is none of them: faas-cli fails on it. */
const DONE: readonly number[] = [200, 201, 202]

export interface GatewayOptions {
  /** Without trailing slash; may hold `user:password@`. */
  readonly address: string
  readonly signal: AbortSignal
  /** A bearer token, before everything else that lets in. */
  readonly token?: string | undefined
  /** `Authorization` of a login that was kept; for a gateway whose address holds no credentials. */
  readonly login?: string | undefined
  readonly verifyTls?: boolean | undefined
  /** Where gateways of this user run, to be named when it is none that answers. */
  readonly others?: () => Promise<readonly string[]>
}

type Query = Readonly<Record<string, string | undefined>>

export interface Ask {
  readonly query?: Query
  /** Sent as JSON. */
  readonly json?: unknown
  readonly signal?: AbortSignal
  /** Milliseconds for the head of the answer. */
  readonly timeout?: number
  readonly authorization?: string
}

/** HTTP with one gateway: its address, what lets us in, and what its refusals mean. */
export class GatewayConnection {
  /** For people and for links: without credentials. */
  readonly url: string
  /** What requests to the gateway's own API are let in with. */
  readonly authorization: string | undefined
  readonly #signal: AbortSignal
  readonly #verifyTls: boolean
  readonly #others: () => Promise<readonly string[]>

  constructor({ address, signal, token, login, verifyTls = true, others }: GatewayOptions) {
    const base = new URL(address)
    this.#signal = signal
    this.#verifyTls = verifyTls
    this.#others = others ?? (() => Promise.resolve([]))
    this.authorization = token ? `Bearer ${token}` : (basicOf(base) ?? login)
    base.username = ''
    base.password = ''
    this.url = base.href.replace(/\/+$/, '')
  }

  /**
   * One request to the gateway's own API, let in, with a time limit; its answer, whatever the status. GATEWAY_REFUSED when
   * it is no gateway's.
   */
  async ask(method: string, path: string, ask: Ask = {}): Promise<HttpAnswer> {
    const url = new URL(`${this.url}${path}`)
    for (const [name, value] of Object.entries(ask.query ?? {}))
      if (value !== undefined) url.searchParams.set(name, value)
    const authorization = ask.authorization ?? this.authorization
    const answer = await this.send({
      method,
      url,
      headers: {
        ...(authorization && { authorization }),
        ...(ask.json === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(ask.json === undefined ? {} : { body: JSON.stringify(ask.json) }),
      ...(ask.signal && { signal: ask.signal }),
      timeout: ask.timeout ?? API_TIMEOUT,
    })
    // Of a namespace that is not there gateways may say 404, too.
    const isList = method === 'GET' && path === '/system/functions' && ask.query?.['namespace'] === undefined
    if (isList && lacksList(answer)) throw await this.#noGateway(answer)
    return path.startsWith('/system/') ? this.ofGateway(answer) : answer
  }

  /** The answer, unless something else than a gateway gave it. GATEWAY_REFUSED. */
  async ofGateway(answer: HttpAnswer): Promise<HttpAnswer> {
    if (isNoGateway(answer)) throw await this.#noGateway(answer)
    return answer
  }

  async #noGateway(answer: HttpAnswer): Promise<FaasError> {
    await readText(answer)
    return noGateway(this.url, answer, await this.#others())
  }

  /** One request as it is, without anything that lets in, and without a time limit unless it says one. */
  send(request: Omit<HttpRequest, 'signal' | 'verifyTls'> & { signal?: AbortSignal }): Promise<HttpAnswer> {
    return send({
      signal: this.#signal,
      ...request,
      headers: { 'user-agent': `faasdock/${VERSION}`, ...request.headers },
      verifyTls: this.#verifyTls,
    })
  }

  /** The answer, when it is one of success. GATEWAY_REFUSED, or the code that faasdock's own gateway says. */
  async accept(answer: HttpAnswer, done = DONE): Promise<HttpAnswer> {
    if (done.includes(answer.status)) return answer
    const text = (await readText(answer)).trim()
    // A proxy's page says nothing that its status does not.
    const words = isPage(answer) ? '' : text
    if (answer.status === 401) throw this.#notLetIn()
    const known = platformError(answer.headers['x-faasdock-code'], words)
    if (known) throw known
    const said = `the gateway at ${this.url} answered ${answer.status}${words === '' ? '' : `: ${words}`}`
    throw new FaasError('GATEWAY_REFUSED', { message: said, remedy: remedyFor(answer.status) })
  }

  /** Reads the body of a success whose words do not matter. */
  async done(answer: HttpAnswer, done = DONE): Promise<void> {
    await readText(await this.accept(answer, done))
  }

  /** The JSON of a success. */
  async json(answer: HttpAnswer, isExpected: (value: unknown) => boolean): Promise<unknown> {
    const text = await readText(await this.accept(answer))
    try {
      const value: unknown = JSON.parse(text)
      if (isExpected(value)) return value
    } catch {
      // Said below, with what came instead.
    }
    throw new FaasError('GATEWAY_REFUSED', {
      message: `${this.url} does not answer as an OpenFaaS gateway: ${JSON.stringify(text.slice(0, 80))}`,
      remedy: 'Check the address: --gateway, provider.gateway of the stack file, or OPENFAAS_URL.',
    })
  }

  #notLetIn(): FaasError {
    const known = this.authorization !== undefined
    return new FaasError('GATEWAY_REFUSED', {
      message: `the gateway at ${this.url} answered 401: ${known ? 'the login it was given is not accepted' : 'it asks for a login'}`,
      remedy: `Log in: faasdock login -g ${this.url} --password-stdin < FILE-WITH-THE-PASSWORD. A login of "faas-cli login" counts too.`,
    })
  }
}

function basicOf({ username, password }: URL): string | undefined {
  if (!username && !password) return undefined
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return `Basic ${Buffer.from(pair).toString('base64')}`
}

/** faasdock's own gateway says the code, and the remedy in the last line: then the error is that one, as if it happened here. */
function platformError(code: unknown, words: string): FaasError | undefined {
  if (typeof code !== 'string' || !(code in ERROR_CODES)) return undefined
  const lines = words.split('\n')
  const remedy = lines.pop() ?? ''
  return lines.length === 0
    ? undefined
    : new FaasError(code as ErrorCode, { message: lines.join('\n'), remedy })
}

function remedyFor(status: number): string {
  if (status === 403)
    return 'The gateway serves only requests for its own address: use the one it printed at start.'
  if (status === 201 || status === 204)
    return 'OpenFaaS gateways say something else for a success; look with "faasdock list" what became of it.'
  if (status >= 500) return 'See the log of the gateway, and "faasdock status".'
  return 'Correct what the gateway names, then run the command again.'
}
