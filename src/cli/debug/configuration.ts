import { existsSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import type { DebugLanguage } from '../../core/debug.ts'

/** A port for debuggers, as the gateway tells of it. */
export interface DebugPort {
  readonly name: string
  readonly namespace: string
  readonly language: DebugLanguage
  /** Where the sources are in the image. */
  readonly folder: string
  readonly host: string
  readonly port: number
  readonly clients: number
  /** What it has to be given before a debugger can be opened in it. */
  readonly lacks?: string
}

/** What an editor has to know to attach to a function. */
export interface DebugConfiguration {
  /** As it is called in the editor. */
  readonly title: string
  readonly language: DebugLanguage
  readonly host: string
  readonly port: number
  /** In the image. */
  readonly remoteRoot: string
  /** The same files here, absolute. */
  readonly localRoot: string
}

/** One file of an editor: what is to become of it, or why it is left alone. */
export interface ConfigurationFile {
  /** Absolute. */
  readonly path: string
  /** `same`: it says so already. */
  readonly change: 'made' | 'changed' | 'same'
}

export type Editor = 'vscode' | 'jetbrains'

const FOLDERS: Readonly<Record<Editor, string>> = { vscode: '.vscode', jetbrains: '.idea' }

/** Where an editor keeps what is the project's: the nearest folder above the stack file that it knows, else that file's. */
export function projectFolder(editor: Editor, root: string): string {
  for (let folder = root; ; folder = dirname(folder)) {
    if (existsSync(join(folder, FOLDERS[editor]))) return folder
    if (dirname(folder) === folder || existsSync(join(folder, '.git'))) return root
  }
}

/** The editors that are used here: by the terminal that this is, or by what they left in the project. */
export function editorsInUse(root: string, env: Readonly<Record<string, string | undefined>>): Editor[] {
  const isHere = (editor: Editor): boolean => existsSync(join(projectFolder(editor, root), FOLDERS[editor]))
  const editors: Editor[] = []
  if (env['TERM_PROGRAM'] === 'vscode' || isHere('vscode')) editors.push('vscode')
  if (env['TERMINAL_EMULATOR']?.startsWith('JetBrains') === true || isHere('jetbrains'))
    editors.push('jetbrains')
  return editors
}

/** A path as editors write it in files that are shared: from the project's folder, where it is in there. */
export function fromProject(variable: string, project: string, path: string): string {
  const way = relative(project, path)
  if (way === '') return variable
  if (way.startsWith('..') || way === path) return path.split(sep).join('/')
  return `${variable}/${way.split(sep).join('/')}`
}
