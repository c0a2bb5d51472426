import { FaasError } from '../../core/errors.ts'
import { shortRef } from '../../core/function.ts'
import { formatRef, parseRef } from '../../core/function.ts'
import { nearest } from '../../core/nearest.ts'
import { defineCommand, flag, numberFlag } from '../command.ts'
import type { Context } from '../command.ts'
import type { GatewayClient } from '../gateway-client.ts'
import { findGateway } from '../gateway-for.ts'
import { invocationCurl } from '../invocation-curl.ts'
import { readInvocation } from '../kept-invocations.ts'
import { repeatRequest } from '../repeat-request.ts'
import { tableLines } from '../table.ts'
import { terminalText } from '../terminal-text.ts'
import { fit, padEnd } from '../text-width.ts'
import { formatSpan } from '../time-words.ts'
import { bodyOf, shortId } from '../wire-invocations.ts'
import type { WireInvocation, WireInvocationHead, WireInvocations, WireMessage } from '../wire-invocations.ts'

interface Flags {
  readonly as?: 'curl'
  readonly limit?: number
  readonly forget?: boolean
  readonly function?: string
}

const DEFAULT_LIMIT = 20

/** What the gateway has kept of calls: listed, or one of them as a whole. */
export const invocations = defineCommand<Flags>({
  args: '[function-or-show] [id]',
  options: [
    flag('--as <form>', 'write requests as commands to paste').choices(['curl']),
    numberFlag('--limit <n>', 'at most so many, newest first (default: 20)', 1),
    flag('--function <name>', 'with "show last": the last one of this function'),
    flag('--forget', 'delete what is kept, of one function or of all'),
  ],
  details:
    'Of each function the last 50 are kept, bodies up to 256 KiB, where the gateway records: "dev" does, "serve" with --record.\n"show ID" shows one with headers and bodies; the beginning of an id will do, and "last" is the newest. What is secret is not kept: REDACTED stands in its place.',
  examples: ['', 'm-search --limit 5', 'show 3f2c', 'show last --as curl', '--json', 'm-search --forget'],
  async run(context, [name, id], flags) {
    const client = await findGateway(context, { strict: flags.forget === true })
    if (name === 'show' && id !== undefined) {
      const one = await readInvocation(context, client, id, flags.function)
      if (flags.as === 'curl') sayCurl(context, client, one)
      else if (context.print.json) context.print.value(one)
      else show(context, one)
      return 0
    }
    const query = { function: name, namespace: name && context.flags.namespace }
    if (flags.forget) return forget(context, client, query)
    const limit = flags.limit ?? DEFAULT_LIMIT
    // One more than is shown tells that there are more; whoever says how many knows it.
    const { recording, invocations: found } = (await client.read('/system/invocations', {
      ...query,
      limit: String(flags.limit ?? limit + 1),
    })) as WireInvocations
    const listed = found.slice(0, limit)
    if (recording && listed.length === 0 && name !== undefined) await checkFunction(context, client, name)
    if (flags.as === 'curl')
      for (const one of listed) sayCurl(context, client, await readInvocation(context, client, one.id))
    else if (context.print.json) context.print.value(listed)
    else list(context, listed)
    if (!recording) context.print.note('this gateway keeps no invocations: start it with --record')
    else if (listed.length === 0 && !context.print.json)
      context.print.note(`no invocations ${name === undefined ? '' : `of ${name} `}are kept yet`)
    else if (found.length > limit) context.print.note(`(the last ${limit}; more with --limit)`)
    return 0
  },
})

/** FUNCTION_NOT_FOUND, with what was probably meant: another function, or an invocation. */
async function checkFunction(context: Context, client: GatewayClient, given: string): Promise<void> {
  const { flags } = context
  const { name, namespace } = given.includes('.')
    ? parseRef(given)
    : { name: given, namespace: flags.namespace }
  const functions = await client.list(namespace)
  if (functions.some((one) => one.name === name)) return
  const isId =
    given !== 'show' &&
    (await readInvocation(context, client, given).then(
      () => true,
      () => false,
    ))
  const near = nearest(
    name,
    functions.map((one) => one.name),
  )
  throw new FaasError('FUNCTION_NOT_FOUND', {
    message: `no function ${JSON.stringify(given)} at ${client.url}`,
    remedy: isId
      ? `Did you mean: faasdock invocations show ${given}`
      : given === 'show'
        ? 'Say which invocation: faasdock invocations show ID, or show last.'
        : near.length > 0
          ? `Did you mean ${near.join(', ')}?`
          : 'See what is deployed with "faasdock list", and all that is kept with "faasdock invocations".',
  })
}

