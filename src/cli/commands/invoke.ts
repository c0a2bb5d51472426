import { createHmac } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { FaasError } from '../../core/errors.ts'
import { parseRef } from '../../core/function.ts'
import type { Stack } from '../../core/stack.ts'
import { defineCommand, flag, listFlag } from '../command.ts'
import type { Context } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import type { GatewayClient, Invocation } from '../gateway-client.ts'
import { findGatewayAndStack } from '../gateway-for.ts'
import { readText } from '../http.ts'
import type { HttpAnswer } from '../http.ts'
import { readHeaders, readPairs } from '../key-values.ts'
import { readBody } from '../read-body.ts'
import { wireNamespace } from '../wire.ts'

interface Flags {
  readonly async?: boolean
  readonly method?: string
  readonly header?: readonly string[]
  readonly query?: readonly string[]
  readonly contentType?: string
  readonly path?: string
  readonly data?: string
  readonly include?: boolean
  readonly sign?: string
  readonly key?: string
  readonly auth?: boolean
}

/** Standard input → function → standard output, byte for byte. */
export const invoke = defineCommand<Flags>({
  args: '<name>',
  options: [
    flag('-a, --async', 'put the call into the queue'),
    flag('-m, --method <method>', 'HTTP method (default: POST)'),
    listFlag('-H, --header <header>', 'send a header, "Name: value" or Name=value'),
    listFlag('--query <key=value>', 'add to the query string'),
    flag('--content-type <type>', 'type of the body (default: text/plain)'),
    flag('--path <path>', 'path behind the function, e.g. /v1/users'),
    flag('-d, --data <text>', 'the body, instead of standard input'),
    flag('-i, --include', "show the answer's status and headers on standard error"),
    flag('--sign <header>', 'send an HMAC-SHA256 of the body in this header'),
    flag('--key <key>', 'key of --sign'),
    flag('--auth', 'send a token for the function, exchanged at the gateway for --token or a kept login'),
  ],
  details:
    "The body is read from standard input, and the answer written as it is; GET, HEAD and OPTIONS have a body only with --data. The gateway's login is not sent to functions. Exit code 1 when the function answers with anything but 2xx: redirects are not followed. With --async the answer is the call's id, with --json as {function, accepted, callId}.",
  examples: [
    'pinyin < words.txt',
    'm-search -m GET --query q=中文',
    'pinyin -d 中文',
    'report --async -d "{}" --content-type application/json -H "X-Callback-Url: http://gateway:8080/function/done"',
    'hook --sign X-Hub-Signature-256 --key s3cr3t < event.json',
  ],
  async run(context, [name = ''], flags) {
    const { print } = context
    const { client, stack } = await findGatewayAndStack(context, { strict: true })
    const method = (flags.method ?? 'POST').toUpperCase()
    if (flags.auth === true) refuseWithoutToken(client)
    const body = await bodyFor(context, method, flags)
    const invocation: Invocation = {
      ref: refOf(name, context.flags.namespace, stack),
      method,
      async: flags.async === true,
      query: new URLSearchParams(readPairs(flags.query, '--query')).toString(),
      path: flags.path === undefined ? '' : flags.path.replace(/^\/?/, '/'),
      headers: { ...contentType(flags), ...signature(flags, body) },
      body,
    }
    const answer = await call(client, invocation, flags.auth === true)
    const { 'x-call-id': callId } = answer.headers
    if (flags.include) {
      print.note(`HTTP ${answer.status}`)
      for (const [header, value] of Object.entries(answer.headers)) print.note(`${header}: ${String(value)}`)
    }
    const failed = answer.status < 200 || answer.status > 299
    // What failed is still the function's answer; it goes where it can be read, never into the next program's input.
    const write = failed
      ? (chunk: Uint8Array) => print.noteBytes(chunk)
      : (chunk: Uint8Array) => print.bytes(chunk)
    if (failed) print.note(`${name} answered ${answer.status}${whereTo(answer)}:`)
    for await (const chunk of answer.body) await write(chunk)
    if (answer.status === 202 && flags.async) sayAccepted(context, client, name, callId?.toString())
    return failed ? EXIT.failed : EXIT.ok
  },
})

