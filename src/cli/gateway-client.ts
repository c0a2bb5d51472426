import { FaasError } from '../core/errors.ts'
import { DEFAULT_NAMESPACE, formatRef } from '../core/function.ts'
import type { FunctionRef } from '../core/function.ts'
import { nearest } from '../core/nearest.ts'
import type { StampedEvent } from '../engine/events.ts'
import { GatewayConnection } from './gateway-connection.ts'
import type { GatewayOptions } from './gateway-connection.ts'
import { readText } from './http.ts'
import type { HttpAnswer } from './http.ts'
import { readJsonLines } from './json-lines.ts'
import { problemText } from './problem-text.ts'
import type { WireDeployment, WireFunction, WireInfo, WireLog, WireNamespace } from './wire.ts'

/** Asks faasdock's gateway for states and problems too; others ignore it (contract 1.1). */
const VERBOSE = { verbose: '1' }

/** What counts as done for a change of a function: faas-cli fails on 201 (contract 1.13). */
const CHANGED = [200, 202]

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

export interface RepeatedCall {
  readonly method: string
  readonly target: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string[]>>
  readonly body?: Uint8Array | undefined
  readonly signal?: AbortSignal
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
  readonly #connection: GatewayConnection

  constructor(options: GatewayOptions) {
    this.#connection = new GatewayConnection(options)
    this.url = this.#connection.url
  }

