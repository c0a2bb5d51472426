import { engineOption } from '../build-flags.ts'
import { defineCommand } from '../command.ts'
import { openToolbox } from './rooms.ts'

interface Flags {
  readonly engine?: string
}

/** Engine and base images, made ready once. */
export const setup = defineCommand<Flags>({
  options: [engineOption()],
  details:
    'Finds the engine. Only as root on Debian or Ubuntu, and said before, one is installed where there is none.',
  examples: [''],
  async run(context, _args, flags) {
    const { print } = context
    await using toolbox = await openToolbox(context, flags.engine)
    await toolbox.setup((line) => print.say(line), context.signal)
    const engine = await toolbox.engine()
    if (print.json) print.value(engine)
    print.say(`ready: Docker ${engine.version} (${engine.architecture}) at ${engine.address}`)
    return 0
  },
})
