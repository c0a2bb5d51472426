import { shortRef } from '../../core/function.ts'
import { defineCommand, flag, numberFlag } from '../command.ts'
import type { Context } from '../command.ts'
import { findCall } from '../find-call.ts'
import { findGateway } from '../gateway-for.ts'
import { padEnd } from '../text-width.ts'
import { tableLines } from '../table.ts'
import { formatSpan } from '../time-words.ts'
import type { WireCall } from '../wire-calls.ts'

interface Flags {
  readonly function?: string
  readonly state?: string
  readonly limit?: number
  readonly follow?: boolean
}

const DEFAULT_LIMIT = 20

/** What became of async calls: the newest, one of them, or each change as it happens. */
export const calls = defineCommand<Flags>({
  args: '[call-id]',
  options: [
    flag('--function <name>', 'calls of one function'),
    flag(
      '--state <states>',
      'calls in these states, with commas: queued, running, waiting, succeeded, failed, dead, cancelled',
    ),
    numberFlag('--limit <n>', 'at most so many, newest first (default: 20)', 1),
    flag('--follow', 'go on with each change of a call as it happens'),
  ],
  details: 'The id, or its beginning, is one of the list. Without one the newest are listed.',
  examples: ['', '3f2c', '--function m-search --state waiting,dead', '--follow --json'],
  async run(context, [id], flags) {
    const client = await findGateway(context, { strict: false })
    const { print } = context
    const query = {
      function: flags.function,
      namespace: flags.function && context.flags.namespace,
      state: flags.state,
      id,
    }
    if (id !== undefined && !flags.follow) {
      const call = await findCall(client, id)
      if (print.json) print.value(call)
      else for (const line of describeCall(call)) print.line(line)
      return 0
    }
    const limit = flags.limit ?? DEFAULT_LIMIT
    if (!flags.follow) {
      // One more than is shown tells that there are more; whoever says how many knows it.
      const asked = String(flags.limit ?? limit + 1)
      const found = (await client.read('/system/calls', { ...query, limit: asked })) as WireCall[]
      const listed = found.slice(0, limit)
      if (print.json) print.value(listed)
      else if (listed.length === 0)
        print.note(`no calls${flags.function === undefined ? '' : ` of ${flags.function}`}`)
      else for (const line of tableLines(HEAD, listed.map(row))) print.line(line)
      if (found.length > limit && !print.json) print.note(`(the last ${limit}; more with --limit)`)
      return 0
    }
    // A call that is not there yet may come.
    const whole =
      id &&
      (await findCall(client, id).then(
        (call) => call.id,
        () => id,
      ))
    // Newest last, where more are to come.
    for await (const call of client.follow('/system/calls', {
      ...query,
      id: whole,
      limit: String(limit),
      follow: '1',
    })) {
      const one = call as WireCall
      if (flags.state === undefined || flags.state.split(',').includes(one.state)) show(context, one)
    }
    return 0
  },
})

const HEAD = ['CALL', 'FUNCTION', 'STATE', 'ATTEMPTS', 'STATUS', 'QUEUED', 'TOOK']

function row(call: WireCall): string[] {
  const { id, state, attempts, status, queuedAt } = call
  const code = status === undefined ? '' : String(status)
  return [id, shortRef(call), state, String(attempts), code, queuedAt, took(call)]
}

function show({ print }: Context, call: WireCall): void {
  if (print.json) print.record(call)
  else print.line(row(call).filter(Boolean).join('  '))
}

function took({ queuedAt, endedAt }: WireCall): string {
  return endedAt === undefined ? '' : formatSpan((Date.parse(endedAt) - Date.parse(queuedAt)) / 1000)
}

function describeCall(call: WireCall): string[] {
  const { callback } = call
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['Call', call.id],
    ['Function', `${call.name}.${call.namespace}`],
    ['Queue', call.queue],
    ['Path', call.path],
    ['State', call.state],
    ['Status', call.status === undefined ? undefined : String(call.status)],
    ['Problem', call.problem],
    ['Queued', call.queuedAt],
    ['Started', call.startedAt],
    ['Next attempt', call.nextAttemptAt],
    ['Ended', call.endedAt],
    ['Attempts', String(call.attempts)],
    ...call.history.map(
      ({ at, status, seconds, problem }) =>
        ['', `${at}  ${status}  ${formatSpan(seconds)}  ${problem ?? ''}`.trimEnd()] as const,
    ),
    [
      'Callback',
      callback &&
        `${callback.state} to ${callback.url} (${callback.attempts} attempts)${callback.problem === undefined ? '' : `: ${callback.problem}`}`,
    ],
  ]
  return rows.flatMap(([key, value]) =>
    value === undefined ? [] : [`${padEnd(key === '' ? '' : `${key}:`, 14)}${value}`],
  )
}