async function forget(
  { print }: Context,
  client: GatewayClient,
  query: { function: string | undefined; namespace: string | undefined },
): Promise<number> {
  const asked = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined)
  const suffix = asked.length === 0 ? '' : `?${new URLSearchParams(asked).toString()}`
  const answer = (await client.change('DELETE', `/system/invocations${suffix}`)) as { forgotten: number }
  if (print.json) print.value(answer)
  print.say(`${answer.forgotten} ${answer.forgotten === 1 ? 'invocation is' : 'invocations are'} forgotten`)
  return 0
}

const HEAD = ['ID', 'WHEN', 'FUNCTION', 'METHOD', 'PATH', 'STATUS', 'TOOK', 'BYTES', 'REPLAY OF']
const PATH_COLUMNS = 48

function list({ print }: Context, listed: readonly WireInvocationHead[]): void {
  if (listed.length === 0) return
  const rows = listed.map((one) => [
    shown(shortId(one.id)),
    one.startedAt,
    shortRef(one),
    one.queued ? `${one.method} async` : one.method,
    fit(shown(one.path), PATH_COLUMNS),
    statusOf(one),
    one.ms === undefined ? '' : formatSpan(one.ms / 1000),
    String(one.responseBytes),
    one.replayOf === undefined ? '' : shown(shortId(one.replayOf)),
  ])
  for (const line of tableLines(HEAD, rows)) print.line(line)
}

function statusOf({ status, state }: WireInvocationHead): string {
  const code = status === undefined ? '' : String(status)
  if (state === 'ended') return code
  return `${code} ${state === 'running' ? 'running' : 'broken off'}`.trim()
}

function show({ print }: Context, one: WireInvocation): void {
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['Invocation', one.id],
    ['Function', formatRef(one)],
    ['Made by', one.queued ? 'the queue' : undefined],
    ['Replay of', one.replayOf],
    ['Began', one.startedAt],
    ['Took', one.ms === undefined ? undefined : formatSpan(one.ms / 1000)],
    ['Status', statusOf(one)],
    ['Problem', one.problem],
  ]
  for (const [key, value] of rows) if (value) print.line(shown(`${padEnd(`${key}:`, 12)}${value}`))
  print.line('')
  print.line(print.colors.bold(shown(`${one.method} ${one.path}`)))
  showMessage(print, one.request, one.upgrade)
  if (!one.response) return
  print.line('')
  print.line(print.colors.bold(`HTTP ${one.status ?? ''}`))
  showMessage(print, one.response, one.upgrade)
}

function showMessage(print: Context['print'], message: WireMessage, upgrade: string | undefined): void {
  for (const [name, value] of message.headers) print.line(shown(`${name}: ${value}`))
  if (upgrade !== undefined) {
    print.note(`(of ${shown(upgrade)} only the head is kept)`)
    return
  }
  if (message.bodyBytes > 0) {
    print.line('')
    const body = bodyOf(message)
    if (message.text === undefined)
      print.note(`(${message.bodyBytes} bytes that are no text; all of them with --json)`)
    else for (const line of message.text.replace(/\n$/, '').split('\n')) print.line(shown(line))
    if (message.truncated) print.note(`(of ${message.bodyBytes} bytes the first ${body.length} are kept)`)
  }
  for (const [name, value] of message.trailers ?? []) print.line(shown(`${name}: ${value}`))
}

/** What is missing is said beside the command, which stays fit to be pasted. */
function sayCurl({ print }: Context, client: GatewayClient, one: WireInvocation): void {
  const request = repeatRequest(one)
  for (const { part, name } of request.missing)
    print.note(`left out of ${shortId(one.id)}: ${part}${name === undefined ? '' : ` ${name}`}`)
  if (request.isCut) print.note(`the body of ${shortId(one.id)} is kept only in part`)
  print.line(invocationCurl(`${client.url}/function/${formatRef(one)}`, request))
}

/** Others wrote it. */
function shown(text: string): string {
  return terminalText(text, false)
}
