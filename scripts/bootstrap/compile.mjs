import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { announce, mustRun } from './run-tool.mjs'

const DIST = 'dist'
/** Beside dist, because source maps name sources by a path from where they are. */
const NEXT = 'dist.next'
const STAMP = '.faasdock-build'

/** Whether src is as it was when dist was made. */
export function isBuilt(root) {
  return readText(join(root, DIST, STAMP)) === signatureOf(root, sourcesOf(root))
}

/**
 * Compiles src to dist when a source changed since the last time. Other files (SQL, pages) are copied beside. The new
 * build is made next to the old one and takes its place when it is whole: what runs meanwhile finds all its files, and
 * a build that fails changes nothing.
 */
export async function compile(root) {
  if (isBuilt(root)) return
  announce('Building')
  const sources = sourcesOf(root)
  const signature = signatureOf(root, sources)
  seed(root, sources)
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const buildInfo = join(NEXT, '.tsbuildinfo')
  const options = ['-p', 'tsconfig.build.json', '--outDir', NEXT, '--tsBuildInfoFile', buildInfo]
  await mustRun(process.execPath, [tsc, ...options], {
    cwd: root,
    remedy: 'Correct the sources, then start again.',
  })
  for (const path of sources.filter((source) => !isTypeScript(source))) {
    mkdirSync(dirname(join(root, NEXT, path)), { recursive: true })
    cpSync(join(root, 'src', path), join(root, NEXT, path))
  }
  writeFileSync(join(root, NEXT, STAMP), signature)
  replace(root)
}

/** Files below src that the build is made of, relative to it. */
export function sourcesOf(root) {
  return readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(join(root, 'src').length + 1))
    .sort()
}

/** By content: a `git checkout` changes times and nothing else. */
export function signatureOf(root, sources) {
  const hash = createHash('sha256')
  const paths = [
    'tsconfig.json',
    'tsconfig.build.json',
    'package-lock.json',
    ...sources.map((s) => join('src', s)),
  ]
  for (const path of paths)
    hash
      .update(path)
      .update('\0')
      .update(readFileSync(join(root, path)))
      .update('\0')
  return hash.digest('hex')
}

/** Begins the next build with what the last one made, which the compiler need not make again, less what has no source any more. */
function seed(root, sources) {
  const next = join(root, NEXT)
  rmSync(next, { recursive: true, force: true })
  if (!existsSync(join(root, DIST, STAMP))) return
  cpSync(join(root, DIST), next, { recursive: true })
  const kept = new Set(['.tsbuildinfo', ...sources.flatMap(outputsOf)])
  for (const entry of readdirSync(next, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name)
    if (entry.isFile() && !kept.has(path.slice(next.length + 1))) rmSync(path)
  }
}

function replace(root) {
  const [dist, next, old] = [DIST, NEXT, `${DIST}.old`].map((name) => join(root, name))
  rmSync(old, { recursive: true, force: true })
  if (existsSync(dist)) renameSync(dist, old)
  renameSync(next, dist)
  rmSync(old, { recursive: true, force: true })
}

function outputsOf(source) {
  if (!isTypeScript(source)) return [source]
  const stem = source.slice(0, -'.ts'.length)
  return ['.js', '.js.map', '.d.ts'].map((ending) => stem + ending)
}

function isTypeScript(path) {
  return path.endsWith('.ts') && !path.endsWith('.d.ts')
}

function readText(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
