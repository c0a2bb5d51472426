import { cp, mkdir, mkdtemp, readdir, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, sep } from 'node:path'
import { FaasError } from '../core/errors.ts'
import { nearest } from '../core/nearest.ts'
import type { PulledTemplates, TemplatePull } from '../core/toolbox.ts'
import { cloneRepository, withoutCredentials } from './git-clone.ts'
import { parseTemplateSource } from './template-source.ts'
import type { TemplateRepository } from './template-source.ts'

/**
 * Copies the templates of a repository, every `template/NAME` of it, to the `template/` folder of a project, and notes
 * in `meta.json` where each is from, as faas-cli does. Each is there whole or not at all; one that is there already
 * stays as it is unless `overwrite`. TEMPLATE_PULL_FAILED, BAD_TEMPLATE, or the signal's reason.
 */
export async function pullTemplates(
  pull: TemplatePull,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<PulledTemplates> {
  const repository = await parseTemplateSource(pull.source, pull.cwd)
  const scratch = await mkdtemp(join(tmpdir(), 'faasdock-templates-'))
  try {
    const isGit = repository.kind === 'git'
    const folder = isGit ? join(scratch, 'repository') : repository.location
    const sha = isGit ? await cloneRepository(repository, folder, env, signal) : undefined
    const origin: Origin = {
      repository: withoutCredentials(repository.location),
      ...(repository.ref !== undefined && { ref_name: repository.ref }),
      ...(sha !== undefined && { sha }),
    }
    return await copyTemplates(folder, origin, pull, repository)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** What `meta.json` says, in faas-cli's words. */
interface Origin {
  readonly repository: string
  readonly ref_name?: string
  readonly sha?: string
}

async function copyTemplates(
  from: string,
  origin: Origin,
  { root, only, as, overwrite }: TemplatePull,
  { ref }: TemplateRepository,
): Promise<PulledTemplates> {
  const names = await templatesIn(from, origin.repository)
  if (only !== undefined && !names.includes(only)) throw notThere(only, names, origin.repository)
  const written: string[] = []
  const kept: string[] = []
  for (const name of only === undefined ? names : [only]) {
    // One that is pinned goes beside the one that is not, as faas-cli puts it: `lang: node22@1.0`.
    const target = as ?? (ref === undefined ? name : `${name}@${ref.replaceAll('/', '-')}`)
    const done = await copyTemplate(join(from, 'template', name), join(root, 'template'), target, {
      origin,
      overwrite,
      inside: await realpath(from),
    })
    ;(done ? written : kept).push(target)
  }
  return { repository: origin.repository, written, kept }
}

async function templatesIn(folder: string, repository: string): Promise<string[]> {
  const entries = await readdir(join(folder, 'template'), { withFileTypes: true }).catch(() => [])
  const names = entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort()
  if (names.length > 0) return names
  throw new FaasError('TEMPLATE_PULL_FAILED', {
    message: `${repository} holds no templates: it has no folder template/NAME`,
    remedy: 'Name a repository that has its templates there, one folder for each.',
  })
}

function notThere(only: string, names: readonly string[], repository: string): FaasError {
  const [near] = nearest(only, names)
  return new FaasError('TEMPLATE_PULL_FAILED', {
    message: `${repository} holds no template ${JSON.stringify(only)}`,
    remedy: `${near === undefined ? '' : `Did you mean ${near}? `}It has ${names.join(', ')}.`,
  })
}

interface CopyWish {
  readonly origin: Origin
  readonly overwrite: boolean
  /** Where links of the template may lead to. */
  readonly inside: string
}

/** False when the template is there already and stays. */
async function copyTemplate(
  from: string,
  templates: string,
  name: string,
  { origin, overwrite, inside }: CopyWish,
): Promise<boolean> {
  const target = join(templates, name)
  const isThere = (await stat(target).catch(() => undefined)) !== undefined
  if (isThere && !overwrite) return false
  await mkdir(templates, { recursive: true })
  // Beside its place, so that it gets there in one step. A name with a dot is no template.
  const fresh = await mkdtemp(join(templates, '.pull-'))
  try {
    await cp(from, join(fresh, 'new'), {
      recursive: true,
      dereference: true,
      filter: (path) => isWanted(path, inside),
    })
    const meta = { ...origin, written_at: new Date().toISOString() }
    await writeFile(join(fresh, 'new', 'meta.json'), JSON.stringify(meta))
    if (isThere) await rename(target, join(fresh, 'old'))
    await rename(join(fresh, 'new'), target)
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }
  return true
}

/** Links are followed, as builds follow them; one that leads out of the repository would bring our files into images. */
async function isWanted(path: string, inside: string): Promise<boolean> {
  if (basename(path) === '.git') return false
  const real = await realpath(path).catch(() => undefined)
  if (real === undefined) return false
  if (real === inside || real.startsWith(inside + sep)) return true
  throw new FaasError('BAD_TEMPLATE', {
    message: `${path} of the template is a link out of its repository, to ${real}`,
    remedy: 'Do not use this template, or have the link replaced by the file.',
  })
}
