import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { FaasError } from '../core/errors.ts'
import type { TemplateRepository } from './template-source.ts'

const run = promisify(execFile)

/** faas-cli's mark of a ref that is a commit. */
const COMMIT = /^sha-([0-9a-f]{7,40})$/i
/** Where git would look for a repository instead of in its working directory: set inside of git's own hooks. */
const GIT_PLACES = [
  'GIT_DIR',
  'GIT_WORK_TREE',
  'GIT_INDEX_FILE',
  'GIT_OBJECT_DIRECTORY',
  'GIT_COMMON_DIR',
  'GIT_PREFIX',
]

/**
 * Clones a repository to `folder`, at its ref, and gives the commit. Never asks anybody for a password: git's
 * credential helpers and ssh keys are used. TEMPLATE_PULL_FAILED with git's own words, or the signal's reason.
 */
export async function cloneRepository(
  { location, ref, isLocal }: TemplateRepository,
  folder: string,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<string> {
  const [, commit] = COMMIT.exec(ref ?? '') ?? []
  // The newest commit alone, unless an older one is named. Git does not do that for a path.
  const depth = commit === undefined && !isLocal ? ['--depth', '1'] : []
  const branch = ref === undefined || commit !== undefined ? [] : ['--branch', ref]
  await git([
    'clone',
    '--quiet',
    '--config',
    'core.autocrlf=false',
    ...depth,
    ...branch,
    '--',
    location,
    folder,
  ])
  if (commit !== undefined) await git(['-C', folder, 'checkout', '--quiet', '--detach', commit])
  return (await git(['-C', folder, 'rev-parse', 'HEAD'])).trim()

  async function git(args: readonly string[]): Promise<string> {
    const inherited = Object.fromEntries(Object.entries(env).filter(([name]) => !GIT_PLACES.includes(name)))
    try {
      const { stdout } = await run('git', args, {
        env: { ...inherited, GIT_TERMINAL_PROMPT: '0', LC_ALL: 'C' },
        signal,
      })
      return stdout
    } catch (cause) {
      signal.throwIfAborted()
      throw notCloned(withoutCredentials(location), ref, cause as Error & { stderr?: string; code?: unknown })
    }
  }
}

/** An address as it may be shown and kept. */
export function withoutCredentials(location: string): string {
  return location.replace(/^([a-z+]+:\/\/)[^/@]*@/i, '$1')
}

function notCloned(
  location: string,
  ref: string | undefined,
  cause: Error & { stderr?: string; code?: unknown },
): FaasError {
  const what = `the templates of ${location}${ref === undefined ? '' : ` at ${ref}`}`
  if (cause.code === 'ENOENT')
    return new FaasError('TEMPLATE_PULL_FAILED', {
      message: `${what} could not be fetched: git is not installed`,
      remedy: 'Install git; or download the repository, and name its folder: faasdock template pull FOLDER.',
      cause,
    })
  const words = (cause.stderr ?? cause.message)
    .trim()
    .split('\n')
    .filter((line) => line.trim() !== '')
  return new FaasError('TEMPLATE_PULL_FAILED', {
    message: [`${what} could not be fetched`, ...words.slice(-6)].join('\n'),
    remedy: `Without a way to the internet: clone ${location} elsewhere, and name that folder: faasdock template pull FOLDER.`,
    cause,
  })
}
