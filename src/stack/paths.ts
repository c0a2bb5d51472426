import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, relative, resolve, sep } from 'node:path'
import { nearest } from '../core/nearest.ts'
import { isBuilt, textField, textsOf } from './rules.ts'
import type { WrittenFunction } from './rules.ts'
import type { Fault } from './substitute.ts'
import { valueAt, wordsForPath } from './value-words.ts'
import { isValueMap } from './yaml-tree.ts'
import type { Path, Tree } from './yaml-tree.ts'

/**
 * The folder that relative paths of a stack file start from: `cwd`, as in faas-cli; or the file's own folder when more
 * of the handlers are there. Without handlers the environment files decide.
 */
export async function findRoot(
  cwd: string,
  folder: string,
  functions: readonly WrittenFunction[],
): Promise<string> {
  if (cwd === folder) return cwd
  const handlers = functions.filter(isBuilt).flatMap(({ fields }) => textField(fields, 'handler') ?? [])
  const environments = functions.flatMap(({ fields }) => textsOf(fields['environment_file'], []))
  const deciding = handlers.length > 0 ? handlers : environments.map(({ text }) => text)
  const relatives = deciding.filter((path) => !isAbsolute(path))
  const [here, there] = await Promise.all([countExisting(cwd, relatives), countExisting(folder, relatives)])
  return there > here ? folder : cwd
}

async function countExisting(root: string, paths: readonly string[]): Promise<number> {
  const kinds = await Promise.all(paths.map((path) => kindOf(resolve(root, path))))
  return kinds.filter((kind) => kind !== 'nothing').length
}

/** Mistakes of handler folders and build secrets of functions, as far as the disk tells. */
export async function pathFaults(
  root: string,
  functions: readonly WrittenFunction[],
  tree: Tree,
): Promise<Fault[]> {
  const faults = functions
    .filter(isBuilt)
    .flatMap((fn) => [handlerFault(root, fn, tree), ...buildSecretFaults(root, fn, tree)])
  return (await Promise.all(faults)).flat()
}

async function handlerFault(root: string, { name, fields }: WrittenFunction, tree: Tree): Promise<Fault[]> {
  const handler = textField(fields, 'handler')
  if (handler === undefined) return []
  const kind = await kindOf(resolve(root, handler))
  if (kind === 'folder') return []
  const why = kind === 'file' ? 'which is a file, not a folder' : 'which does not exist'
  const path = ['functions', name, 'handler']
  return [await missing(tree, path, handler, why, `a folder; relative paths start in ${root}`, root)]
}

function buildSecretFaults(root: string, { name, fields }: WrittenFunction, tree: Tree): Promise<Fault[]>[] {
  const secrets = fields['build_secrets']
  if (!isValueMap(secrets)) return []
  return Object.entries(secrets).map(async ([id, file]) => {
    if (typeof file !== 'string') return []
    if (file !== '' && (await kindOf(resolve(root, file))) === 'file') return []
    const path = ['functions', name, 'build_secrets', id]
    return [
      await missing(tree, path, file, 'which is not a file', `a file; relative paths start in ${root}`, root),
    ]
  })
}

/** Mistakes of `configuration.copy`: each path must lie inside `root`, and not be it (contract 5.4). */
export async function copyFaults(root: string, tree: Tree, mustExist: boolean): Promise<Fault[]> {
  const path = ['configuration', 'copy']
  const copies = textsOf(valueAt(tree.root, path), path)
  const faults = copies.map(async ({ text, path }) => {
    const inside = relative(root, resolve(root, text))
    const accepted = `a folder or file inside of ${root}`
    if (inside === '') return [wrong(tree, path, text, 'which is the working directory itself', accepted)]
    if (inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside))
      return [wrong(tree, path, text, 'which is outside of the working directory', accepted)]
    if (!mustExist || (await kindOf(resolve(root, text))) !== 'nothing') return []
    return [await missing(tree, path, text, 'which does not exist', accepted, root)]
  })
  return (await Promise.all(faults)).flat()
}

/** A fault of a path that is not there, with the name beside it that was probably meant. */
export async function missing(
  tree: Tree,
  path: Path,
  text: string,
  why: string,
  accepted: string,
  root: string,
): Promise<Fault> {
  const absolute = resolve(root, text)
  const names = await readdir(dirname(absolute)).catch(() => [])
  const [near] = nearest(
    basename(absolute),
    names.filter((name) => name !== basename(absolute)),
  )
  const fault = wrong(tree, path, text, why, accepted)
  return near === undefined ? fault : { ...fault, suggestion: text.replace(/[^/\\]+[/\\]*$/, near) }
}

function wrong(tree: Tree, path: Path, text: string, why: string, accepted: string): Fault {
  const message = `${wordsForPath(path)} is ${JSON.stringify(text)}, ${why}`
  return { place: tree.place(path), message, accepted }
}

async function kindOf(path: string): Promise<'folder' | 'file' | 'nothing'> {
  const found = await stat(path).catch(() => undefined)
  if (!found) return 'nothing'
  return found.isDirectory() ? 'folder' : 'file'
}
