import { FaasError } from '../../core/errors.ts'
import type { FunctionSource } from '../../core/builder.ts'
import { buildFunctions } from '../build-functions.ts'
import { buildOptions, buildWish, overrideBuild } from '../build-flags.ts'
import type { BuildFlags } from '../build-flags.ts'
import { defineCommand, flag, listFlag } from '../command.ts'
import { reportFailures } from '../outcomes.ts'
import { makeProgress } from '../progress.ts'
import { pushFunctions } from '../push-functions.ts'
import { readStackFor } from '../stack-for.ts'
import { pullMissingTemplates } from '../template-pull.ts'
import { openToolbox } from './rooms.ts'

interface Flags extends BuildFlags {
  readonly platforms?: string
  readonly extraTag?: readonly string[]
  readonly remoteBuilder?: string
  readonly payloadSecret?: string
}

/** Images of the selected functions, built and pushed in one go. */
export const publish = defineCommand<Flags>({
  options: [
    ...buildOptions(),
    flag(
      '--platforms <list>',
      "platforms of the images, with commas (default: the function's, else the engine's)",
    ),
    listFlag('--extra-tag <tag>', 'push the image under this tag too'),
    flag('--reset-qemu').hideHelp(),
    flag('--remote-builder <url>').hideHelp(),
    flag('--payload-secret <file>').hideHelp(),
    flag('--builder-public-key <key>').hideHelp(),
  ],
  details:
    'The engine builds images for its own platform. For others, "build --shrinkwrap" writes the build folders, which docker buildx builds anywhere.',
  examples: ['', '--tag sha --extra-tag stable', '--filter "*search" --parallel 2'],
  async run(context, _args, flags) {
    if (flags.remoteBuilder !== undefined || flags.payloadSecret !== undefined) throw noRemoteBuilder()
    const stack = await readStackFor(context, 'check')
    const functions = await Promise.all(stack.functions.map((fn) => overrideBuild(fn, stack.root, flags)))
    const sources = functions.flatMap(({ source }) => source ?? [])
    if (sources.length === 0)
      throw new FaasError('BAD_USAGE', {
        message: `nothing to publish: no selected function of ${stack.file} is built here`,
        remedy: 'Select functions that have a lang and no skip_build.',
      })
    await using toolbox = await openToolbox(context, flags.engine)
    const own = `linux/${(await toolbox.engine()).architecture}`
    for (const { source, platforms } of functions)
      if (source) refuseForeign(source, flags.platforms ?? platforms ?? own, own)
    await pullMissingTemplates(context, toolbox, sources, stack.templates, flags)
    // The same content under another tag is not built again.
    const all = sources.flatMap((source) => [
      source,
      ...(flags.extraTag ?? []).map((tag) => ({ ...source, image: withTag(source.image, tag) })),
    ])
    using progress = makeProgress(context, flags.quiet === true)
    const built = await buildFunctions(context, toolbox.builder, all, buildWish(flags), progress)
    const good = all.filter((_source, index) => built[index]?.ok)
    const pushed = await pushFunctions(context, toolbox, good, flags.parallel ?? 2, progress)
    progress[Symbol.dispose]()
    if (context.print.json) context.print.value(pushed.flatMap((one) => (one.ok ? [one.result] : [])))
    return reportFailures(context, [...built.filter(({ ok }) => !ok), ...pushed])
  },
})

function withTag(image: string, tag: string): string {
  const colon = image.lastIndexOf(':')
  return `${colon > image.lastIndexOf('/') ? image.slice(0, colon) : image}:${tag}`
}

function refuseForeign({ name }: FunctionSource, wanted: string, own: string): void {
  const foreign = wanted
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '' && one !== own)
  if (foreign.length === 0) return
  throw new FaasError('BAD_USAGE', {
    message: `${name} is to be published for ${foreign.join(', ')}, and the engine here builds for ${own}`,
    remedy: `Publish on a machine of that platform; or write the build folder with "faasdock build --shrinkwrap", and run: docker buildx build --push --platform ${wanted} -t IMAGE build/${name}. With --platforms ${own} it is published for this one alone.`,
  })
}

function noRemoteBuilder(): FaasError {
  return new FaasError('BAD_USAGE', {
    message: '--remote-builder: images are built by the Docker engine here',
    remedy: 'Name another engine with --engine, or leave the flag out.',
  })
}
