import { readdirSync, statSync } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { join, posix } from 'node:path'
import { FaasError } from '../core/errors.ts'
import type { ContextTree } from './tree.ts'

/** Permission bits and the set-id and sticky ones: what `chmod` can set. */
const MODE_BITS = 0o7777n

export interface CopyRules {
  /** Asked with a path in the context. */
  readonly ignores: (path: string) => boolean
  /** Asked with a folder's path in the context: true when nothing in it is wanted. */
  readonly skipsFolder: (path: string) => boolean
  /** Told what is left out although no rule says so, and why. */
  readonly onSkipped: (path: string, reason: string) => void
  /** Awaited between two entries where it gives something: a large folder must not hold up everything else. */
  readonly pause?: (() => Promise<void> | undefined) | undefined
  readonly signal?: AbortSignal
}

/** A folder on the way down: what a symlink must not lead back to. */
interface Ancestor {
  readonly id: string
  readonly path: string
}

/**
 * Copies a file or folder into a tree, under `to`, as `faas-cli` copies it to disk: modes kept, symlinks followed.
 * A symlink that leads nowhere, a socket, a pipe or a device is left out and told; one that leads back to a folder it
 * is in is BUILD_FAILED. FILE_NOT_READABLE when `from` itself is missing or something in it cannot be read.
 */
export async function copyTree(from: string, to: string, tree: ContextTree, rules: CopyRules): Promise<void> {
  const found = look(from)
  if (found === undefined) throw notReadable(from, 'it does not exist')
  await copyFound({ from, to, found }, tree, rules, [])
}

interface Found {
  readonly from: string
  readonly to: string
  readonly found: BigIntStats
}

async function copyFound(
  { from, to, found }: Found,
  tree: ContextTree,
  rules: CopyRules,
  above: readonly Ancestor[],
): Promise<void> {
  rules.signal?.throwIfAborted()
  if (found.isDirectory()) {
    await copyFolder({ from, to, found }, tree, rules, above)
  } else if (!found.isFile()) {
    rules.onSkipped(from, 'it is a socket, a pipe or a device')
  } else if (!rules.ignores(to)) {
    const { mtimeNs, ctimeNs, ino } = found
    const stamp = { size: Number(found.size), mtimeNs, ctimeNs, ino }
    tree.addFile({ kind: 'file', path: to, mode: modeOf(found), file: from, stamp })
  }
}

async function copyFolder(
  { from, to, found }: Found,
  tree: ContextTree,
  rules: CopyRules,
  above: readonly Ancestor[],
): Promise<void> {
  if (to !== '' && rules.skipsFolder(to)) return
  if (!rules.ignores(to)) {
    const ancestors = stepInto(from, found, above)
    tree.addFolder(to, modeOf(found))
    await copyChildren(from, to, tree, rules, ancestors)
    return
  }
  // Ignored, but a `!pattern` may keep something below. A loop in here is nobody's mistake: it is left out.
  if (above.some(({ id }) => id === identity(found))) return
  await copyChildren(from, to, tree, rules, [...above, { id: identity(found), path: from }])
}

/** Copies what is in a folder; `except` names are left out. */
export async function copyChildren(
  from: string,
  to: string,
  tree: ContextTree,
  rules: CopyRules,
  ancestors: readonly Ancestor[] = [],
  except: ReadonlySet<string> = new Set(),
): Promise<void> {
  const here = ancestors.length > 0 ? ancestors : rootAncestor(from)
  for (const name of list(from)) {
    if (except.has(name)) continue
    const pause = rules.pause?.()
    if (pause) await pause
    const found = look(join(from, name))
    const path = posix.join(to, name)
    if (found !== undefined) await copyFound({ from: join(from, name), to: path, found }, tree, rules, here)
    else if (!rules.ignores(path)) rules.onSkipped(join(from, name), 'it is a symlink that leads nowhere')
  }
}

function rootAncestor(path: string): readonly Ancestor[] {
  return [{ id: identity(statSync(path, { bigint: true })), path }]
}

function stepInto(path: string, found: BigIntStats, above: readonly Ancestor[]): readonly Ancestor[] {
  const id = identity(found)
  const loop = above.find((ancestor) => ancestor.id === id)
  if (loop === undefined) return [...above, { id, path }]
  throw new FaasError('BUILD_FAILED', {
    message: `${path} is a symlink back to ${loop.path}, which it is in: copying it would never end`,
    remedy: 'Remove the symlink, or name it in the handler folder’s .dockerignore.',
  })
}

function identity(found: BigIntStats): string {
  return `${found.dev}:${found.ino}`
}

function modeOf(found: BigIntStats): number {
  return Number(found.mode & MODE_BITS)
}

/**
 * Follows symlinks. Undefined when there is nothing (any more), or a symlink only leads to itself. Synchronous, as `list`
 * is: a look takes microseconds, and ten times that through the thread pool.
 */
function look(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return undefined
    throw notReadable(path, message, error)
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    throw notReadable(folder, (error as Error).message, error)
  }
}

function notReadable(path: string, why: string, cause?: unknown): FaasError {
  return new FaasError('FILE_NOT_READABLE', {
    message: `${path} should go into a build but cannot be read: ${why}`,
    remedy:
      'Check that it exists and its permissions, or leave it out with the handler folder’s .dockerignore.',
    cause,
  })
}
