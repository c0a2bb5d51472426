import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { FaasError } from '../core/errors.ts'
import type { CopiedTemplate, FunctionStarter } from '../core/toolbox.ts'
import { ofLang } from './of-lang.ts'
import { listTemplates, resolveTemplate } from './template.ts'

/**
 * Below a template, beside its handler folder: what only `new` gives to a function. A template's handler folder lies
 * under everybody's code in every build, so tests and a README must not be there. One folder for each lang, or for the
 * beginning of several: `sample/node` serves node22.
 */
const SAMPLE_FOLDER = 'sample'

/** Stands in a sample's README for the name of the function. */
const NAME = 'FUNCTION_NAME'

/** Copies what a new function of a template begins with: handler, tests and README. TEMPLATE_NOT_FOUND. */
export async function copyStarter(
  { lang, root, name, to }: FunctionStarter,
  builtIn: string,
): Promise<CopiedTemplate> {
  const listed = (await listTemplates(root, builtIn)).find((template) => template.lang === lang)
  // Not listed: resolving says where it was looked for, and what could have been meant.
  const { folder, handlerFolder, welcomeMessage } = listed ?? (await resolveTemplate({ lang, root }, builtIn))
  if (folder === undefined) {
    throw new FaasError('TEMPLATE_NOT_FOUND', {
      message: `the template ${lang} has no sample handler`,
      remedy: 'Make the handler folder yourself, with a Dockerfile in it.',
    })
  }
  await cp(join(folder, handlerFolder), to, { recursive: true, errorOnExist: true, force: false })
  const sample = ofLang(await foldersIn(join(folder, SAMPLE_FOLDER)), lang)
  if (sample !== undefined) await cp(join(folder, SAMPLE_FOLDER, sample), to, { recursive: true })
  await writeName(join(to, 'README.md'), name)
  const entries = await readdir(to, { recursive: true, withFileTypes: true })
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(to, join(entry.parentPath, entry.name)))
  return { files: files.sort(), ...(welcomeMessage !== undefined && { welcome: welcomeMessage }) }
}

async function foldersIn(path: string): Promise<readonly string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
}

async function writeName(file: string, name: string): Promise<void> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text !== undefined) await writeFile(file, text.replaceAll(NAME, name))
}
