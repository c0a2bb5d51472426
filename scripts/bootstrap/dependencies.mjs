import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ensureNative } from './native.mjs'
import { announce, mustRun, npmCommand, runTool } from './run-tool.mjs'

/** Inside node_modules, so that it goes when they go. */
const STAMP = '.faasdock-install.json'

/** Installs what package-lock.json names when node_modules are not that already, and sees that the native part loads. */
export async function ensureDependencies(root) {
  const { action, why } = decide(root)
  if (action === 'nothing') return
  if (action === 'install') {
    announce(`Installing dependencies (${why})`)
    await install(root)
  }
  await ensureNative(root)
  writeFileSync(join(root, 'node_modules', STAMP), JSON.stringify(stampOf(root)))
}

/**
 * `npm ci`, and where that refuses the lock file `npm install`, which keeps to it as far as it goes: newer versions of
 * npm refuse a lock file that leaves out packages for other platforms, as it does where a registry lacks them.
 */
async function install(root) {
  const flags = ['--ignore-scripts', '--include=dev', '--no-audit', '--no-fund']
  const [npm, args] = npmCommand(['ci', ...flags])
  const { ok, output } = await runTool(npm, args, { cwd: root })
  if (ok) return
  const [, instead] = npmCommand([output.includes('EUSAGE') ? 'install' : 'ci', '--no-save', ...flags])
  await mustRun(npm, instead, {
    cwd: root,
    remedy: 'Run `npm ci` yourself to see more. The package registry must be reachable.',
  })
}

/**
 * What is to be done: `nothing`, `verify` (the packages are there, but nobody checked that the native part suits this
 * Node) or `install`, with why.
 */
export function decide(root) {
  const modules = join(root, 'node_modules')
  if (!existsSync(modules)) return { action: 'install', why: 'there are none yet' }
  const stamp = readJson(join(modules, STAMP))
  const now = stampOf(root)
  if (stamp?.lock === now.lock) {
    return stamp.runtime === now.runtime
      ? { action: 'nothing', why: '' }
      : { action: 'verify', why: `Node changed from ${stamp.runtime} to ${now.runtime}` }
  }
  // npm's own note of what it installed: someone may have run `npm ci` by hand.
  return installedAsLocked(root)
    ? { action: 'verify', why: 'installed by hand' }
    : { action: 'install', why: stamp ? 'package-lock.json changed' : 'not as package-lock.json says' }
}

function stampOf(root) {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  return { lock, runtime: `${process.platform}-${process.arch}-${process.versions.modules}` }
}

function installedAsLocked(root) {
  const wanted = readJson(join(root, 'package-lock.json'))?.packages ?? {}
  const present = readJson(join(root, 'node_modules/.package-lock.json'))?.packages
  if (!present) return false
  return Object.entries(wanted).every(
    ([path, { version, optional, devOptional, peer }]) =>
      path === '' ||
      present[path]?.version === version ||
      (!present[path] && (optional || devOptional || peer)),
  )
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
