import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { FaasError } from '../../core/errors.ts'
import { formatRef } from '../../core/function.ts'
import type { FunctionRef } from '../../core/function.ts'
import { answerDifference, isSameAnswer } from '../answer-difference.ts'
import { defineCommand, flag, listFlag } from '../command.ts'
import type { Context } from '../command.ts'
import { differenceLines } from '../difference-lines.ts'
import { EXIT } from '../exit-codes.ts'
import type { GatewayClient } from '../gateway-client.ts'
import { findGateway } from '../gateway-for.ts'
import { readInvocation } from '../kept-invocations.ts'
import { readHeaders, readPairs } from '../key-values.ts'
import { watchCode } from '../new-code.ts'
import { repeatRequest } from '../repeat-request.ts'
import type { Missing, RepeatRequest } from '../repeat-request.ts'
import { replayCall } from '../replay-call.ts'
import { terminalText } from '../terminal-text.ts'
import { formatSpan } from '../time-words.ts'
import { shortId } from '../wire-invocations.ts'
import type { WireInvocation, WireInvocations } from '../wire-invocations.ts'

/** The gateway lists no more at once. */
const MOST_LISTED = '1000'

interface Flags {
  readonly function?: string
  readonly watch?: boolean
  readonly header?: readonly string[]
  readonly query?: readonly string[]
  readonly body?: string
  readonly ignore?: readonly string[]
}

/** A kept request once more, and how its answer differs. */
export const replay = defineCommand<Flags>({
  args: '[id]',
  options: [
    flag('--function <name>', 'with "last": the last invocation of this function'),
    flag('-w, --watch', 'again after each save, as soon as the function answers with the new code'),
    listFlag('-H, --header <header>', 'send this header instead of what is kept, "Name: value"'),
    listFlag('--query <key=value>', 'send this parameter instead of what is kept'),
    flag('--body <file>', 'send this file instead of the body that is kept; "-" is standard input'),
    listFlag(
      '--ignore <what>',
      'do not compare a header, or a place in JSON with all below it: .items[*].at',
    ),
  ],
  details:
    'The id, or its beginning, is one of "faasdock invocations"; without one it is "last", the newest that is no replay, of a function that is still deployed. The request goes through the gateway, with X-Faasdock-Replay-Of for the function to see. Compared are status, headers (without those that are new each time, such as Date and X-Call-Id, and without ETag and the like where the body differs) and body: JSON place by place, text by lines, anything else by length and hash. Exit code 1 when the answers differ.\nWhat was secret is not kept and not sent again: give it with --header, --query or --body.',
  examples: [
    '',
    '3f2c',
    'last --function m-search --watch --ignore .took',
    '3f2c -H "Authorization: Bearer $TOKEN"',
    '--json',
  ],
  async run(context, [id = 'last'], flags) {
    const client = await findGateway(context, { strict: true })
    const kept = await readDeployed(context, client, id, flags.function)
    const request = await requestOf(context, kept, flags)
    const compare = async (): Promise<boolean> => {
      const again = await replayCall(context, client, kept, request)
      return say(context, kept, again, flags)
    }
    if (!flags.watch) return (await compare()) ? EXIT.ok : EXIT.failed
    await watch(context, client, kept, compare)
    return EXIT.ok
  },
})

/**
 * The invocation that is meant, of a function that is deployed: invocations outlive their function. "last" is the last one
 * that can be sent. INVOCATION_NOT_FOUND, FUNCTION_NOT_FOUND.
 */
async function readDeployed(
  context: Context,
  client: GatewayClient,
  id: string,
  name: string | undefined,
): Promise<WireInvocation> {
  const kept = await readInvocation(context, client, id, name)
  if (await isDeployed(client, kept)) return kept
  if (id === 'last' && name === undefined) {
    const { invocations } = (await client.read('/system/invocations', {
      limit: MOST_LISTED,
    })) as WireInvocations
    const gone = new Set([formatRef(kept)])
    for (const one of invocations) {
      if (one.replayOf !== undefined || gone.has(formatRef(one))) continue
      if (await isDeployed(client, one)) return readInvocation(context, client, one.id)
      gone.add(formatRef(one))
    }
  }
  throw new FaasError('FUNCTION_NOT_FOUND', {
    message: `invocation ${shortId(kept.id)} is one of ${formatRef(kept)}, which is not deployed any more`,
    remedy:
      id === 'last' && name === undefined
        ? 'Nor is any other function that invocations are kept of: deploy one of them again, or call one that is deployed.'
        : 'Deploy it again, or replay another: "faasdock invocations" lists them, and "replay last --function NAME" sends the last one of a function.',
  })
}

async function isDeployed(client: GatewayClient, { name, namespace }: FunctionRef): Promise<boolean> {
  try {
    await client.get(name, namespace)
    return true
  } catch (error) {
    if (error instanceof FaasError && error.code === 'FUNCTION_NOT_FOUND') return false
    throw error
  }
}

