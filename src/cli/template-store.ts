import { dirname, resolve } from 'node:path'
import type { Option } from 'commander'
import { FaasError } from '../core/errors.ts'
import { nearest } from '../core/nearest.ts'
import { flag } from './command.ts'
import type { Context } from './command.ts'
import { isAddress, readJsonDocument, unreadable } from './read-document.ts'

/** Where OpenFaaS keeps its list of templates. */
const DEFAULT_STORE = 'https://raw.githubusercontent.com/openfaas/store/master/templates.json'

/** One template of a store, in the words of the store's own format. */
export interface StoreTemplate {
  readonly template: string
  readonly platform: string
  readonly language: string
  /** Who provides it. */
  readonly source: string
  readonly description: string
  /** The repository that holds it. */
  readonly repo: string
  readonly official: string
  readonly recommended: boolean
}

export interface TemplateStoreFlags {
  readonly url?: string
}

export function templateStoreOptions(): Option[] {
  return [
    flag(
      '-u, --url <address>',
      'list of templates: an address or a file (default: that of OpenFaaS) (env: OPENFAAS_TEMPLATE_STORE_URL)',
    ),
  ]
}

/** The place of the list: `--url`, else OPENFAAS_TEMPLATE_STORE_URL, else that of OpenFaaS. */
export function templateStorePlace({ io }: Context, { url }: TemplateStoreFlags): string {
  return url ?? (io.env['OPENFAAS_TEMPLATE_STORE_URL'] || DEFAULT_STORE)
}

/** The templates of a store: recommended ones first, then by name. FILE_NOT_READABLE. */
export async function readTemplateStore(context: Context, place: string): Promise<StoreTemplate[]> {
  const content = await readJsonDocument(context, place, 'the list of templates')
  if (!Array.isArray(content)) throw unreadable(`${place} is no list of templates: a JSON array is expected`)
  return content.map((entry, index) => readEntry(entry, index, place, context.io.cwd)).sort(byWorth)
}

/** The template of that name, which may be `SOURCE/NAME`, with `@ref` behind. TEMPLATE_NOT_FOUND. */
export function findStoreTemplate(
  templates: readonly StoreTemplate[],
  wanted: string,
  place: string,
): { readonly template: StoreTemplate; readonly ref?: string } {
  const [name = '', ref] = wanted.split(/[@#](.*)/s)
  const found = templates.find(
    ({ template, source }) => template === name || `${source}/${template}` === name,
  )
  if (found) return { template: found, ...(ref && { ref }) }
  const near = nearest(
    name,
    templates.map(({ template }) => template),
  )
  throw new FaasError('TEMPLATE_NOT_FOUND', {
    message: `there is no template ${JSON.stringify(name)} in ${place}`,
    remedy:
      near.length === 0
        ? 'See which there are with "faasdock template store list".'
        : `Did you mean ${near.join(', ')}?`,
  })
}

function readEntry(entry: unknown, index: number, place: string, cwd: string): StoreTemplate {
  const fields = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<string, unknown>
  const text = (name: string): string => (typeof fields[name] === 'string' ? fields[name] : '')
  if (text('template') === '' || text('repo') === '')
    throw unreadable(`entry ${index + 1} of ${place} is no template: it needs "template" and "repo"`)
  return {
    template: text('template'),
    platform: text('platform'),
    language: text('language'),
    source: text('source'),
    description: text('description'),
    repo: repositoryIn(text('repo'), place, cwd),
    official: fields['official'] === true ? 'true' : text('official'),
    recommended: fields['recommended'] === true,
  }
}

/** A folder that a store file names is meant from where that file is. */
function repositoryIn(repo: string, place: string, cwd: string): string {
  return /^\.\.?(\/|$)/.test(repo) && !isAddress(place) ? resolve(cwd, dirname(place), repo) : repo
}

function byWorth(a: StoreTemplate, b: StoreTemplate): number {
  return Number(b.recommended) - Number(a.recommended) || a.template.localeCompare(b.template, 'en')
}
