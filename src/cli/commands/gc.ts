import { engineOption } from '../build-flags.ts'
import { defineCommand, flag } from '../command.ts'
import { tableLines } from '../table.ts'
import { openToolbox } from './rooms.ts'

interface Flags {
  readonly yes?: boolean
  readonly engine?: string
}

/** What dead runs and deleted projects left: listed, and removed only when told so. */
export const gc = defineCommand<Flags>({
  options: [flag('-y, --yes', 'remove them'), engineOption()],
  examples: ['', '--yes', '--json'],
  async run(context, _args, flags) {
    const { print } = context
    await using toolbox = await openToolbox(context, flags.engine)
    const leftovers = await toolbox.gc.list()
    if (flags.yes && leftovers.length > 0) await toolbox.gc.remove(leftovers)
    if (print.json) print.value(leftovers.map((one) => ({ ...one, removed: flags.yes === true })))
    else if (leftovers.length > 0)
      for (const line of tableLines(
        ['KIND', 'NAME', 'WHY'],
        leftovers.map((one) => [one.kind, one.name, one.reason]),
      ))
        print.line(line)
    if (leftovers.length === 0) print.note('nothing is left over')
    else print.note(flags.yes ? `removed ${leftovers.length}` : 'remove them with "faasdock gc --yes"')
    return 0
  },
})
