import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FunctionSource } from '../core/builder.ts'
import { contentArgs } from './build-args.ts'
import { baseImages } from './dockerfile.ts'
import { isDockerfileLang, resolveTemplate } from './template.ts'

/** The base images that builds of these functions will ask for, each once: what set-up pulls, or makes stand-ins for. */
export async function baseImagesFor(sources: readonly FunctionSource[], builtIn: string): Promise<string[]> {
  const needed = await Promise.all(sources.map((source) => basesOf(source, builtIn)))
  return [...new Set(needed.flat())].sort()
}

async function basesOf(source: FunctionSource, builtIn: string): Promise<string[]> {
  const template = await resolveTemplate(source, builtIn)
  const folder = isDockerfileLang(source.lang) ? source.handler : (template.folder ?? source.handler)
  // A missing Dockerfile is the build's to tell.
  const dockerfile = await readFile(join(folder, 'Dockerfile'), 'utf8').catch(() => '')
  return baseImages(dockerfile, contentArgs(source, template)).map(({ image }) => image)
}
