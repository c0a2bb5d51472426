import { dirname, resolve } from 'node:path'
import type { Option } from 'commander'
import type { FunctionSource } from '../core/builder.ts'
import type { Stack, TemplateSource } from '../core/stack.ts'
import type { PulledTemplates, TemplatePull, Toolbox } from '../core/toolbox.ts'
import { flag } from './command.ts'
import type { Context } from './command.ts'
import { isAddress } from './read-document.ts'
import { findStoreTemplate, readTemplateStore } from './template-store.ts'

export interface StackPullFlags {
  readonly disableStackPull?: boolean
  readonly overwrite?: boolean
  readonly debug?: boolean
}

/** Flags of commands that pull what a build needs. */
export function stackPullOptions(): Option[] {
  return [
    flag('--disable-stack-pull', 'never fetch a template that is missing'),
    flag('--overwrite').hideHelp(),
    flag('--no-overwrite').hideHelp(),
    flag('--debug').hideHelp(),
  ]
}

/** The folder whose `template/` a command means: that of the stack file, else the one it was started in. */
export function templateRoot({ io, flags }: Context): string {
  return flags.yaml === undefined || isAddress(flags.yaml) ? io.cwd : dirname(resolve(io.cwd, flags.yaml))
}

/** Says what a pull brought and what it left alone. */
export function showPulled({ print }: Context, { repository, written, kept }: PulledTemplates): void {
  if (written.length > 0) print.say(`pulled ${written.join(', ')} from ${repository}`)
  if (kept.length > 0)
    print.note(
      `kept ${kept.join(', ')}, which ${kept.length === 1 ? 'is' : 'are'} here already; --overwrite replaces`,
    )
}

/** `NAME@ref` or `NAME#ref` → the repository with its ref, and the name in it. */
export function storePull(repository: string, name: string): Pick<TemplatePull, 'source' | 'only'> {
  const [only = '', ref] = name.split(/[@#](.*)/s)
  return { source: ref ? `${repository}#${ref}` : repository, only }
}

/**
 * Fetches the templates that builds of these sources need and that are not here: from where `configuration.templates`
 * says, else from the store that OPENFAAS_TEMPLATE_STORE_URL names, else from the repository known to have it. What
 * nobody knows is left to the build to say. TEMPLATE_PULL_FAILED, and what reading a store rejects with.
 */
export async function pullMissingTemplates(
  context: Context,
  toolbox: Toolbox,
  sources: readonly FunctionSource[],
  configured: Stack['templates'],
  { disableStackPull }: StackPullFlags,
): Promise<void> {
  if (disableStackPull) return
  const wanted = new Map(sources.map(({ root, lang }) => [`${root}\0${lang}`, { root, lang }]))
  for (const { root, lang } of wanted.values()) {
    if (lang.toLowerCase() === 'dockerfile') continue
    const here = (await toolbox.listTemplates(root)).find((template) => template.lang === lang)
    const from = await whereFrom(
      context,
      toolbox,
      lang,
      here,
      configured.find(({ name }) => name === lang),
    )
    if (!from) continue
    const { cwd } = context.io
    showPulled(
      context,
      await toolbox.pullTemplates({ ...from, as: lang, cwd, root, overwrite: false }, context.signal),
    )
  }
}

async function whereFrom(
  context: Context,
  toolbox: Toolbox,
  lang: string,
  here: { readonly origin: string } | undefined,
  configured: TemplateSource | undefined,
): Promise<Pick<TemplatePull, 'source' | 'only'> | undefined> {
  if (here?.origin === 'project') return undefined
  const [bare = ''] = lang.split('@')
  const known = toolbox.knownRepository(bare)
  if (configured?.source !== undefined) {
    // The built-in one is for exactly this: no internet needed for the official templates.
    if (here && known !== undefined && isGithubOf(configured.source, known)) return undefined
    return configured.source.includes('#')
      ? { source: configured.source, only: bare }
      : storePull(configured.source, lang)
  }
  if (here) return undefined
  const place = context.io.env['OPENFAAS_TEMPLATE_STORE_URL']
  if (place) {
    const { template } = findStoreTemplate(await readTemplateStore(context, place), lang, place)
    return storePull(template.repo, lang)
  }
  return known === undefined ? undefined : storePull(known, lang)
}

/** True for an address of that repository without a ref, however it is written. */
function isGithubOf(source: string, ownerAndName: string): boolean {
  return source
    .replace(/\.git$/, '')
    .toLowerCase()
    .endsWith(`github.com/${ownerAndName.toLowerCase()}`)
}
