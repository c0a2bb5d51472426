import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { FaasError } from '../core/errors.ts'
import { nearest } from '../core/nearest.ts'

const run = promisify(execFile)

/** How `--tag` derives an image's tag (contract 5.5). */
const TAG_MODES = ['latest', 'sha', 'branch', 'describe', 'digest'] as const
export type TagMode = (typeof TAG_MODES)[number]

/** Reads the value of `--tag`; case does not count, empty and `default` mean `latest`. BAD_USAGE names the modes. */
export function parseTagMode(text: string): TagMode {
  const wanted = text.toLowerCase()
  if (wanted === '' || wanted === 'default') return 'latest'
  const mode = TAG_MODES.find((known) => known === wanted)
  if (mode) return mode
  const meant = nearest(wanted, TAG_MODES, 1)[0]
  throw new FaasError('BAD_USAGE', {
    message: `--tag ${JSON.stringify(text)} is not a way to tag images`,
    remedy: `${meant === undefined ? '' : `Did you mean ${meant}? `}Accepted: ${TAG_MODES.join(', ')}.`,
  })
}

export interface TagSource {
  readonly image: string
  readonly handler: string
  /** Folder whose git repository is asked. */
  readonly root: string
}

/**
 * The image's name with the tag that `mode` gives it; the same at build, push and deploy as long as the commit, or for
 * `digest` the handler, is. BAD_USAGE outside of a git repository (all but `latest` and `digest`) or before its first commit.
 */
export async function taggedImage({ image, handler, root }: TagSource, mode: TagMode): Promise<string> {
  const full = hasTag(image) ? image : `${image}:latest`
  switch (mode) {
    case 'latest':
      return full
    case 'sha':
      return `${full}-${await shortSha(root, mode)}`
    case 'branch':
      return `${full}-${await branch(root, mode)}-${await shortSha(root, mode)}`
    case 'describe':
      return `${full}-${asTag(await git(root, mode, ['describe', '--tags', '--always']))}`
    case 'digest':
      return `${full.slice(0, full.lastIndexOf(':'))}:${await handlerDigest(handler)}`
  }
}

function hasTag(image: string): boolean {
  return image.slice(image.lastIndexOf('/') + 1).includes(':')
}

function shortSha(root: string, mode: TagMode): Promise<string> {
  return git(root, mode, ['rev-parse', '--short', 'HEAD'])
}

async function branch(root: string, mode: TagMode): Promise<string> {
  return asTag(await git(root, mode, ['rev-parse', '--symbolic-full-name', '--abbrev-ref', 'HEAD']))
}

/** A branch may be called `feature/x`; no tag may. (faas-cli passes it on, and Docker refuses it.) */
function asTag(text: string): string {
  return text.replace(/[^\w.-]/g, '-')
}

async function git(root: string, mode: TagMode, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await run('git', [...args], { cwd: root })
    return stdout.trim()
  } catch (error) {
    const { code, stderr } = error as NodeJS.ErrnoException & { readonly stderr?: string }
    const isAbsent = (code as string | number | undefined) === 'ENOENT'
    throw new FaasError('BAD_USAGE', {
      message: isAbsent
        ? `--tag ${mode} needs git, which is not installed or whose folder ${root} is gone`
        : `--tag ${mode} needs a git repository with a commit, and ${root} is none: ${(stderr ?? '').trim()}`,
      remedy: 'Use --tag latest or --tag digest, or run git init and make a first commit.',
      cause: error,
    })
  }
}

/** MD5 over the MD5s of the handler's regular files in the order of their paths: faas-cli's own, so that tags agree. */
async function handlerDigest(handler: string): Promise<string> {
  const all = createHash('md5')
  for (const file of await regularFiles(handler)) {
    const one = createHash('md5')
    for await (const chunk of createReadStream(file)) one.update(chunk as Buffer)
    all.update(one.digest('hex'))
  }
  return all.digest('hex')
}

async function regularFiles(folder: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true, recursive: true })
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
    return files.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  } catch (error) {
    throw new FaasError('HANDLER_NOT_FOUND', {
      message: `the handler folder ${folder} cannot be read: ${(error as Error).message}`,
      remedy: 'Correct `handler` in the stack file.',
      cause: error,
    })
  }
}
