import { FaasError } from '../../core/errors.ts'
import { engineOption, overrideBuild, tagOption } from '../build-flags.ts'
import type { TagMode } from '../image-tag.ts'
import { defineCommand, flag, numberFlag } from '../command.ts'
import { reportFailures } from '../outcomes.ts'
import { makeProgress } from '../progress.ts'
import { pushFunctions } from '../push-functions.ts'
import { readStackFor } from '../stack-for.ts'
import { openToolbox } from './rooms.ts'

interface Flags {
  readonly parallel?: number
  readonly tag?: TagMode
  readonly quiet?: boolean
  readonly engine?: string
}

/** Images of the selected functions → their registry. */
export const push = defineCommand<Flags>({
  options: [
    numberFlag('--parallel <n>', 'how many pushes at once (default: 2)', 1),
    tagOption(),
    flag('--quiet', "do not show the pushes' output"),
    engineOption(),
  ],
  examples: ['', '--filter "*search" --tag sha'],
  async run(context, _args, flags) {
    const stack = await readStackFor(context, 'trust')
    const functions = await Promise.all(stack.functions.map((fn) => overrideBuild(fn, stack.root, flags)))
    const built = functions.filter((fn) => fn.source)
    if (built.length === 0)
      throw new FaasError('BAD_USAGE', {
        message: `nothing to push: no selected function of ${stack.file} is built here`,
        remedy: 'Select functions that have a lang and no skip_build.',
      })
    await using toolbox = await openToolbox(context, flags.engine)
    using progress = makeProgress(context, flags.quiet === true)
    const images = built.map(({ spec }) => spec)
    const outcomes = await pushFunctions(context, toolbox, images, flags.parallel ?? 2, progress)
    progress[Symbol.dispose]()
    if (context.print.json) context.print.value(outcomes.flatMap((one) => (one.ok ? [one.result] : [])))
    return reportFailures(context, outcomes)
  },
})
