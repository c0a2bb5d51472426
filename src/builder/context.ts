import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, posix, relative, resolve, sep } from 'node:path'
import type { FunctionSource } from '../core/builder.ts'
import { FaasError } from '../core/errors.ts'
import { copyChildren, copyTree } from './copy-tree.ts'
import type { CopyRules } from './copy-tree.ts'
import { contextRules, makeMatcher, NO_RULES, parseDockerignore } from './dockerignore.ts'
import type { IgnoreRules } from './dockerignore.ts'
import { nearest } from '../core/nearest.ts'
import { asksForPackages } from './npm-manifests.ts'
import { isDockerfileLang } from './template.ts'
import type { Template } from './template.ts'
import { ContextTree } from './tree.ts'
import type { ContextEntry } from './tree.ts'
import { weightWarnings } from './weight.ts'

/** At the top of a handler folder these belong to faas-cli, not to the function (contract 5.4). */
const NOT_HANDLER: ReadonlySet<string> = new Set(['build', 'template'])

/** A walk through folders lets others have their turn after this long. Milliseconds. */
const WORK_MS = 5

export interface Layout {
  /**
   * Mode of the handler folder and those above it. faas-cli makes them 0700 (0777 under `CI`), and a template whose
   * user is not root then runs in CI and fails on the developer's machine; images built here get 0755 always.
   */
  readonly folderMode: number
  /** Respect .dockerignore. Not for a folder that Docker will read again, nor for one that must equal faas-cli's. */
  readonly ignoring: boolean
}

/** What an image is built from. */
export const IMAGE_LAYOUT: Layout = { folderMode: 0o755, ignoring: true }

export interface BuildContext {
  readonly tree: ContextTree
  /** What people should know: heavy folders, files that were left out. One line each. */
  readonly warnings: readonly string[]
  /** Name of the template's sample handler where the function has none of its own, and the sample would answer. */
  readonly sample?: string
}

/**
 * Puts template, handler and copies together (contract 5.4) without writing anything. HANDLER_NOT_FOUND,
 * FILE_NOT_READABLE, BAD_STACK for a copy path outside the project, BUILD_FAILED for a symlink loop.
 */
export async function assembleContext(
  source: FunctionSource,
  template: Template,
  layout: Layout,
  signal?: AbortSignal,
): Promise<BuildContext> {
  await checkHandler(source)
  const tree = new ContextTree()
  const warnings: string[] = []
  const handlerFolder = handlerFolderOf(template)
  tree.addFolder(handlerFolder, layout.folderMode)

  const pause = makePause()
  const rules = (ignored: IgnoreRules): CopyRules => ({
    ignores: (path) => path !== '' && ignored.ignores(path),
    skipsFolder: (path) => path !== '' && ignored.skipsFolder(path),
    onSkipped: (path, reason) => warnings.push(`${path} is left out of the image: ${reason}`),
    pause,
    ...(signal && { signal }),
  })
  if (template.folder !== undefined) await copyChildren(template.folder, '', tree, rules(NO_RULES))
  const fromTemplate = new Set(tree.list())
  const sample = sampleIn(tree, handlerFolder)

  const whole = layout.ignoring ? await wholeRules(source, template) : NO_RULES
  const overlay = layout.ignoring
    ? overlayRules(whole, [await handlerRules(source), await absentRules(source, template)], handlerFolder)
    : NO_RULES
  await copyChildren(source.handler, handlerFolder, tree, rules(overlay), [], NOT_HANDLER)
  for (const path of source.copy) {
    const below = insideRoot(path, source)
    await copyTree(join(source.root, below), posix.join(handlerFolder, below), tree, rules(whole))
  }
  tree.retain((path) => !whole.ignores(path))

  const added = tree.list().filter((entry) => !fromTemplate.has(entry))
  const isSample = sample !== undefined && !hasOwnHandler(tree, sample, template)
  if (isSample) warnings.push(sampleWarning(source, basename(sample.path)))
  return {
    tree,
    warnings: [...warnings, ...weightWarnings(added, source.handler)],
    ...(isSample && { sample: basename(sample.path) }),
  }
}

/** What a template brings for the handler: `handler.js`, `handler.py`, as all templates call it. */
function sampleIn(tree: ContextTree, handlerFolder: string): ContextEntry | undefined {
  return tree
    .list()
    .find(
      ({ kind, path }) =>
        kind === 'file' &&
        posix.relative(handlerFolder, path) === basename(path) &&
        isHandler(basename(path)),
    )
}

function isHandler(name: string): boolean {
  return /^handler\.\w+$/.test(name)
}

/** Whether something lies over the sample, or beside it under another name that its template takes first. */
function hasOwnHandler(tree: ContextTree, sample: ContextEntry, { reload }: Template): boolean {
  const present = tree.get(sample.path)
  // A .dockerignore at the top may leave it out altogether.
  if (present !== sample) return true
  const folder = posix.dirname(sample.path)
  const others = reload?.sample?.unless ?? []
  return ['handler', ...others].some((name) => tree.get(posix.join(folder, name)) !== undefined)
}

