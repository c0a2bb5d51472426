import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { announce, mustRun } from './run-tool.mjs'

const STAMP = 'dist/.faasdock-build'

/** Compiles src to dist when a source changed since the last time. Other files (SQL, pages) are copied beside. */
export async function compile(root) {
  const sources = sourcesOf(root)
  const signature = signatureOf(root, sources)
  if (readText(join(root, STAMP)) === signature) return
  announce('Building')
  prune(root, sources)
  await mustRun(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'],
    {
      cwd: root,
      remedy: 'Correct the sources, then start again.',
    },
  )
  for (const path of sources.filter((source) => !isTypeScript(source))) {
    mkdirSync(dirname(join(root, 'dist', path)), { recursive: true })
    cpSync(join(root, 'src', path), join(root, 'dist', path))
  }
  writeFileSync(join(root, STAMP), signature)
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

/** Removes what an earlier build left of sources that are gone; all of it when it is unknown how far that build came. */
function prune(root, sources) {
  const dist = join(root, 'dist')
  if (!existsSync(join(root, STAMP))) {
    rmSync(dist, { recursive: true, force: true })
    return
  }
  rmSync(join(root, STAMP))
  const kept = new Set(sources.flatMap(outputsOf))
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name)
    const relative = path.slice(dist.length + 1)
    if (entry.isFile() && relative !== '.tsbuildinfo' && !kept.has(relative)) rmSync(path)
  }
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
