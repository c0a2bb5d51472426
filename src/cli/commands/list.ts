import { defineCommand, flag } from '../command.ts'
import { findGateway } from '../gateway-for.ts'
import { problemText } from '../problem-text.ts'
import { stateText } from '../state-text.ts'
import { tableLines } from '../table.ts'
import type { WireFunction } from '../wire.ts'

interface Flags {
  readonly quiet?: boolean
  readonly sort?: keyof typeof ORDERS
}

const ORDERS = {
  name: (a: WireFunction, b: WireFunction) => a.name.localeCompare(b.name, 'en'),
  invocations: (a: WireFunction, b: WireFunction) => (b.invocationCount ?? 0) - (a.invocationCount ?? 0),
  creation: (a: WireFunction, b: WireFunction) =>
    Date.parse(b.createdAt ?? '') - Date.parse(a.createdAt ?? ''),
} as const

/** Deployed functions of one namespace as a table. */
export const list = defineCommand<Flags>({
  options: [
    flag('-q, --quiet', 'names only'),
    flag('--sort <by>', 'order (default: name)').choices(Object.keys(ORDERS)),
  ],
  examples: ['', '-v', '--sort invocations', '--json'],
  async run(context, _args, flags) {
    const { print } = context
    const client = await findGateway(context, { strict: false })
    const functions = (await client.list(context.flags.namespace)).sort(ORDERS[flags.sort ?? 'name'])
    if (print.json) print.value(functions)
    else if (flags.quiet) for (const { name } of functions) print.line(name)
    else if (functions.length === 0)
      print.note(`no functions at ${client.url}; deploy some with "faasdock up"`)
    else {
      const rows = functions.map((fn) => row(fn, print.verbose))
      for (const line of tableLines(print.verbose ? [...HEAD, 'CREATED'] : HEAD, rows)) print.line(line)
      for (const { name, problem } of functions)
        if (problem) print.note(`${name}: ${problemText(problem).split('\n', 1)[0] ?? ''}`)
    }
    return 0

    function row(fn: WireFunction, full: boolean): string[] {
      const { replicas = 0, availableReplicas = 0 } = fn
      return [
        fn.name,
        String(fn.invocationCount ?? 0),
        availableReplicas === replicas ? String(replicas) : `${availableReplicas}/${replicas}`,
        stateText(fn, print.colors),
        full || fn.image.length <= IMAGE_WIDTH ? fn.image : `…${fn.image.slice(1 - IMAGE_WIDTH)}`,
        ...(full ? [fn.createdAt ?? ''] : []),
      ]
    }
  },
})

const HEAD = ['FUNCTION', 'INVOCATIONS', 'REPLICAS', 'STATE', 'IMAGE']
/** The end of an image's name tells functions apart; `-v` shows all of it. */
const IMAGE_WIDTH = 40
