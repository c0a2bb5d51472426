import { FaasError } from '../../core/errors.ts'
import { parseRef } from '../../core/function.ts'
import { defineCommand, flag, numberFlag } from '../command.ts'
import type { Context } from '../command.ts'
import { followLogs } from '../follow-logs.ts'
import type { GatewayClient, LogRequest } from '../gateway-client.ts'
import { findGateway, findGatewayAndStack } from '../gateway-for.ts'
import type { FoundGateway } from '../gateway-for.ts'
import { DEFAULT_TIME_FORMAT, LOG_FORMATS, makeLogFormat } from '../log-format.ts'
import type { LogLook } from '../log-format.ts'
import { nameTest } from '../select-names.ts'
import { terminalText } from '../terminal-text.ts'
import { parseDuration } from '../time-words.ts'
import type { WireLog } from '../wire.ts'

interface Flags {
  readonly tail?: boolean
  readonly lines?: number
  readonly since?: string
  readonly sinceTime?: string
  readonly grep?: string
  readonly name?: boolean
  readonly instance?: boolean
  readonly replica?: string
  readonly output?: LogLook['format']
  readonly timeFormat?: string
}

/** Lines of one or more functions, as they come. */
export const logs = defineCommand<Flags>({
  args: '[names...]',
  options: [
    flag('-t, --tail', 'go on until stopped (default: true; --tail=false ends with the last line)'),
    flag('--no-tail').hideHelp(),
    numberFlag(
      '--lines <n>',
      'so many last lines of each function, of those that --grep lets through (default: -1, all)',
      -1,
    ),
    flag('--since <duration>', 'lines since then, e.g. 10m'),
    flag('--since-time <time>', 'lines since this time (RFC 3339)'),
    flag('--grep <regex>', 'only lines that match; (?i) before it ignores case'),
    flag('--name', 'show the name of the function (default with several)'),
    flag('--instance', 'show the replica'),
    flag('--replica <id>', 'lines of this replica only; "faasdock" has what went wrong with the function'),
    flag('-o, --output <format>', 'form of a line (default: plain)').choices(LOG_FORMATS),
    flag(
      '--time-format <format>',
      'rfc3339, rfc3339nano, local, none, or a layout as Go writes it (default: rfc3339)',
    ),
  ],
  details:
    'Without names: all functions of the stack file, or of the gateway where there is none, or those of them that --filter or --regex selects. Replicas that are gone are among them: the last five of each function. Goes on when the gateway restarts.',
  examples: [
    'm-search',
    'm-search pinyin --since 10m',
    '--filter "m-*" --tail=false --lines 20',
    '--grep "(?i)error|timeout"',
  ],
  async run(context, names, flags) {
    const { print, signal } = context
    const since = sinceOf(flags)
    const isWanted = lineTest(flags.grep)
    const found: FoundGateway =
      names.length > 0
        ? { client: await findGateway(context, { strict: false }) }
        : await findGatewayAndStack(context, { strict: false })
    const { client } = found
    const wanted = await select(context, found, names)
    const format = makeLogFormat(
      {
        format: print.json ? 'json' : (flags.output ?? 'plain'),
        time: flags.timeFormat ?? DEFAULT_TIME_FORMAT,
        name: flags.name ?? wanted.length > 1,
        instance: flags.instance === true,
      },
      print.colors,
    )
    // A file or another program gets what the function wrote.
    const isTerminal =
      context.io.stdout.isTTY === true && !print.json && (flags.output ?? 'plain') === 'plain'
    const show = async (log: WireLog): Promise<void> => {
      // Waits for the reader: lines that it does not take must not pile up here.
      if (!isWanted(log.text)) return
      const shown = isTerminal ? { ...log, text: terminalText(log.text, print.colors.isColorSupported) } : log
      await print.bytes(Buffer.from(`${format(shown)}\n`))
    }
    const follow = flags.tail !== false
    const lines = flags.lines ?? -1
    // The last lines of those that match: the gateway knows nothing of the pattern.
    const isCutHere = flags.grep !== undefined && lines >= 0
    const requests = wanted.map((fn) => ({
      ...fn,
      since,
      lines: isCutHere ? -1 : lines,
      instance: flags.replica,
    }))
    if (!follow) {
      const past = await Promise.all(requests.map((request) => readPast(client, request)))
      const shown = past.map((logs) => logs.filter(({ text }) => isWanted(text)))
      for (const log of inOrder(isCutHere ? shown.map((logs) => lastOf(logs, lines)) : shown)) await show(log)
      return 0
    }
    const trouble = oneVoice(print, client.url)
    await Promise.all(
      requests.map(async (request) => {
        const past = isCutHere ? await readPast(client, request) : []
        const known = new Set(past.map(keyOf))
        for (const log of lastOf(
          past.filter(({ text }) => isWanted(text)),
          lines,
        ))
          await show(log)
        const newest = past.at(-1)?.timestamp
        const from = newest === undefined ? {} : { since: new Date(newest) }
        const later = { ...request, follow: true, ...from }
        for await (const log of followLogs(client, later, { signal, ...trouble }))
          if (!known.has(keyOf(log))) await show(log)
      }),
    )
    return 0
  },
})

