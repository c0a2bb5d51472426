import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { FunctionSource } from '../core/builder.ts'
import { FaasError } from '../core/errors.ts'
import { communityTemplates, repositoryOf } from './community-templates.ts'
import { nearest } from '../core/nearest.ts'
import { ofLang } from './of-lang.ts'
import { readTemplateYml } from './template-yml.ts'
import type { TemplateYml } from './template-yml.ts'

/** The lang of a function that brings its own Dockerfile. */
const DOCKERFILE_LANG = 'dockerfile'

/** A template, found. */
export interface Template extends TemplateYml {
  readonly lang: string
  /** Absolute. Undefined for `dockerfile`, which needs none. */
  readonly folder?: string
  /** Build arguments that make this template serve `lang`. */
  readonly languageArgs: Readonly<Record<string, string>>
}

/** A template as `template list` and `new` show it. */
export interface ListedTemplate extends Template {
  readonly folder: string
  /** What a handler is in it, in one line. */
  readonly description?: string
  readonly origin: 'project' | 'built-in'
}

/** True for `lang: dockerfile`, in any case, as faas-cli reads it. */
export function isDockerfileLang(lang: string): boolean {
  return lang.toLowerCase() === DOCKERFILE_LANG
}

/** Where a project's own template of `lang` is, or would be. */
export function projectTemplateFolder(root: string, lang: string): string {
  return join(root, 'template', lang)
}

/**
 * The template of `source.lang`: `template/LANG` of the project when it is there, else a built-in one that serves the
 * lang. Never needs the network. TEMPLATE_NOT_FOUND says where it was looked for and what could have been meant.
 */
export async function resolveTemplate(
  source: Pick<FunctionSource, 'lang' | 'root'> & { readonly name?: string },
  builtIn: string,
): Promise<Template> {
  const { lang, root } = source
  if (isDockerfileLang(lang)) return dockerfileTemplate(root, lang)
  const own = projectTemplateFolder(root, lang)
  if (isFolderName(lang) && (await isFolder(own))) return readTemplate(own, lang)
  const templates = await builtInTemplates(builtIn)
  const found = templates.find((template) => template.lang === lang)
  if (found) return found
  throw await notFound(source, builtIn, templates)
}

/** Every template that a function in `root` can name, the project's first, sorted by lang; a project's own hides a built-in. */
export async function listTemplates(root: string, builtIn: string): Promise<readonly ListedTemplate[]> {
  const own: ListedTemplate[] = []
  for (const lang of await foldersIn(join(root, 'template'))) {
    own.push(listed(await readTemplate(projectTemplateFolder(root, lang), lang), 'project'))
  }
  const hidden = new Set(own.map(({ lang }) => lang))
  const others = (await builtInTemplates(builtIn)).filter(({ lang }) => !hidden.has(lang))
  return [...own, ...others.map((template) => listed(template, 'built-in'))].sort(byLang)
}

function listed(
  template: Template & { readonly folder: string },
  origin: ListedTemplate['origin'],
): ListedTemplate {
  const description = template.descriptions.get(ofLang(template.descriptions.keys(), template.lang) ?? '')
  return { ...template, ...(description !== undefined && { description }), origin }
}

/** faas-cli wants `template/dockerfile` to exist; here it only adds its build options when it does. */
async function dockerfileTemplate(root: string, lang: string): Promise<Template> {
  const yml = await readTemplateYml(projectTemplateFolder(root, DOCKERFILE_LANG))
  return { ...yml, lang, languageArgs: {} }
}

async function readTemplate(folder: string, lang: string): Promise<Template & { readonly folder: string }> {
  const yml = await readTemplateYml(folder)
  return { ...yml, lang, folder, languageArgs: yml.languages.get(lang) ?? {} }
}

/** One entry for each lang that the shipped templates serve: those of `languages`, or the folder's own name. */
async function builtInTemplates(builtIn: string): Promise<(Template & { readonly folder: string })[]> {
  const all = await Promise.all(
    (await foldersIn(builtIn)).map(async (name) => {
      const folder = join(builtIn, name)
      const yml = await readTemplateYml(folder)
      const langs = new Set([name, ...yml.languages.keys()])
      return [...langs].map((lang) => ({ ...yml, lang, folder, languageArgs: yml.languages.get(lang) ?? {} }))
    }),
  )
  return all.flat()
}

async function notFound(
  { lang, root, name }: Pick<FunctionSource, 'lang' | 'root'> & { readonly name?: string },
  builtIn: string,
  templates: readonly Template[],
): Promise<FaasError> {
  const known = [...(await foldersIn(join(root, 'template'))), ...templates.map((template) => template.lang)]
  const repository = repositoryOf(lang)
  const meant = nearest(lang, [...known, DOCKERFILE_LANG])
  const popular = nearest(lang, communityTemplates(), 1)[0]
  const remedies = [
    ...(repository === undefined ? [] : [`${repository} provides it: faasdock template pull ${repository}`]),
    ...(meant.length === 0 ? [] : [`Did you mean ${meant.join(', ')}?`]),
    ...(repository !== undefined || meant.length > 0 || popular === undefined
      ? []
      : [`Did you mean ${popular}, from ${String(repositoryOf(popular))}?`]),
    `Known here: ${[...new Set([...known, DOCKERFILE_LANG])].sort().join(', ')}.`,
    'Fetch one with `faasdock template pull REPOSITORY`, or put a folder with a Dockerfile there yourself.',
  ]
  return new FaasError('TEMPLATE_NOT_FOUND', {
    message: `${name === undefined ? '' : `${name}: `}no template for lang ${JSON.stringify(lang)}: neither ${projectTemplateFolder(root, lang)} exists, nor does a built-in one in ${builtIn} serve it`,
    remedy: remedies.join(' '),
  })
}

function byLang(a: Template, b: Template): number {
  return a.lang < b.lang ? -1 : a.lang > b.lang ? 1 : 0
}

/** A lang is one folder's name: it cannot climb out of `template/`. */
function isFolderName(lang: string): boolean {
  return lang !== '' && lang !== '.' && lang !== '..' && !/[/\\\0]/.test(lang)
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

async function foldersIn(path: string): Promise<readonly string[]> {
  const names = await readdir(path).catch((): string[] => [])
  const kept = await Promise.all(
    names.map(async (name) => !name.startsWith('.') && (await isFolder(join(path, name)))),
  )
  return names.filter((_, index) => kept[index]).sort()
}
