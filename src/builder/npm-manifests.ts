import { posix } from 'node:path'

/** What `npm install` in a folder has to do with the folder's files. */
export interface NpmReads {
  /** True for a file that the installation depends on. */
  readonly reads: (path: string) => boolean
  /** True for what an installation puts there itself: the developer's own is of no use. */
  readonly replaces: (path: string) => boolean
  /** Scripts run meanwhile, which may make files of any file. */
  readonly runsScripts: boolean
}

interface Manifest {
  readonly scripts?: Readonly<Record<string, string>>
  readonly workspaces?: unknown
  readonly bin?: unknown
}

/** Of package.json, as it was read; undefined where it is missing, null where it is no JSON object. */
export type ReadManifest = (path: string) => Promise<object | null | undefined>

const GROUPS = ['dependencies', 'devDependencies', 'optionalDependencies'] as const
const ALWAYS: ReadonlySet<string> = new Set([
  'package.json',
  'package-lock.json',
  'npm-shrinkwrap.json',
  '.npmrc',
])
const INSTALL_HOOKS = ['preinstall', 'install', 'postinstall'] as const

/**
 * Finds out which of a folder's files `npm install` in it can read: manifests, those of local packages and workspaces,
 * and everything where a script runs while it installs. `paths` are relative to the folder, with `/`.
 */
export async function npmReads(paths: readonly string[], readManifest: ReadManifest): Promise<NpmReads> {
  const root = await readManifest('package.json')
  if (root === undefined) {
    return { reads: (path) => ALWAYS.has(path), replaces: () => false, runsScripts: false }
  }
  // Half-written: whatever it will say, it decides what is installed.
  if (root === null || hasHook(root)) {
    return { reads: () => true, replaces: () => false, runsScripts: true }
  }
  const { places: local, runsScripts } = await localPackages(root, paths, readManifest)
  const hasWorkspaces = Boolean((root as Manifest).workspaces)
  const installed = [...(asksForPackages(root) ? [''] : []), ...local.keys()].map((place) =>
    posix.join(place, 'node_modules'),
  )
  return {
    reads: (path) =>
      ALWAYS.has(path) ||
      (hasWorkspaces && posix.basename(path) === 'package.json') ||
      [...local].some(
        ([place, whole]) =>
          path === place || path === `${place}/package.json` || (whole && isBelow(path, place)),
      ),
    replaces: (path) => installed.some((folder) => path === folder || isBelow(path, folder)),
    runsScripts,
  }
}

interface LocalPackages {
  /** Place → whether all of it is read. */
  readonly places: ReadonlyMap<string, boolean>
  readonly runsScripts: boolean
}

/** Local packages that the manifest asks for, and those that they ask for. */
async function localPackages(
  root: object,
  paths: readonly string[],
  readManifest: ReadManifest,
): Promise<LocalPackages> {
  const found = new Map<string, boolean>()
  let runsScripts = false
  const waiting = localSpecs(root).map((spec) => ({ spec, from: '' }))
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const place = placeOf(next.spec, next.from, paths)
    if (place === undefined || found.has(place)) continue
    const manifest = await readManifest(posix.join(place, 'package.json'))
    const { bin, scripts } = (manifest ?? {}) as Manifest
    const isScripted = manifest === null || scripts?.['prepare'] !== undefined || hasHook(manifest ?? {})
    runsScripts ||= isScripted
    found.set(place, isScripted || Boolean(bin))
    for (const spec of localSpecs(manifest ?? {})) waiting.push({ spec, from: place })
  }
  return { places: found, runsScripts }
}

/** As faas-cli's `copy` puts it: `file:../libs/auth` is `libs/auth` below the handler. */
function placeOf(spec: string, from: string, paths: readonly string[]): string | undefined {
  const isThere = (place: string): boolean => paths.some((path) => path === place || isBelow(path, place))
  const straight = posix.join(from, spec).replace(/\/$/, '')
  if (!straight.startsWith('..') && isThere(straight)) return straight
  const copied = posix
    .normalize(spec)
    .replace(/^(\.\.\/)+/, '')
    .replace(/\/$/, '')
  return isThere(copied) ? copied : undefined
}

function localSpecs(manifest: object): readonly string[] {
  return GROUPS.flatMap((group) => Object.values(groupOf(manifest, group)) as unknown[])
    .filter((spec): spec is string => typeof spec === 'string' && /^(file|link):/.test(spec))
    .map((spec) => spec.replace(/^(file|link):/, '').replaceAll('\\', '/'))
}

/** Whether a package.json, parsed, makes npm install anything. */
export function asksForPackages(manifest: unknown): boolean {
  return GROUPS.some((group) => Object.keys(groupOf(manifest, group)).length > 0)
}

function groupOf(manifest: unknown, group: string): object {
  const found = (manifest as Record<string, unknown> | null)?.[group]
  return typeof found === 'object' && found !== null ? found : {}
}

function hasHook(manifest: object): boolean {
  const { scripts } = manifest as Manifest
  return INSTALL_HOOKS.some((hook) => scripts?.[hook] !== undefined && scripts[hook] !== '')
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`)
}