async function select(
  { flags, print }: Context,
  { client, stack }: FoundGateway,
  names: readonly string[],
): Promise<{ name: string; namespace?: string | undefined }[]> {
  if (names.length > 0)
    return names.map((name) => (name.includes('.') ? parseRef(name) : { name, namespace: flags.namespace }))
  const isWanted = nameTest(flags)
  const all = stack
    ? stack.functions.map(({ spec }) => ({ name: spec.name, namespace: spec.namespace }))
    : await client.list(flags.namespace)
  const found = all.filter(({ name }) => isWanted(name))
  if (found.length === 0) print.note(`no function at ${client.url} is selected`)
  return found.map(({ name, namespace }) => ({ name, namespace: namespace ?? flags.namespace }))
}

/** Several functions are followed over one gateway: that it went away is said once. */
function oneVoice(print: Context['print'], url: string): { onAway: () => void; onBack: () => void } {
  let isAway = false
  return {
    onAway: () => {
      if (!isAway) print.note(`the gateway at ${url} went away; waiting for it`)
      isAway = true
    },
    onBack: () => {
      isAway = false
    },
  }
}

/** All lines of a function until now. FUNCTION_NOT_FOUND when there are none because there is no such function. */
async function readPast(client: GatewayClient, request: Omit<LogRequest, 'follow'>): Promise<WireLog[]> {
  const all: WireLog[] = []
  for await (const log of client.logs({ ...request, follow: false })) all.push(log)
  // What one that was removed wrote is worth to be read; a name that nobody knows is a mistake.
  if (all.length === 0) await client.get(request.name, request.namespace)
  return all
}

/** Lines of several functions in the order of their times; those of one are in order already. */
function inOrder(logs: readonly (readonly WireLog[])[]): readonly WireLog[] {
  const [first = [], ...others] = logs
  if (others.length === 0) return first
  return logs.flat().sort((a, b) => (a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0))
}

function lastOf(logs: readonly WireLog[], count: number): readonly WireLog[] {
  return count === 0 ? [] : logs.slice(-count)
}

function keyOf({ timestamp, instance = '', text }: WireLog): string {
  return `${timestamp} ${instance} ${text}`
}

function lineTest(grep: string | undefined): (text: string) => boolean {
  if (grep === undefined) return () => true
  const ignoresCase = grep.startsWith('(?i)')
  try {
    const expression = new RegExp(ignoresCase ? grep.slice(4) : grep, ignoresCase ? 'i' : '')
    return (text) => expression.test(text)
  } catch (error) {
    throw new FaasError('BAD_USAGE', {
      message: `--grep ${JSON.stringify(grep)}: ${(error as Error).message}`,
      remedy: 'Correct the regular expression; \\ before a character takes it as it is.',
    })
  }
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
