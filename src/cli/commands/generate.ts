import { DEFAULT_NAMESPACE } from '../../core/function.ts'
import type { FunctionSpec } from '../../core/function.ts'
import { overrideBuild, tagOption } from '../build-flags.ts'
import { defineCommand, flag, listFlag } from '../command.ts'
import type { Context } from '../command.ts'
import type { TagMode } from '../image-tag.ts'
import { readKeyValues } from '../key-values.ts'
import { KUBERNETES_APIS, kubernetesObject } from '../kubernetes-objects.ts'
import type { KubernetesApi } from '../kubernetes-objects.ts'
import { readStackFor } from '../stack-for.ts'
import { findStoreFunction, readStore } from '../store.ts'
import { writeYaml } from '../yaml-text.ts'

interface Flags {
  readonly api?: KubernetesApi
  readonly fromStore?: string
  readonly url?: string
  readonly name?: string
  readonly arch?: string
  readonly annotation?: readonly string[]
  readonly label?: readonly string[]
  readonly tag?: TagMode
}

/** Functions as objects of Kubernetes, for a cluster that runs OpenFaaS or Knative. */
export const generate = defineCommand<Flags>({
  options: [
    flag('--api <version>', 'kind of object (default: openfaas.com/v1)').choices(KUBERNETES_APIS),
    tagOption(),
    flag('--from-store <function>', 'a function of the store, instead of a stack file'),
    flag('-u, --url <address>', 'with --from-store: its address or file (env: OPENFAAS_STORE)'),
    flag('--name <name>', 'with --from-store: another name'),
    flag('--arch <name>', 'with --from-store: image for this platform (default: x86_64)'),
    listFlag('--annotation <key=value>', 'with --from-store: set an annotation'),
    listFlag('--label <key=value>', 'with --from-store: set a label'),
  ],
  details:
    'Writes YAML on standard output, one document for each function; with --json an array. Asks no gateway.',
  examples: [
    '| kubectl apply -f -',
    '--api serving.knative.dev/v1 --tag sha',
    '--from-store nodeinfo --arch arm64',
  ],
  async run(context, _args, flags) {
    const { print } = context
    const specs =
      flags.fromStore === undefined
        ? await ofStack(context, flags)
        : [await ofStore(context, flags.fromStore, flags)]
    const objects = specs.map((spec) => kubernetesObject(spec, flags.api ?? 'openfaas.com/v1'))
    if (print.json) print.value(objects)
    else for (const object of objects) print.line(`---\n${writeYaml(object).trimEnd()}`)
    return 0
  },
})

async function ofStack(context: Context, { tag }: Flags): Promise<FunctionSpec[]> {
  const stack = await readStackFor(context, 'trust')
  const tagged = await Promise.all(
    stack.functions.map((fn) => overrideBuild(fn, stack.root, { ...(tag && { tag }) })),
  )
  // Every object of one list goes into one namespace, as faas-cli has it.
  const namespace = context.flags.namespace ?? DEFAULT_NAMESPACE
  return tagged.map(({ spec }) => ({ ...spec, namespace })).sort((a, b) => (a.name < b.name ? -1 : 1))
}

async function ofStore(context: Context, wanted: string, flags: Flags): Promise<FunctionSpec> {
  const { arch: platform = 'x86_64', url } = flags
  const { fn, image } = findStoreFunction(await readStore(context, { platform, ...(url && { url }) }), wanted)
  // Kubernetes knows no process; the watchdog reads it from the environment.
  const envVars = { ...(fn.fprocess !== '' && { fprocess: fn.fprocess }), ...fn.environment }
  return {
    name: flags.name ?? fn.name,
    namespace: context.flags.namespace ?? DEFAULT_NAMESPACE,
    image,
    envVars,
    labels: { ...fn.labels, ...readKeyValues(flags.label, '--label') },
    annotations: { ...fn.annotations, ...readKeyValues(flags.annotation, '--annotation') },
  }
}