/** BAD_USAGE when it cannot be sent as it was. */
async function requestOf(context: Context, kept: WireInvocation, flags: Flags): Promise<RepeatRequest> {
  const { print } = context
  if (kept.upgrade !== undefined)
    throw new FaasError('BAD_USAGE', {
      message: `invocation ${shortId(kept.id)} changed to ${kept.upgrade}: of that only its head is kept`,
      remedy: 'Connect again with the client that it came from.',
    })
  const body = await bodyFor(context, flags.body)
  const headers = readHeaders(flags.header)
  const request = repeatRequest(kept, { headers, query: readPairs(flags.query, '--query'), body })
  if (request.isCut)
    throw new FaasError('BAD_USAGE', {
      message: `the body of invocation ${shortId(kept.id)} is kept only in part`,
      remedy: 'Give the whole of it with --body FILE.',
    })
  for (const missing of request.missing) print.note(missingText(missing))
  return request
}

async function bodyFor({ io }: Context, file: string | undefined): Promise<Buffer | undefined> {
  if (file === undefined) return undefined
  if (file === '-') return buffer(io.stdin)
  try {
    return await readFile(resolve(io.cwd, file))
  } catch (cause) {
    throw new FaasError('FILE_NOT_READABLE', {
      message: `--body ${file} cannot be read (${(cause as NodeJS.ErrnoException).code ?? String(cause)})`,
      remedy: 'Name a file that exists, or "-" for standard input.',
      cause,
    })
  }
}

function missingText({ part, name = '' }: Missing): string {
  switch (part) {
    case 'header':
      return `left out: ${name}, which is not kept; give it with --header "${name}: …"`
    case 'query':
      return `sent as REDACTED: the parameter ${name}, which is not kept; give it with --query ${name}=…`
    case 'body':
      return 'sent with REDACTED: a part of the body that is not kept; give the whole with --body FILE'
    case 'path':
      return 'sent with REDACTED: a part of the path that is not kept'
  }
}

/** Until it is stopped. */
async function watch(
  context: Context,
  client: GatewayClient,
  kept: WireInvocation,
  compare: () => Promise<boolean>,
): Promise<void> {
  const { print, signal } = context
  const { revision } = await client.get(kept.name, kept.namespace)
  let isDue = true
  let wake: () => void = () => undefined
  const watching = watchCode(
    client,
    kept,
    revision,
    {
      onCode: () => {
        isDue = true
        wake()
      },
      onBadSave: ({ message }) =>
        print.note(`the save is bad, and the code before it answers: ${message.split('\n')[0] ?? ''}`),
      onAway: () => print.note(`the gateway at ${client.url} went away; waiting for it`),
    },
    signal,
  )
  // Seen where it is waited for.
  watching.catch(() => undefined)
  for (;;) {
    // Saves that come while it runs are one more run.
    if (!isDue) await Promise.race([new Promise<void>((resolve) => (wake = resolve)), watching])
    isDue = false
    await Promise.race([compare(), watching]).catch((error: unknown) => {
      signal.throwIfAborted()
      if (!(error instanceof FaasError) || error.code !== 'GATEWAY_UNREACHABLE') throw error
    })
  }
}

/** True when the answers are the same. */
function say(
  { print }: Context,
  kept: WireInvocation,
  again: WireInvocation,
  { watch: isWatching, ignore }: Flags,
): boolean {
  const difference = answerDifference(kept, again, ignore)
  const same = isSameAnswer(difference)
  if (print.json) {
    const told = {
      invocation: kept.id,
      replay: again.id,
      function: formatRef(kept),
      same,
      status: again.status ?? 0,
      ms: { before: kept.ms, after: again.ms },
      ...(again.stale !== undefined && { stale: again.stale }),
      difference,
    }
    if (isWatching) print.record(told)
    else print.value(told)
    return same
  }
  const { colors } = print
  const took = `${again.status ?? 'no status'} in ${spanOf(again)} (was ${spanOf(kept)})`
  const what = `${kept.method} ${kept.name}${kept.path}`
  const verdict = same ? colors.green('same answer') : colors.yellow('answer differs')
  print.line(
    `${verdict}  ${terminalText(what, false)}  ${took}  ${colors.dim(`replay of ${shortId(kept.id)}`)}`,
  )
  for (const line of differenceLines(difference, colors)) print.line(line)
  if (difference.comparedBytes !== undefined)
    print.note(`(of the bodies the first ${difference.comparedBytes} bytes were compared)`)
  if (again.stale !== undefined) print.note('(answered by the code before the last save)')
  return same
}

function spanOf({ ms }: WireInvocation): string {
  return ms === undefined ? 'unknown' : formatSpan(ms / 1000)
}