  async list(namespace?: string): Promise<WireFunction[]> {
    const answer = await this.#connection.ask('GET', '/system/functions', {
      query: { namespace, ...VERBOSE },
    })
    return (await this.#connection.json(answer, Array.isArray)) as WireFunction[]
  }

  /** FUNCTION_NOT_FOUND. */
  async get(name: string, namespace?: string, usage = false): Promise<WireFunction> {
    const query = { namespace, usage: usage ? '1' : undefined, ...VERBOSE }
    const path = `/system/function/${encodeURIComponent(name)}`
    const answer = await this.#connection.ask('GET', path, { query })
    if (answer.status === 404) throw await this.#unknownFunction(answer, name, namespace)
    return (await this.#connection.json(answer, isObject)) as WireFunction
  }

  /** PUT, then POST when there is nothing to update (contract 1.13). `create` goes straight to POST. */
  async deploy(
    deployment: WireDeployment,
    how: 'update' | 'create' = 'update',
  ): Promise<'updated' | 'created'> {
    if (how === 'update') {
      const put = await this.#connection.ask('PUT', '/system/functions', { json: deployment })
      if (put.status !== 404) {
        await this.#connection.done(put, CHANGED)
        return 'updated'
      }
      await readText(put)
    }
    const post = await this.#connection.ask('POST', '/system/functions', { json: deployment })
    await this.#connection.done(post, CHANGED)
    return 'created'
  }

  /** FUNCTION_NOT_FOUND. */
  async remove(name: string, namespace?: string): Promise<void> {
    const json = { functionName: name, namespace }
    const answer = await this.#connection.ask('DELETE', '/system/functions', { json })
    if (answer.status === 404) throw await this.#functionNotFound(answer, name, namespace)
    await this.#connection.done(answer)
  }

  /** FUNCTION_NOT_FOUND. */
  async scale(name: string, replicas: number, namespace?: string): Promise<void> {
    const path = `/system/scale-function/${encodeURIComponent(name)}`
    const json = { serviceName: name, replicas, namespace }
    const answer = await this.#connection.ask('POST', path, { json, query: { namespace } })
    if (answer.status === 404) throw await this.#unknownFunction(answer, name, namespace)
    await this.#connection.done(answer)
  }

  /**
   * The function's own answer, whatever its status. No time limit: a function may take as long as the gateway lets it.
   * What lets us into the gateway is not the function's to see, and is not sent.
   */
  async invoke(invocation: Invocation): Promise<HttpAnswer> {
    const { ref, path, query } = invocation
    // faas-cli names the namespace always (contract 1.13).
    const name = formatRef({ name: ref.name, namespace: ref.namespace ?? DEFAULT_NAMESPACE })
    const route = `${invocation.async ? '/async-function' : '/function'}/${name}${path}`
    const answer = await this.#connection.send({
      method: invocation.method,
      url: new URL(`${this.url}${query === '' ? route : `${route}?${query}`}`),
      headers: invocation.headers,
      body: invocation.body,
    })
    // Functions answer pages too, but a gateway says its part of each.
    return answer.status === 404 ? this.#connection.ofGateway(answer) : answer
  }

  /** The same call again, byte for byte as far as HTTP lets us. `target` goes behind the function's name as it is. */
  repeat(ref: FunctionRef, request: RepeatedCall): Promise<HttpAnswer> {
    const url = new URL(`${this.url}/function/${formatRef(ref)}`)
    return this.#connection.send({
      method: request.method,
      url,
      path: `${url.pathname}${request.target}`,
      headers: request.headers,
      ...(request.body && { body: request.body }),
      ...(request.signal && { signal: request.signal }),
    })
  }

  /**
   * A token for one function, in exchange for the one that lets us into the gateway (OAuth 2.0 token exchange, RFC 8693,
   * as OpenFaaS' IAM has it). GATEWAY_REFUSED by gateways that have no such thing.
   */
  async functionToken(ref: Invocation['ref']): Promise<string> {
    const { name, namespace = DEFAULT_NAMESPACE } = ref
    const subject = this.#connection.authorization?.replace(/^Bearer /, '') ?? ''
    const form = new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
      subject_token: subject,
      audience: `${namespace}:${name}`,
      scope: 'function',
    })
    const answer = await this.#connection.send({
      method: 'POST',
      url: new URL(`${this.url}/oauth/token`),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: form.toString(),
    })
    const hasToken = (value: unknown): boolean =>
      isObject(value) && typeof (value as { access_token?: unknown }).access_token === 'string'
    return ((await this.#connection.json(answer, hasToken)) as { access_token: string }).access_token
  }

  /** True when requests carry a bearer token. */
  get hasBearer(): boolean {
    return this.#connection.authorization?.startsWith('Bearer ') === true
  }

  /** Lines as they come; ends by itself unless `follow`. */
  async *logs(request: LogRequest, signal?: AbortSignal): AsyncGenerator<WireLog> {
    const answer = await this.#connection.ask('GET', '/system/logs', {
      query: {
        name: request.name,
        namespace: request.namespace,
        instance: request.instance,
        follow: String(request.follow),
        since: request.since?.toISOString(),
        tail: request.lines === undefined ? undefined : String(request.lines),
      },
      ...(signal && { signal }),
    })
    if (answer.status === 404) throw await this.#unknownFunction(answer, request.name, request.namespace)
    await this.#connection.accept(answer)
    yield* readJsonLines(answer.body) as AsyncGenerator<WireLog>
  }

  /** Everything that happens from now on, and before it what happened after the event number `since`. faasdock only. */
  async *events(since?: number): AsyncGenerator<StampedEvent> {
    const query = { since: since === undefined ? undefined : String(since) }
    const answer = await this.#connection.ask('GET', '/system/events', { query })
    await this.#connection.accept(answer)
    yield* readJsonLines(answer.body) as AsyncGenerator<StampedEvent>
  }

  /** What a route of faasdock's own tells. */
  async read(path: string, query?: Readonly<Record<string, string | undefined>>): Promise<unknown> {
    const answer = await this.#connection.ask('GET', path, { ...(query && { query }) })
    return this.#connection.json(answer, (value) => Array.isArray(value) || isObject(value))
  }

  /** Changes something by a route of faasdock's own; what it answers, if anything. */
  async change(method: string, path: string, json?: unknown): Promise<unknown> {
    const answer = await this.#connection.ask(method, path, { ...(json !== undefined && { json }) })
    const text = await readText(await this.#connection.accept(answer))
    return text === '' ? undefined : (JSON.parse(text) as unknown)
  }

  /** Lines of JSON of a route of faasdock's own, as they come. */
  async *follow(path: string, query: Readonly<Record<string, string | undefined>>): AsyncGenerator {
    const answer = await this.#connection.ask('GET', path, { query })
    await this.#connection.accept(answer)
    yield* readJsonLines(answer.body)
  }

  async info(): Promise<WireInfo> {
    const answer = await this.#connection.ask('GET', '/system/info')
    return (await this.#connection.json(answer, isObject)) as WireInfo
  }

  /** Whether the gateway says that it is up. GATEWAY_UNREACHABLE. */
  async isHealthy(timeout: number): Promise<boolean> {
    const answer = await this.#connection.ask('GET', '/healthz', { timeout })
    await readText(answer)
    return answer.status === 200
  }

  /** Whether `authorization` lets in: the question of `login` (contract 1.13). GATEWAY_REFUSED for any other answer. */
  async letsIn(authorization: string, timeout: number): Promise<boolean> {
    const answer = await this.#connection.ask('GET', '/system/functions', { authorization, timeout })
    if (answer.status !== 401) await this.#connection.done(answer, [200])
    else await readText(answer)
    return answer.status === 200
  }

  async listSecrets(namespace?: string): Promise<{ name: string; namespace?: string }[]> {
    const answer = await this.#connection.ask('GET', '/system/secrets', { query: { namespace } })
    return (await this.#connection.json(answer, Array.isArray)) as { name: string; namespace?: string }[]
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

  async listNamespaces(): Promise<string[]> {
    const answer = await this.#connection.ask('GET', '/system/namespaces')
    return (await this.#connection.json(answer, Array.isArray)) as string[]
  }

  /** NAMESPACE_NOT_FOUND. */
  async getNamespace(name: string): Promise<WireNamespace> {
    const answer = await this.#connection.ask('GET', namespacePath(name))
    if (answer.status === 404) throw await this.#namespaceNotFound(answer, name)
    return (await this.#connection.json(answer, isObject)) as WireNamespace
  }

  /** NAMESPACE_EXISTS. */
  async createNamespace(namespace: WireNamespace): Promise<void> {
    const json = markedNamespace(namespace)
    const answer = await this.#connection.ask('POST', '/system/namespace/', { json })
    if (answer.status === 409) throw await this.#namespaceExists(answer, namespace.name)
    await this.#connection.done(answer)
  }

  /** Replaces labels and annotations. NAMESPACE_NOT_FOUND. */
  async updateNamespace(namespace: WireNamespace): Promise<void> {
    const json = markedNamespace(namespace)
    await this.#changeNamespace('PUT', namespace.name, json)
  }

  /** NAMESPACE_NOT_FOUND. */
  async removeNamespace(name: string): Promise<void> {
    await this.#changeNamespace('DELETE', name, { name, labels: { openfaas: '1' } })
  }

  async #changeNamespace(method: string, name: string, json: unknown): Promise<void> {
    const answer = await this.#connection.ask(method, namespacePath(name), { json })
    if (answer.status === 404) throw await this.#namespaceNotFound(answer, name)
    await this.#connection.done(answer)
  }

  async #secret(
    method: string,
    secret: { name: string; namespace?: string | undefined; value?: Uint8Array },
  ): Promise<void> {
    const { name, namespace, value } = secret
    // Both fields, as faas-cli sends them: `rawValue` is exact, `value` is for gateways that do not know it (contract 1.10).
    const content = value && {
      value: Buffer.from(value).toString('utf8').trim(),
      rawValue: Buffer.from(value).toString('base64'),
    }
    const json = { name, namespace, ...content }
    const answer = await this.#connection.ask(method, '/system/secrets', { json })
    if (answer.status === 409) throw await this.#secretProblem('SECRET_EXISTS', answer, name)
    if (answer.status === 404) throw await this.#secretProblem('SECRET_NOT_FOUND', answer, name)
    await this.#connection.done(answer)
  }

  async #functionNotFound(
    answer: HttpAnswer,
    name: string,
    namespace?: string,
    meant = '',
  ): Promise<FaasError> {
    await readText(answer)
    return new FaasError('FUNCTION_NOT_FOUND', {
      message: `no function ${JSON.stringify(name)} ${namespace ? `in namespace ${namespace} ` : ''}at ${this.url}`,
      remedy: `${meant}See what is deployed with "faasdock list${namespace ? ` -n ${namespace}` : ''}".`,
    })
  }

  /** The same, for somebody who looks for it: with what was meant, or why there is nothing of it yet. */
  async #unknownFunction(answer: HttpAnswer, name: string, namespace?: string): Promise<FaasError> {
    // What cannot be had of these is left out.
    const [deployed, undeployed] = await Promise.all([
      this.list(namespace).catch((): WireFunction[] => []),
      this.info().then(
        (info) => info.undeployed ?? [],
        () => [],
      ),
    ])
    const broken = undeployed.find((fn) => fn.name === name && (namespace ?? fn.namespace) === fn.namespace)
    if (broken) {
      await readText(answer)
      const [why = ''] = problemText(broken.problem).split('\n', 1)
      return new FaasError('FUNCTION_NOT_FOUND', {
        message: `function ${JSON.stringify(name)} has never been deployed at ${this.url}: ${why}`,
        remedy: broken.problem.remedy,
      })
    }
    const names = deployed.map((fn) => fn.name)
    const near = nearest(name, names).join(', ')
    return this.#functionNotFound(answer, name, namespace, near === '' ? '' : `Did you mean ${near}? `)
  }

  async #namespaceExists(answer: HttpAnswer, name: string): Promise<FaasError> {
    await readText(answer)
    return new FaasError('NAMESPACE_EXISTS', {
      message: `namespace ${JSON.stringify(name)} exists already at ${this.url}`,
      remedy: `Change its labels and annotations with "faasdock namespace update ${name}".`,
    })
  }

  async #namespaceNotFound(answer: HttpAnswer, name: string): Promise<FaasError> {
    await readText(answer)
    return new FaasError('NAMESPACE_NOT_FOUND', {
      message: `no namespace ${JSON.stringify(name)} at ${this.url}`,
      remedy: 'See which there are with "faasdock namespace list".',
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

function namespacePath(name: string): string {
  return `/system/namespace/${encodeURIComponent(name)}`
}

/** With the mark that makes it one for functions, in both maps (contract 1.11). */
function markedNamespace({ name, labels, annotations }: WireNamespace): WireNamespace {
  return { name, annotations: { ...annotations, openfaas: '1' }, labels: { ...labels, openfaas: '1' } }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
