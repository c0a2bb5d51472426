'use strict'
// Sorts a function's folder during the build: sort.js DIR, where DIR/code is the handler folder as it was copied.
//   DIR/manifests  what `npm` needs to install: manifests, lock file and the manifests of local packages
//   DIR/npmrc      the function's .npmrc, which becomes root's own: it may hold a token and must not get into the image
//   DIR/code       what runs: without .npmrc, and without the developer's own node_modules where npm makes new ones
// Runs on every Node a function can have, so it is written for Node 12.

const fs = require('fs')
const path = require('path')

const code = path.join(process.argv[2], 'code')
const manifests = path.join(process.argv[2], 'manifests')
const npmrc = path.join(process.argv[2], 'npmrc')
const groups = ['dependencies', 'devDependencies', 'optionalDependencies']
const installHooks = ['preinstall', 'install', 'postinstall']

function readJson(file) {
  if (!fs.existsSync(file)) return undefined
  const text = fs.readFileSync(file, 'utf8')
  try {
    return JSON.parse(text)
  } catch (error) {
    fail(`${path.relative(code, file)} is no JSON: ${error.message.replace(/\s+/g, ' ')}`)
  }
}

function fail(message) {
  console.error(message)
  process.exit(1)
}

function put(file, content) {
  const target = path.join(manifests, file)
  fs.mkdirSync(path.dirname(target), { recursive: true })
  fs.writeFileSync(target, content)
}

function putCopy(file) {
  if (fs.existsSync(path.join(code, file))) put(file, fs.readFileSync(path.join(code, file)))
}

/** Calls `visit` with each file below `folder`, relative to the code, `node_modules` left out. */
function walk(folder, visit) {
  for (const entry of fs.readdirSync(path.join(code, folder), { withFileTypes: true })) {
    const name = path.join(folder, entry.name)
    if (entry.isDirectory()) {
      if (entry.name !== 'node_modules') walk(name, visit)
    } else visit(name)
  }
}

function remove(folder) {
  if (!fs.existsSync(folder)) return
  if (fs.rmSync) fs.rmSync(folder, { recursive: true, force: true })
  else fs.rmdirSync(folder, { recursive: true })
}

/**
 * Where the local package of `spec` is in the build folder. The stack file's `copy` puts `libs/auth` below the handler,
 * while on the developer's machine it lies beside it, so `file:../libs/auth` means `./libs/auth` here.
 */
function placeOf(spec, from) {
  const target = spec.replace(/^(file|link):/, '')
  const straight = path.join(from, target)
  if (!straight.startsWith('..') && fs.existsSync(path.join(code, straight))) return straight
  const copied = path.normalize(target).replace(/^(\.\.[\\/])+/, '')
  return fs.existsSync(path.join(code, copied)) ? copied : undefined
}

function localSpecs(manifest) {
  const found = []
  for (const group of groups) {
    for (const name of Object.keys(manifest[group] || {})) {
      if (/^(file|link):/.test(manifest[group][name])) found.push({ group, name, spec: manifest[group][name] })
    }
  }
  return found
}

/** In the lock file, `../libs/auth` and everything below it becomes `libs/auth`. */
function relocateLock(value, moves) {
  if (typeof value === 'string') {
    for (const [from, to] of moves) {
      if (value === from || value.startsWith(`${from}/`)) return to + value.slice(from.length)
      if (value === `file:${from}`) return `file:${to}`
    }
    return value
  }
  if (Array.isArray(value)) return value.map((item) => relocateLock(item, moves))
  if (typeof value !== 'object' || value === null) return value
  const result = {}
  for (const key of Object.keys(value)) result[relocateLock(key, moves)] = relocateLock(value[key], moves)
  return result
}

/** The template's own sample handler stays where the user's has another name, and must not be taken for it. */
function dropSample() {
  const file = path.join(code, 'handler.js')
  const others = ['handler.cjs', 'handler.mjs', 'handler.ts', 'handler/index.js']
  if (!fs.existsSync(file) || !others.some((other) => fs.existsSync(path.join(code, other)))) return
  if (fs.readFileSync(file).equals(fs.readFileSync(path.join(__dirname, 'sample-handler.js')))) fs.unlinkSync(file)
}

dropSample()
fs.mkdirSync(manifests, { recursive: true })
fs.mkdirSync(npmrc, { recursive: true })
if (fs.existsSync(path.join(code, '.npmrc'))) fs.renameSync(path.join(code, '.npmrc'), path.join(npmrc, '.npmrc'))
const manifest = readJson(path.join(code, 'package.json'))
if (manifest === undefined) process.exit(0)

const scripts = manifest.scripts || {}
// A hook may read any file. Then all of the code is needed to install, and the layer cannot outlive an edit.
if (installHooks.some((hook) => scripts[hook])) walk('', putCopy)
if (manifest.workspaces) walk('', (file) => path.basename(file) === 'package.json' && putCopy(file))
for (const file of ['package-lock.json', 'npm-shrinkwrap.json']) putCopy(file)

const moves = new Map()
const packages = new Set()
const waiting = localSpecs(manifest).map((local) => Object.assign(local, { from: '', owner: manifest }))
while (waiting.length > 0) {
  const { group, name, spec, from, owner } = waiting.pop()
  const place = placeOf(spec, from)
  if (place === undefined) {
    fail(
      `package.json asks for ${name} as ${spec}, but that is not in the build folder.\n` +
        `Name its folder under configuration.copy of the stack file.`,
    )
  }
  const original = path.normalize(spec.replace(/^(file|link):/, '')).replace(/\/$/, '')
  if (owner === manifest) {
    if (original !== place) moves.set(original, place)
    manifest[group][name] = `file:./${place}`
  }
  if (packages.has(place)) continue
  packages.add(place)
  if (!fs.statSync(path.join(code, place)).isDirectory()) {
    putCopy(place)
    continue
  }
  const local = readJson(path.join(code, place, 'package.json'))
  if (local === undefined) fail(`${place} has no package.json, so it cannot be installed as ${name}`)
  const hooks = local.scripts || {}
  if (local.bin || hooks.prepare || installHooks.some((hook) => hooks[hook])) walk(place, putCopy)
  else putCopy(path.join(place, 'package.json'))
  for (const next of localSpecs(local)) waiting.push(Object.assign(next, { from: place, owner: local }))
}

// `prepare` is for the developer's machine (husky and the like) and needs what is not installed here.
if (scripts.prepare) delete manifest.scripts.prepare
put('package.json', `${JSON.stringify(manifest, null, 2)}\n`)
if (moves.size > 0) {
  for (const file of ['package-lock.json', 'npm-shrinkwrap.json']) {
    const lock = readJson(path.join(code, file))
    if (lock !== undefined) put(file, `${JSON.stringify(relocateLock(lock, moves), null, 2)}\n`)
  }
}

if (groups.some((group) => Object.keys(manifest[group] || {}).length > 0)) remove(path.join(code, 'node_modules'))
for (const place of packages) remove(path.join(code, place, 'node_modules'))
