import { FaasError } from '../../core/errors.ts'
import { shortRef } from '../../core/function.ts'
import { defineCommand, flag } from '../command.ts'
import type { Context } from '../command.ts'
import { findCall } from '../find-call.ts'
import type { GatewayClient } from '../gateway-client.ts'
import { findGateway } from '../gateway-for.ts'
import { tableLines } from '../table.ts'
import { formatSpan } from '../time-words.ts'
import type { WireCall, WireDeadCall, WireQueue } from '../wire-calls.ts'

interface ListFlags {
  readonly dead?: boolean
}

/** What waits, function by function; or the calls that were given up. */
export const queueList = defineCommand<ListFlags>({
  args: '[function]',
  options: [flag('--dead', 'list dead letters: calls that were given up')],
  examples: ['', '--dead', 'm-search --dead --json'],
  async run(context, [name], { dead }) {
    const client = await findGateway(context, { strict: false })
    const { print } = context
    if (dead) {
      const query = { function: name, namespace: name && context.flags.namespace }
      const letters = (await client.read('/system/queue/dead', query)) as WireCall[]
      if (print.json) print.value(letters)
      else if (letters.length === 0) print.note('no dead letters')
      else for (const line of tableLines(DEAD_HEAD, letters.map(deadRow))) print.line(line)
      return 0
    }
    const queue = (await client.read('/system/queue')) as WireQueue
    const { namespace } = context.flags
    const functions = queue.functions.filter(
      (one) =>
        (name === undefined || [one.name, `${one.name}.${one.namespace}`].includes(name)) &&
        (namespace === undefined || one.namespace === namespace),
    )
    if (print.json) print.value({ ...queue, functions })
    else {
      if (queue.problem) {
        const { message, remedy } = queue.problem
        throw new FaasError('QUEUE_UNAVAILABLE', { message, remedy })
      }
      if (functions.length === 0) print.note(`nothing is queued${name === undefined ? '' : ` of ${name}`}`)
      else for (const line of tableLines(HEAD, functions.map(row))) print.line(line)
      if (queue.callbacks > 0)
        print.note(
          `${queue.callbacks} ${queue.callbacks === 1 ? 'callback is' : 'callbacks are'} still to be posted`,
        )
      for (const scope of queue.paused) print.note(`paused: ${scope.replace(':', ' ')}`)
    }
    return 0
  },
})

const HEAD = ['FUNCTION', 'QUEUE', 'DEPTH', 'RUNNING', 'OLDEST', 'DEAD', 'STATE']
const DEAD_HEAD = ['CALL', 'FUNCTION', 'ATTEMPTS', 'STATUS', 'QUEUED', 'PROBLEM']

function row(one: WireQueue['functions'][number]): string[] {
  const { queue, depth, running, maxInflight, oldestQueuedAt, dead, paused } = one
  return [
    shortRef(one),
    queue,
    String(depth),
    `${running}/${maxInflight}`,
    oldestQueuedAt === undefined ? '' : formatSpan((Date.now() - Date.parse(oldestQueuedAt)) / 1000),
    String(dead),
    paused ? 'paused' : '',
  ]
}

function deadRow(call: WireCall): string[] {
  const { id, attempts, status, queuedAt, problem = '' } = call
  return [id, shortRef(call), String(attempts), status === undefined ? '' : String(status), queuedAt, problem]
}

/** One dead letter: what was sent, what was answered, and every attempt. */
export const queueShow = defineCommand({
  args: '<call-id>',
  examples: ['3f2c…', '3f2c… --json'],
  async run(context, [id = '']) {
    const client = await findGateway(context, { strict: false })
    const { print } = context
    const { id: whole } = await findCall(client, id)
    const letter = (await client.read(`/system/queue/dead/${encodeURIComponent(whole)}`)) as WireDeadCall
    if (print.json) {
      print.value(letter)
      return 0
    }
    print.line(`call      ${letter.id} of ${letter.name}.${letter.namespace}`)
    print.line(`reason    ${letter.reason}`)
    print.line(
      `request   POST ${letter.path}, ${letter.bodyBytes} ${letter.bodyBytes === 1 ? 'byte' : 'bytes'}`,
    )
    print.line(`queued    ${letter.queuedAt}, given up ${letter.diedAt}`)
    for (const { at, status, seconds, problem } of letter.history)
      print.line(`attempt   ${at}  ${status}  ${formatSpan(seconds)}  ${problem ?? ''}`.trimEnd())
    if (letter.answer) print.line(`answer    ${letter.answer.status}\n${letter.answer.text}`)
    return 0
  },
})

interface SelectFlags {
  readonly function?: string
  readonly all?: boolean
  readonly queued?: boolean
}

