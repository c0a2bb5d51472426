import type { Option } from 'commander'
import type { FunctionSource } from '../core/builder.ts'
import type { StackFunction } from '../core/stack.ts'
import { flag, listFlag, numberFlag } from './command.ts'
import type { BuildWish } from './build-functions.ts'
import { TAG_MODES, tagImage } from './image-tag.ts'
import type { TagMode } from './image-tag.ts'
import { readKeyValues } from './key-values.ts'
import { stackPullOptions } from './template-pull.ts'
import type { StackPullFlags } from './template-pull.ts'

export interface BuildFlags extends StackPullFlags {
  readonly squash?: boolean
  readonly parallel?: number
  readonly cache?: boolean
  readonly pull?: boolean
  readonly buildArg?: readonly string[]
  readonly buildOption?: readonly string[]
  readonly buildLabel?: readonly string[]
  readonly tag?: TagMode
  readonly quiet?: boolean
  readonly engine?: string
}

export const engineOption = (): Option =>
  flag(
    '--engine <address>',
    'address of the Docker engine (default: searched for) (env: FAASDOCK_ENGINE, DOCKER_HOST)',
  )

export const tagOption = (): Option =>
  flag('--tag <mode>', "what to add to the image's tag").choices(TAG_MODES)

export function buildOptions(): Option[] {
  return [
    numberFlag('--parallel <n>', 'how many builds at once (default: 2)', 1),
    flag('--no-cache', "do not use the engine's build cache"),
    flag('--pull', 'ask the registry for newer base images'),
    flag('--squash', 'accepted and without effect: BuildKit has no such thing'),
    listFlag('-b, --build-arg <key=value>', 'set a build argument'),
    listFlag('-o, --build-option <name>', 'choose a build option of the template'),
    listFlag('--build-label <key=value>', 'add a label to the image'),
    tagOption(),
    flag('--quiet', "do not show the builds' output"),
    ...stackPullOptions(),
    engineOption(),
  ]
}

export function buildWish(flags: BuildFlags): BuildWish {
  return {
    parallel: flags.parallel ?? 2,
    noCache: flags.cache === false,
    pull: flags.pull === true,
    labels: readKeyValues(flags.buildLabel, '--build-label'),
  }
}

/** A function of the stack with what the flags say on top, and its image tagged as `--tag` says. */
export async function overrideBuild(
  fn: StackFunction,
  root: string,
  flags: BuildFlags,
): Promise<StackFunction> {
  const image = await tagImage(fn.spec.image, flags.tag ?? 'latest', root, fn.source?.handler)
  const spec = { ...fn.spec, image }
  if (!fn.source) return { ...fn, spec }
  const source: FunctionSource = {
    ...fn.source,
    image,
    buildArgs: { ...fn.source.buildArgs, ...readKeyValues(flags.buildArg, '--build-arg') },
    buildOptions: [...new Set([...fn.source.buildOptions, ...(flags.buildOption ?? [])])],
  }
  return { ...fn, spec, source }
}
