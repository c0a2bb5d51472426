import { checkName, DEFAULT_NAMESPACE } from '../../core/function.ts'
import type { FunctionSpec } from '../../core/function.ts'
import { defineCommand, flag } from '../command.ts'
import { deployOptions, deployWish } from '../deploy-flags.ts'
import type { DeployFlags } from '../deploy-flags.ts'
import { deployFunctions } from '../deploy-functions.ts'
import { findGateway } from '../gateway-for.ts'
import { reportFailures } from '../outcomes.ts'
import { makeProgress } from '../progress.ts'
import { overrideSpec } from '../spec-flags.ts'
import { findStoreFunction, readStore, storeOptions } from '../store.ts'
import type { StoreFlags } from '../store.ts'

interface Flags extends DeployFlags, StoreFlags {
  readonly name?: string
}

/** A function of a store → gateway. */
export const storeDeploy = defineCommand<Flags>({
  args: '<function>',
  options: [...storeOptions(), flag('--name <name>', 'another name for the function'), ...deployOptions()],
  details: 'What the flags say goes before what the store says.',
  examples: [
    'nodeinfo',
    'figlet --name banner --label team=mobile',
    'ours --url store.json --platform arm64',
  ],
  async run(context, [wanted = ''], flags) {
    const wish = deployWish(flags)
    const { fn, image } = findStoreFunction(await readStore(context, flags), wanted)
    const name = flags.name ?? fn.name
    checkName(name, 'function')
    const { environment: envVars, labels, annotations, fprocess, readOnlyRootFilesystem } = fn
    const spec: FunctionSpec = {
      name,
      namespace: context.flags.namespace ?? DEFAULT_NAMESPACE,
      image,
      labels,
      annotations,
      ...(Object.keys(envVars).length > 0 && { envVars }),
      ...(fprocess !== '' && { envProcess: fprocess }),
      ...(readOnlyRootFilesystem && { readOnlyRootFilesystem }),
    }
    using progress = makeProgress(context, false)
    const client = await findGateway(context, { strict: true })
    const outcomes = await deployFunctions(context, client, [overrideSpec(spec, flags)], wish, progress)
    progress[Symbol.dispose]()
    if (context.print.json)
      context.print.value(outcomes.flatMap((one) => (one.ok ? { name: one.name, ...one.result } : [])))
    return reportFailures(context, outcomes)
  },
})
