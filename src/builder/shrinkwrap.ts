import { chmod, copyFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { FunctionSource } from '../core/builder.ts'
import { FaasError } from '../core/errors.ts'
import { contentArgs } from './build-args.ts'
import { assembleContext } from './context.ts'
import { resolveTemplate } from './template.ts'

export interface ShrinkwrapOptions {
  /** Folder of the shipped templates. */
  readonly builtIn: string
  /** `CI` decides the mode of the folders, as in faas-cli. */
  readonly env: Readonly<Record<string, string | undefined>>
}

/**
 * Writes the build folder of a function to `target` (deleted first), byte for byte and mode for mode what
 * `faas-cli build --shrinkwrap` writes to `build/NAME` — so without any .dockerignore applied: Docker does that when it
 * builds the folder. Resolves with the build arguments that a build of the folder needs. Errors as a build's.
 */
export async function shrinkwrap(
  source: FunctionSource,
  target: string,
  { builtIn, env }: ShrinkwrapOptions,
): Promise<{ readonly buildArgs: Readonly<Record<string, string>> }> {
  const template = await resolveTemplate(source, builtIn)
  const buildArgs = contentArgs(source, template)
  const folderMode = env['CI'] === 'true' || env['CI'] === '1' ? 0o777 : 0o700
  // Everything is read before anything is deleted: a mistake leaves the last folder as it was.
  const { tree } = await assembleContext(source, template, { folderMode, ignoring: false })
  try {
    await rm(target, { recursive: true, force: true })
    await mkdir(dirname(target), { recursive: true, mode: folderMode })
    await mkdir(target, { mode: folderMode })
    for (const entry of tree.list()) {
      const path = join(target, entry.path)
      // Folders get their mode through the umask, files exactly: that is how faas-cli makes them.
      if (entry.kind === 'folder') await mkdir(path, { mode: entry.mode })
      else {
        if (entry.kind === 'file') await copyFile(entry.file, path)
        else await writeFile(path, entry.content)
        await chmod(path, entry.mode)
      }
    }
  } catch (error) {
    throw notWritten(target, error)
  }
  return { buildArgs }
}

function notWritten(target: string, cause: unknown): FaasError {
  const { code, message } = cause as NodeJS.ErrnoException
  if (code === 'ENOSPC') {
    return new FaasError('DISK_FULL', {
      message: `no space left to write the build folder ${target}`,
      remedy: 'Free some, then try again.',
      cause,
    })
  }
  return new FaasError('BUILD_FAILED', {
    message: `the build folder ${target} could not be written: ${message}`,
    remedy: 'Check that the folder above it may be written.',
    cause,
  })
}