/** Makes dead calls again, from their first attempt on. */
export const queueRetry = defineCommand<SelectFlags>({
  args: '[call-id]',
  options: [flag('--function <name>', 'every dead call of a function'), flag('--all', 'every dead call')],
  examples: ['3f2c…', '--function m-search', '--all'],
  async run(context, [id], flags) {
    const client = await findGateway(context, { strict: false })
    const chosen = await select(client, id, flags, context)
    const answer = (await client.change('POST', '/system/queue/retry', chosen)) as { retried: number }
    if (context.print.json) context.print.value(answer)
    context.print.say(`${answer.retried} ${answer.retried === 1 ? 'call is' : 'calls are'} queued again`)
    return 0
  },
})

/** Forgets dead calls, or cancels what has not begun. */
export const queuePurge = defineCommand<SelectFlags>({
  args: '[call-id]',
  options: [
    flag('--function <name>', 'every dead call of a function'),
    flag('--all', 'every dead call'),
    flag('--queued', 'with --function: cancel every call of it that has not begun, instead'),
  ],
  examples: ['3f2c…', '--all', '--function m-search --queued'],
  async run(context, [id], flags) {
    const client = await findGateway(context, { strict: false })
    const body = { ...(await select(client, id, flags, context)), ...(flags.queued && { queued: true }) }
    const answer = (await client.change('POST', '/system/queue/purge', body)) as {
      purged?: number
      cancelled?: number
    }
    if (context.print.json) context.print.value(answer)
    context.print.say(
      answer.cancelled === undefined
        ? `${answer.purged ?? 0} ${answer.purged === 1 ? 'dead letter is' : 'dead letters are'} gone`
        : `${answer.cancelled} ${answer.cancelled === 1 ? 'queued call is' : 'queued calls are'} cancelled`,
    )
    return 0
  },
})

interface ScopeFlags {
  readonly queue?: string
}

/** Takes no more calls of a function or a queue; what runs goes on, what comes is kept. */
export const queuePause = defineCommand<ScopeFlags>({
  args: '[function]',
  options: [flag('--queue <name>', 'all functions of a queue')],
  details: 'What runs goes on, what comes is kept. Holds until "faasdock queue resume", over restarts.',
  examples: ['m-search', '--queue faas-request'],
  run: (context, [name], flags) => switchTo('pause', context, name, flags),
})

/** Goes on where `pause` stopped. */
export const queueResume = defineCommand<ScopeFlags>({
  args: '[function]',
  options: [flag('--queue <name>', 'all functions of a queue')],
  examples: ['m-search', '--queue faas-request'],
  run: (context, [name], flags) => switchTo('resume', context, name, flags),
})

/** Ends a call that has not ended: queued, running, or waiting for its next attempt. */
export const queueCancel = defineCommand({
  args: '<call-id>',
  examples: ['3f2c…'],
  async run(context, [id = '']) {
    const client = await findGateway(context, { strict: false })
    const { id: whole } = await findCall(client, id)
    await client.change('DELETE', `/system/calls/${encodeURIComponent(whole)}`)
    context.print.say(`call ${whole} is cancelled`)
    return 0
  },
})

async function switchTo(
  what: 'pause' | 'resume',
  context: Context,
  name: string | undefined,
  { queue }: ScopeFlags,
): Promise<number> {
  if ((name === undefined) === (queue === undefined)) {
    throw new FaasError('BAD_USAGE', {
      message: 'name either a function or, with --queue, a queue',
      remedy: `faasdock queue ${what} FUNCTION, or faasdock queue ${what} --queue NAME`,
    })
  }
  const client = await findGateway(context, { strict: false })
  const body = queue === undefined ? { function: withNamespace(name ?? '', context) } : { queue }
  await client.change('POST', `/system/queue/${what}`, body)
  context.print.say(`${queue === undefined ? `function ${name ?? ''}` : `queue ${queue}`}: ${what}d`)
  return 0
}

async function select(
  client: GatewayClient,
  id: string | undefined,
  flags: SelectFlags,
  context: Context,
): Promise<Record<string, unknown>> {
  const wishes = [id !== undefined, flags.function !== undefined, flags.all === true].filter(Boolean)
  if (wishes.length !== 1) {
    throw new FaasError('BAD_USAGE', {
      message: 'name one of: a call id, --function, --all',
      remedy: 'See "faasdock queue list --dead" for the calls that there are.',
    })
  }
  if (id !== undefined) return { call: (await findCall(client, id)).id }
  return flags.function === undefined ? { all: true } : { function: withNamespace(flags.function, context) }
}

function withNamespace(name: string, { flags }: Context): string {
  return flags.namespace === undefined || name.includes('.') ? name : `${name}.${flags.namespace}`
}
