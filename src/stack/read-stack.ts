import { resolve } from 'node:path'
import { checkName } from '../core/function.ts'
import type { Stack, TemplateSource } from '../core/stack.ts'
import { readEnvironmentFiles } from './environment-files.ts'
import { given } from './given.ts'
import { shownPath, StackError } from './mistakes.ts'
import type { StackMistake } from './mistakes.ts'
import { copyFaults, findRoot, pathFaults } from './paths.ts'
import { isBuilt, ruleFaults, writtenFunctions } from './rules.ts'
import { checkAgainstSchema } from './schema-faults.ts'
import { stackSchema } from './schema.ts'
import type { StackFile } from './schema.ts'
import { checkSelected, makeSelector } from './select.ts'
import type { Selection } from './select.ts'
import { readSourceText } from './source-text.ts'
import { stackFunction } from './stack-functions.ts'
import { loadStack } from './stack-location.ts'
import type { Environment, Fault } from './substitute.ts'
import { readTree } from './yaml-tree.ts'
import type { Tree } from './yaml-tree.ts'

export interface ReadStackOptions extends Selection {
  /** Where `${X}` gets its values. */
  readonly env: Environment
  /** The working directory. Absolute. */
  readonly cwd: string
  /** False leaves `${X}` as it stands. */
  readonly substitute?: boolean | undefined
  /** Wins over the namespaces in the file. */
  readonly namespace?: string | undefined
  /**
   * `trust` for commands that build nothing: handlers, copies and build secrets need not exist. Environment files are
   * read all the same, as they are a part of what is deployed.
   */
  readonly paths?: 'check' | 'trust' | undefined
}

/**
 * Reads a stack file (contract 5): a path, relative to `cwd`, or an http(s) address. Throws StackError (BAD_STACK) with
 * every mistake of the file; BAD_USAGE for a selection that cannot be or takes nothing; BAD_NAME for a namespace that
 * is none; FILE_NOT_READABLE when there is no file.
 */
export async function readStack(file: string, options: ReadStackOptions): Promise<Stack> {
  const isSelected = makeSelector(options)
  if (options.namespace) checkName(options.namespace, 'namespace')
  const found = await loadStack(file, options.cwd)
  const source = readSourceText(
    found.file,
    found.bytes,
    options.substitute === false ? undefined : options.env,
  )
  const tree = readTree(source.text)
  const checked = checkContent(tree)

  const all = writtenFunctions(tree.root)
  const selected = all.filter(({ name }) => isSelected(name))
  const root = await findRoot(options.cwd, found.folder ?? options.cwd, all)
  const environments = await readEnvironmentFiles(root, selected, tree)
  const onDisk = options.paths !== 'trust'
  const faults = [
    ...checked.faults,
    ...environments.faults,
    ...(onDisk ? await pathFaults(root, selected, tree) : []),
    ...(await copyFaults(root, tree, onDisk && selected.some(isBuilt))),
  ]
  const inputs = [...(found.folder === undefined ? [] : [found.file]), ...environments.paths]
  const mistakes = [
    ...inOrder(withoutConsequences(source.mistakes, faults.map(source.mistake))),
    ...inOrder(environments.mistakes),
  ]
  if (!checked.content || mistakes.length > 0)
    throw new StackError(shownPath(found.file, options.cwd), mistakes, inputs, options.cwd)

  const { provider, functions, configuration } = checked.content
  checkSelected(
    selected.map(({ name }) => name),
    Object.keys(functions),
    options,
  )
  const copy = configuration?.copy ?? []
  const context = { root, namespace: options.namespace, copy, environments: environments.values }
  return given({
    file: found.file,
    root,
    gateway: provider.gateway || undefined,
    functions: Object.entries(functions)
      .filter(([name]) => isSelected(name))
      .map(([name, fields]) => stackFunction(name, fields, context)),
    templates: templatesOf(configuration),
    inputs: inputs.map((path) => resolve(path)),
  })
}

interface CheckedContent {
  readonly content?: StackFile
  readonly faults: readonly Fault[]
}

function checkContent(tree: Tree): CheckedContent {
  if (tree.root === null) {
    if (tree.faults.length > 0) return { faults: tree.faults }
    const accepted = 'version, provider and functions'
    return { faults: [{ place: tree.place([]), message: 'the file is empty', accepted }] }
  }
  const { content, faults, isMisspelt } = checkAgainstSchema(stackSchema, tree)
  const all = [...tree.faults, ...faults, ...ruleFaults(tree, isMisspelt)]
  return given({ content, faults: all })
}

function templatesOf(configuration: StackFile['configuration']): TemplateSource[] {
  const templates = configuration?.templates ?? []
  return templates.map(({ name, source }) => given({ name, source: source || undefined }))
}

/** The causes, and of the rest what stands in other lines: a line that could not be substituted means nothing. */
function withoutConsequences(causes: readonly StackMistake[], rest: readonly StackMistake[]): StackMistake[] {
  const lines = new Set(causes.map(({ line }) => line))
  return [...causes, ...rest.filter(({ line }) => !lines.has(line))]
}

/** By line and column; those of an environment file that several functions name stay beside each other. */
function inOrder(mistakes: readonly StackMistake[]): StackMistake[] {
  return mistakes.toSorted((a, b) => (a.file === b.file ? a.line - b.line || a.column - b.column : 0))
}
