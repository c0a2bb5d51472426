import { stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { FaasError } from '../core/errors.ts'

/** Where templates are fetched from. */
export interface TemplateRepository {
  /** For git: an address or the path of a repository. For a folder that is none: its path. */
  readonly location: string
  readonly kind: 'git' | 'folder'
  /** True when it is on this machine. */
  readonly isLocal: boolean
  /** Branch, tag, or commit. */
  readonly ref?: string
}

const ADDRESS = /^(https?|ssh|git|git\+ssh|file):\/\/./i
/** What git takes for ssh: `git@host:owner/name`. */
const SCP_LIKE = /^[\w.-]+@[\w.-]+:(?!\/\/)./
/** A repository on GitHub, as everybody writes it; what its names may hold keeps paths and options out. */
const OWNER_AND_NAME = /^([A-Za-z0-9][\w-]*\/[A-Za-z0-9][\w.-]*)(?:[#@](.+))?$/

/**
 * Reads what people write for a repository of templates: an address, a folder (relative to `cwd`), or `owner/name` on
 * GitHub, with `#ref` behind it (contract 5.3). TEMPLATE_PULL_FAILED when it is none of these.
 */
export async function parseTemplateSource(text: string, cwd: string): Promise<TemplateRepository> {
  const [bare, ref] = cutRef(text)
  if (ADDRESS.test(bare) || SCP_LIKE.test(bare))
    return withRef({ location: bare, kind: 'git', isLocal: /^file:/i.test(bare) }, ref)
  // A folder may have a # in its name.
  for (const [path, behind] of [
    [text, undefined],
    [bare, ref],
  ] as const) {
    const folder = resolve(cwd, path.replace(/^~(?=\/|$)/, homedir()))
    if (path !== '' && (await isFolder(folder)))
      return withRef(
        { location: folder, kind: (await isRepository(folder)) ? 'git' : 'folder', isLocal: true },
        behind,
      )
  }
  const [, repository, at] = OWNER_AND_NAME.exec(text) ?? []
  if (repository !== undefined)
    return withRef({ location: githubAddress(repository), kind: 'git', isLocal: false }, at)
  throw new FaasError('TEMPLATE_PULL_FAILED', {
    message: `${JSON.stringify(text)} is no repository of templates: neither an address nor a folder that is there`,
    remedy:
      'Give the address of a git repository (https://…, git@…), owner/name of one on GitHub, or a folder; a branch or tag goes behind it as #NAME.',
  })
}

/** Where a repository of GitHub is cloned from. */
function githubAddress(ownerAndName: string): string {
  return `https://github.com/${ownerAndName}`
}

function cutRef(text: string): [string, string | undefined] {
  const hash = text.indexOf('#')
  return hash < 0 ? [text, undefined] : [text.slice(0, hash), text.slice(hash + 1)]
}

function withRef(repository: TemplateRepository, ref: string | undefined): TemplateRepository {
  if (ref === undefined || ref === '') return repository
  // What git allows in a ref, and nothing that it could take for an option (git-check-ref-format).
  if (/^[\w][\w./+-]*$/.test(ref) && !ref.includes('..') && !ref.endsWith('/')) return { ...repository, ref }
  throw new FaasError('TEMPLATE_PULL_FAILED', {
    message: `${JSON.stringify(ref)} cannot be the name of a branch or tag`,
    remedy: 'Write it behind the repository, e.g. #1.0 or #main; a commit is written #sha-0123abc.',
  })
}

async function isRepository(folder: string): Promise<boolean> {
  if (await exists(join(folder, '.git'))) return true
  // A bare one.
  return (await exists(join(folder, 'HEAD'))) && (await isFolder(join(folder, 'objects')))
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true
}
