import { readFile, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { FaasError } from '../../core/errors.ts'
import { checkName } from '../../core/function.ts'
import { defineCommand, flag } from '../command.ts'
import type { Context } from '../command.ts'
import { DEFAULT_GATEWAY, resolveGateway } from '../gateway-address.ts'
import { ignoreGenerated } from '../git-ignore.ts'
import { resourceOptions, resourcesOf } from '../spec-flags.ts'
import type { SpecFlags } from '../spec-flags.ts'
import { addFunction, newStackText } from '../stack-text.ts'
import { openToolbox } from './rooms.ts'
import { templateList } from './template-list.ts'

interface Flags extends SpecFlags {
  readonly lang?: string
  readonly prefix?: string
  readonly append?: string
  readonly handler?: string
  readonly list?: boolean
}

/** Template's sample handler, test and README → folder, and a stack file that says it. */
export const newFunction = defineCommand<Flags>({
  args: '[name]',
  options: [
    flag('--lang <template>', 'template to start from; see --list'),
    flag('-p, --prefix <prefix>', 'registry and user in front of the image name (env: OPENFAAS_PREFIX)'),
    flag('-a, --append <file>', 'stack file to add the function to'),
    flag('--handler <folder>', 'folder for the code (default: ./NAME)'),
    flag('--list', 'list templates instead'),
    ...resourceOptions(),
  ],
  details:
    'Adds to the stack file of this folder (stack.yaml, stack.yml or the one of -f) when there is one.',
  examples: [
    'hello --lang node22',
    'words --lang python3 --append mobile.yml',
    'hello --lang node22 --prefix registry.local/team',
  ],
  async run(context, [name], flags) {
    if (flags.list) return templateList.run(context, [], {})
    const { io, print } = context
    const lang = required('--lang', flags.lang, 'See which templates there are with "faasdock new --list".')
    const given = required('a name', name, 'Write "faasdock new NAME --lang TEMPLATE".')
    checkName(given, 'function')
    const file = await stackFileFor(context, flags.append)
    const root = dirname(file)
    const folder = resolve(io.cwd, flags.handler ?? given)
    await refuseExisting(folder)

    const before = await readFile(file, 'utf8').catch(() => undefined)
    const { prefix = io.env['OPENFAAS_PREFIX'] } = flags
    const fn = {
      name: given,
      lang,
      handler: stackPath(root, folder),
      image: `${prefix ? `${prefix.replace(/\/$/, '')}/` : ''}${given}:latest`,
      ...resourcesOf(flags),
    }
    // Everything that can be refused is refused before anything is written.
    const gateway = resolveGateway({
      flag: context.flags.gateway,
      env: io.env['OPENFAAS_URL'] ?? DEFAULT_GATEWAY,
    })
    const after = before === undefined ? newStackText(gateway, fn) : addFunction(before, file, fn)
    await using toolbox = await openToolbox(context)
    const copied = await toolbox.copyTemplate({ root, lang, name: given, to: folder })
    await writeFile(file, after)
    const ignore = join(root, '.gitignore')
    const ignored = await readFile(ignore, 'utf8').catch(() => '')
    if (ignoreGenerated(ignored) !== ignored) await writeFile(ignore, ignoreGenerated(ignored))

    const stackName = relative(io.cwd, file) || file
    if (print.json) print.value({ ...fn, folder, stack: file, files: copied.files })
    print.say(`made ${relative(io.cwd, folder) || folder} (${copied.files.join(', ')})`)
    print.say(`${before === undefined ? 'made' : 'added to'} ${stackName}`)
    if (copied.welcome) print.say(`\n${copied.welcome.trim()}`)
    print.say(`\nNext: faasdock dev${/^stack\.ya?ml$/.test(stackName) ? '' : ` -f ${stackName}`}`)
    return 0
  },
})

function required(what: string, value: string | undefined, remedy: string): string {
  if (value) return value
  throw new FaasError('BAD_USAGE', { message: `new needs ${what}`, remedy })
}

async function stackFileFor({ io, flags }: Context, append: string | undefined): Promise<string> {
  if (append !== undefined) {
    const file = resolve(io.cwd, append)
    if (await exists(file)) return file
    throw new FaasError('FILE_NOT_READABLE', {
      message: `--append ${JSON.stringify(append)}: there is no such file`,
      remedy: 'Name a stack file that is there, or leave --append out to make one.',
    })
  }
  if (flags.yaml !== undefined) return resolve(io.cwd, flags.yaml)
  const old = join(io.cwd, 'stack.yml')
  const present = join(io.cwd, 'stack.yaml')
  return !(await exists(present)) && (await exists(old)) ? old : present
}

async function refuseExisting(folder: string): Promise<void> {
  if (!(await exists(folder))) return
  throw new FaasError('BAD_USAGE', {
    message: `${folder} is there already`,
    remedy: `Choose another name, or another folder with --handler (${basename(folder)}-2).`,
  })
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined
}

/** A path as stack files write it: relative to the file, forward slashes, `./` in front. */
function stackPath(root: string, folder: string): string {
  const path = relative(root, folder)
  if (isAbsolute(path)) return folder
  const slashes = path.split(sep).join('/')
  return slashes.startsWith('..') ? slashes : `./${slashes}`
}
