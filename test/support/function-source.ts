import { join } from 'node:path'
import type { FunctionSource } from '../../src/core/builder.ts'
import type { TestFolder } from './folder.ts'

/** The function `hello` of a project in that folder, written for Node 20. */
export function sourceIn(
  { path }: Pick<TestFolder, 'path'>,
  more: Partial<FunctionSource> = {},
): FunctionSource {
  return {
    name: 'hello',
    lang: 'node20',
    handler: join(path, 'hello'),
    image: 'hello',
    root: path,
    buildArgs: {},
    buildOptions: [],
    buildSecrets: {},
    copy: [],
    ...more,
  }
}
