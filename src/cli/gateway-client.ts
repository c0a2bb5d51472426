import { ERROR_CODES, FaasError } from '../core/errors.ts'
import type { ErrorCode } from '../core/errors.ts'
import { DEFAULT_NAMESPACE, formatRef } from '../core/function.ts'
import type { StampedEvent } from '../engine/events.ts'
import { readText, send } from './http.ts'
import type { HttpAnswer } from './http.ts'
import { readJsonLines } from './json-lines.ts'
import { VERSION } from '../package.ts'
import type { WireDeployment, WireFunction, WireInfo, WireLog } from './wire.ts'

/** What faas-cli allows a gateway for one answer. */
const API_TIMEOUT = 60_000

/** Asks faasdock's gateway for states and problems too; others ignore it (contract 1.1). */
const VERBOSE = { verbose: '1' }

export interface GatewayOptions {
  /** Without trailing slash; may hold `user:password@`. */
  readonly address: string
  readonly signal: AbortSignal
  readonly token?: string | undefined
  readonly verifyTls?: boolean
}

export interface Invocation {
  readonly ref: { readonly name: string; readonly namespace?: string | undefined }
  readonly method: string
  /** Queued, answered with 202 at once. */
  readonly async: boolean
  /** `a=1&b=2`, without `?`. */
  readonly query: string
  /** Path behind the function's name: empty, or with its leading slash. */
  readonly path: string
  readonly headers: Readonly<Record<string, string | string[]>>
  readonly body: Uint8Array | AsyncIterable<Uint8Array>
}

export interface LogRequest {
  readonly name: string
  readonly namespace?: string | undefined
  readonly follow: boolean
  /** Lines of each replica; below 1 means all. */
  readonly lines?: number | undefined
  readonly since?: Date | undefined
  readonly instance?: string | undefined
}

export interface SecretValue {
  readonly name: string
  readonly namespace?: string | undefined
  readonly value: Uint8Array
}

/**
 * The gateway's REST API (contract 1). Every method rejects with GATEWAY_UNREACHABLE when nobody answers, and with
 * GATEWAY_REFUSED, which holds the gateway's own words, or a more exact code when the answer is an error.
 */
export class GatewayClient {
  /** For people and for links: without credentials. */
  readonly url: string
  readonly #base: URL
  readonly #headers: Record<string, string> = { 'user-agent': `faasdock/${VERSION}` }
  readonly #signal: AbortSignal
  readonly #verifyTls: boolean

  constructor({ address, signal, token, verifyTls = true }: GatewayOptions) {
    this.#base = new URL(address)
    this.#signal = signal
    this.#verifyTls = verifyTls
    const { username, password } = this.#base
    if (username || password)
      this.#headers['authorization'] =
        `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`
    if (token) this.#headers['authorization'] = `Bearer ${token}`
    this.#base.username = ''
    this.#base.password = ''
    this.url = this.#base.href.replace(/\/+$/, '')
  }

