import { FaasError } from '../../core/errors.ts'
import { defineCommand, flag } from '../command.ts'
import type { Context } from '../command.ts'
import { readStackFor } from '../stack-for.ts'
import { showPulled, storePull, templateRoot } from '../template-pull.ts'
import type { PulledTemplates, TemplatePull } from '../../core/toolbox.ts'
import { openToolbox } from './rooms.ts'

interface Flags {
  readonly overwrite?: boolean
}

/** What is pulled when nobody says. */
const DEFAULT_REPOSITORY = 'openfaas/templates'

/** Templates of a repository → the `template/` folder of the project. */
export const templatePull = defineCommand<Flags>({
  args: '[source]',
  options: [
    flag('--overwrite', 'replace templates that are here already'),
    flag('--no-overwrite').hideHelp(),
    flag('--debug').hideHelp(),
  ],
  details:
    'The source is the address of a git repository, owner/name of one on GitHub, a folder, or the name of a well-known template, which is then pulled alone; #NAME behind it means a branch or tag, #sha-COMMIT a commit. "stack" means what configuration.templates of the stack file says. Without a source: OPENFAAS_TEMPLATE_URL, else openfaas/templates. A pinned template is kept as NAME@REF. The built-in ones (see "template list") need no pull.',
  examples: [
    '',
    'golang-middleware',
    'https://github.com/openfaas/templates#1.0 --overwrite',
    '../our-templates',
    'stack',
  ],
  async run(context, [given], flags) {
    const { io, print, signal } = context
    await using toolbox = await openToolbox(context)
    const source = given ?? (io.env['OPENFAAS_TEMPLATE_URL'] || DEFAULT_REPOSITORY)
    const root = templateRoot(context)
    const wishes =
      source === 'stack'
        ? await wishesOfStack(context)
        : [wishFor(source, (lang) => toolbox.knownRepository(lang))]
    const all: PulledTemplates[] = []
    for (const wish of wishes) {
      const overwrite = flags.overwrite === true
      const pulled = await toolbox.pullTemplates({ ...wish, cwd: io.cwd, root, overwrite }, signal)
      showPulled(context, pulled)
      all.push(pulled)
    }
    if (print.json) print.value(all)
    return 0
  },
})

type Wish = Pick<TemplatePull, 'source' | 'only' | 'as'>

/** A bare word is the name of a template when one of that name is known; a folder of that name is `./NAME`. */
function wishFor(source: string, knownRepository: (lang: string) => string | undefined): Wish {
  const [name = ''] = source.split(/[@#]/)
  const repository = /^[\w.-]+$/.test(name) ? knownRepository(name) : undefined
  return repository === undefined ? { source } : storePull(repository, source)
}

async function wishesOfStack(context: Context): Promise<Wish[]> {
  const { templates, file } = await readStackFor(context, 'trust')
  if (templates.length === 0)
    throw new FaasError('BAD_USAGE', {
      message: `${file} names no templates to pull`,
      remedy: 'List them in configuration.templates, each with name and source.',
    })
  await using toolbox = await openToolbox(context)
  return templates.map(({ name, source = toolbox.knownRepository(name.split('@')[0] ?? name) }) => {
    if (source === undefined)
      throw new FaasError('TEMPLATE_NOT_FOUND', {
        message: `${file}: nobody knows where the template ${JSON.stringify(name)} is from`,
        remedy: 'Add its repository as source in configuration.templates.',
      })
    return {
      ...(source.includes('#') ? { source, only: name.split('@')[0] ?? name } : storePull(source, name)),
      as: name,
    }
  })
}
