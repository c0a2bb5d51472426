import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { FunctionSource } from '../core/builder.ts'
import { projectTemplateFolder, resolveTemplate } from './template.ts'
import type { Template } from './template.ts'

/** Finds templates as `resolveTemplate` does, and again only where its folders or its template.yml have changed. */
export function makeTemplateFinder(
  builtIn: string,
): (source: Pick<FunctionSource, 'lang' | 'root' | 'name'>) => Promise<Template> {
  const known = new Map<string, { readonly template: Template; readonly stamp: string }>()
  return async (source) => {
    const key = JSON.stringify([source.root, source.lang])
    const found = known.get(key)
    if (found && found.stamp === stampOf(source, found.template, builtIn)) return found.template
    const template = await resolveTemplate(source, builtIn)
    known.set(key, { template, stamp: stampOf(source, template, builtIn) })
    return template
  }
}

/** Changes when another template could be found, or the same one could say something else. */
function stampOf(
  { root, lang }: Pick<FunctionSource, 'lang' | 'root'>,
  { folder }: Template,
  builtIn: string,
): string {
  const own = projectTemplateFolder(root, lang)
  const files = [own, builtIn, folder ?? own].map((path) => join(path, 'template.yml'))
  return [own, builtIn, ...files].map(stampOfPath).join(' ')
}

function stampOfPath(path: string): string {
  try {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false })
    return found ? `${found.ino}:${found.size}:${found.mtimeNs}:${found.ctimeNs}` : '-'
  } catch {
    // Its folder is a file, or may not be looked into.
    return '-'
  }
}
