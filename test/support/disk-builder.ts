import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Builder, FunctionSource } from '../../src/core/builder.ts'
import { FaasError } from '../../src/core/errors.ts'
import type { MemoryImage } from '../../src/provider/memory/memory-provider.ts'

/** File → text, of a handler folder. */
export type HandlerFiles = Readonly<Record<string, string>>

export interface DiskBuilder extends Builder {
  /** What a call of a function answers: the files that it was built from, and what it was given. */
  readonly image: MemoryImage
  /** Names of functions, a build each. */
  readonly builds: readonly string[]
}

/** Builds what is on disk, as the real one does, into images that are remembered. */
export function makeDiskBuilder(): DiskBuilder {
  const images = new Map<string, HandlerFiles>()
  const builds: string[] = []
  return {
    builds,
    image: {
      listener: ({ imageId = '', spec }) => {
        const answer = JSON.stringify({
          files: images.get(imageId),
          env: spec.envVars ?? {},
          labels: spec.labels,
        })
        return (_request, response) => void response.end(answer)
      },
    },
    inputs: ({ handler, root, lang }) => Promise.resolve([handler, join(root, 'template', lang)]),
    fingerprint: async (source) => {
      const content = hashOf(await filesOf(source))
      return { content, frame: content }
    },
    build: async (source, { signal }) => {
      const files = await filesOf(source)
      signal.throwIfAborted()
      const contentHash = hashOf(files)
      const imageId = `id:${contentHash}`
      const cached = images.has(imageId)
      images.set(imageId, files)
      if (!cached) builds.push(source.name)
      if (Object.values(files).some((text) => text.includes('does not build')))
        throw new FaasError('BUILD_FAILED', { message: `${source.name} does not build`, remedy: 'Mend it.' })
      return { image: source.image, imageId, contentHash, cached }
    },
  }
}

async function filesOf({ handler, root, lang }: FunctionSource): Promise<HandlerFiles> {
  const found = await stat(handler).catch(() => undefined)
  if (!found?.isDirectory())
    throw new FaasError('HANDLER_NOT_FOUND', { message: `there is no folder ${handler}`, remedy: 'Make it.' })
  return { ...(await read(handler, '')), ...(await read(join(root, 'template', lang), 'template/')) }
}

/** All files below a folder; a file that goes meanwhile counts as gone. */
async function read(folder: string, prefix: string): Promise<HandlerFiles> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const files = await Promise.all(
    entries
      .filter(({ name }) => name !== '.git' && name !== 'node_modules')
      .map(async (entry): Promise<HandlerFiles> => {
        const path = join(folder, entry.name)
        if (entry.isDirectory()) return read(path, `${prefix}${entry.name}/`)
        if (!entry.isFile()) return {}
        const text = await readFile(path, 'utf8').catch(() => undefined)
        return text === undefined ? {} : { [`${prefix}${entry.name}`]: text }
      }),
  )
  return Object.assign({}, ...files) as HandlerFiles
}

function hashOf(files: HandlerFiles): string {
  const list = Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256').update(JSON.stringify(list)).digest('hex')
}