/** faas-cli builds it, and says nothing: the function then answers like a new one. */
function sampleWarning({ handler }: FunctionSource, sample: string): string {
  return `${sample} comes from the template: ${handler} has none`
}

/** Where the handler goes: below the template's folder, or at the top for `lang: dockerfile`. `''` is the top. */
export function handlerFolderOf(template: Template): string {
  if (isDockerfileLang(template.lang) || template.handlerFolder === '.') return ''
  return template.handlerFolder
}

/** The .dockerignore that ends up at the top of the context: the one that Docker itself would read. */
async function wholeRules(source: FunctionSource, template: Template): Promise<IgnoreRules> {
  const folders = [
    ...(handlerFolderOf(template) === '' ? [source.handler] : []),
    ...(template.folder === undefined ? [] : [template.folder]),
  ]
  for (const folder of folders) {
    const rules = await readRules(join(folder, '.dockerignore'))
    if (rules) return contextRules(rules)
  }
  return NO_RULES
}

/** The handler folder's own .dockerignore, which faas-cli ignores and people expect to work (pitfall 10). */
async function handlerRules(source: FunctionSource): Promise<IgnoreRules> {
  return (await readRules(join(source.handler, '.dockerignore'))) ?? NO_RULES
}

/** What the template's build would leave out of the image anyway: it is not read, not sent, and changes nothing. */
async function absentRules({ handler }: FunctionSource, { reload }: Template): Promise<IgnoreRules> {
  if (reload === undefined) return NO_RULES
  const installs = reload.dependencies === 'npm' && (await hasNpmPackages(join(handler, 'package.json')))
  const isAbsent = makeMatcher([...reload.absent, ...(installs ? ['node_modules'] : [])])
  return { ignores: isAbsent, skipsFolder: isAbsent }
}

/** A package.json that is not there, or that cannot be read now, has none. */
async function hasNpmPackages(file: string): Promise<boolean> {
  try {
    return asksForPackages(JSON.parse(await readFile(file, 'utf8')))
  } catch {
    return false
  }
}

function overlayRules(
  whole: IgnoreRules,
  handler: readonly IgnoreRules[],
  handlerFolder: string,
): IgnoreRules {
  if (handlerFolder === '') return whole
  return {
    ignores: (path) =>
      whole.ignores(path) || handler.some((rules) => rules.ignores(posix.relative(handlerFolder, path))),
    skipsFolder: (path) =>
      whole.skipsFolder(path) ||
      handler.some((rules) => rules.skipsFolder(posix.relative(handlerFolder, path))),
  }
}

/** Gives everything else a turn once this has worked for some time. */
function makePause(): () => Promise<void> | undefined {
  let since = performance.now()
  return () => {
    if (performance.now() - since < WORK_MS) return undefined
    return new Promise((resolve) =>
      setImmediate(() => {
        since = performance.now()
        resolve()
      }),
    )
  }
}

async function readRules(file: string): Promise<IgnoreRules | undefined> {
  try {
    return parseDockerignore(await readFile(file, 'utf8'), file)
  } catch (error) {
    if (error instanceof FaasError) throw error
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new FaasError('FILE_NOT_READABLE', {
      message: `${file} cannot be read: ${(error as Error).message}`,
      remedy: 'Check its permissions.',
      cause: error,
    })
  }
}

/** A copy path, relative to the root, with `/`. BAD_STACK unless it is inside the project and not the project itself. */
export function insideRoot(path: string, source: FunctionSource): string {
  const below = relative(source.root, resolve(source.root, path))
  if (below !== '' && below !== '..' && !below.startsWith(`..${sep}`) && !isAbsolute(below)) {
    return below.split(sep).join('/')
  }
  const what = below === '' ? 'is the whole project folder' : 'is outside of the project folder'
  throw new FaasError('BAD_STACK', {
    message: `configuration.copy: ${JSON.stringify(path)} ${what} ${source.root}`,
    remedy: 'Name files or folders below the project folder; move or link what is elsewhere into it.',
  })
}

async function checkHandler(source: FunctionSource): Promise<void> {
  const found = await stat(source.handler).catch(() => undefined)
  if (found?.isDirectory()) return
  const siblings = await readdir(dirname(source.handler)).catch((): string[] => [])
  const meant = nearest(basename(source.handler), siblings, 1)[0]
  throw new FaasError('HANDLER_NOT_FOUND', {
    message: `${source.name}: the handler folder ${source.handler} ${found ? 'is not a folder' : 'does not exist'}`,
    remedy: [
      ...(meant === undefined || meant === basename(source.handler)
        ? []
        : [`Did you mean ${join(dirname(source.handler), meant)}?`]),
      'Correct `handler` in the stack file, or make the folder: faasdock new shows what goes in.',
    ].join(' '),
  })
}
