'use strict'
// Finds the handler below a folder and brings it in: CommonJS at once, ES modules and TypeScript through import.

const fs = require('fs')
const path = require('path')
const { pathToFileURL } = require('url')

const names = ['handler.js', 'handler.cjs', 'handler.mjs', 'handler.ts', path.join('handler', 'index.js')]

/** `type` of a folder's package.json; undefined where it has none. */
function manifestType(folder) {
  try {
    return JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')).type
  } catch (_) {
    return undefined
  }
}

/** Which file is the handler, and whether it has to be imported. Throws where there is none that this Node can run. */
function findHandler(folder) {
  const found = names.find((name) => fs.existsSync(path.join(folder, name)))
  if (found === undefined) throw new Error(`no handler: one of ${names.join(', ')} must be in ${folder}`)
  const file = path.join(folder, found)
  const extension = path.extname(file)
  if (extension === '.ts' && !(process.features && process.features.typescript)) {
    throw new Error(`${file}: Node ${process.versions.node} cannot run TypeScript; use lang node24, or compile it first`)
  }
  const isModule =
    extension === '.mjs' || extension === '.ts' || (extension === '.js' && manifestType(folder) === 'module')
  return { file, isModule }
}

const isCopy = (name) => /^\.generation(-|$)/.test(name)

/** Every source below the folder, relative, with `/`: dependencies and the copies of generations are none. */
function listSources(folder) {
  const found = []
  const walk = (below) => {
    for (const entry of fs.readdirSync(path.join(folder, below), { withFileTypes: true })) {
      const name = below === '' ? entry.name : `${below}/${entry.name}`
      if (entry.name === 'node_modules' || (below === '' && isCopy(entry.name))) continue
      if (entry.isDirectory()) walk(name)
      else found.push(name)
    }
  }
  walk('')
  return found
}

/** The function that a handler file exports, directly or as `default`. */
function asHandler(loaded, file) {
  let found = loaded
  for (let i = 0; i < 2 && found && typeof found !== 'function'; i += 1) found = found.default
  if (typeof found === 'function') return found
  const error = new TypeError(
    `${file} exports no function: write module.exports = async (event, context) => …, ` +
      'or export default in an ES module',
  )
  error.handlerFile = file
  throw error
}

/** A handler for CommonJS, which also throws at once; a promise of one for an ES module. */
function loadHandler({ file, isModule }, query) {
  if (!isModule) return asHandler(require(file), file)
  return import(pathToFileURL(file).href + (query || '')).then((loaded) => asHandler(loaded, file))
}

/** What to tell somebody whose ES module was taken for CommonJS; empty for every other error. */
function hintFor(error) {
  const mistaken = error instanceof SyntaxError && /import statement|Unexpected token '?export/.test(error.message)
  return mistaken ? 'ES modules need "type": "module" in package.json or the name handler.mjs' : ''
}

module.exports = { findHandler, hintFor, isCopy, listSources, loadHandler }