/** An accepted call has no answer yet: what there is to have is its id. Gateways may be too old to give one. */
function sayAccepted(
  { print, flags }: Context,
  client: GatewayClient,
  name: string,
  callId: string | undefined,
): void {
  if (print.json) {
    print.value({ function: name, accepted: true, ...(callId !== undefined && { callId }) })
    return
  }
  if (callId === undefined) {
    print.note('accepted: the call is in the queue')
    return
  }
  const at = flags.gateway === undefined ? '' : ` -g ${client.url}`
  print.line(`accepted: call ${callId}; see what becomes of it with: faasdock calls ${callId}${at}`)
}

type Body = Uint8Array | AsyncIterable<Uint8Array>

/** `name.namespace`, else `--namespace`, else what the stack file says of a function of that name. */
function refOf(name: string, flag: string | undefined, stack: Stack | undefined): Invocation['ref'] {
  if (name.includes('.')) return parseRef(name)
  const known = stack?.functions.find(({ spec }) => spec.name === name)?.spec
  return { name, namespace: wireNamespace(known ?? {}, flag) }
}

/** What OpenFaaS' watchdogs say when only a token for the function lets in. */
const FUNCTION_REALM = 'realm="IAM function invoke"'

async function call(client: GatewayClient, invocation: Invocation, auth: boolean): Promise<HttpAnswer> {
  const withToken = async (): Promise<HttpAnswer> => {
    const authorization = `Bearer ${await client.functionToken(invocation.ref)}`
    return client.invoke({ ...invocation, headers: { ...invocation.headers, authorization } })
  }
  if (auth) return withToken()
  const answer = await client.invoke(invocation)
  const asksForToken =
    answer.status === 401 && answer.headers['www-authenticate']?.includes(FUNCTION_REALM) === true
  // A body that streamed is gone, and without a token there is nothing to exchange.
  if (!asksForToken || !client.hasBearer || !(invocation.body instanceof Uint8Array)) return answer
  await readText(answer)
  return withToken()
}

function refuseWithoutToken(client: GatewayClient): void {
  if (client.hasBearer) return
  throw new FaasError('BAD_USAGE', {
    message: '--auth needs a bearer token, and none is known for this gateway',
    remedy: 'Give one with --token. A user and password are the gateway’s, and are never sent to a function.',
  })
}

function bodyFor({ io, print }: Context, method: string, { data, sign }: Flags): Promise<Body> {
  if (data !== undefined) return Promise.resolve(Buffer.from(data))
  // These have no body, and nobody should have to end an empty one by hand.
  if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') return Promise.resolve(new Uint8Array())
  if (io.stdin.isTTY) print.note('reading the body from the terminal; end it with Ctrl-D')
  // A signature is over the whole body.
  return sign === undefined ? readBody(io.stdin) : buffer(io.stdin)
}

/** A type that is asked for by name goes before one among the headers, and both before the usual one. */
function contentType({ contentType, header }: Flags): Record<string, string | string[]> {
  const headers = readHeaders(header)
  if (contentType !== undefined) return { ...headers, 'content-type': contentType }
  return { 'content-type': 'text/plain', ...headers }
}

function signature({ sign, key }: Flags, body: Body): Record<string, string> {
  if (sign === undefined && key === undefined) return {}
  if (sign === undefined || key === undefined || !(body instanceof Uint8Array))
    throw new FaasError('BAD_USAGE', {
      message: '--sign and --key belong together',
      remedy: 'Give the name of the header with --sign and the key with --key.',
    })
  return { [sign.toLowerCase()]: `sha256=${createHmac('sha256', key).update(body).digest('hex')}` }
}

/** A redirect is the caller's to follow. */
function whereTo({ status, headers: { location } }: HttpAnswer): string {
  return status >= 300 && status < 400 && location !== undefined ? ` and points to ${location}` : ''
}
