import { FaasError } from '../../core/errors.ts'
import { parseRef } from '../../core/function.ts'
import { defineCommand, flag, numberFlag } from '../command.ts'
import type { Context } from '../command.ts'
import type { GatewayClient, LogRequest } from '../gateway-client.ts'
import { findGateway } from '../gateway-for.ts'
import { LOG_FORMATS, makeLogFormat, TIME_FORMATS } from '../log-format.ts'
import type { LogLook } from '../log-format.ts'
import { nameTest } from '../select-names.ts'
import { parseDuration } from '../time-words.ts'
import type { WireLog } from '../wire.ts'

interface Flags {
  readonly tail?: boolean
  readonly lines?: number
  readonly since?: string
  readonly sinceTime?: string
  readonly name?: boolean
  readonly instance?: boolean
  readonly replica?: string
  readonly output?: LogLook['format']
  readonly timeFormat?: LogLook['time']
}

/** Lines of one or more functions, as they come. */
export const logs = defineCommand<Flags>({
  args: '[names...]',
  options: [
    flag('-t, --tail', 'go on until stopped (default: true; --tail=false ends with the last line)'),
    flag('--no-tail').hideHelp(),
    numberFlag('--lines <n>', 'so many last lines of each replica (default: -1, all)', -1),
    flag('--since <duration>', 'lines since then, e.g. 10m'),
    flag('--since-time <time>', 'lines since this time (RFC 3339)'),
    flag('--name', 'show the name of the function (default with several)'),
    flag('--instance', 'show the replica'),
    flag('--replica <id>', 'lines of this replica only'),
    flag('-o, --output <format>', 'form of a line (default: plain)').choices(LOG_FORMATS),
    flag('--time-format <format>', 'form of the time (default: rfc3339)').choices(TIME_FORMATS),
  ],
  details: 'Without names: all functions of the gateway, or those that --filter or --regex selects.',
  examples: ['m-search', 'm-search pinyin --since 10m', '--filter "m-*" --tail=false --lines 20'],
  async run(context, names, flags) {
    const { print } = context
    const since = sinceOf(flags)
    const client = await findGateway(context, { strict: false })
    const wanted = await select(context, client, names)
    const format = makeLogFormat(
      {
        format: print.json ? 'json' : (flags.output ?? 'plain'),
        time: flags.timeFormat ?? 'rfc3339',
        name: flags.name ?? wanted.length > 1,
        instance: flags.instance === true,
      },
      print.colors,
    )
    const follow = flags.tail !== false
    const requests = wanted.map((fn) => ({
      ...fn,
      follow,
      since,
      lines: flags.lines ?? -1,
      instance: flags.replica,
    }))
    if (follow) await Promise.all(requests.map((request) => showAsTheyCome(client, request, format, print)))
    else for (const log of await collect(client, requests)) print.line(format(log))
    return 0
  },
})

async function select(
  { flags, print }: Context,
  client: GatewayClient,
  names: readonly string[],
): Promise<{ name: string; namespace?: string | undefined }[]> {
  if (names.length > 0)
    return names.map((name) => (name.includes('.') ? parseRef(name) : { name, namespace: flags.namespace }))
  const isWanted = nameTest(flags)
  const found = (await client.list(flags.namespace)).filter(({ name }) => isWanted(name))
  if (found.length === 0) print.note(`no function at ${client.url} is selected`)
  return found.map(({ name, namespace }) => ({ name, namespace: namespace ?? flags.namespace }))
}

async function showAsTheyCome(
  client: GatewayClient,
  request: LogRequest,
  format: (log: WireLog) => string,
  print: Context['print'],
): Promise<void> {
  for await (const log of client.logs(request)) print.line(format(log))
}

/** All lines of all functions in the order of their times. */
async function collect(client: GatewayClient, requests: readonly LogRequest[]): Promise<WireLog[]> {
  const all: WireLog[] = []
  for (const request of requests) for await (const log of client.logs(request)) all.push(log)
  // One function's lines come in order already; only several have to be merged.
  if (requests.length > 1)
    all.sort((a, b) => (a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0))
  return all
}

function sinceOf({ since, sinceTime }: Flags): Date | undefined {
  if (since !== undefined) return new Date(Date.now() - parseDuration(since, '--since'))
  if (sinceTime === undefined) return undefined
  const date = new Date(sinceTime)
  if (!Number.isNaN(date.getTime())) return date
  throw new FaasError('BAD_USAGE', {
    message: `--since-time ${JSON.stringify(sinceTime)} is not a time`,
    remedy: 'Write it as "2026-01-31T09:30:00Z".',
  })
}
