import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { FaasError } from '../core/errors.ts'

/** How `--tag` changes the tag of an image (contract 5.5). */
export const TAG_MODES = ['latest', 'sha', 'branch', 'describe', 'digest'] as const
export type TagMode = (typeof TAG_MODES)[number]

const run = promisify(execFile)

/** `image` with the tag that `mode` asks for. `root` is a folder of the git repository. BAD_USAGE without repository. */
export async function tagImage(
  image: string,
  mode: TagMode,
  root: string,
  handler?: string,
): Promise<string> {
  // One that is named by its digest is what it is.
  if (image.includes('@')) return image
  const { name, tag } = splitImage(image)
  switch (mode) {
    case 'latest':
      return `${name}:${tag}`
    case 'sha':
      return `${name}:${tag}-${await git(root, mode, 'rev-parse', '--short', 'HEAD')}`
    case 'branch': {
      const branch = await git(root, mode, 'rev-parse', '--abbrev-ref', 'HEAD')
      // A tag may hold no slash, a branch may.
      const word = branch.replace(/[^\w.-]/g, '-')
      return `${name}:${tag}-${word}-${await git(root, mode, 'rev-parse', '--short', 'HEAD')}`
    }
    case 'describe':
      return `${name}:${tag}-${await git(root, mode, 'describe', '--tags', '--always')}`
    case 'digest':
      return handler === undefined ? `${name}:${tag}` : `${name}:${await digestFolder(handler)}`
  }
}

/** Name and tag of an image; the colon of a registry's port is none of the tag's. */
function splitImage(image: string): { name: string; tag: string } {
  const colon = image.lastIndexOf(':')
  if (colon <= image.lastIndexOf('/')) return { name: image, tag: 'latest' }
  return { name: image.slice(0, colon), tag: image.slice(colon + 1) }
}

async function git(root: string, mode: TagMode, ...args: string[]): Promise<string> {
  try {
    const { stdout } = await run('git', args, { cwd: root })
    return stdout.trim()
  } catch (cause) {
    throw new FaasError('BAD_USAGE', {
      message: `--tag ${mode} needs a git repository with a commit, and ${root} is in none`,
      remedy: 'Commit once, or use --tag digest.',
      cause,
    })
  }
}

/**
 * The MD5 of the MD5s of all files of a folder, in order of their paths: faas-cli's, so that an image that one has built
 * is the one that the other deploys. Names do not count, nor does what is no file.
 */
async function digestFolder(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
  const md5 = (content: string | Buffer): string => createHash('md5').update(content).digest('hex')
  const hashes: string[] = []
  // In Go's order of strings: by their bytes.
  for (const path of paths.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))))
    hashes.push(md5(await readFile(path)))
  return md5(hashes.join(''))
}