  async list(namespace?: string): Promise<WireFunction[]> {
    const answer = await this.#api('GET', '/system/functions', { query: { namespace, ...VERBOSE } })
    return (await this.#json(answer, Array.isArray)) as WireFunction[]
  }

  /** FUNCTION_NOT_FOUND. */
  async get(name: string, namespace?: string, usage = false): Promise<WireFunction> {
    const query = { namespace, usage: usage ? '1' : undefined, ...VERBOSE }
    const answer = await this.#send('GET', `/system/function/${encodeURIComponent(name)}`, { query })
    if (answer.status === 404) throw await this.#functionNotFound(answer, name, namespace)
    await this.#accept(answer)
    return (await this.#json(answer, isObject)) as WireFunction
  }

  /** PUT, then POST when there is nothing to update (contract 1.13). `create` goes straight to POST. */
  async deploy(
    deployment: WireDeployment,
    how: 'update' | 'create' = 'update',
  ): Promise<'updated' | 'created'> {
    const body = JSON.stringify(deployment)
    if (how === 'update') {
      const put = await this.#send('PUT', '/system/functions', { body })
      if (put.status !== 404) {
        await readText(await this.#accept(put))
        return 'updated'
      }
      await readText(put)
    }
    await readText(await this.#api('POST', '/system/functions', { body }))
    return 'created'
  }

  /** FUNCTION_NOT_FOUND. */
  async remove(name: string, namespace?: string): Promise<void> {
    const body = JSON.stringify({ functionName: name, namespace })
    const answer = await this.#send('DELETE', '/system/functions', { body })
    if (answer.status === 404) throw await this.#functionNotFound(answer, name, namespace)
    await readText(await this.#accept(answer))
  }

  async scale(name: string, replicas: number, namespace?: string): Promise<void> {
    const body = JSON.stringify({ serviceName: name, replicas, namespace })
    const path = `/system/scale-function/${encodeURIComponent(name)}`
    await readText(await this.#api('POST', path, { body, query: { namespace } }))
  }

  /** The function's own answer, whatever its status. No time limit: a function may take as long as the gateway lets it. */
  invoke(invocation: Invocation): Promise<HttpAnswer> {
    const { ref, path, query } = invocation
    // faas-cli names the namespace always (contract 1.13).
    const name = formatRef({ name: ref.name, namespace: ref.namespace ?? DEFAULT_NAMESPACE })
    const route = `${invocation.async ? '/async-function' : '/function'}/${name}${path}`
    const url = this.#url(query === '' ? route : `${route}?${query}`)
    return send({
      method: invocation.method,
      url,
      headers: { ...this.#headers, ...invocation.headers },
      body: invocation.body,
      signal: this.#signal,
      verifyTls: this.#verifyTls,
    })
  }

  /** Lines as they come; ends by itself unless `follow`. */
  async *logs(request: LogRequest, signal: AbortSignal = this.#signal): AsyncGenerator<WireLog> {
    const answer = await this.#send('GET', '/system/logs', {
      query: {
        name: request.name,
        namespace: request.namespace,
        instance: request.instance,
        follow: String(request.follow),
        since: request.since?.toISOString(),
        tail: request.lines === undefined ? undefined : String(request.lines),
      },
      signal,
    })
    if (answer.status === 404) throw await this.#functionNotFound(answer, request.name, request.namespace)
    await this.#accept(answer)
    yield* readJsonLines(answer.body) as AsyncGenerator<WireLog>
  }

  /** Everything that happens from now on, and before it what happened after the event number `since`. faasdock only. */
  async *events(since?: number): AsyncGenerator<StampedEvent> {
    const query = { since: since === undefined ? undefined : String(since) }
    const answer = await this.#api('GET', '/system/events', { query })
    yield* readJsonLines(answer.body) as AsyncGenerator<StampedEvent>
  }

  async info(): Promise<WireInfo> {
    return (await this.#json(await this.#api('GET', '/system/info', {}), isObject)) as WireInfo
  }

  async listSecrets(namespace?: string): Promise<{ name: string; namespace?: string }[]> {
    const answer = await this.#api('GET', '/system/secrets', { query: { namespace } })
    return (await this.#json(answer, Array.isArray)) as { name: string; namespace?: string }[]
  }

  /** SECRET_EXISTS. */
  createSecret(secret: SecretValue): Promise<void> {
    return this.#secret('POST', secret)
  }

  /** SECRET_NOT_FOUND. */
  updateSecret(secret: SecretValue): Promise<void> {
    return this.#secret('PUT', secret)
  }

  /** SECRET_NOT_FOUND. */
  removeSecret(name: string, namespace?: string): Promise<void> {
    return this.#secret('DELETE', { name, namespace })
  }

  async #secret(
    method: string,
    secret: { name: string; namespace?: string | undefined; value?: Uint8Array },
  ) {
    const { name, namespace, value } = secret
    // Both fields, as faas-cli sends them: `rawValue` is exact, `value` is for gateways that do not know it.
    const content = value && {
      value: Buffer.from(value).toString('utf8'),
      rawValue: Buffer.from(value).toString('base64'),
    }
    const body = JSON.stringify({ name, namespace, ...content })
    const answer = await this.#send(method, '/system/secrets', { body })
    if (answer.status === 409) throw await this.#secretProblem('SECRET_EXISTS', answer, name)
    if (answer.status === 404) throw await this.#secretProblem('SECRET_NOT_FOUND', answer, name)
    await readText(await this.#accept(answer))
  }

  #url(path: string): URL {
    return new URL(`${this.url}${path}`)
  }

  #send(
    method: string,
    path: string,
    extra: { query?: Query | undefined; body?: string; signal?: AbortSignal },
  ): Promise<HttpAnswer> {
    const url = this.#url(path)
    for (const [name, value] of Object.entries(extra.query ?? {}))
      if (value !== undefined) url.searchParams.set(name, value)
    const content = extra.body === undefined ? {} : { body: extra.body }
    return send({
      method,
      url,
      headers: {
        ...this.#headers,
        ...(extra.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...content,
      signal: extra.signal ?? this.#signal,
      timeout: API_TIMEOUT,
      verifyTls: this.#verifyTls,
    })
  }

  async #api(method: string, path: string, extra: { query?: Query; body?: string }): Promise<HttpAnswer> {
    return this.#accept(await this.#send(method, path, extra))
  }

  async #accept(answer: HttpAnswer): Promise<HttpAnswer> {
    if (answer.status >= 200 && answer.status < 300) return answer
    const words = (await readText(answer)).trim()
    const known = platformError(answer.headers['x-faasdock-code'], words)
    if (known) throw known
    const said = `the gateway at ${this.url} answered ${answer.status}${words === '' ? '' : `: ${words}`}`
    throw new FaasError('GATEWAY_REFUSED', { message: said, remedy: remedyFor(answer.status) })
  }

  async #json(answer: HttpAnswer, isExpected: (value: unknown) => boolean): Promise<unknown> {
    const text = await readText(answer)
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

  async #functionNotFound(answer: HttpAnswer, name: string, namespace?: string): Promise<FaasError> {
    await readText(answer)
    return new FaasError('FUNCTION_NOT_FOUND', {
      message: `no function ${JSON.stringify(name)} ${namespace ? `in namespace ${namespace} ` : ''}at ${this.url}`,
      remedy: 'See what is deployed with "faasdock list".',
    })
  }

  async #secretProblem(code: 'SECRET_EXISTS' | 'SECRET_NOT_FOUND', answer: HttpAnswer, name: string) {
    await readText(answer)
    const exists = code === 'SECRET_EXISTS'
    return new FaasError(code, {
      message: `secret ${JSON.stringify(name)} ${exists ? 'exists already' : 'does not exist'} at ${this.url}`,
      remedy: exists
        ? `Change it with "faasdock secret update ${name}", or create it with --replace.`
        : 'See which exist with "faasdock secret list".',
    })
  }
}

type Query = Readonly<Record<string, string | undefined>>

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
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
  if (status === 401) return 'Put the credentials into the address: --gateway http://USER:PASSWORD@HOST:PORT.'
  if (status === 403)
    return 'The gateway serves only requests for its own address: use the one it printed at start.'
  if (status >= 500) return 'See the log of the gateway, and "faasdock status".'
  return 'Correct what the gateway names, then run the command again.'
}
