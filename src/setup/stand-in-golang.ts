import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ImageName } from './image-name.ts'
import { run } from './run.ts'
import type { Recipe } from './recipe.ts'

/** `golang:1…`: the machine's own Go tree, where it has one. */
export async function golangRecipe(name: ImageName): Promise<Recipe | undefined> {
  if (name.repository !== 'golang') return undefined
  const tree = (await run('go', ['env', 'GOROOT']).catch(() => '')).trim()
  if (tree === '') return undefined
  const version = (await readFile(join(tree, 'VERSION'), 'utf8').catch(() => 'go')).split('\n')[0] ?? 'go'
  return {
    id: `golang ${version}`,
    what: `Debian bookworm with the machine's own Go (${version})`,
    fill: (folder) =>
      cp(tree, join(folder, 'rootfs/usr/local/go'), { recursive: true, verbatimSymlinks: true }),
    steps: [
      'COPY rootfs/ /',
      'ENV GOPATH=/go GOTOOLCHAIN=local PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'WORKDIR /go',
    ],
  }
}
