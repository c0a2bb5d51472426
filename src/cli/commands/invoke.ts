import { createHmac } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { FaasError } from '../../core/errors.ts'
import { parseRef } from '../../core/function.ts'
import { defineCommand, flag, listFlag } from '../command.ts'
import type { Context } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { findGateway } from '../gateway-for.ts'
import { readHeaders, readKeyValues } from '../key-values.ts'
import { readBody } from '../read-body.ts'

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
}

/** Standard input → function → standard output, byte for byte. */
export const invoke = defineCommand<Flags>({
  args: '<name>',
  options: [
    flag('-a, --async', 'put the call into the queue'),
    flag('-m, --method <method>', 'HTTP method (default: POST)'),
    listFlag('-H, --header <header>', 'send a header, "Name: value"'),
    listFlag('--query <key=value>', 'add to the query string'),
    flag('--content-type <type>', 'type of the body (default: text/plain)'),
    flag('--path <path>', 'path behind the function, e.g. /v1/users'),
    flag('-d, --data <text>', 'the body, instead of standard input'),
    flag('-i, --include', "show the answer's status and headers on standard error"),
    flag('--sign <header>', 'send an HMAC-SHA256 of the body in this header'),
    flag('--key <key>', 'key of --sign'),
  ],
  details:
    'The body is read from standard input, and the answer written as it is. Exit code 1 when the function answers with a status of 400 or more.',
  examples: [
    'pinyin < words.txt',
    'm-search -m GET --query q=中文',
    'pinyin -d 中文',
    'report --async -d "{}" --content-type application/json',
  ],
  async run(context, [name = ''], flags) {
    const { print } = context
    const client = await findGateway(context, { strict: true })
    const method = (flags.method ?? 'POST').toUpperCase()
    const body = await bodyFor(context, method, flags)
    const answer = await client.invoke({
      ref: name.includes('.') ? parseRef(name) : { name, namespace: context.flags.namespace },
      method,
      async: flags.async === true,
      query: new URLSearchParams(readKeyValues(flags.query, '--query')).toString(),
      path: flags.path === undefined ? '' : flags.path.replace(/^\/?/, '/'),
      headers: {
        'content-type': flags.contentType ?? 'text/plain',
        ...signature(flags, body),
        ...readHeaders(flags.header),
      },
      body,
    })
    if (flags.include) {
      print.note(`HTTP ${answer.status}`)
      for (const [header, value] of Object.entries(answer.headers)) print.note(`${header}: ${String(value)}`)
    }
    const failed = answer.status >= 400
    // What failed is still the function's answer; it goes where it can be read, never into the next program's input.
    const write = failed
      ? (chunk: Uint8Array) => print.noteBytes(chunk)
      : (chunk: Uint8Array) => print.bytes(chunk)
    if (failed) print.note(`${name} answered ${answer.status}:`)
    for await (const chunk of answer.body) await write(chunk)
    if (answer.status === 202 && flags.async) print.note('accepted: the call is in the queue')
    return failed ? EXIT.failed : EXIT.ok
  },
})

type Body = Uint8Array | AsyncIterable<Uint8Array>

function bodyFor({ io, print }: Context, method: string, { data, sign }: Flags): Promise<Body> {
  if (data !== undefined) return Promise.resolve(Buffer.from(data))
  // These have no body, and nobody should have to end an empty one by hand.
  if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') return Promise.resolve(new Uint8Array())
  if (io.stdin.isTTY) print.note('reading the body from the terminal; end it with Ctrl-D')
  // A signature is over the whole body.
  return sign === undefined ? readBody(io.stdin) : buffer(io.stdin)
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
