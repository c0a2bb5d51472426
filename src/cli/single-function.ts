import { resolve } from 'node:path'
import type { Option } from 'commander'
import { FaasError } from '../core/errors.ts'
import { checkName, DEFAULT_NAMESPACE } from '../core/function.ts'
import type { Stack, StackFunction } from '../core/stack.ts'
import { flag } from './command.ts'
import type { Context } from './command.ts'
import { readStackFor } from './stack-for.ts'

/** Flags that say one function without a stack file. */
export interface SingleFlags {
  readonly image?: string
  readonly name?: string
  readonly lang?: string
  readonly handler?: string
}

export function singleOptions(what: 'build' | 'deploy'): Option[] {
  const both = [
    flag('--image <image>', `without a stack file: image to ${what}`),
    flag('--name <name>', 'without a stack file: name of the function'),
  ]
  return [
    ...both,
    flag('--lang <template>', 'without a stack file: template'),
    flag('--handler <folder>', 'without a stack file: handler folder'),
  ]
}

/** The functions that a command means: of the stack file, or the one that `--image` and its neighbours say. BAD_USAGE. */
export async function readSelection(
  context: Context,
  what: 'build' | 'deploy',
  flags: SingleFlags,
): Promise<Pick<Stack, 'functions' | 'root'> & { readonly stack?: Stack }> {
  if (flags.image === undefined && flags.name === undefined && flags.handler === undefined) {
    const stack = await readStackFor(context, what === 'build' ? 'check' : 'trust')
    return { functions: stack.functions, root: stack.root, stack }
  }
  const needed =
    what === 'build' ? (['image', 'name', 'lang', 'handler'] as const) : (['image', 'name'] as const)
  const missing = needed.filter((name) => flags[name] === undefined)
  if (missing.length > 0)
    throw new FaasError('BAD_USAGE', {
      message: `without a stack file ${what} needs ${missing.map((name) => `--${name}`).join(', ')} too`,
      remedy: 'Give them, or name a stack file with -f.',
    })
  return { functions: [singleFunction(context, flags)], root: context.io.cwd }
}

function singleFunction({ io, flags }: Context, single: SingleFlags): StackFunction {
  const { name = '', image = '', lang, handler } = single
  checkName(name, 'function')
  const spec = { name, namespace: flags.namespace ?? DEFAULT_NAMESPACE, image, labels: {}, annotations: {} }
  if (lang === undefined || handler === undefined) return { spec }
  const source = {
    name,
    lang,
    image,
    handler: resolve(io.cwd, handler),
    root: io.cwd,
    buildArgs: {},
    buildOptions: [],
    buildSecrets: {},
    copy: [],
  }
  return { spec, source }
}
