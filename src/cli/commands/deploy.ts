import { overrideBuild, tagOption } from '../build-flags.ts'
import type { TagMode } from '../image-tag.ts'
import { defineCommand } from '../command.ts'
import { deployOptions, deployWish } from '../deploy-flags.ts'
import type { DeployFlags } from '../deploy-flags.ts'
import { deployFunctions } from '../deploy-functions.ts'
import { findGateway, gatewayFor } from '../gateway-for.ts'
import { reportFailures } from '../outcomes.ts'
import { makeProgress } from '../progress.ts'
import { readTemplateOptions, withTemplateProcess } from '../read-template.ts'
import { readSelection, singleOptions } from '../single-function.ts'
import type { SingleFlags } from '../single-function.ts'
import { overrideSpec } from '../spec-flags.ts'
import { openToolbox } from './rooms.ts'

interface Flags extends DeployFlags, SingleFlags {
  readonly tag?: TagMode
}

/** Selected functions → gateway. */
export const deploy = defineCommand<Flags>({
  options: [...deployOptions(), ...readTemplateOptions(), tagOption(), ...singleOptions('deploy')],
  examples: [
    '',
    '-f mobile.yml --filter "*search"',
    '--env LOG=debug --label team=mobile',
    '--image fn/echo:1 --name echo',
  ],
  async run(context, _args, flags) {
    const wish = deployWish(flags)
    const { functions, root, stack } = await readSelection(context, 'deploy', flags)
    const tagged = await Promise.all(
      functions.map((fn) => overrideBuild(fn, root, { ...flags, buildArg: [] })),
    )
    const read = await withTemplateProcess(tagged, flags, () => openToolbox(context))
    const specs = read.map(({ spec }) => overrideSpec(spec, flags))
    using progress = makeProgress(context, false)
    const client = stack ? await gatewayFor(context, stack) : await findGateway(context, { strict: true })
    const outcomes = await deployFunctions(context, client, specs, wish, progress)
    progress[Symbol.dispose]()
    if (context.print.json)
      context.print.value(outcomes.flatMap((one) => (one.ok ? { name: one.name, ...one.result } : [])))
    return reportFailures(context, outcomes)
  },
})
