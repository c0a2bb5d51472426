import { engineOption } from '../build-flags.ts'
import { defineCommand } from '../command.ts'
import { readStackIfAny } from '../stack-for.ts'
import { openToolbox } from './rooms.ts'

interface Flags {
  readonly engine?: string
}

/** Engine and base images, made ready once. */
export const setup = defineCommand<Flags>({
  options: [engineOption()],
  details:
    'Finds the engine. Only as root on Debian or Ubuntu, and said before, one is installed where there is none. With a stack file here, its base images are made ready too.',
  examples: ['', '-f mobile.yml'],
  async run(context, _args, flags) {
    const { print } = context
    await using toolbox = await openToolbox(context, flags.engine)
    // The base images of the stack that is here; without one the engine is all that can be made ready.
    const stack = await readStackIfAny(context)
    const sources = stack?.functions.flatMap(({ source }) => source ?? []) ?? []
    await toolbox.setup(sources, (line) => print.say(line))
    const engine = await toolbox.engine()
    if (print.json) print.value(engine)
    print.say(`ready: Docker ${engine.version} (${engine.architecture}) at ${engine.address}`)
    return 0
  },
})
