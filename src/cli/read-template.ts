import type { Option } from 'commander'
import type { StackFunction } from '../core/stack.ts'
import type { Toolbox } from '../core/toolbox.ts'
import { flag } from './command.ts'

export interface ReadTemplateFlags {
  readonly readTemplate?: boolean
  readonly fprocess?: string
}

export function readTemplateOptions(): Option[] {
  return [
    flag('--read-template', 'take fprocess from the template of a function that says none (default: true)'),
    flag('--no-read-template').hideHelp(),
  ]
}

/**
 * The functions with `fprocess` of their templates, as faas-cli sends it (contract 5.6). One that says its own, has no
 * template, or brings its own Dockerfile stays as it is. `open` is called only when a template has to be read.
 */
export async function withTemplateProcess(
  functions: readonly StackFunction[],
  flags: ReadTemplateFlags,
  open: () => Promise<Toolbox>,
): Promise<readonly StackFunction[]> {
  const needs = ({ source, spec }: StackFunction): boolean =>
    source !== undefined && source.lang.toLowerCase() !== 'dockerfile' && spec.envProcess === undefined
  if (flags.readTemplate === false || flags.fprocess !== undefined || !functions.some(needs)) return functions
  await using toolbox = await open()
  return await Promise.all(
    functions.map(async (fn) => {
      const envProcess = fn.source && needs(fn) ? await toolbox.templateProcess(fn.source) : undefined
      return envProcess === undefined ? fn : { ...fn, spec: { ...fn.spec, envProcess } }
    }),
  )
}
