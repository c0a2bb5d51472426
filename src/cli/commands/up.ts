import { FaasError } from '../../core/errors.ts'
import type { Stack } from '../../core/stack.ts'
import { buildOptions, buildWish, overrideBuild } from '../build-flags.ts'
import type { BuildFlags } from '../build-flags.ts'
import { buildFunctions } from '../build-functions.ts'
import { defineCommand, flag } from '../command.ts'
import type { Context } from '../command.ts'
import { deployOptions, deployWish } from '../deploy-flags.ts'
import type { DeployFlags } from '../deploy-flags.ts'
import { deployFunctions } from '../deploy-functions.ts'
import { gatewayFor } from '../gateway-for.ts'
import { reportFailures } from '../outcomes.ts'
import type { Outcome } from '../outcomes.ts'
import { makeProgress } from '../progress.ts'
import { readTemplateOptions, withTemplateProcess } from '../read-template.ts'
import { pushFunctions } from '../push-functions.ts'
import { overrideSpec, refuseTogether } from '../spec-flags.ts'
import { readStackFor } from '../stack-for.ts'
import { pullMissingTemplates } from '../template-pull.ts'
import { openToolbox } from './rooms.ts'

interface Flags extends BuildFlags, DeployFlags {
  readonly push?: boolean
  readonly skipPush?: boolean
  readonly skipDeploy?: boolean
  readonly watch?: boolean
  readonly publish?: boolean
}

/** Build, push if wanted, deploy. A function that fails at one step is left out of the next; the others go on. */
export const up = defineCommand<Flags>({
  options: [
    ...buildOptions(),
    flag('--push', 'push images before they are deployed'),
    flag('--skip-push', 'do not push (the default here)'),
    flag('--skip-deploy', 'build only'),
    flag('--watch').hideHelp(),
    flag('--publish').hideHelp(),
    ...deployOptions(),
    ...readTemplateOptions(),
  ],
  examples: ['', '--filter "*search" -f mobile.yml', '--parallel 4 --env LOG=debug', '--push --tag sha'],
  async run(context, _args, flags) {
    refuseTogether({ '--push': flags.push, '--skip-push': flags.skipPush })
    refuseElsewhere(flags)
    const wish = deployWish(flags)
    const stack = await readStackFor(context, 'check')
    const functions = await Promise.all(stack.functions.map((fn) => overrideBuild(fn, stack.root, flags)))
    using progress = makeProgress(context, flags.quiet === true)
    const failed: Outcome<unknown>[] = await buildAll(
      context,
      { functions, templates: stack.templates },
      flags,
      progress,
    )
    const names = new Set(failed.map(({ name }) => name))
    const read = await withTemplateProcess(functions, flags, () => openToolbox(context, flags.engine))
    const specs = read.map(({ spec }) => overrideSpec(spec, flags)).filter(({ name }) => !names.has(name))
    const deployed = flags.skipDeploy
      ? []
      : await deployFunctions(context, await gatewayFor(context, stack), specs, wish, progress)
    progress[Symbol.dispose]()
    if (context.print.json)
      context.print.value(deployed.flatMap((one) => (one.ok ? { name: one.name, ...one.result } : [])))
    return reportFailures(context, [...failed, ...deployed])
  },
})

/** Flags of faas-cli's `up` for which there is something better here. */
function refuseElsewhere({ watch, publish }: Flags): void {
  if (watch)
    throw new FaasError('BAD_USAGE', {
      message: 'up does not watch',
      remedy: 'Run "faasdock dev": it builds and deploys what you save, and shows what happens.',
    })
  if (publish)
    throw new FaasError('BAD_USAGE', {
      message: 'up does not publish',
      remedy: 'Run "faasdock publish", then "faasdock deploy"; or "faasdock up --push".',
    })
}

/** Builds, and pushes if wanted, what has a source. Gives the failures. */
async function buildAll(
  context: Context,
  { functions, templates }: Pick<Stack, 'functions' | 'templates'>,
  flags: Flags,
  progress: ReturnType<typeof makeProgress>,
): Promise<Outcome<unknown>[]> {
  const sources = functions.flatMap((fn) => fn.source ?? [])
  if (sources.length === 0) return []
  await using toolbox = await openToolbox(context, flags.engine)
  await pullMissingTemplates(context, toolbox, sources, templates, flags)
  const built = await buildFunctions(context, toolbox.builder, sources, buildWish(flags), progress)
  const good = sources.filter((source) => built.some(({ name, ok }) => ok && name === source.name))
  const pushed = flags.push ? await pushFunctions(context, toolbox, good, flags.parallel ?? 2, progress) : []
  return [...built, ...pushed].filter(({ ok }) => !ok)
}
