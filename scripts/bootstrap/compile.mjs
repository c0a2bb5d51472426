import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bundle } from './bundle.mjs'
import { announce, ToolFailed } from './run-tool.mjs'

const DIST = 'dist'
/** Beside dist, because source maps name sources by a path from where they are. */
const NEXT = 'dist.next'
const STAMP = '.faasdock-build'

/** Whether src is as it was when dist was made. */
export function isBuilt(root) {
  return readText(join(root, DIST, STAMP)) === signatureOf(root, sourcesOf(root))
}

/**
 * Builds dist from src when a source changed since the last time. The new build is made next to the old one and takes its
 * place when it is whole: what runs meanwhile finds all its files, and a build that fails changes nothing.
 */
export async function compile(root) {
  if (isBuilt(root)) return
  announce('Building')
  const sources = sourcesOf(root)
  const signature = signatureOf(root, sources)
  rmSync(join(root, NEXT), { recursive: true, force: true })
  try {
    await bundle(root, join(root, NEXT))
  } catch (error) {
    throw new ToolFailed(`The build failed: ${error.message}\nCorrect the sources, then start again.`)
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
  const paths = ['package-lock.json', 'scripts/bootstrap/bundle.mjs', ...sources.map((s) => join('src', s))]
  for (const path of paths)
    hash
      .update(path)
      .update('\0')
      .update(readFileSync(join(root, path)))
      .update('\0')
  return hash.digest('hex')
}

function replace(root) {
  const [dist, next, old] = [DIST, NEXT, `${DIST}.old`].map((name) => join(root, name))
  rmSync(old, { recursive: true, force: true })
  if (existsSync(dist)) renameSync(dist, old)
  renameSync(next, dist)
  rmSync(old, { recursive: true, force: true })
}

function readText(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
