import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { FaasError } from '../../core/errors.ts'
import { projectFolder } from './configuration.ts'
import type { ConfigurationFile, DebugConfiguration, Editor } from './configuration.ts'
import { mergeRunConfiguration, runConfigurationFile } from './jetbrains.ts'
import { mergeLaunch } from './vscode.ts'

/** Writes what an editor needs below the project's folder. FILE_NOT_READABLE for a file that must not be lost. */
export async function writeConfigurations(
  editor: Editor,
  root: string,
  wanted: readonly DebugConfiguration[],
): Promise<readonly ConfigurationFile[]> {
  const project = projectFolder(editor, root)
  if (editor === 'vscode') {
    const file = join(project, '.vscode/launch.json')
    return [await rewrite(file, (text) => mergeLaunch(text, wanted, { file, project }))]
  }
  return Promise.all(
    wanted.map((one) =>
      rewrite(join(project, '.idea/runConfigurations', runConfigurationFile(one)), (text) =>
        mergeRunConfiguration(text, one, project),
      ),
    ),
  )
}

async function rewrite(
  path: string,
  change: (text: string | undefined) => string,
): Promise<ConfigurationFile> {
  const before = await readIfAny(path)
  const after = change(before)
  if (after === before) return { path, change: 'same' }
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, after)
  } catch (cause) {
    throw new FaasError('FILE_NOT_READABLE', {
      message: `${path} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`,
      remedy: 'Check its permissions; --no-write leaves the files of editors alone.',
      cause,
    })
  }
  return { path, change: before === undefined ? 'made' : 'changed' }
}

async function readIfAny(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new FaasError('FILE_NOT_READABLE', {
      message: `${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
      remedy: 'Check its permissions; --no-write leaves the files of editors alone.',
      cause,
    })
  }
}
