import { join } from 'node:path'
import { buildFunctions } from '../build-functions.ts'
import { buildOptions, buildWish, overrideBuild } from '../build-flags.ts'
import type { BuildFlags } from '../build-flags.ts'
import { defineCommand, flag, listFlag } from '../command.ts'
import { reportFailures } from '../outcomes.ts'
import { makeProgress } from '../progress.ts'
import { readSelection, singleOptions } from '../single-function.ts'
import type { SingleFlags } from '../single-function.ts'
import { pullMissingTemplates } from '../template-pull.ts'
import { openToolbox } from './rooms.ts'

interface Flags extends BuildFlags, SingleFlags {
  readonly shrinkwrap?: boolean
  readonly copyExtra?: readonly string[]
}

/** Template + handler → image, for every selected function. */
export const build = defineCommand<Flags>({
  options: [
    ...buildOptions(),
    listFlag('--copy-extra <path>', 'copy a file or folder of the project below the handler folder too'),
    flag('--shrinkwrap', 'write the build folders to build/NAME and stop there'),
    ...singleOptions('build'),
  ],
  examples: ['', '-f mobile.yml --filter "*search"', '--parallel 4 --no-cache', '--tag sha'],
  async run(context, _args, flags) {
    const { functions, root, stack } = await readSelection(context, 'build', flags)
    const overridden = await Promise.all(functions.map((fn) => overrideBuild(fn, root, flags)))
    const sources = overridden
      .flatMap((fn) => fn.source ?? [])
      .map((source) => ({ ...source, copy: [...source.copy, ...(flags.copyExtra ?? [])] }))
    if (sources.length === 0) context.print.say('nothing to build: every selected function has a ready image')
    await using toolbox = await openToolbox(context, flags.engine)
    await pullMissingTemplates(context, toolbox, sources, stack?.templates ?? [], flags)
    using progress = makeProgress(context, flags.quiet === true)
    if (flags.shrinkwrap) {
      for (const source of sources) {
        const folder = join(source.root, 'build', source.name)
        await toolbox.shrinkwrap(source, folder)
        progress.done(source.name, folder)
      }
      return 0
    }
    const outcomes = await buildFunctions(context, toolbox.builder, sources, buildWish(flags), progress)
    progress[Symbol.dispose]()
    if (context.print.json)
      context.print.value(outcomes.flatMap((one) => (one.ok ? { name: one.name, ...one.result } : [])))
    return reportFailures(context, outcomes)
  },
})
