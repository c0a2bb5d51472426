import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parseDockerignore } from './builder/dockerignore.ts'
import type { Config } from './config.ts'
import type { Builder } from './core/builder.ts'
import type { Watcher } from './core/watcher.ts'
import { DevLoop } from './engine/dev-loop.ts'
import type { DevLoopParts } from './engine/dev-loop.ts'
import { readSecretFolder } from './registry/secret-folder.ts'
import { imageBuilder } from './rooms.ts'
import type { FoundEngine } from './rooms.ts'
import { readStack } from './stack/read-stack.ts'
import { ChokidarWatcher } from './watcher/chokidar-watcher.ts'

/** What has more is no source that somebody reads, bytes. */
const MAX_SOURCE_BYTES = 4 * 2 ** 20

/** The loop of the stack that the config names, its stack file read. BAD_STACK and the like. */
export async function openDevLoop(
  config: Config,
  parts: { readonly builder?: Builder; readonly watcher?: Watcher },
  shared: Omit<DevLoopParts, 'builder' | 'watcher'>,
  docker: () => Promise<FoundEngine>,
): Promise<DevLoop | undefined> {
  const { stack, env, cwd, watch, watchMode } = config
  if (!stack) return undefined
  const { file, filter, regex, namespace, substitute, adjust } = stack
  const selection = {
    ...(filter !== undefined && { filter }),
    ...(regex !== undefined && { regex }),
    ...(namespace !== undefined && { namespace }),
  }
  const builder = parts.builder ?? imageBuilder(config, await docker())
  const watcher =
    parts.watcher ??
    new ChokidarWatcher({ mode: watchMode, log: shared.log, parseIgnoreFile: parseDockerignore })
  const secretsFolder = (root: string): string => join(root, '.secrets')
  const loop = new DevLoop(
    { ...shared, builder, watcher },
    {
      file,
      watch,
      isPartial: filter !== undefined || regex !== undefined,
      readStack: async () => {
        const read = await readStack(file, { env, cwd, substitute, ...selection })
        return adjust ? { ...read, functions: await Promise.all(read.functions.map(adjust)) } : read
      },
      readSecrets: (root) => readSecretFolder(secretsFolder(root), (warning) => shared.log.warn(warning)),
      secretsFolder,
      readSource,
    },
  )
  await loop.open()
  return loop
}

async function readSource(file: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
  const { size } = await stat(file)
  return size > MAX_SOURCE_BYTES ? undefined : readFile(file, { signal })
}
