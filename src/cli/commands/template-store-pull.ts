import { FaasError } from '../../core/errors.ts'
import type { Toolbox } from '../../core/toolbox.ts'
import { defineCommand, flag } from '../command.ts'
import type { Context } from '../command.ts'
import { showPulled, storePull, templateRoot } from '../template-pull.ts'
import {
  findStoreTemplate,
  readTemplateStore,
  templateStoreOptions,
  templateStorePlace,
} from '../template-store.ts'
import type { TemplateStoreFlags } from '../template-store.ts'
import { openToolbox } from './rooms.ts'

interface Flags extends TemplateStoreFlags {
  readonly overwrite?: boolean
}

/** A template of a store → the `template/` folder of the project. */
export const templateStorePull = defineCommand<Flags>({
  args: '<name>',
  options: [
    ...templateStoreOptions(),
    flag('--overwrite', 'replace it when it is here already'),
    flag('--no-overwrite').hideHelp(),
    flag('--debug').hideHelp(),
  ],
  details: 'The name may be SOURCE/NAME as in the list, and may say a branch or tag: NAME@REF.',
  examples: ['golang-middleware', 'ruby-http@1.0 --overwrite', 'ours --url ./templates.json'],
  async run(context, [name = ''], flags) {
    const { io, print, signal } = context
    await using toolbox = await openToolbox(context)
    const from = await whereFrom(context, toolbox, name, flags)
    const root = templateRoot(context)
    const pulled = await toolbox.pullTemplates(
      { ...from, cwd: io.cwd, root, overwrite: flags.overwrite === true },
      signal,
    )
    showPulled(context, pulled)
    if (print.json) print.value(pulled)
    return 0
  },
})

async function whereFrom(
  context: Context,
  toolbox: Toolbox,
  name: string,
  flags: Flags,
): Promise<ReturnType<typeof storePull>> {
  const place = templateStorePlace(context, flags)
  try {
    const { template, ref } = findStoreTemplate(await readTemplateStore(context, place), name, place)
    return storePull(template.repo, ref === undefined ? template.template : `${template.template}@${ref}`)
  } catch (error) {
    const isDefault = flags.url === undefined && !context.io.env['OPENFAAS_TEMPLATE_STORE_URL']
    const known = isDefault ? toolbox.knownRepository(name.split(/[@#]/)[0] ?? name) : undefined
    if (known === undefined || !(error instanceof FaasError)) throw error
    context.print.note(`warning: ${error.message}; ${known} is known to have ${name}`)
    return storePull(known, name)
  }
}
